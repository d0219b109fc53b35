//! What single calls are charged: by which form of usage, and when somebody leaves early.

use domain::record::Outcome;
use serde_json::json;
use simulator::Behaviour;
use tokio::task::JoinSet;

use crate::harness::{Gate, Reply, Upstream, chat, config, eventually, in_time, provider};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_the_first_byte_pays_for_its_prompt() {
    let (answering, reply) = Reply::pieces();
    let reply = std::sync::Mutex::new(Some(reply));
    let upstream = Upstream::start(move |_| reply.lock().unwrap().take().unwrap()).await;
    let gate = Gate::start(config().backend("east", upstream.address)).await;
    let door = gate.door.clone();
    let mut client = JoinSet::new();
    client.spawn(async move {
        door.try_open(chat("answer 40 words").stream())
            .await
            .is_ok()
    });
    let seen = eventually("the call at the upstream", async || upstream.seen().pop()).await;
    client.shutdown().await;
    let record = gate.record(seen.header("x-request-id")).await;
    assert_eq!((record.outcome, record.status), (Outcome::HungUp, 0));
    let usage = record.metered.usage();
    assert_eq!((usage.prompt, usage.completion), (11, 0));
    assert!(record.metered.is_estimated());
    in_time("the cancelled upstream call", answering.closed()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_usage_is_read() {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(config().backend("east", region.address())).await;
    for (form, is_estimated) in [
        ("exact", false),
        ("bare", false),
        ("null_details", false),
        ("last_choice", false),
        ("every_chunk", false),
        ("null", true),
        ("missing", true),
    ] {
        for call in [
            chat("answer 30 words"),
            chat("answer 30 words").stream(),
            chat("answer 30 words").stream().with_usage(),
        ] {
            let answer = gate.send(call.simulate(json!({ "usage": form }))).await;
            assert!(answer.is_whole && answer.status == 200, "{form}");
            let record = gate.record(answer.id()).await;
            let usage = record.metered.usage();
            assert_eq!((usage.prompt, usage.completion), (11, 30), "{form}");
            assert_eq!(record.metered.is_estimated(), is_estimated, "{form}");
        }
    }
}
