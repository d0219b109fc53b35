//! Guards: who has which, and what is wrong with them.

use content::Kind;
use content::redact::Action;

use super::*;
use crate::snapshot::OnError;

fn text(global: &str, product: &str, subscription: &str) -> String {
    format!(
        "
{global}
backends: [ {{ id: a, dialect: openai, url: \"https://a.example.com\", auth: none }} ]
models: [ {{ name: m, backend: a }} ]
products: [ {{ id: standard, models: [m]{product} }} ]
subscriptions: [ {{ id: search, product: standard{subscription} }} ]
"
    )
}

fn rules_of_search(text: &str) -> Vec<String> {
    let snapshot = loaded(text);
    let search = &snapshot.subscriptions["search"];
    let guards = search.guards.iter().flat_map(|guards| &guards.list);
    guards.map(|guard| guard.rule.to_string()).collect()
}

#[test]
fn the_narrowest_list_that_is_written_wins_even_an_empty_one() {
    let global = "guards: [ { pii: {} }, { name: more, pii: { action: hash } } ]";
    let product = ", guards: [ { pii: {} } ]";
    let global_rules = ["global/guard/pii", "global/guard/more"];
    assert_eq!(rules_of_search(&text(global, "", "")), global_rules);
    let of_product = text(global, product, "");
    assert_eq!(rules_of_search(&of_product), ["product/standard/guard/pii"]);
    let of_subscription = text(global, product, product);
    let rule = ["subscription/search/guard/pii"];
    assert_eq!(rules_of_search(&of_subscription), rule);
    assert!(rules_of_search(&text(global, product, ", guards: []")).is_empty());
    assert!(rules_of_search(&text("", "", "")).is_empty());
}

#[test]
fn kinds_go_by_their_own_action_and_the_rest_by_the_guards() {
    let guards = "guards: [ { pii: { action: mask, kinds: { payment_card: block, iban: allow }, where: [prompt], on_error: allow } } ]";
    let snapshot = loaded(&text(guards, "", ""));
    let guards = snapshot.subscriptions["search"].guards.clone().unwrap();
    let guard = &guards.list[0];
    assert_eq!(guard.on_error, OnError::Allow);
    assert!(guard.on.prompt && !guard.on.answer && !guard.on.audit);
    let pii = guard.kind.pii().unwrap();
    let actions = [Kind::PaymentCard, Kind::Iban, Kind::Email].map(|kind| pii.rules.action(kind));
    assert_eq!(actions, [Action::Block, Action::Allow, Action::Mask]);
    assert!(!snapshot.need_hash_key());
}

#[test]
fn a_key_is_needed_where_values_are_hashed_without_one() {
    let hashes = |more: &str| {
        let guards = format!("guards: [ {{ pii: {{ action: hash{more} }} }} ]");
        loaded(&text(&guards, "", "")).need_hash_key()
    };
    assert!(hashes(""));
    assert!(!hashes(", hash_key: sixteen-characters"));
}

#[test]
fn mistakes_are_named_with_their_place_and_fix() {
    for (guards, expected) in [
        (
            "[ { pii: {}, name: a b } ]",
            "this cannot be the name of a guard",
        ),
        ("[ {} ]", "not exactly one kind of guard"),
        (
            "[ { pii: {} }, { pii: {} } ]",
            "two guards are called `pii`",
        ),
        (
            "[ { pii: { kinds: { credit_cart: block } } } ]",
            "this is no kind of personal data",
        ),
        (
            "[ { pii: { kinds: { emaill: block } } } ]",
            "did you mean `email`?",
        ),
        (
            "[ { pii: { kinds: { email: burn } } } ]",
            "`burn` is no action that is available",
        ),
        ("[ { pii: { where: [] } } ]", "it looks at nothing"),
        (
            "[ { pii: { where: [headers] } } ]",
            "`headers` is no content that is available",
        ),
        (
            "[ { pii: { hash_key: short } } ]",
            "shorter than 16 characters",
        ),
        (
            "[ { pii: { action: hash, hash-key: x } } ]",
            "unknown field",
        ),
    ] {
        let problems = problems(&text(&format!("guards: {guards}"), "", ""));
        assert_eq!(problems.len(), 1, "{guards}: {problems:?}");
        assert!(problems[0].contains(expected), "{guards}: {problems:?}");
    }
}

#[test]
fn a_list_of_guards_is_bounded() {
    let many: Vec<String> = (0..17)
        .map(|n| format!("{{ name: g{n}, pii: {{}} }}"))
        .collect();
    let problems = problems(&text(&format!("guards: [ {} ]", many.join(", ")), "", ""));
    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains("more than 16 guards"), "{problems:?}");
}
