//! Calls that ask the same at the same time.

use domain::Metered;
use domain::record::{CacheOutcome, CallRecord, Outcome};
use gateway::body::Body;
use http::Response;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::task::JoinSet;

use super::{EXACT, asking, cached, call, configuration, heard, json_of, stage, stream, streamed};
use crate::scripted::{Answer, Backend, CHAT, DELTA, DONE, Script, USAGE};
use crate::stage::{IP, Stage, Told, reported};

/// So many at once, the first of them first; all of them wait for the backend, or for one another.
async fn at_once(stage: &Stage, backend: &Backend, body: &Value, calls: usize) -> JoinSet<Told> {
    let mut told = JoinSet::new();
    for _ in 0..calls {
        let (gateway, request) = (stage.gateway.clone(), call(body));
        told.spawn(async move { Told::read(gateway.handle(request, IP).await).await });
    }
    backend.asked(1).await;
    let all_are_in = format!("tollgate_calls_open {calls}\n");
    while !stage.metrics().contains(&all_are_in) {
        tokio::task::yield_now().await;
    }
    told
}

fn provider_tokens(records: &[CallRecord]) -> u64 {
    let usage = records.iter().map(|record| record.metered.usage().total());
    usage.sum()
}

#[tokio::test]
async fn fifty_calls_that_ask_the_same_make_one_call_of_the_backend() {
    for (answer, body) in [
        (Answer::chat(), asking("How far?")),
        (stream(), streamed("How far?")),
    ] {
        let (stage, backend) = stage(EXACT, answer.held()).await;
        let mut calls = at_once(&stage, &backend, &body, 50).await;
        backend.release();
        let mut of = [("miss", 0), ("hit", 0)];
        while let Some(told) = calls.join_next().await {
            let told = told.unwrap();
            for (outcome, count) in &mut of {
                *count += i32::from(cached(&told) == *outcome);
            }
            let said = match body["stream"] {
                Value::Bool(true) => heard(&told).0,
                _ => json_of(&told)["choices"][0]["message"]["content"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            };
            assert_eq!(said, "About 384,400 km.");
        }
        assert_eq!(of, [("miss", 1), ("hit", 49)]);
        assert_eq!(backend.requests(), 1);
        let metrics = stage.metrics();
        let coalesced = r#"tollgate_cache_lookups_total{product="standard",result="coalesced"} 49"#;
        assert!(metrics.contains(coalesced), "{metrics}");
        let records = stage.records().await;
        assert_eq!(records.len(), 50);
        // As many as the provider counted.
        assert_eq!(provider_tokens(&records), 17);
        let hits = records
            .iter()
            .filter(|record| record.cache == CacheOutcome::Hit);
        for hit in hits {
            assert_eq!((hit.saved_tokens, hit.outcome), (17, Outcome::Ok));
        }
    }
}

#[tokio::test]
async fn those_who_hang_up_disturb_nobody_who_waits() {
    for (answer, body) in [
        (Answer::chat(), asking("How far?")),
        (stream(), streamed("How far?")),
    ] {
        let (stage, backend) = stage(EXACT, answer.held()).await;
        let mut calls = at_once(&stage, &backend, &body, 5).await;
        let (gateway, request) = (stage.gateway.clone(), call(&body));
        let gone = calls.spawn(async move { Told::read(gateway.handle(request, IP).await).await });
        while !stage.metrics().contains("tollgate_calls_open 6\n") {
            tokio::task::yield_now().await;
        }
        gone.abort();
        while !stage.metrics().contains("tollgate_calls_open 5\n") {
            tokio::task::yield_now().await;
        }
        backend.release();
        let mut answered = 0;
        while let Some(told) = calls.join_next().await {
            answered += usize::from(told.is_ok_and(|told| told.status == 200));
        }
        assert_eq!((answered, backend.requests()), (5, 1));
        let records = stage.records().await;
        assert_eq!(provider_tokens(&records), 17);
    }
}

#[tokio::test]
async fn a_leader_that_leaves_before_its_answer_begins_is_followed_by_another_one() {
    let (stage, backend) = stage(EXACT, Answer::chat().held()).await;
    let mut told = JoinSet::new();
    let mut spawn = || {
        let (gateway, request) = (stage.gateway.clone(), call(&asking("How far?")));
        told.spawn(async move { Told::read(gateway.handle(request, IP).await).await })
    };
    let leader = spawn();
    backend.asked(1).await;
    spawn();
    spawn();
    while !stage.metrics().contains("tollgate_calls_open 3\n") {
        tokio::task::yield_now().await;
    }
    leader.abort();
    backend.asked(2).await;
    backend.release();
    let mut outcomes = Vec::new();
    while let Some(told) = told.join_next().await {
        outcomes.extend(told.ok().map(|told| cached(&told).to_owned()));
    }
    outcomes.sort_unstable();
    assert_eq!(outcomes, ["hit", "miss"]);
    assert_eq!(backend.requests(), 2);
    let records = stage.records().await;
    let hung_up = records
        .iter()
        .find(|record| record.outcome == Outcome::HungUp);
    // The backend has its prompt, and bills for it.
    assert!(hung_up.unwrap().metered.usage().prompt > 0);
}

async fn begun(stage: &Stage) -> Response<Body> {
    stage.begin(call(&streamed("How far?"))).await
}

#[tokio::test]
async fn a_stream_goes_on_when_the_client_that_asked_for_it_leaves() {
    let (stage, _backend) = stage(EXACT, stream()).await;
    let mut leader = begun(&stage).await;
    let follower = begun(&stage).await;
    let _first = leader.body_mut().frame().await;
    drop(leader);
    let told = Told::read(follower).await;
    assert_eq!(
        (cached(&told), heard(&told).0),
        ("hit", "About 384,400 km.".to_owned())
    );
    let records = stage.records().await;
    let [led, followed] = &records[..] else {
        panic!("{records:#?}")
    };
    let (led, followed) = if led.cache == CacheOutcome::Miss {
        (led, followed)
    } else {
        (followed, led)
    };
    assert_eq!((led.outcome, led.metered), (Outcome::Ok, reported(12, 5)));
    assert_eq!(
        (followed.outcome, followed.metered),
        (Outcome::Ok, Metered::NOTHING)
    );
    assert_eq!(followed.saved_tokens, 17);
}

#[tokio::test]
async fn a_stream_ends_when_the_last_of_its_clients_leaves() {
    let (stage, backend) = stage(EXACT, Answer::stream(&[DELTA]).stalled()).await;
    let mut leader = begun(&stage).await;
    let mut follower = begun(&stage).await;
    let _first = leader.body_mut().frame().await;
    drop(leader);
    let _first = follower.body_mut().frame().await;
    drop(follower);
    backend.left(1).await;
    let records = stage.records().await;
    assert_eq!(records.len(), 2);
    for record in &records {
        assert_eq!(record.outcome, Outcome::HungUp, "{record:#?}");
        let is_charged = record.metered.usage().total() > 0;
        assert_eq!(is_charged, record.cache == CacheOutcome::Miss);
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_breaks_off_for_all_and_is_not_kept() {
    let (stage, backend) = stage(EXACT, Answer::stream(&[DELTA]).closed()).await;
    let (leader, follower) = (begun(&stage).await, begun(&stage).await);
    let (one, other) = (Told::read(leader).await, Told::read(follower).await);
    assert_eq!(one.body, other.body);
    assert!(one.text().contains("upstream_failed"), "{}", one.text());
    assert_eq!(cached(&Told::read(begun(&stage).await).await), "miss");
    assert_eq!(backend.requests(), 2);
    let records = stage.records().await;
    assert!(
        records.iter().all(|record| record.outcome == Outcome::Cut),
        "{records:#?}"
    );
    // Nobody was spared anything.
    assert!(records.iter().all(|record| record.saved_tokens == 0));
}

#[tokio::test]
async fn a_reader_that_falls_behind_is_cut_and_the_others_are_not() {
    let event = format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n",
        "x".repeat(8_000)
    );
    let mut events = vec![&*event; 400];
    events.extend([USAGE, DONE]);
    let (stage, _backend) = stage(EXACT, Answer::stream(&events)).await;
    let leader = begun(&stage).await;
    let slow = begun(&stage).await;
    let told = Told::read(leader).await;
    assert!(told.text().ends_with("data: [DONE]\n\n") && !told.broke);
    assert!(Told::read(slow).await.broke);
    let records = stage.records().await;
    let mut outcomes: Vec<_> = records
        .iter()
        .map(|record| (record.cache, record.outcome))
        .collect();
    outcomes.sort_by_key(|(cache, _)| *cache as u8);
    assert_eq!(
        outcomes,
        [
            (CacheOutcome::Hit, Outcome::Cut),
            (CacheOutcome::Miss, Outcome::Ok)
        ]
    );
}

#[tokio::test]
async fn an_answer_that_is_none_is_not_shared() {
    let (stage, backend) = stage(EXACT, Answer::error(400).held()).await;
    let mut calls = at_once(&stage, &backend, &asking("How far?"), 4).await;
    backend.release();
    while let Some(told) = calls.join_next().await {
        let told = told.unwrap();
        assert_eq!((told.status.as_u16(), cached(&told)), (400, "miss"));
    }
    assert_eq!(backend.requests(), 4);
}

#[tokio::test]
async fn calls_with_masked_values_wait_for_nobody() {
    let backend = Backend::answering(stream().held()).await;
    let guards = ", guards: [ { pii: { action: mask } } ]";
    let stage = Stage::reading(&configuration(&backend, EXACT, guards));
    let mut told = JoinSet::new();
    for name in ["anna", "bert"] {
        let body = streamed(&format!("I am {name}@example.com."));
        let (gateway, request) = (stage.gateway.clone(), call(&body));
        told.spawn(async move { Told::read(gateway.handle(request, IP).await).await });
    }
    backend.asked(2).await;
    backend.release();
    while let Some(told) = told.join_next().await {
        assert_eq!(cached(&told.unwrap()), "miss");
    }
}

#[tokio::test]
async fn streams_whose_answers_guards_may_mask_wait_for_nobody() {
    let backend = Backend::answering(stream()).await;
    for (guards, of_second) in [
        (", guards: [ { pii: { action: mask } } ]", "miss"),
        (
            ", guards: [ { pii: { action: mask, where: [prompt] } } ]",
            "hit",
        ),
    ] {
        let stage = Stage::reading(&configuration(&backend, EXACT, guards));
        let (leader, other) = (begun(&stage).await, begun(&stage).await);
        assert_eq!(cached(&Told::read(leader).await), "miss");
        assert_eq!(cached(&Told::read(other).await), of_second);
    }
}

#[tokio::test]
async fn those_who_wait_for_an_answer_with_an_email_address_read_it() {
    let answer = CHAT.replace("About 384,400 km.", "Ask anna@example.com.");
    let backend = Backend::answering(Answer::json(200, answer).held()).await;
    let guards = ", guards: [ { pii: { action: mask } } ]";
    let stage = Stage::reading(&configuration(&backend, EXACT, guards));
    let mut calls = at_once(&stage, &backend, &asking("Whom?"), 3).await;
    backend.release();
    while let Some(told) = calls.join_next().await {
        let told = told.unwrap();
        assert!(told.text().contains("anna@example.com"), "{}", told.text());
    }
    assert_eq!(backend.requests(), 1);
    let again = stage.call(call(&asking("Whom?"))).await;
    assert_eq!((cached(&again), backend.requests()), ("miss", 2));
}

#[tokio::test]
async fn guards_that_look_at_a_stream_have_looked_at_what_its_followers_get() {
    let backend = Backend::answering(stream().held()).await;
    let guards = ", guards: [ { lists: { words: ['384,400'], action: redact, where: [answer] } } ]";
    let stage = Stage::reading(&configuration(&backend, EXACT, guards));
    let mut calls = at_once(&stage, &backend, &streamed("How far?"), 3).await;
    backend.release();
    while let Some(told) = calls.join_next().await {
        let told = told.unwrap();
        assert!(!told.text().contains("384,400"), "{}", told.text());
    }
    assert_eq!(backend.requests(), 1);
}

/// An answer that calls a tool: what it will do, it may do once.
fn tool_call() -> String {
    CHAT.replace("\"content\":\"About 384,400 km.\"", "\"content\":null,\"tool_calls\":[{\"id\":\"t\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]")
        .replace("\"stop\"", "\"tool_calls\"")
}

#[tokio::test]
async fn an_answer_that_may_not_be_given_again_is_not_given_to_those_who_wait() {
    for unfit in [tool_call(), CHAT.replace("\"stop\"", "\"length\"")] {
        let (stage, backend) = stage(EXACT, Answer::json(200, unfit).held()).await;
        let mut calls = at_once(&stage, &backend, &asking("How far?"), 4).await;
        backend.release();
        while let Some(told) = calls.join_next().await {
            assert_eq!(cached(&told.unwrap()), "miss");
        }
        assert_eq!(backend.requests(), 4);
    }
}

#[tokio::test]
async fn streams_that_may_call_tools_wait_for_nobody() {
    let (stage, backend) = stage(EXACT, stream().held()).await;
    let mut told = JoinSet::new();
    let mut body = streamed("How far?");
    body["tools"] = serde_json::json!([{"type": "function", "function": {"name": "f"}}]);
    for _ in 0..2 {
        let (gateway, request) = (stage.gateway.clone(), call(&body));
        told.spawn(async move { Told::read(gateway.handle(request, IP).await).await });
    }
    backend.asked(2).await;
    backend.release();
    while let Some(told) = told.join_next().await {
        assert_eq!(cached(&told.unwrap()), "miss");
    }
}

#[tokio::test]
async fn who_takes_a_leaders_place_looks_first_whether_the_answer_came_meanwhile() {
    let (stage, backend) = stage(EXACT, Answer::chat().held()).await;
    let mut told = JoinSet::new();
    let mut spawn = |body: &Value| {
        let (gateway, request) = (stage.gateway.clone(), call(body));
        told.spawn(async move { Told::read(gateway.handle(request, IP).await).await })
    };
    let leader = spawn(&asking("How far?"));
    backend.asked(1).await;
    spawn(&asking("How far?"));
    while !stage.metrics().contains("tollgate_calls_open 2\n") {
        tokio::task::yield_now().await;
    }
    // Streams do not wait for whole answers, and one leaves its answer for both.
    backend.then(Script::Answer(stream()));
    let streamed = stage.call(call(&streamed("How far?"))).await;
    assert_eq!(cached(&streamed), "miss");
    leader.abort();
    let mut hits = 0;
    while let Some(told) = told.join_next().await {
        hits += told.map_or(0, |told| usize::from(cached(&told) == "hit"));
    }
    assert_eq!((hits, backend.requests()), (1, 2));
    let records = stage.records().await;
    let hit = records
        .iter()
        .find(|record| record.cache == CacheOutcome::Hit);
    assert_eq!(hit.unwrap().saved_tokens, 17);
}
