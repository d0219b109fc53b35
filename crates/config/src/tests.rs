//! Loading as its callers see it: text in, snapshot or problems out.

mod alerts;
mod audit;
mod auth;
mod budgets;
mod cache;
mod guards;
mod judges;
mod keys;
mod listen;
mod meaning;
mod mistakes;
mod prices;
mod semantic;
mod sinks;
mod warnings;
mod yaml;

use super::*;

const EXAMPLE: &str = include_str!("../../../examples/tollgate.yaml");
const SELF_HOSTED: &str = include_str!("../../../examples/self-hosted.yaml");
const AZURE_IDENTITIES: &str = include_str!("../../../examples/azure-identities.yaml");
const AUDIT: &str = include_str!("../../../examples/audit.yaml");
const GUARDS: &str = include_str!("../../../examples/guards.yaml");
const SINKS: &str = include_str!("../../../examples/sinks.yaml");

/// A gateway with one of everything.
const SMALL: &str = "
backends:
  - { id: eastus, catalogue: openai, dialect: openai, url: https://api.example.com/v1/, auth: { api_key: 'sk-upstream' } }
models:
  - { name: gpt-4o, backend: eastus, tokenizer: o200k }
products:
  - { id: standard, models: [gpt-4o] }
subscriptions:
  - { id: search, product: standard, keys: { primary: search-key-0123456789 } }
";

const SECRETS: [&str; 3] = [
    "s3cret-from-outside-0123456789",
    "sk-upstream",
    "search-key-0123456789",
];

fn load_with(
    sources: &[(&str, &str)],
    keys: &[RegistryKey],
) -> Result<(Snapshot, Vec<Problem>), Vec<Problem>> {
    let sources: Vec<Source> = sources
        .iter()
        .map(|(name, text)| Source {
            name: (*name).to_owned(),
            text: (*text).to_owned(),
        })
        .collect();
    let variables = |name: &str| match name {
        "UNSET" => None,
        // What platforms set is set by the tests that are about it.
        "IDENTITY_ENDPOINT" | "IDENTITY_HEADER" => None,
        name if name.starts_with("AZURE_") => None,
        "PORT" => Some("9000".to_owned()),
        "ALERT_URL" => Some("https://alerts.example.com/hook".to_owned()),
        _ => Some(SECRETS[0].to_owned()),
    };
    let files = |_: &str| Ok(format!("{}\n", SECRETS[0]));
    load(
        &sources,
        &Environment {
            variables: &variables,
            files: &files,
        },
        keys,
        7,
    )
}

fn loaded(text: &str) -> Snapshot {
    match load_with(&[("tollgate.yaml", text)], &[]) {
        Ok((snapshot, _)) => snapshot,
        Err(problems) => panic!("{}", shown(&problems)),
    }
}

/// Problems as `LINE:COL field: problem; fix`.
fn problems(text: &str) -> Vec<String> {
    let found = match load_with(&[("t.yaml", text)], &[]) {
        Ok((_, warnings)) => warnings,
        Err(problems) => problems,
    };
    found
        .iter()
        .map(|problem| problem.to_string().trim_start_matches("t.yaml:").to_owned())
        .collect()
}

fn shown(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(|problem| format!("{problem}\n"))
        .collect()
}

/// The only problem of `SMALL` with `from` written as `to`.
fn problem_of(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from}");
    let found = problems(&SMALL.replace(from, to));
    assert_eq!(found.len(), 1, "{to}: {found:#?}");
    found[0].clone()
}
