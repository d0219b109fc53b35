//! What is wrong, where, and that one mistake hides no other.

use domain::{Reserve, Rule};

use super::*;

#[test]
fn ten_mistakes_are_ten_problems_each_where_it_stands() {
    let text = "\
listen: localhost:8080
backends:
  - id: eastus
    dialect: openapi
    url: ftp://eastus
    timeout: { idle: 60 }
pools:
  - { id: main, members: [{ backend: eastsu, wieght: 3 }] }
models:
  - { name: gpt-4o, pool: main, tokenizer: o200k }
products:
  - id: standard
    models: [gpt-4o, gpt-5]
    token_limits:
      - { name: tpm, tokens_per_minute: lots, counter_key: subscripton.id }
    budgets: []
subscriptions:
  - { id: search, product: standard, keys: { primary: short } }
";
    let found = problems(text);
    let expected = [
        "1:9: listen: `localhost:8080` is not an address",
        "4:14: backends[eastus].dialect: `openapi` is no dialect that is available; write one of: openai, azure-openai, azure-content-safety",
        "5:10: backends[eastus].url: neither `http` nor `https`",
        "6:22: backends[eastus].timeout.idle: `60` is not a duration",
        "8:38: pools[main].members[0].backend: no backend is called `eastsu`; did you mean `eastus`?",
        "8:46: pools[main].members[0]: unknown field `wieght`; did you mean `weight`?",
        "13:22: products[standard].models[1]: no model is called `gpt-5`",
        "15:41: products[standard].token_limits[tpm].tokens_per_minute: `lots` is not a whole number",
        "15:60: products[standard].token_limits[tpm].counter_key: nothing is called `subscripton`",
        "16:5: products[standard]: unknown field `budgets`; use one of:",
        "18:55: subscriptions[search].keys.primary: the key is shorter than 16 characters",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "\n{found}\n{expected}");
    }
}

#[test]
fn parts_that_are_not_built_are_unknown_fields() {
    for (from, to, name) in [
        ("models: [gpt-4o]", "models: [gpt-4o], sso: {}", "sso"),
        ("{ api_key: 'sk-upstream' }", "{ aws: {} }", "aws"),
    ] {
        assert!(problem_of(from, to).contains(&format!("unknown field `{name}`")));
    }
    for (line, what) in [
        ("store: postgres://u:hidden@h/db", "store"),
        ("counters: redis://u:hidden@h", "counters"),
    ] {
        let found = problems(line);
        assert!(
            matches!(&*found, [one] if one.contains("available") && one.contains(what)),
            "{found:?}"
        );
    }
}

#[test]
fn one_mistake_in_a_section_hides_no_other() {
    let found = problems(
        "backends: 5\npools:\n  - id: a\n    members: []\n    retry: { attempts: 0, budget: 2 }\n  - 7\nmodels:\n  - { nam: x }\n",
    );
    let starts = [
        "1:11: backends: expected a list, found a number",
        "4:14: pools[a].members: no members",
        "5:24: pools[a].retry.attempts: `0` is not",
        "5:35: pools[a].retry.budget: `2` is not",
        "6:5: pools[1]: expected a map, found a number",
        "8:5: models[0].name: `name` is missing",
        "8:7: models[0]: unknown field `nam`; did you mean `name`?",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (found, start) in found.iter().zip(starts) {
        assert!(found.starts_with(start), "\n{found}\n{start}");
    }
}

#[test]
fn rules_of_single_fields_are_kept() {
    for (from, to, problem) in [
        (
            "https://api.example.com/v1/",
            "https://user:pw@api.example.com",
            "credentials in a URL",
        ),
        (
            "https://api.example.com/v1/",
            "https://api.example.com?x=1",
            "query",
        ),
        (
            "https://api.example.com/v1/",
            "http://api.example.com",
            "plain `http`",
        ),
        (
            "dialect: openai, url: https://api.example.com/v1/",
            "dialect: azure-openai, url: 'https://api.example.com'",
            "no `api_version`",
        ),
        (
            "dialect: openai",
            "dialect: azure-openai, api_version: '1&x=2'",
            "not an API version",
        ),
        (
            "dialect: openai",
            "dialect: openai, api_version: '1'",
            "only `azure-openai`",
        ),
        (
            "dialect: openai",
            "dialect: openai, breaker: { failure_threshold: 0 }",
            "above 0",
        ),
        (
            "dialect: openai",
            "dialect: openai, breaker: { failure_threshold: 1.5 }",
            "above 0",
        ),
        (
            "dialect: openai",
            "dialect: openai, breaker: { accept_retry_after: yes }",
            "`true` or `false`",
        ),
        (
            "dialect: openai",
            "dialect: openai, timeout: { connect: 0s }",
            "duration",
        ),
        (
            "dialect: openai",
            "dialect: openai, timeout: { connect: 2 days }",
            "duration",
        ),
        (
            "{ api_key: 'sk-upstream' }",
            "{ api_key: a, bearer: b }",
            "not exactly one credential",
        ),
        (
            "{ api_key: 'sk-upstream' }",
            "{}",
            "not exactly one credential",
        ),
        (
            "{ api_key: 'sk-upstream' }",
            "sk-upstream",
            "expected a map, found text",
        ),
        (
            "{ api_key: 'sk-upstream' }",
            "{ api_key: '${env:UNSET}' }",
            "`UNSET` is not set",
        ),
        (
            "{ api_key: 'sk-upstream' }",
            "{ api_key: \"two\\nlines\" }",
            "no header can carry",
        ),
        (
            "backend: eastus",
            "backend: eastus, deployment: { westus: x }",
            "no backend of the model's pool",
        ),
        ("backend: eastus, ", "", "neither `pool` nor `backend`"),
        (
            "backend: eastus",
            "backend: eastus, max_output_tokens: '5'",
            "without quotes",
        ),
        (
            "models: [gpt-4o]",
            "models: [gpt-4o, gpt-4o]",
            "listed twice",
        ),
        (
            "models: [gpt-4o]",
            "models: [gpt-4o], require: []",
            "requires nothing",
        ),
        (
            "models: [gpt-4o]",
            "models: [gpt-4o], require: [jwt]",
            "no issuer",
        ),
        (
            "models: [gpt-4o]",
            "models: [gpt-4o], require: [tls]",
            "no credential that is available",
        ),
        (
            "models: [gpt-4o]",
            "models: [gpt-4o], application: { from_header: Authorization }",
            "credentials",
        ),
        (
            "models: [gpt-4o]",
            "models: [gpt-4o], quotas: [{ name: a/b, tokens: 1, period: day }]",
            "limit",
        ),
        (
            "models: [gpt-4o]",
            "models: [gpt-4o], quotas: [{ name: a, tokens: 1, period: day, time_zone: Mars/Base }]",
            "time zone",
        ),
        ("id: search", "id: 'se arch'", "name of a subscription"),
        (
            "product: standard",
            "product: standard, state: paused",
            "no state that is available",
        ),
    ] {
        let found = problem_of(from, to);
        assert!(found.contains(problem), "{found}\n{problem}");
    }
    let found = problems(
        "admin: { listen: 127.0.0.1:8080 }\nlimits: { body: 8MB, headers: 1B }\ntime_zone: !x UTC",
    );
    assert_eq!(found.len(), 4, "{found:#?}");
}

#[test]
fn identity_is_checked_too() {
    let issuer = "
identity:
  jwt:
    - name: entra
      openid_config: https://login.example.com/.well-known/openid-configuration
      audiences: []
      required_claims: [{ name: roles, values: [] }]
      subscription: subscription.id
      algorithms: [RS256, HS256]
    - { name: entra, openid_config: 'https://b.example.com', audiences: [a], subscription: claims.azp, algorithms: [none] }
";
    let found = problems(issuer);
    let expected = [
        "6:18: identity.jwt[entra].audiences: no audience",
        "7:48: identity.jwt[entra].required_claims[roles].values: no values",
        "8:21: identity.jwt[entra].subscription: `subscription.id` is not known before",
        "9:27: identity.jwt[entra].algorithms[1]: `HS256` is no signature algorithm",
        "10:15: identity.jwt[entra].name: the issuer `entra` is declared twice",
        "10:117: identity.jwt[entra].algorithms[0]: `none` is no signature algorithm",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "\n{found}\n{expected}");
    }
}

#[test]
fn reserving_the_maximum_needs_models_with_one() {
    let limit = "quotas: [{ name: month, tokens: 10, period: month, reserve: max }]";
    for (from, field) in [
        (
            "models: [gpt-4o]",
            "products[standard].quotas[month].reserve",
        ),
        (
            "product: standard",
            "subscriptions[search].quotas[month].reserve",
        ),
    ] {
        let found = problem_of(from, &format!("{from}, {limit}"));
        assert!(
            found.contains(field)
                && found.contains("`gpt-4o`")
                && found.contains("max_output_tokens"),
            "{found}"
        );
    }
    assert!(problems(&format!("{SMALL}{limit}\n"))[0].contains("10:"));
    let bounded = SMALL.replace("tokenizer", "max_output_tokens: 4096, tokenizer");
    let snapshot = loaded(&format!("{bounded}{limit}\n"));
    assert!(matches!(
        snapshot.limits[0].limit.rule,
        Rule::TokenQuota {
            reserve: Reserve::Max,
            ..
        }
    ));
}

#[test]
fn names_of_limits_are_unique_within_their_scope() {
    let two = "token_limits: [{ name: a, tokens_per_minute: 1 }], request_limits: [{ name: a, requests_per_minute: 1 }]";
    let found = problem_of("models: [gpt-4o]", &format!("models: [gpt-4o], {two}"));
    assert!(
        found.contains(
            "products[standard].request_limits[a]: another limit of this scope is called `a`"
        ),
        "{found}"
    );
    loaded(&format!(
        "{}token_limits: [{{ name: a, tokens_per_minute: 1 }}]\n",
        SMALL.replace(
            "models: [gpt-4o]",
            "models: [gpt-4o], quotas: [{ name: a, tokens: 1, period: day }]"
        )
    ));
}

#[test]
fn a_dimension_is_a_label_that_nothing_else_is_called() {
    for (name, problem) in [
        ("team-name", "this cannot be the name of a label"),
        ("1st", "this cannot be the name of a label"),
        ("kind", "this label has a meaning of its own"),
        ("__name__", "this label has a meaning of its own"),
    ] {
        let found = problems(&format!(
            "{SMALL}metrics: {{ dimensions: {{ {name}: model.name }} }}\n"
        ));
        assert!(
            matches!(&*found, [one] if one.contains(&format!("metrics.dimensions[{name}]: {problem}"))),
            "{found:?}"
        );
    }
    let unknown = format!("{SMALL}metrics: {{ dimensions: {{ Team: team.name }} }}\n");
    let found = problems(&unknown);
    assert!(
        found[0].contains("metrics.dimensions[Team]: nothing is called `team`"),
        "{found:?}"
    );
}

#[test]
fn a_collector_s_mistakes_are_told_without_its_secrets() {
    let text = format!(
        "{SMALL}telemetry: {{ otlp: {{ endpoint: 'ftp://collector', headers: {{ 'a b': hidden-value }}, sample_ratio: 2 }} }}\n"
    );
    let found = problems(&text);
    let all = found.join("\n");
    assert!(
        all.contains("telemetry.otlp.endpoint: neither `http` nor `https`"),
        "{all}"
    );
    assert!(
        all.contains("telemetry.otlp.sample_ratio: `2` is not a share"),
        "{all}"
    );
    assert!(!all.contains("hidden-value"), "{all}");
}
