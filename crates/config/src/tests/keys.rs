//! Keys have one owner, and secrets show nowhere.

use super::*;
use crate::snapshot::BackendAuth;

#[test]
fn a_key_belongs_to_one_subscription() {
    let found = problem_of(
        "subscriptions:\n",
        "subscriptions:\n  - { id: first, product: standard, keys: { secondary: search-key-0123456789 } }\n",
    );
    assert!(
        found.contains(
            "subscriptions[search].keys.primary: the same key as `first/secondary` at t.yaml:9"
        ),
        "{found}"
    );
    let hash: String = key_hash(SECRETS[2])
        .0
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let found = problem_of(
        "keys: { primary: ",
        &format!("keys: {{ secondary: 'sha256:{hash}', primary: "),
    );
    assert!(found.contains("the same key as `search/"), "{found}");
}

#[test]
fn a_key_has_one_owner() {
    let key = |id: &str, subscription: &str, slot, secret: &str| RegistryKey {
        id: id.to_owned(),
        subscription: subscription.into(),
        slot,
        hash: key_hash(secret),
        application: Some("chat-ui".into()),
    };
    let other = key("ab12cd", "search", KeySlot::Secondary, "tg_ab12cd_one");
    let (snapshot, warnings) = load_with(&[("t.yaml", SMALL)], std::slice::from_ref(&other))
        .expect("another slot is free");
    let grant = &snapshot.keys[&other.hash];
    assert_eq!(
        (
            &*grant.key_id,
            grant.application.as_ref().map(|name| name.as_str())
        ),
        ("tg_ab12cd", Some("chat-ui"))
    );
    assert_eq!(
        &*snapshot.keys[&key_hash(SECRETS[2])].key_id,
        "search/primary"
    );
    assert!(warnings.is_empty());

    let same = key("ab12cd", "search", KeySlot::Primary, "tg_ab12cd_two");
    let found = load_with(&[("t.yaml", SMALL)], &[same]).expect_err("the file owns the slot");
    assert!(
        matches!(&*found, [one] if one.line == 9 && one.problem.contains("`tg_ab12cd`")),
        "{}",
        shown(&found)
    );

    let orphan = key("ef34ab", "gone", KeySlot::Primary, "tg_ef34ab_three");
    let (snapshot, warnings) =
        load_with(&[("t.yaml", SMALL)], &[orphan]).expect("a warning is no error");
    assert!(!snapshot.keys.contains_key(&key_hash("tg_ef34ab_three")));
    assert!(
        shown(&warnings).starts_with("registry: keys[tg_ef34ab]: its subscription `gone`"),
        "{}",
        shown(&warnings)
    );
}

#[test]
fn secrets_show_nowhere() {
    let field = |text: &str| SMALL.replace("id: search,", &format!("id: search, {text},"));
    let mut texts: Vec<String> = vec![
        field("owner: \"${env:X}\\n\""),
        field("state: '${env:X}'"),
        field("quotas: '${env:X}'"),
        SMALL.replace("dialect: openai", "dialect: '${file:/run/x}'"),
        SMALL.replace("https://api.example.com/v1/", "'${env:X}'"),
        SMALL.replace("product: standard", "product: standard, quotas: [{ name: a, tokens: '${env:X}', period: '${env:X}' }]"),
        SMALL.replace("product: standard", "product: standard, quotas: [{ name: a, tokens: 1, period: day, counter_key: '${env:X}' }]"),
        SMALL.replace("{ api_key: 'sk-upstream' }", "{ api_key: ['sk-upstream'] }"),
        SMALL.replace("{ primary: search-key-0123456789 }", "search-key-0123456789"),
        SMALL.replace("{ primary: search-key-0123456789 }", "[search-key-0123456789]"),
        SMALL.replace("{ api_key: 'sk-upstream' }", "sk-upstream"),
        "listen: '${env:X}'\ntime_zone: '${env:X}'\nlimits: { body: '${env:X}', drain: '${env:X}' }".to_owned(),
    ];
    texts.push(format!("{SMALL}  - {{ id: again, product: standard, keys: {{ primary: search-key-0123456789 }} }}\n"));
    for text in texts {
        let found = problems(&text);
        assert!(!found.is_empty(), "{text}");
        for secret in SECRETS {
            assert!(
                found.iter().all(|problem| !problem.contains(secret)),
                "{found:#?}"
            );
        }
    }
    let debug = format!("{:?}", loaded(SMALL));
    assert!(SECRETS.iter().all(|secret| !debug.contains(secret)));
    assert!(
        matches!(&loaded(SMALL).backends["eastus"].auth, BackendAuth::ApiKey(key) if key.reveal() == "sk-upstream")
    );
}
