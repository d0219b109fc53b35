//! Budgets: what they mean, and what is wrong with them.

use domain::budget::{OnExceeded, PerMille, Raise, Unpriced};
use domain::limit::Period;
use domain::{Currency, Nanos, Wall};

use super::*;
use crate::snapshot::{BudgetRaise, KeyedBudget};

/// `SMALL` with a second team and these budgets.
fn with(budgets: &str) -> String {
    format!(
        "{SMALL}  - {{ id: ads, product: standard, keys: {{ primary: ads-key-0123456789 }} }}
budgets:
{budgets}"
    )
}

fn of<'s>(
    snapshot: &'s Snapshot,
    subscription: &str,
    application: Option<&str>,
    user: Option<&str>,
) -> Vec<&'s str> {
    let subscription = &snapshot.subscriptions[subscription];
    let application = application.map(ApplicationName::from);
    let plan = snapshot
        .plan(subscription, application.as_ref(), "gpt-4o")
        .expect("it is granted");
    let names = |budget: &'s KeyedBudget| &*budget.name;
    plan.budgets(application.as_ref(), user)
        .map(names)
        .collect()
}

#[test]
fn a_budget_counts_the_calls_that_it_matches() {
    let snapshot = loaded(&with(
        "
  - { name: organisation, amount: 10000, period: year }
  - { name: search, match: { subscription: search }, amount: 500.00, period: month }
  - { name: chats, match: { subscription: [search, ads], application: 'chat-*' }, amount: 9, period: day }
  - { name: others, match: { model: 'gpt-5*' }, amount: 9, period: day }
  - { name: each, match: { user: '*' }, counter_key: caller.user, amount: 20, period: quarter }
",
    ));
    assert_eq!(
        of(&snapshot, "search", Some("chat-ui"), Some("alice")),
        ["organisation", "search", "chats", "each"]
    );
    assert_eq!(of(&snapshot, "ads", None, None), ["organisation"]);
    let budget = &snapshot.budgets[1];
    assert_eq!(budget.keyed.limit.id.as_str(), "budget/search");
    assert_eq!(budget.keyed.limit.scope.to_string(), "subscription/search");
    assert_eq!(budget.keyed.counter_key.source(), "\"all\"");
    assert_eq!(budget.budget.amount, Nanos(500_000_000_000));
    assert_eq!(budget.budget.calendar.period, Period::Month);
    assert_eq!(budget.budget.on_exceeded, OnExceeded::Alert);
    assert_eq!(budget.budget.unpriced, Unpriced::Allow);
    assert_eq!(*budget.budget.alert_at, [PerMille(800), PerMille(1000)]);
    let each = &snapshot.budgets[4];
    assert_eq!(each.keyed.counter_key.source(), "caller.user");
    assert_eq!(each.budget.calendar.period, Period::Quarter);
}

#[test]
fn what_happens_past_a_budget_is_a_word_or_a_map() {
    let snapshot = loaded(&with(
        "
  - { name: a, amount: 1, period: day, on_exceeded: refuse, alert_at: [1.25, 0.5] }
  - { name: b, amount: 1, period: day, on_exceeded: { downgrade: gpt-4o }, unpriced: allow }
  - { name: c, amount: 1, period: day, on_exceeded: { throttle: 2000 } }
",
    ));
    let budgets: Vec<_> = snapshot.budgets.iter().map(|of| &of.budget).collect();
    assert_eq!(budgets[0].on_exceeded, OnExceeded::Refuse);
    assert_eq!(budgets[0].unpriced, Unpriced::Refuse);
    assert_eq!(*budgets[0].alert_at, [PerMille(500), PerMille(1250)]);
    assert_eq!(
        budgets[1].on_exceeded,
        OnExceeded::Downgrade("gpt-4o".into())
    );
    assert_eq!(budgets[1].unpriced, Unpriced::Allow);
    assert_eq!(
        budgets[2].on_exceeded,
        OnExceeded::Throttle {
            tokens_per_minute: 2000
        }
    );
    let ids: Vec<String> = snapshot
        .every_limit()
        .iter()
        .map(|limit| limit.id.to_string())
        .collect();
    assert_eq!(
        ids,
        ["budget/a", "budget/b", "budget/c", "budget/c/throttle"]
    );
}

#[test]
fn a_raise_is_for_the_budget_that_it_names_in_its_currency() {
    let mut snapshot = loaded(&with(
        "
  - { name: a, amount: 1, period: day }
  - { name: b, amount: 1, period: day }
",
    ));
    let raise = |budget: &str, currency: &str, by| BudgetRaise {
        budget: budget.to_owned(),
        currency: currency.parse().expect("a currency"),
        raise: Raise {
            key: None,
            by: Nanos(by),
            until: Wall(100),
        },
    };
    let raises = [
        raise("a", "USD", 7),
        raise("a", "EUR", 8),
        raise("gone", "USD", 9),
    ];
    snapshot.raise_budgets(&raises);
    let amount = |index: usize| snapshot.budgets[index].budget.amount_at("all", Wall(99)).0;
    assert_eq!((amount(0), amount(1)), (1_000_000_007, 1_000_000_000));
    let of_limit = |index: usize| snapshot.budgets[index].keyed.limit.rule.clone();
    let domain::Rule::Budget(rule) = of_limit(0) else {
        panic!("it is a budget")
    };
    assert_eq!(rule.raises.len(), 1);
    assert_eq!(rule.currency, Currency::USD);
}

/// The only problem of one budget's line.
fn problem(budget: &str) -> String {
    let found = problems(&with(&format!("  - {budget}\n")));
    assert_eq!(found.len(), 1, "{budget}: {found:#?}");
    found[0].clone()
}

#[test]
fn mistakes_are_named_with_their_field_and_a_fix() {
    for (budget, wanted) in [
        (
            "{ name: a, amount: 0, period: day }",
            "budgets[a].amount: `0` is not an amount in range; write an amount above 0",
        ),
        (
            "{ name: a, amount: 1.0000000001, period: day }",
            "budgets[a].amount: `1.0000000001` is not an amount in range",
        ),
        (
            "{ name: a, amount: '5', period: day }",
            "budgets[a].amount: expected an amount, found text",
        ),
        (
            "{ name: a, amount: 5, period: fortnight }",
            "write one of: hour, day, week, month, quarter, year",
        ),
        (
            "{ name: a, amount: 5, period: day, on_exceeded: block }",
            "budgets[a].on_exceeded: `block` is no way to treat calls past a budget",
        ),
        (
            "{ name: a, amount: 5, period: day, on_exceeded: { } }",
            "neither `downgrade` nor `throttle`; write alert, refuse",
        ),
        (
            "{ name: a, amount: 5, period: day, on_exceeded: { downgrade: gpt-4o, throttle: 5 } }",
            "both `downgrade` and `throttle`",
        ),
        (
            "{ name: a, amount: 5, period: day, on_exceeded: { downgrade: gpt-4 } }",
            "budgets[a].on_exceeded.downgrade: no model is called `gpt-4`; did you mean `gpt-4o`?",
        ),
        (
            "{ name: a, amount: 5, period: day, match: { subscription: [search, serach] } }",
            "budgets[a].match.subscription[1]: no subscription is called `serach`; did you mean",
        ),
        (
            "{ name: a, amount: 5, period: day, match: { subscription: [] } }",
            "budgets[a].match.subscription: a list of 0 names; name 1 to 1000, or leave it out",
        ),
        (
            "{ name: a, amount: 5, period: day, match: { team: search } }",
            "unknown field `team`",
        ),
        (
            "{ name: a, amount: 5, period: day, alert_at: [0.8, 80] }",
            "budgets[a].alert_at[1]: `80` is not a share in range; write a number above 0, up to 10",
        ),
        (
            "{ name: a, amount: 5, period: day, alert_at: [0.8, 0.80] }",
            "budgets[a].alert_at: a share is written twice",
        ),
        (
            "{ name: a, amount: 5, period: day, reserve: max }",
            "budgets[a].reserve: `max` needs the longest answer of each model, which is not known of `gpt-4o`",
        ),
        (
            "{ name: a, amount: 5, period: day, counter_key: caller.user }",
            "budgets[a].counter_key: calls without a user",
        ),
    ] {
        let found = problem(budget);
        assert!(found.contains(wanted), "{budget}\n{found}");
    }
}

#[test]
fn two_budgets_of_one_name_are_a_mistake() {
    let found = problems(&with(
        "  - { name: a, amount: 1, period: day }\n  - { name: a, amount: 1, period: day }\n",
    ));
    assert!(
        found[0].contains("the budget `a` is declared twice, first at t.yaml:"),
        "{found:?}"
    );
}

#[test]
fn a_downgrade_to_a_model_that_is_not_granted_is_a_warning() {
    let text = with("  - { name: a, amount: 1, period: day, on_exceeded: { downgrade: mini } }\n")
        .replace(
            "products:",
            "  - { name: mini, backend: eastus, price: { input_per_million: 1, output_per_million: 1 } }\nproducts:",
        );
    let found = problems(&text);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("`mini` is not granted by standard: their calls are refused instead"),
        "{found:?}"
    );
}

#[test]
fn the_user_of_a_token_is_mapped_from_its_claims_alone() {
    let issuer = |user: &str| {
        format!(
            "{SMALL}
identity:
  jwt:
    - {{ name: entra, openid_config: https://i.example/.well-known/openid-configuration,
        audiences: [a], subscription: claims.azp, user: {user} }}
"
        )
    };
    let snapshot = loaded(&issuer("claims.oid"));
    let user = snapshot.issuers[0].user.as_ref().expect("it is mapped");
    assert_eq!(user.source(), "claims.oid");
    let found = problems(&issuer("subscription.id"));
    assert!(
        found[0].contains("identity.jwt[entra].user: `subscription.id` is not known"),
        "{found:?}"
    );
}
