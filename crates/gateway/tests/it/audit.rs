//! What goes on the audit record of a call, and what never does.

mod reading;
mod required;
mod sinks;

use std::path::Path;
use std::sync::Arc;

use audit::{Actor, Archive, Found, Query, State};
use config::Snapshot;
use domain::Wall;
use domain::record::Outcome;
use gateway::Clock;
use gateway::audit::desk::{Desk, DeskError, Visitor};
use gateway::audit::stores;
use gateway::clock::Chance;
use gateway::credentials::Credentials;
use gateway::fetch::Fetch;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::scripted::{Answer, Backend, CHAT, DELTA, DONE, EVENTS, USAGE};
use crate::sinks::eventually;
use crate::stage::{Rules, Stage, chat, request, streamed_chat};

const EMAIL: &str = "anna.schmidt@example.com";
const AUDITOR: &str = "auditors-token-of-16";

/// A stage whose product has this rule and these guards, and a store in a folder of its own.
struct Audited {
    stage: Stage,
    backend: Backend,
    folder: tempfile::TempDir,
    snapshot: Arc<Snapshot>,
}

async fn audited(rule: &str, guards: &str, answer: Answer) -> Audited {
    let folder = tempfile::tempdir().unwrap();
    let backend = Backend::answering(answer).await;
    let stage = Stage::new(&rules(folder.path(), rule, guards), &[&backend]);
    Audited {
        snapshot: stage.gateway.snapshot.load_full(),
        stage,
        backend,
        folder,
    }
}

fn rules(folder: &Path, rule: &str, guards: &str) -> Rules {
    let path = folder.display();
    Rules {
        priorities: vec![1],
        limits: format!("\n    audit: {rule}\n    guards: {guards}"),
        money: format!(
            "audit_stores: [{{ id: main, dir: \"{path}/store\", region: eu, keys: {{ dir: \"{path}/keys\" }}, content_bytes: 4KiB }}]
access:
  - {{ id: jane, token: {AUDITOR}, roles: [{{ role: auditor }}] }}
  - {{ id: carl, token: carls-token-of-16, roles: [{{ role: finance }}] }}
  - {{ id: hr, token: hrs-own-token-of-16, roles: [{{ role: auditor, subscriptions: [search] }}] }}
  - {{ id: root, token: roots-token-of-16, roles: [{{ role: admin }}] }}"
        ),
        ..Rules::default()
    }
}

fn credentials() -> Credentials {
    let clock = Clock::system();
    Credentials {
        fetch: Fetch::default(),
        chance: Arc::new(Chance::from_system(clock.now())),
        clock,
        tasks: TaskTracker::new(),
        stop: CancellationToken::new(),
    }
}

fn now() -> Wall {
    Clock::system().now().wall
}

impl Audited {
    fn desk(&self, id: &str, token: &str, reason: Option<&str>) -> Result<Desk, DeskError> {
        let visitor = Visitor { id, token, reason };
        let store = &self.snapshot.auditing.stores[0];
        Desk::admit(&self.snapshot, store, visitor, &credentials(), now())
    }

    fn archive(&self) -> Archive {
        let store = &self.snapshot.auditing.stores[0];
        stores::archive(store, &credentials(), now()).unwrap()
    }

    /// Ends the gateway. All records with their content, oldest first.
    async fn records(self) -> Vec<Found> {
        let Self {
            stage,
            snapshot,
            folder,
            ..
        } = self;
        stage.gateway.close().await;
        let store = &snapshot.auditing.stores[0];
        let mut archive = stores::archive(store, &credentials(), now()).unwrap();
        let query = Query {
            with_content: true,
            limit: 1_000,
            ..Query::default()
        };
        let actor = Actor {
            by: "test".into(),
            role: "auditor".into(),
            reason: "a test".into(),
        };
        let page = archive
            .search(&query, &audit::Scope::All, &actor, now())
            .unwrap();
        assert!(
            archive
                .verify(&audit::Options::default())
                .unwrap()
                .is_sound()
        );
        drop(folder);
        page.found.into_iter().rev().collect()
    }

    async fn only(self) -> (Found, Option<String>, Option<String>) {
        let mut records = self.records().await;
        assert_eq!(records.len(), 1, "{records:#?}");
        let found = records.remove(0);
        let State::Here(content) = &found.content else {
            panic!("{found:?}");
        };
        let text = |bytes: &Option<Vec<u8>>| {
            bytes
                .as_deref()
                .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        };
        let (prompt, answer) = (text(&content.prompt), text(&content.answer));
        (found, prompt, answer)
    }
}

fn asking(text: &str) -> Request<Full<bytes::Bytes>> {
    request(json!({"model": "gpt-4o", "messages": [{"role": "user", "content": text}]}).to_string())
}

fn saying(text: &str) -> Answer {
    let mut answer: Value = serde_json::from_str(CHAT).unwrap();
    answer["choices"][0]["message"]["content"] = text.into();
    Answer::json(200, answer.to_string())
}

#[tokio::test]
async fn a_full_record_has_prompt_answer_and_what_the_call_used() {
    let audited = audited("{ content: full, retention: 30d }", "[]", Answer::chat()).await;
    audited.stage.call(asking("How far is the moon?")).await;
    let (found, prompt, answer) = audited.only().await;
    let skeleton = &found.skeleton;
    assert_eq!(
        (
            skeleton.subscription.as_str(),
            &*skeleton.product,
            &*skeleton.model
        ),
        ("search", "standard", "gpt-4o")
    );
    assert_eq!(
        (skeleton.outcome, skeleton.status, skeleton.retention_days),
        (Outcome::Ok, 200, 30)
    );
    assert_eq!(
        (skeleton.prompt_tokens, skeleton.completion_tokens),
        (12, 5)
    );
    assert_eq!(
        (&*skeleton.cost, skeleton.backend.as_deref()),
        ("unpriced", Some("a"))
    );
    assert!(prompt.unwrap().contains("How far is the moon?"));
    assert_eq!(answer.unwrap(), CHAT);
}

#[tokio::test]
async fn a_hit_is_on_record_as_one_with_the_answer_that_its_client_read() {
    let cached = "[]\n    cache: { exact: { ttl: 1h } }";
    let audited = audited("{ content: full }", cached, Answer::chat()).await;
    audited.stage.call(chat()).await;
    let told = audited.stage.call(chat()).await;
    let streamed = audited.stage.call(streamed_chat()).await;
    let [miss, hit, stream]: [Found; 3] = audited.records().await.try_into().unwrap();
    let answer = |found: &Found| {
        let State::Here(content) = &found.content else {
            panic!("{found:?}");
        };
        content.answer.clone().unwrap()
    };
    assert_eq!((miss.skeleton.hit, answer(&miss)), (None, CHAT.into()));
    for found in [&hit, &stream] {
        assert_eq!(found.skeleton.hit, Some(audit::Hit::Exact));
        assert_eq!(found.skeleton.prompt_tokens, 0);
        let answer: Value = serde_json::from_slice(&answer(found)).unwrap();
        let id = format!("chatcmpl-{}", found.skeleton.call);
        assert_eq!(answer["id"], id.as_str());
        assert_eq!(
            answer["usage"]["prompt_tokens_details"]["cached_tokens"],
            12
        );
    }
    assert_eq!(told.text().as_bytes(), answer(&hit));
    assert!(streamed.text().contains(&stream.skeleton.call.to_string()));
}

#[tokio::test]
async fn metadata_keeps_no_content_and_none_keeps_no_record() {
    let metadata = audited("{ content: metadata }", "[]", Answer::chat()).await;
    metadata.stage.call(chat()).await;
    let (found, prompt, answer) = metadata.only().await;
    assert_eq!((prompt, answer), (None, None));
    assert_eq!(
        (found.skeleton.prompt_bytes, found.skeleton.answer_bytes),
        (None, None)
    );

    let none = audited("{ content: none }", "[]", Answer::chat()).await;
    none.stage.call(chat()).await;
    assert_eq!(none.records().await.len(), 0);
}

#[tokio::test]
async fn a_streamed_answer_is_one_text_on_record() {
    let piece = |text: &str| {
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
    };
    let (first, second) = (piece("About 384,"), piece("400 km."));
    let events = [&*first, &second, USAGE, DONE];
    let audited = audited("{ content: full }", "[]", Answer::stream(&events)).await;
    audited.stage.call(streamed_chat()).await;
    let (found, _, answer) = audited.only().await;
    assert_eq!(found.skeleton.completion_tokens, 5);
    let answer: Value = serde_json::from_str(&answer.unwrap()).unwrap();
    assert_eq!(
        answer["choices"][0]["message"]["content"],
        "About 384,400 km."
    );
}

#[tokio::test]
async fn what_guards_took_out_is_on_no_record_and_masks_stay_masked() {
    for (events, is_stream) in [(None, false), (Some(()), true)] {
        let text = format!("I wrote to {EMAIL} and <EMAIL_1>.");
        let answer = match events {
            None => saying(&text),
            Some(()) => {
                let event = json!({"choices": [{"index": 0, "delta": {"content": text}}]});
                Answer::stream(&[&format!("data: {event}\n\n"), USAGE, DONE])
            }
        };
        let guards = "[ { pii: { action: mask } } ]";
        let audited = audited("{ content: full }", guards, answer).await;
        let mut body: Value = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "Write to bob@example.org."}]});
        body["stream"] = is_stream.into();
        let told = audited.stage.call(request(body.to_string())).await;
        assert!(
            told.text().contains("bob@example.org"),
            "the client gets its own value back: {}",
            told.text()
        );
        let (found, prompt, answer) = audited.only().await;
        let (prompt, answer) = (prompt.unwrap(), answer.unwrap());
        assert!(prompt.contains("Write to <EMAIL_1>."), "{prompt}");
        assert!(
            answer.contains("<EMAIL_1>") && !answer.contains("bob@"),
            "{answer}"
        );
        assert!(!answer.contains(EMAIL), "{answer}");
        assert!(
            found
                .skeleton
                .verdicts
                .starts_with("product/standard/guard/pii prompt redacted email:1"),
            "{}",
            found.skeleton.verdicts
        );
    }
}

#[tokio::test]
async fn a_guard_may_edit_records_alone() {
    let guards = "[ { pii: { where: [audit] } } ]";
    let audited = audited(
        "{ content: full }",
        guards,
        saying(&format!("It is {EMAIL}.")),
    )
    .await;
    let told = audited
        .stage
        .call(asking(&format!("Who is {EMAIL}?")))
        .await;
    assert!(told.text().contains(EMAIL));
    assert!(String::from_utf8_lossy(&audited.backend.bodies()[0]).contains(EMAIL));
    let metrics = audited.stage.metrics();
    let (found, prompt, answer) = audited.only().await;
    assert!(prompt.unwrap().contains("Who is [EMAIL]?"));
    assert!(answer.unwrap().contains("It is [EMAIL]."));
    // What it found is told as if it had looked before.
    assert_eq!(
        &*found.skeleton.verdicts,
        "product/standard/guard/pii prompt redacted email:1; product/standard/guard/pii answer redacted email:1"
    );
    for on in ["prompt", "answer"] {
        let series = format!(
            r#"tollgate_guard_verdicts_total{{guard="product/standard/guard/pii",on="{on}",ruling="redacted"}} 1"#
        );
        assert!(metrics.contains(&series), "{metrics}");
    }
}

#[tokio::test]
async fn a_prompt_that_was_not_let_through_is_not_kept() {
    let guards = "[ { pii: { action: block } } ]";
    let blocked = audited("{ content: full }", guards, Answer::chat()).await;
    assert_eq!(
        blocked
            .stage
            .call(asking(&format!("I am {EMAIL}")))
            .await
            .status,
        400
    );
    let (found, prompt, answer) = blocked.only().await;
    assert_eq!((prompt, answer), (None, None));
    assert_eq!(
        found.skeleton.rule.as_deref(),
        Some("product/standard/guard/pii")
    );
    assert_eq!(found.skeleton.outcome, Outcome::Refused);

    // Refused before any guard looked: nobody knows what is in it.
    let rules_of = |guards: &str, folder: &Path| Rules {
        limits: format!(
            "\n    audit: {{ content: full }}\n    guards: {guards}\n    request_limits: [ {{ name: rpm, requests_per_minute: 1 }} ]"
        ),
        ..rules(folder, "{ content: full }", guards)
    };
    for (guards, is_kept) in [("[ { pii: {} } ]", false), ("[]", true)] {
        let folder = tempfile::tempdir().unwrap();
        let backend = Backend::answering(Answer::chat()).await;
        let stage = Stage::new(&rules_of(guards, folder.path()), &[&backend]);
        let snapshot = stage.gateway.snapshot.load_full();
        let audited = Audited {
            stage,
            backend,
            folder,
            snapshot,
        };
        audited.stage.call(chat()).await;
        assert_eq!(
            audited
                .stage
                .call(asking(&format!("I am {EMAIL}")))
                .await
                .status,
            429
        );
        let records = audited.records().await;
        let State::Here(content) = &records[1].content else {
            panic!("{:?}", records[1]);
        };
        assert_eq!(content.prompt.is_some(), is_kept);
        assert_eq!(
            records[1].skeleton.rule.as_deref(),
            Some("product/standard/rpm")
        );
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_kept_as_far_as_it_passed() {
    let answer = Answer::stream(&[DELTA]).reset();
    let audited = audited("{ content: full }", "[]", answer).await;
    let told = audited.stage.call(streamed_chat()).await;
    assert!(told.text().contains("upstream_failed"));
    let (found, _, answer) = audited.only().await;
    assert_eq!(found.skeleton.outcome, Outcome::Cut);
    assert!(answer.unwrap().contains("About 384,400 km."));
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_what_it_saw() {
    use http_body_util::BodyExt as _;

    let answer = Answer::stream(&[DELTA]).stalled();
    let audited = audited("{ content: full }", "[]", answer).await;
    let mut response = audited.stage.begin(streamed_chat()).await;
    response.body_mut().frame().await.unwrap().unwrap();
    drop(response);
    let (found, prompt, answer) = audited.only().await;
    assert_eq!(found.skeleton.outcome, Outcome::HungUp);
    assert!(prompt.is_some());
    assert!(answer.unwrap().contains("About 384,400 km."));
}

#[tokio::test]
async fn content_past_its_bound_is_cut_and_the_record_says_so() {
    let long = "moon ".repeat(2_000);
    for answer in [
        saying(&long),
        Answer::stream(&[
            &format!(
                "data: {}\n\n",
                json!({"choices": [{"index": 0, "delta": {"content": long}}]})
            ),
            USAGE,
            DONE,
        ])
        .with("content-type", EVENTS),
    ] {
        let audited = audited("{ content: full }", "[]", answer).await;
        audited.stage.call(asking(&long)).await;
        let (found, prompt, _) = audited.only().await;
        assert!(found.skeleton.prompt_cut);
        assert!(found.skeleton.prompt_bytes.unwrap() > 10_000);
        assert_eq!(prompt.unwrap().len(), 4_096);
    }
}

#[tokio::test]
async fn only_calls_that_the_rule_names_are_recorded() {
    let when = "{ content: full, when: '\"x-record\" in request.headers' }";
    let named = audited(when, "[]", Answer::chat()).await;
    named.stage.call(chat()).await;
    let mut asked = chat();
    asked
        .headers_mut()
        .insert("x-record", "yes".parse().unwrap());
    named.stage.call(asked).await;
    assert_eq!(named.records().await.len(), 1);

    let nobody = audited("{ content: full, sample: 0 }", "[]", Answer::chat()).await;
    nobody.stage.call(chat()).await;
    assert_eq!(nobody.records().await.len(), 0);

    let unclear = audited(
        "{ content: full, when: 'subscription.id' }",
        "[]",
        Answer::chat(),
    )
    .await;
    let told = unclear.stage.call(chat()).await;
    assert_eq!(
        (told.status.as_u16(), told.code().as_deref()),
        (400, Some("policy_fault"))
    );
    assert_eq!(unclear.backend.requests(), 0);
}

/// A file where the store's folder should be.
#[tokio::test]
async fn nothing_raw_is_in_any_file_after_calls_of_every_kind() {
    let planted = [
        "anna.schmidt@example.com",
        "4111 1111 1111 1111",
        "DE89 3704 0044 0532 0130 00",
    ];
    let said = format!(
        "Reply to {} with {} or {}.",
        planted[0], planted[1], planted[2]
    );
    let event = json!({"choices": [{"index": 0, "delta": {"content": said}}]});
    let stream = Answer::stream(&[&format!("data: {event}\n\n"), USAGE, DONE]);
    let audited = audited("{ content: full }", "[ { pii: {} } ]", saying(&said)).await;
    audited.stage.call(asking(&said)).await;
    audited.backend.always(stream);
    let mut body: Value =
        json!({"model": "gpt-4o", "stream": true, "messages": [{"role": "user", "content": said}]});
    audited.stage.call(request(body.to_string())).await;
    body["messages"][0]["content"] = json!([{"type": "text", "text": said}]);
    drop(audited.stage.begin(request(body.to_string())).await);
    audited
        .stage
        .call(request(
            json!({"model": "no-such", "messages": [{"role": "user", "content": said}]})
                .to_string(),
        ))
        .await;
    let folders = [
        audited.folder.path().to_owned(),
        audited.stage.ledger_folder().to_owned(),
    ];
    let stores = audited.stage.gateway.audit.all();
    let are_written = || stores.iter().all(|store| store.health().written >= 3);
    while !are_written() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    let mut searched = 0;
    let mut look = folders.to_vec();
    while let Some(path) = look.pop() {
        if path.is_dir() {
            look.extend(
                std::fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        searched += bytes.len();
        for value in planted {
            assert!(
                memchr::memmem::find(&bytes, value.as_bytes()).is_none(),
                "{value} in {}",
                path.display()
            );
        }
        // Sealed: not even what guards let through can be read from a file.
        assert!(
            memchr::memmem::find(&bytes, b"Reply to [EMAIL]").is_none(),
            "{}",
            path.display()
        );
    }
    assert!(searched > 100_000, "{searched}");
}
