//! Past its capacity the gateway turns calls away at once, and serves those that it let in.

use domain::record::Outcome;
use simulator::Behaviour;
use tokio::task::JoinSet;

use crate::harness::{Gate, Reply, Upstream, chat, config, eventually, get, provider};

#[tokio::test(flavor = "multi_thread")]
async fn past_the_bound_calls_are_turned_away_and_those_let_in_are_served() {
    let (pieces, first) = Reply::pieces();
    let first = std::sync::Mutex::new(Some(first));
    let upstream =
        Upstream::start(move |_| first.lock().unwrap().take().unwrap_or_else(Reply::hello)).await;
    let config = config()
        .backend("east", upstream.address)
        .with("/limits/calls", 1.into());
    let gate = Gate::start(config).await;
    let delta =
        "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"}}]}\n\n";
    pieces.send(delta.into()).await.unwrap();
    let mut stream = gate.open(chat("hi").stream()).await;
    assert!(stream.event().await.is_some());

    for call in [chat("hi"), chat("hi").without("api-key"), get("/v1/models")] {
        let shed = gate.send(call).await;
        assert_eq!((shed.status, shed.code()), (503, "overloaded".to_owned()));
        assert_eq!(
            (shed.number("retry-after"), shed.number("retry-after-ms")),
            (1, 1000)
        );
        assert!(!shed.id().is_empty());
    }
    for probe in ["/healthz", "/readyz"] {
        assert_eq!(gate.send(get(probe)).await.status, 200);
    }
    let metrics = gate.metrics().await;
    assert_eq!(metrics.sum("tollgate_shed_total", &["reason=\"calls\""]), 3);
    assert_eq!(metrics.sum("tollgate_unauthenticated_total", &[]), 0);
    assert_eq!(metrics.sum("tollgate_calls_open", &[]), 1);

    pieces.send("data: [DONE]\n\n".into()).await.unwrap();
    drop(pieces);
    assert!(stream.rest().await.is_whole);
    // At once: its place was free before its last byte was out.
    assert_eq!(gate.send(chat("hi")).await.status, 200);
    let records = gate.all_records(2).await;
    assert!(records.iter().all(|record| record.outcome == Outcome::Ok));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_together_stay_within_their_bound_and_small_calls_go_on() {
    let (_pieces, first) = Reply::pieces();
    let first = std::sync::Mutex::new(Some(first));
    let upstream =
        Upstream::start(move |_| first.lock().unwrap().take().unwrap_or_else(Reply::hello)).await;
    let config = config()
        .backend("east", upstream.address)
        .with("/limits/body", "1MiB".into())
        .with("/limits/bodies_in_memory", "1MiB".into());
    let gate = Gate::start(config).await;
    let large = chat(&"word ".repeat(120_000)); // 600 KB.
    let mut holding = JoinSet::new();
    let (door, held) = (gate.door.clone(), large.clone().stream());
    holding.spawn(async move { door.try_send(held).await });
    eventually("the first body", async || {
        let metrics = gate.metrics().await;
        (metrics.sum("tollgate_body_bytes_held", &[]) > 600_000).then_some(())
    })
    .await;

    let refused = gate.send(large.clone()).await;
    assert_eq!(
        (refused.status, refused.code()),
        (503, "overloaded".to_owned())
    );
    assert_eq!(gate.record(refused.id()).await.outcome, Outcome::Refused);
    assert_eq!(gate.send(chat("hi")).await.status, 200);
    assert_eq!(
        gate.metrics()
            .await
            .sum("tollgate_shed_total", &["reason=\"bodies\""]),
        1
    );

    holding.shutdown().await;
    eventually("room again", async || {
        (gate.send(large.clone()).await.status == 200).then_some(())
    })
    .await;
    assert_eq!(gate.metrics().await.sum("tollgate_body_bytes_held", &[]), 0);
}

/// Far more at once than one small machine can serve in time.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_shed_in_part_and_over_at_once() {
    let region = provider(Behaviour::default()).await;
    let config = config()
        .backend("east", region.address())
        .with("/limits/queue_delay", "20ms".into())
        .with("/limits/calls", 64.into());
    let gate = Gate::start(config).await;
    let mut clients = JoinSet::new();
    for _ in 0..256 {
        let door = gate.door.clone();
        clients.spawn(async move {
            let (mut served, mut shed) = (0u32, 0u32);
            for _ in 0..20 {
                let answer = door.send(chat("answer 5 words")).await;
                match answer.status {
                    200 if answer.is_whole => served += 1,
                    503 if answer.code() == "overloaded" => shed += 1,
                    other => panic!("{other}"),
                }
            }
            (served, shed)
        });
    }
    let (mut served, mut shed) = (0, 0);
    while let Some(counts) = clients.join_next().await {
        let counts = counts.unwrap();
        served += counts.0;
        shed += counts.1;
    }
    eprintln!("of 5120 calls: {served} served, {shed} shed");
    assert!(served > 0 && shed > 0, "{served} {shed}");
    let by_metric = gate.metrics().await.sum("tollgate_shed_total", &[]);
    assert_eq!(u64::from(shed), by_metric);
    // The flood is over: within a few looks nothing is shed any more.
    eventually("ten calls in a row", async || {
        for _ in 0..10 {
            if gate.send(chat("hi")).await.status != 200 {
                return None;
            }
        }
        Some(())
    })
    .await;
}
