//! Retries never double a load: a share of the last ten seconds of calls, but three a second always.

use crate::scripted::{Answer, Backend, Script};
use crate::stage::{Rules, Stage, chat};

/// Two members, two attempts, and breakers that never open: only the budget says no.
fn rules() -> Rules {
    Rules {
        priorities: vec![1, 1],
        breaker: "{ min_throughput: 1000000 }".into(),
        retry: "{ attempts: 2, budget: 0.2 }".into(),
        ..Rules::default()
    }
}

async fn failing() -> Backend {
    Backend::answering(Answer::error(500)).await
}

/// Requests that reached the backends, of so many calls.
async fn asked(stage: &Stage, backends: [&Backend; 2], calls: usize) -> usize {
    let before: usize = backends.iter().map(|backend| backend.requests()).sum();
    for _ in 0..calls {
        assert_eq!(stage.call(chat()).await.status, 502);
    }
    let after: usize = backends.iter().map(|backend| backend.requests()).sum();
    after - before
}

#[tokio::test]
async fn a_failing_pool_gets_a_fifth_more_than_its_calls() {
    let (a, b) = (failing().await, failing().await);
    let stage = Stage::new(&rules(), &[&a, &b]);
    let mut requests = 0;
    for _ in 0..5 {
        requests += asked(&stage, [&a, &b], 40).await;
        stage.advance_s(1);
    }
    assert_eq!(requests, 200 + 40);
}

#[tokio::test]
async fn a_quiet_pool_may_retry_three_times_a_second() {
    let (a, b) = (failing().await, failing().await);
    let stage = Stage::new(&rules(), &[&a, &b]);
    for _ in 0..12 {
        assert_eq!(asked(&stage, [&a, &b], 5).await, 5 + 3);
        stage.advance_s(1);
    }
}

#[tokio::test]
async fn calls_earn_retries_for_ten_seconds() {
    let (a, b) = (failing().await, failing().await);
    let stage = Stage::new(&rules(), &[&a, &b]);
    a.always(Answer::chat());
    b.always(Answer::chat());
    for _ in 0..50 {
        assert_eq!(stage.call(chat()).await.status, 200);
    }
    a.always(Answer::error(500));
    b.always(Answer::error(500));
    stage.advance_s(9);
    assert_eq!(
        asked(&stage, [&a, &b], 10).await,
        10 + 10,
        "0.2 of 60 calls"
    );
    stage.advance_s(11);
    assert_eq!(asked(&stage, [&a, &b], 10).await, 10 + 3);
}

#[tokio::test]
async fn a_retry_that_is_not_made_costs_nothing() {
    let a = Backend::answering(Answer::chat()).await;
    let rules = Rules {
        priorities: vec![1],
        ..rules()
    };
    let stage = Stage::new(&rules, &[&a]);
    for _ in 0..3 {
        let later = Answer::error(503).with_retry_after(Some(60));
        a.then(Script::Answer(later));
        assert_eq!(stage.call(chat()).await.status, 502);
    }
    a.then(Script::Answer(Answer::error(503)));
    let told = stage.call(chat()).await;
    assert_eq!(told.status, 200, "three a second are still there");
}

#[tokio::test]
async fn a_spent_budget_tells_the_first_failure() {
    let (a, b) = (failing().await, failing().await);
    let stage = Stage::new(&rules(), &[&a, &b]);
    asked(&stage, [&a, &b], 3).await;
    let told = stage.call(chat()).await;
    assert_eq!(told.code().as_deref(), Some("upstream_failed"));
    assert_eq!(told.header("x-tollgate-attempts"), Some("1"));
}
