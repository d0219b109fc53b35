//! What loads, and is not what was meant.

use super::*;
use crate::snapshot::OnDisk;

/// The only problem of this, which loads.
fn warning(text: &str) -> String {
    let (_, warnings) = load_with(&[("t.yaml", text)], &[]).unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].severity, Severity::Warning);
    warnings[0].to_string()
}

fn none(text: &str) {
    let (_, warnings) = load_with(&[("t.yaml", text)], &[]).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
}

/// `SMALL` with more for its product.
fn product(more: &str) -> String {
    SMALL.replace(
        "models: [gpt-4o] }",
        &format!("models: [gpt-4o], {more} }}"),
    )
}

#[test]
fn vary_by_alone_caches_nothing() {
    let told = warning(&product("cache: { vary_by: [product.id] }"));
    assert!(
        told.contains("products[standard].cache.vary_by: without `exact` and `semantic`"),
        "{told}"
    );
    none(&product("cache: { vary_by: [product.id], exact: {} }"));
    none(&product("cache: { vary_by: [product.id], semantic: {} }"));
}

#[test]
fn an_analyzers_url_with_the_path_that_is_added_is_told() {
    let guard = |url: &str| product(&format!("guards: [ {{ presidio: {{ url: \"{url}\" }} }} ]"));
    for url in [
        "https://presidio.example.com/analyze",
        "https://p.example.com/x/analyze/",
    ] {
        let told = warning(&guard(url));
        assert!(
            told.contains(".presidio.url: ends with `/analyze`"),
            "{told}"
        );
    }
    none(&guard("https://presidio.example.com/analyzer"));
}

#[test]
fn a_judges_token_that_would_be_for_azures_ai_services_is_told() {
    let guard = |kind: &str, auth: &str| {
        product(&format!(
            "guards: [ {{ {kind}: {{ url: \"https://judge.example.com\", auth: {{ {auth} }} }} }} ]"
        ))
    };
    for kind in ["webhook", "presidio"] {
        let told = warning(&guard(kind, "managed_identity: {}"));
        let field = format!(".{kind}.auth.managed_identity.resource: not written");
        assert!(told.contains(&field), "{told}");
        none(&guard(
            kind,
            "managed_identity: { resource: \"api://judge\" }",
        ));
        none(&guard(kind, "bearer: a-token"));
    }
    let told = warning(&guard(
        "webhook",
        "workload_identity: { tenant_id: t, client_id: c, token_file: /t }",
    ));
    assert!(
        told.contains("auth.workload_identity.scope: not written"),
        "{told}"
    );
}

#[test]
fn an_earlier_key_with_the_id_of_the_present_one_is_told() {
    let stores = |previous: &str| {
        format!(
            "{SMALL}audit_stores: [ {{ id: eu, region: eu, keys: {{ dir: /keys, kek: {{ id: k2, key: '${{env:KEK}}' }}, previous: [ {{ id: k1, key: '${{env:KEK}}' }}, {{ id: {previous}, key: '${{env:KEK}}' }} ] }} }} ]\n"
        )
    };
    let told = warning(&stores("k2"));
    assert!(
        told.contains("audit_stores[eu].keys.previous[1]: `k2` is the id of `kek` too"),
        "{told}"
    );
    none(&stores("k0"));
}

#[test]
fn a_hyphen_in_a_headers_name_is_no_minus() {
    for (written, header) in [
        ("request.headers.x-session", "x-session"),
        ("request.headers.x-session-id", "x-session-id"),
        ("request.headers.x-1", "x-1"),
        ("request.headers.x-claims != \\\"\\\"", "x-claims"),
    ] {
        let text = product(&format!(
            "cache: {{ exact: {{}}, vary_by: [ \"{written}\" ] }}"
        ));
        let told = problems(&text).join("\n");
        let fix = format!("write `request.headers[\"{header}\"]`");
        assert!(
            told.contains("products[standard].cache.vary_by[0]") && told.contains(&fix),
            "{written}: {told}"
        );
    }
    none(&product(
        "cache: { exact: {}, vary_by: [ \"string(size(request.headers.x) - 1)\" ] }",
    ));
}

#[test]
fn a_time_to_live_may_be_days_and_past_ninety_its_field_and_the_bound_are_named() {
    for kind in ["exact", "semantic"] {
        none(&product(&format!("cache: {{ {kind}: {{ ttl: 90d }} }}")));
        let told = problems(&product(&format!("cache: {{ {kind}: {{ ttl: 91d }} }}"))).join("\n");
        let problem = format!("products[standard].cache.{kind}.ttl: `91d` is longer than 90d");
        assert!(told.contains(&problem), "{told}");
    }
}

#[test]
fn what_must_be_on_disk_is_known_with_its_place() {
    let sinks = "sinks:\n  - { id: f, file: { path: /srv/usage.jsonl } }\n";
    let snapshot = loaded(&format!("{}{sinks}", product("cache: { semantic: {} }")));
    let told: Vec<_> = snapshot
        .expected
        .iter()
        .map(|expected| (&*expected.written.field, &expected.what))
        .collect();
    let file = OnDisk::FolderOf("/srv/usage.jsonl".into());
    assert_eq!(told[0], ("sinks[f].file.path", &file));
    assert_eq!(told[1].0, "products[standard].cache.semantic");
    assert!(matches!(told[1].1, OnDisk::LocalModel(_)));
    let exact = loaded(&product("cache: { exact: {} }"));
    assert_eq!(exact.expected, []);
}

#[test]
fn audit_rules_that_record_nothing_are_told() {
    let told = warning(&product("audit: { content: none, required: true }"));
    assert!(
        told.contains("audit.required: nothing is recorded"),
        "{told}"
    );
    let stores = "audit_stores: [ { id: default, region: eu } ]\n";
    let text = stores.to_owned() + &product("audit: { content: full, sample: 0 }");
    let (_, warnings) = load_with(&[("t.yaml", &text)], &[]).unwrap();
    // The first is of the keys beside what they open.
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let told = warnings[1].to_string();
    assert!(told.contains("audit.sample: no call is recorded"), "{told}");
}

#[test]
fn one_person_who_reads_and_erases_is_told() {
    let access = |roles: &str| {
        format!(
            "{SMALL}\naccess: [ {{ id: a, token: a-token-of-16-chars, roles: [ {roles} ] }} ]\n"
        )
    };
    let told = warning(&access("{ role: auditor }, { role: admin }"));
    assert!(told.contains("access[a].roles: one person"), "{told}");
    none(&access("{ role: auditor }, { role: finance }"));
}

#[test]
fn what_is_written_a_line_further_down_is_the_same() {
    let key = "a".repeat(43) + "=";
    let text = format!(
        "audit_stores: [ {{ id: eu, region: eu, keys: {{ dir: /keys, kek: {{ id: k, key: {key} }} }} }} ]\n{SMALL}"
    );
    let stores = |text: &str| {
        load_with(&[("t.yaml", text)], &[])
            .unwrap()
            .0
            .auditing
            .stores
    };
    assert_eq!(stores(&text), stores(&format!("# a comment\n{text}")));
}
