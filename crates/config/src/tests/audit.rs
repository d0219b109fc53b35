//! Audit: which rule applies, where records may live, and who may read them.

use std::path::Path;

use domain::access::{Deed, Reach, reach};
use domain::audit::Level;
use domain::{ApplicationName, SubscriptionId};

use super::*;
use crate::snapshot::{Audit, Kek};

const STORES: &str = "audit_stores:
  - { id: eu, dir: /srv/eu, region: eu, keys: { dir: /keys/eu, kek: { id: k1, key: '${env:KEK}' } } }
  - { id: us, dir: /srv/us, region: us, keys: { dir: /keys/us, kek: { id: k1, key: '${env:KEK}' } } }
";

/// `SMALL` with rules of its product and its subscription.
fn with(product: &str, subscription: &str, more: &str) -> String {
    let written = |rule: &str| match rule {
        "" => String::new(),
        rule => format!(", audit: {rule}"),
    };
    let text = SMALL
        .replace(
            "models: [gpt-4o] }",
            &format!("models: [gpt-4o]{} }}", written(product)),
        )
        .replace(
            "0123456789 } }",
            &format!("0123456789 }}{} }}", written(subscription)),
        );
    format!("{text}{more}")
}

fn rule(snapshot: &Snapshot) -> Option<&Audit> {
    snapshot.subscriptions[&SubscriptionId::from("search")]
        .audit
        .as_deref()
}

#[test]
fn without_a_rule_nothing_is_recorded_and_no_store_is_made() {
    let snapshot = loaded(SMALL);
    assert!(rule(&snapshot).is_none());
    assert!(snapshot.auditing.stores.is_empty());
}

#[test]
fn the_narrowest_scope_wins_as_a_whole() {
    let top = "audit: { content: metadata }\n";
    let snapshot = loaded(&with("", "", top));
    let top_rule = rule(&snapshot).unwrap();
    assert_eq!(
        (&*top_rule.rule, top_rule.level),
        ("global/audit", Level::Metadata)
    );

    let snapshot = loaded(&with(
        "{ content: full, retention: 2w, required: true }",
        "",
        top,
    ));
    let of_product = rule(&snapshot).unwrap();
    assert_eq!(
        (
            &*of_product.rule,
            of_product.level,
            of_product.retention_days,
            of_product.required
        ),
        ("product/standard/audit", Level::Full, 14, true)
    );

    let snapshot = loaded(&with(
        "{ content: full, required: true }",
        "{ content: full }",
        top,
    ));
    let of_subscription = rule(&snapshot).unwrap();
    assert_eq!(
        (
            &*of_subscription.rule,
            of_subscription.retention_days,
            of_subscription.required
        ),
        ("subscription/search/audit", 90, false)
    );

    let nothing = with(
        "{ content: full }",
        "{ content: none }",
        "applications: [{ name: desk, audit: { content: full } }, { name: probe, audit: { content: none } }]\n",
    );
    let snapshot = loaded(&nothing);
    assert!(rule(&snapshot).is_none());
    let level = |name: &str| snapshot.application_audits[&ApplicationName::from(name)].level;
    assert_eq!((level("desk"), level("probe")), (Level::Full, Level::None));
}

#[test]
fn the_default_store_is_in_data_dir_and_check_warns_of_its_keys() {
    let text = with("{ content: full }", "", "data_dir: ./here\n");
    let snapshot = loaded(&text);
    let [store] = snapshot.auditing.stores.as_slice() else {
        panic!("{:?}", snapshot.auditing.stores);
    };
    assert_eq!(store.dir, Path::new("./here/audit/default"));
    assert_eq!(store.keys_dir, Path::new("./here/audit-keys/default"));
    assert_eq!((&store.kek, &*store.region), (&Kek::Generated, "default"));
    let found = problems(&text);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].starts_with(
            "7:46: products[standard].audit: the keys of audit records are kept in `data_dir`"
        ),
        "{found:?}"
    );
}

#[test]
fn keys_elsewhere_and_a_key_of_ones_own_are_no_reason_to_warn() {
    let text = with("{ content: full, store: eu }", "", STORES);
    assert_eq!(problems(&text), Vec::<String>::new());
}

#[test]
fn records_cannot_live_outside_of_the_region_that_is_required() {
    let outside = "is in region `us`, and `eu` is required";
    let own = problems(&with(
        "{ content: full, store: us, region: eu }",
        "",
        STORES,
    ));
    assert_eq!(own.len(), 1, "{own:#?}");
    assert!(
        own[0].starts_with("7:70: products[standard].audit.store: the store `us`"),
        "{own:?}"
    );
    assert!(own[0].contains(outside), "{own:?}");
    assert!(
        own[0].ends_with("; name a store whose `region` is `eu`"),
        "{own:?}"
    );

    let bound = "{ content: full, store: eu, region: eu }";
    let narrower = problems(&with(bound, "{ content: full, store: us }", STORES));
    assert_eq!(narrower.len(), 1, "{narrower:#?}");
    assert!(
        narrower[0].contains("subscriptions[search].audit.store"),
        "{narrower:?}"
    );
    assert!(
        narrower[0].contains(&format!("{outside} by `product/standard/audit`")),
        "{narrower:?}"
    );

    let application = format!(
        "{STORES}applications: [{{ name: desk, audit: {{ content: full, store: us }} }}]\n"
    );
    let found = problems(&with(bound, "", &application));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].contains("applications[desk].audit.store"),
        "{found:?}"
    );

    let free = with(bound, "{ content: none }", STORES);
    assert_eq!(problems(&free), Vec::<String>::new());
}

#[test]
fn mistakes_in_stores_are_named_with_what_to_write() {
    let wrong = |more: &str| {
        let found = problems(&with("{ content: full }", "", more));
        assert_eq!(found.len(), 1, "{more}: {found:#?}");
        found[0].clone()
    };
    assert!(wrong(STORES).contains("products[standard].audit.store: there are several stores, and this names none; write one of: eu, us"));
    let one = |keys: &str| {
        format!("audit_stores: [{{ id: eu, dir: /srv/eu, region: eu, keys: {keys} }}]\n")
    };
    assert!(wrong(&one("{ dir: /srv/eu/keys }")).contains("within the store's own folder"));
    assert!(
        wrong(&one("{ dir: /k, kek: { id: a } }"))
            .contains("not exactly one key; write one of: key, vault, azure_key_vault")
    );
    let vault =
        "{ dir: /k, kek: { id: a, vault: { url: http://vault.example.com, key: k, token: t } } }";
    assert!(problems(&with("", "", &one(vault))).iter().any(|problem| {
        problem.contains("vault.url: plain `http`: the root key could be read on the way")
    }));
    for other in ["/s", "/t/../s/./"] {
        let same = format!(
            "audit_stores:\n  - {{ id: a, dir: /s, region: eu, keys: {{ dir: /k }} }}\n  - {{ id: b, dir: {other}, region: eu, keys: {{ dir: /l }} }}\n"
        );
        let found = problems(&with("", "", &same));
        let told = format!("`{other}` is the folder of another store or of its keys, at t.yaml:11");
        assert!(
            found.iter().any(|problem| problem.contains(&told)),
            "{found:#?}"
        );
    }
    assert!(wrong(&one("{ dir: /srv/x/../eu/keys }")).contains("within the store's own folder"));
    let days = problems(&with("{ content: full, retention: 90 }", "", ""));
    assert!(
        days.iter()
            .any(|problem| problem
                .contains("`90` is not a number of days; write a number and its unit")),
        "{days:#?}"
    );
}

#[test]
fn no_secret_of_a_store_is_shown() {
    let more = STORES.replace("key: '${env:KEK}'", "key: s3cret-in-the-file-itself");
    let snapshot = loaded(&with("", "", &more));
    assert!(!format!("{snapshot:?}").contains("s3cret"));
}

#[test]
fn access_is_by_role_and_by_subscription() {
    let snapshot = loaded(&with(
        "",
        "",
        "access:
  - { id: jane, token: janes-token-of-16, roles: [{ role: auditor, subscriptions: [search] }, { role: viewer }] }
",
    ));
    let [jane] = snapshot.auditing.access.as_slice() else {
        panic!("{:?}", snapshot.auditing.access);
    };
    assert_eq!(jane.token, key_hash("janes-token-of-16"));
    let content = reach(&jane.grants, Deed::ReadContent).unwrap().1;
    assert!(content.holds(&"search".into()) && !content.holds(&"hr".into()));
    assert_eq!(reach(&jane.grants, Deed::ReadUsage).unwrap().1, Reach::All);
    assert_eq!(reach(&jane.grants, Deed::Erase), None);
}

#[test]
fn mistakes_in_access_are_named_with_what_to_write() {
    let found = problems(&with(
        "",
        "",
        "access:
  - { id: a, token: the-same-token-16, roles: [{ role: owner }] }
  - { id: b, token: the-same-token-16, roles: [] }
  - { id: c, token: short, roles: [{ role: reader, subscriptions: [nobody] }] }
",
    ));
    for wanted in [
        "access[a].roles: an owner of no subscription in particular; add `subscriptions: [ID]`",
        "access[b].token: the same token as `a` at t.yaml:11",
        "access[b].roles: no role",
        "access[c].token: the key is shorter than 16 characters",
        "access[c].roles[0].role: `reader` is no role that is available; write one of: auditor, admin, finance, viewer, owner",
        "access[c].roles[0].subscriptions[0]: no subscription is called `nobody`",
    ] {
        assert!(
            found.iter().any(|problem| problem.contains(wanted)),
            "{wanted}: {found:#?}"
        );
    }
}

#[test]
fn the_example_loads() {
    // Each secret is one of its own.
    let example = AUDIT
        .replace("${env:", "from-outside-")
        .replace("}\"", "\"");
    let snapshot = loaded(&example);
    assert_eq!(snapshot.auditing.stores.len(), 2);
    assert_eq!(snapshot.auditing.access.len(), 5);
    assert_eq!(problems(&example), Vec::<String>::new());
}

#[test]
fn whoever_relaxes_what_must_be_recorded_is_warned() {
    let stored = format!("{STORES}audit: {{ content: none, store: eu }}\n");
    let required = "{ content: full, store: eu, required: true }";
    let chosen =
        "{ content: full, store: eu, required: true }, application: { from_header: X-App }";
    let warned = |product: &str, subscription: &str, more: &str| -> Vec<String> {
        let text = with(product, subscription, &format!("{stored}{more}"));
        problems(&text)
    };
    let application = |rule: &str| format!("applications: [ {{ name: evil, audit: {rule} }} ]\n");
    let none = application("{ content: none }");
    assert_eq!(warned(chosen, "", ""), [""; 0]);
    assert_eq!(warned(chosen, required, &application(required)), [""; 0]);
    // Nobody but the operator says what is an application here.
    assert_eq!(warned(required, "", &none), [""; 0]);
    let told = warned(chosen, "", &none);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("applications[evil].audit: calls under it may go unrecorded, although `product/standard/audit` requires records"),
        "{told:?}"
    );
    let told = warned(required, "{ content: metadata, store: eu }", "");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("subscriptions[search].audit:"), "{told:?}");
}
