//! Channels and alerts: what they mean, and what is wrong with them.

use std::time::Duration;

use domain::ChannelId;
use domain::limit::Period;

use super::*;
use crate::snapshot::{
    AlertCondition, Alerting, ChannelTarget, Direction, MailTls, PaceMeasure, PaceSubject,
};

fn alerting(text: &str) -> Alerting {
    loaded(&format!("{SMALL}{text}")).alerting
}

fn target(channel: &str) -> ChannelTarget {
    let alerting = alerting(&format!("notify: [{{ id: ops, {channel} }}]\n"));
    alerting.channels["ops"].target.clone()
}

/// The only problem of a channel or a rule, without its place.
fn problem(text: &str) -> String {
    let found = problems(&format!("{SMALL}{text}\n"));
    assert_eq!(found.len(), 1, "{found:#?}");
    let (_, problem) = found[0].split_once(": ").unwrap();
    problem.to_owned()
}

fn channel_problem(channel: &str) -> String {
    problem(&format!("notify: [{{ id: ops, {channel} }}]"))
}

fn rule_problem(rule: &str) -> String {
    problem(&format!(
        "notify: [{{ id: ops, webhook: {{ url: https://example.com }} }}]\nalerts: [{{ name: a, notify: [ops], {rule} }}]"
    ))
}

#[test]
fn every_kind_of_channel_is_read() {
    let ChannelTarget::Webhook { url, key } = target(
        "webhook: { url: 'https://hooks.example.com/a?b=c', secret: whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3 }",
    ) else {
        panic!("a webhook");
    };
    assert_eq!(url.0.as_str(), "https://hooks.example.com/a?b=c");
    assert_eq!(&*key.unwrap().0, b"0123456789abcdef01234567");
    assert!(matches!(
        target("webhook: { url: http://127.0.0.1:9000 }"),
        ChannelTarget::Webhook { key: None, .. }
    ));
    assert!(matches!(
        target("slack: { url: https://hooks.slack.com/services/T/B/x }"),
        ChannelTarget::Slack { .. }
    ));
    assert!(matches!(
        target("teams: { url: 'https://prod.logic.azure.com/workflows/x?api-version=1&sig=y' }"),
        ChannelTarget::Teams { .. }
    ));
    let ChannelTarget::Smtp(smtp) = target(
        "smtp: { host: smtp.example.com, username: a, password: b c, from: tollgate@example.com, to: [ops@example.com] }",
    ) else {
        panic!("mail");
    };
    assert_eq!((smtp.port, smtp.tls), (587, MailTls::Starttls));
    assert_eq!(smtp.login.unwrap().1.reveal(), "b c");
}

#[test]
fn a_channel_shows_its_host_and_nothing_more() {
    let shown = format!(
        "{:?}",
        target(
            "webhook: { url: 'https://hooks.example.com/T/B/token?sig=token', secret: token-of-16-or-more }"
        )
    );
    assert!(shown.contains("https://hooks.example.com"), "{shown}");
    assert!(!shown.contains("token"), "{shown}");
}

#[test]
fn a_channel_that_could_not_work_is_told_why() {
    for (channel, expected) in [
        (
            "webhook: { url: 'ftp://x' }",
            "notify[ops].webhook.url: neither `http` nor `https`",
        ),
        (
            "webhook: { url: 'https://a:b@x' }",
            "notify[ops].webhook.url: credentials in a URL",
        ),
        (
            "webhook: { url: 'https://x', secret: short }",
            "notify[ops].webhook.secret: not a secret",
        ),
        (
            "webhook: { url: 'https://x', secret: 'whsec_***' }",
            "notify[ops].webhook.secret: not a secret",
        ),
        (
            "slack: { url: 'http://hooks.internal/x' }",
            "notify[ops].slack.url: plain `http`",
        ),
        (
            "teams: { url: 'http://10.0.0.1/x' }",
            "notify[ops].teams.url: plain `http`",
        ),
        (
            "smtp: { host: 'smtp://x', from: a@b.c, to: [a@b.c] }",
            "notify[ops].smtp.host: `smtp://x` is not a host's name",
        ),
        (
            "smtp: { host: x, from: 'A <a@b.c>', to: [a@b.c] }",
            "notify[ops].smtp.from: `A <a@b.c>` is not a mail address",
        ),
        (
            "smtp: { host: x, from: a@b.c, to: [] }",
            "notify[ops].smtp: not 1 to 50 recipients",
        ),
        (
            "smtp: { host: x, from: a@b.c, to: [a@b.c], username: me }",
            "notify[ops].smtp: `username` and `password` belong together",
        ),
        (
            "smtp: { host: x, tls: none, from: a@b.c, to: [a@b.c], username: me, password: pw }",
            "notify[ops].smtp: a password would be sent in the clear",
        ),
        (
            "webhook: { url: 'https://x' }, slack: { url: 'https://x' }",
            "notify[ops]: not exactly one kind of channel",
        ),
        (
            "webhok: { url: 'https://x' }",
            "notify[ops]: unknown field `webhok`; did you mean `webhook`?",
        ),
    ] {
        let found = channel_problem(channel);
        assert!(
            found.starts_with(expected),
            "{channel}\n{found}\n{expected}"
        );
    }
}

#[test]
fn every_condition_is_read() {
    let rules = alerting(
        "
notify: [{ id: ops, webhook: { url: https://example.com } }]
alerts:
  - { name: f, notify: [ops], forecast: {} }
  - { name: p, notify: [ops], pace: { of: application, factor: 5, direction: either, min_tokens_per_hour: 1000 } }
  - { name: c, notify: [ops], pace: { min_cost_per_hour: 0.5 } }
  - { name: u, notify: [ops], unpriced: { every: day } }
  - { name: b, notify: [ops], breaker_open: { for: 2m } }
  - { name: k, notify: [ops], credential_failure: {} }
  - { name: s, notify: [ops], sink_trouble: {} }
  - { name: l, notify: [ops], ledger_fault: {} }
",
    )
    .rules;
    let conditions: Vec<AlertCondition> = rules.iter().map(|rule| rule.condition.clone()).collect();
    assert_eq!(
        conditions,
        [
            AlertCondition::Forecast {
                certainty: 0.8,
                budgets: Vec::new()
            },
            AlertCondition::Pace {
                of: PaceSubject::Application,
                measure: PaceMeasure::Tokens { minimum: 1000 },
                factor: 5.0,
                direction: Direction::Either,
            },
            AlertCondition::Pace {
                of: PaceSubject::Subscription,
                measure: PaceMeasure::Cost {
                    minimum: 500_000_000
                },
                factor: 3.0,
                direction: Direction::Faster,
            },
            AlertCondition::Unpriced { every: Period::Day },
            AlertCondition::BreakerOpen {
                lasting: Duration::from_secs(120)
            },
            AlertCondition::CredentialFailure {
                lasting: Duration::from_secs(300)
            },
            AlertCondition::SinkTrouble {
                lasting: Duration::from_secs(600)
            },
            AlertCondition::LedgerFault {
                lasting: Duration::from_secs(60)
            },
        ]
    );
    assert_eq!(rules[0].notify, [ChannelId::from("ops")]);
}

#[test]
fn a_rule_that_could_not_work_is_told_why() {
    for (rule, expected) in [
        ("pace: {}", "alerts[a].pace: not exactly one measure"),
        (
            "pace: { min_cost_per_hour: 1, min_tokens_per_hour: 1 }",
            "alerts[a].pace: not exactly one measure",
        ),
        (
            "pace: { min_cost_per_hour: free }",
            "alerts[a].pace.min_cost_per_hour: `free` is not an amount in range",
        ),
        (
            "forecast: { certainty: 2 }",
            "alerts[a].forecast.certainty: `2` is not a share",
        ),
        (
            "forecast: {}, unpriced: {}",
            "alerts[a]: not exactly one condition; write one of: forecast, pace,",
        ),
        ("forcast: {}", "alerts[a]: unknown field `forcast`"),
    ] {
        let found = rule_problem(rule);
        assert!(found.starts_with(expected), "{rule}\n{found}\n{expected}");
    }
    let unknown = problem("alerts: [{ name: a, notify: [opps], unpriced: {} }]");
    assert!(
        unknown.starts_with("alerts[a].notify[0]: no channel is called `opps`"),
        "{unknown}"
    );
    let quiet = problem("alerts: [{ name: a, unpriced: {} }]");
    assert!(
        quiet.starts_with("alerts[a].notify: nobody is told"),
        "{quiet}"
    );
}
