//! Request, concurrency and scope rules, quotas, and what a refusal tells.

use domain::record::Outcome;
use serde_json::json;
use simulator::Behaviour;

use crate::harness::{CHAT_KEY, Gate, chat, config, provider};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_limit_admits_its_number_and_says_when_to_come_back() {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(
        config()
            .backend("east", region.address())
            .request_limit("team-rpm", 5),
    )
    .await;
    for left in (0..5).rev() {
        let answer = gate.send(chat("answer 5 words")).await;
        assert_eq!(
            (
                answer.status,
                answer.number("x-ratelimit-remaining-requests")
            ),
            (200, left)
        );
    }
    let refusal = gate.send(chat("answer 5 words")).await;
    assert_eq!(
        (refusal.status, refusal.code()),
        (429, "request_limit".to_owned())
    );
    assert_eq!(refusal.json()["error"]["type"], "rate_limit_error");
    let seconds = refusal.number("retry-after");
    let milliseconds = refusal.number("retry-after-ms");
    assert!((55..=61).contains(&seconds), "{seconds}");
    assert!(
        milliseconds <= seconds * 1000 && milliseconds + 1000 > seconds * 1000,
        "{milliseconds}"
    );
    assert_eq!(
        (refusal.why("scope"), refusal.why("used")),
        (json!("product/standard"), json!(5))
    );
    assert_eq!(refusal.why("request_id"), refusal.id());
    let resets_at = refusal.why("resets_at").as_str().unwrap().to_owned();
    assert!(resets_at.parse::<jiff::Timestamp>().is_ok(), "{resets_at}");
    assert_eq!(
        gate.send(chat("hi").key(CHAT_KEY)).await.status,
        200,
        "another team has its own"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_concurrency_limit_counts_streams_until_their_last_byte_or_a_hang_up() {
    let region = provider(Behaviour {
        stall_after_chunks: Some(3),
        ..Behaviour::default()
    })
    .await;
    let gate = Gate::start(
        config()
            .backend("east", region.address())
            .concurrency_limit("open", 2),
    )
    .await;
    let mut first = gate.open(chat("answer 50 words").stream()).await;
    let second = gate.open(chat("answer 50 words").stream()).await;
    assert!(first.event().await.is_some());
    let refusal = gate.send(chat("hi")).await;
    assert_eq!(
        (refusal.status, refusal.code()),
        (429, "request_limit".to_owned())
    );
    assert_eq!(
        (refusal.why("limit"), refusal.why("rule")),
        (json!(2), json!("open"))
    );

    let id = second.id();
    drop(second);
    assert_eq!(gate.record(&id).await.outcome, Outcome::HungUp);
    region.set(Behaviour::default());
    assert_eq!(gate.send(chat("hi")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_up_quota_is_403_until_the_period_ends() {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(config().backend("east", region.address()).quota(
        "team-month",
        200,
        "month",
    ))
    .await;
    let spent = loop {
        let answer = gate.send(chat("answer 20 words").max_tokens(20)).await;
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!(
        (spent.status, spent.code()),
        (403, "quota_exceeded".to_owned())
    );
    assert_eq!(spent.json()["error"]["type"], "permission_error");
    let used = spent.why("used").as_u64().unwrap();
    assert!((170..=200).contains(&used), "{used}");
    let resets_at: jiff::Timestamp = spent.why("resets_at").as_str().unwrap().parse().unwrap();
    let reset = resets_at.to_zoned(jiff::tz::TimeZone::UTC);
    assert_eq!(
        (reset.day(), reset.hour(), reset.minute(), reset.second()),
        (1, 0, 0, 0)
    );
    assert!(spent.number("retry-after") <= 31 * 86_400);
    let record = gate.record(spent.id()).await;
    assert_eq!(record.rule.as_deref(), Some("product/standard/team-month"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_never_fit_is_400_and_is_not_told_to_come_back() {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(
        config()
            .backend("east", region.address())
            .token_limit("team-tpm", 1000),
    )
    .await;
    let answer = gate.send(chat(&"water ".repeat(1200))).await;
    assert_eq!(
        (answer.status, answer.code()),
        (400, "exceeds_limit".to_owned())
    );
    assert_eq!(
        (
            answer.header("retry-after"),
            answer.header("retry-after-ms")
        ),
        ("", "")
    );
    assert_eq!(answer.why("rule"), "team-tpm");
    assert_eq!(
        gate.send(chat("answer 5 words").max_tokens(5)).await.status,
        200,
        "nothing was taken"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_every_scope_apply_together_and_the_refusal_names_the_one() {
    let region = provider(Behaviour::default()).await;
    let per_minute =
        |name: &str, requests: u64| json!([{ "name": name, "requests_per_minute": requests }]);
    let scoped = config()
        .backend("east", region.address())
        .with("/request_limits", per_minute("everyone", 7))
        .request_limit("team-rpm", 6)
        .with(
            "/subscriptions/0/request_limits",
            per_minute("search-rpm", 4),
        )
        .with(
            "/applications",
            json!([{ "name": "crawler", "request_limits": per_minute("crawler-rpm", 2) }]),
        );
    let gate = Gate::start(scoped).await;
    let crawl = || chat("hi").header("x-app-name", "crawler");
    let send = async |call| {
        let answer = gate.send(call).await;
        match answer.status {
            200 => "admitted".to_owned(),
            _ => answer.why("scope").as_str().unwrap().to_owned(),
        }
    };
    assert_eq!(send(crawl()).await, "admitted");
    assert_eq!(send(crawl()).await, "admitted");
    assert_eq!(send(crawl()).await, "application/crawler");
    // What one rule refused was not taken from the others.
    assert_eq!(send(chat("hi")).await, "admitted");
    assert_eq!(send(chat("hi")).await, "admitted");
    assert_eq!(send(chat("hi")).await, "subscription/search");
    for _ in 0..3 {
        assert_eq!(send(chat("hi").key(CHAT_KEY)).await, "admitted");
    }
    assert_eq!(send(chat("hi").key(CHAT_KEY)).await, "global");
    assert_eq!(region.counts().total.calls, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tightest_limit_speaks_in_the_headers() {
    let region = provider(Behaviour::default()).await;
    let config = config()
        .backend("east", region.address())
        .token_limit("wide", 1_000_000)
        .with(
            "/subscriptions/0/token_limits",
            json!([{ "name": "narrow", "tokens_per_minute": 5000 }]),
        );
    let gate = Gate::start(config).await;
    let search = gate.send(chat("answer 5 words").max_tokens(5)).await;
    assert_eq!(search.header("x-ratelimit-limit-tokens"), "5000");
    let chat_team = gate
        .send(chat("answer 5 words").max_tokens(5).key(CHAT_KEY))
        .await;
    assert_eq!(chat_team.header("x-ratelimit-limit-tokens"), "1000000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_key_splits_a_limit_by_what_it_evaluates_to() {
    let region = provider(Behaviour::default()).await;
    let by_user = json!({
        "name": "user-rpm",
        "counter_key": "request.headers['x-user']",
        "requests_per_minute": 1,
    });
    let gate = Gate::start(
        config()
            .backend("east", region.address())
            .add("/products/0/request_limits", by_user),
    )
    .await;
    let status = async |user: &str| gate.send(chat("hi").header("x-user", user)).await.status;
    assert_eq!(
        [
            status("ann").await,
            status("bob").await,
            status("ann").await
        ],
        [200, 200, 429]
    );

    let fault = gate.send(chat("hi")).await;
    assert_eq!(
        (fault.status, fault.code()),
        (400, "policy_fault".to_owned())
    );
    assert!(fault.why("rule").as_str().unwrap().contains("user-rpm"));
    let record = gate.record(fault.id()).await;
    assert_eq!(record.outcome, Outcome::Refused);
    assert!(record.rule.unwrap().contains("user-rpm"));
    assert_eq!(region.counts().total.calls, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_costs_nothing_but_a_record() {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(
        config()
            .backend("east", region.address())
            .request_limit("team-rpm", 1),
    )
    .await;
    gate.send(chat("answer 5 words")).await;
    for _ in 0..20 {
        assert_eq!(gate.send(chat("answer 5 words")).await.status, 429);
    }
    let records = gate.all_records(21).await;
    let refused: Vec<_> = records
        .iter()
        .filter(|record| record.outcome == Outcome::Refused)
        .collect();
    assert_eq!(refused.len(), 20);
    for record in refused {
        assert_eq!(record.rule.as_deref(), Some("product/standard/team-rpm"));
        assert_eq!(
            (
                record.metered.usage().total(),
                record.attempts.len(),
                record.status
            ),
            (0, 0, 429)
        );
    }
    let rows = gate.usage("outcome");
    let row = rows.iter().find(|row| row["outcome"] == "refused").unwrap();
    assert_eq!(
        (row["calls"].as_u64(), row["attempts"].as_u64()),
        (Some(20), Some(0))
    );
    assert_eq!(
        gate.metrics()
            .await
            .sum("tollgate_calls_total", &["outcome=\"refused\""]),
        20
    );
}
