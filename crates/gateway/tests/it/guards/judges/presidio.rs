//! Names that Presidio finds are taken out, masked or a reason to block.

use domain::record::{Content, Ruling};
use serde_json::{Value, json};
use simulator::{Behaviour, Running};

use super::windows::{events, streamed, streaming};
use super::{found, judge, messages, only, stage};
use crate::guards::streams::{DELTA_STOP, arguments, said};
use crate::guards::{asking, saying, verdicts};
use crate::scripted::{DONE, USAGE};
use crate::stage::request;

fn with_presidio(judge: &Running, settings: &str) -> String {
    let address = judge.address();
    format!("[ {{ presidio: {{ url: \"http://{address}\", language: de, {settings} }} }} ]")
}

#[tokio::test]
async fn names_that_presidio_finds_are_taken_out_of_prompts_and_answers() {
    let judge = judge(Behaviour::default()).await;
    let guards = with_presidio(&judge, "");
    let answer = saying("Erika Mustermann lives in Springfield.");
    let (stage, model) = stage(&judge, &guards, answer).await;
    let prompt = json!([
        {"role": "system", "content": "é Be kind to Erika Mustermann."},
        {"role": "user", "content": "Where is Musterstraße 12?"},
        {"role": "tool", "content": "word ".repeat(2_000) + "John Q. Public"},
    ]);
    let told = stage.call(messages(&prompt)).await;
    let sent = crate::guards::sent(&model);
    assert_eq!(sent["messages"][0]["content"], "é Be kind to [PERSON].");
    assert_eq!(sent["messages"][1]["content"], "Where is [LOCATION]?");
    assert_eq!(
        sent["messages"][2]["content"],
        "word ".repeat(2_000) + "[PERSON]"
    );
    assert_eq!(crate::guards::said(&told), "[PERSON] lives in [LOCATION].");
    let record = stage.record().await;
    let kinds = [("PERSON", 2), ("LOCATION", 1)].map(|(kind, count)| (kind.to_owned(), count));
    let mut found = verdicts(&record)[0].3.clone();
    found.sort();
    let mut expected = kinds.to_vec();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(verdicts(&record)[0].2, Ruling::Redacted);
}

#[tokio::test]
async fn names_in_a_stream_are_taken_out_wherever_windows_and_events_end() {
    let judge = judge(Behaviour::default()).await;
    let settings = "answer_window: 100, overlap: 30, where: [answer]";
    for at in [0, 60, 78, 84, 90, 96, 100, 150] {
        let mut text = "all fine here ".repeat(20);
        text.insert_str(at, " Erika Mustermann ");
        let expected = text.replace("Erika Mustermann", "[PERSON]");
        for chars in [1, 7, 1_000] {
            let guards = with_presidio(&judge, settings);
            let (stage, _model) = stage(&judge, &guards, streaming(&events(&text, chars))).await;
            let told = stage.call(streamed()).await;
            assert_eq!(said(told.text()).0, expected, "{at} {chars}");
            assert!(told.text().ends_with(DONE));
            let record = stage.record().await;
            assert_eq!(
                only(&record),
                (Content::Answer, Ruling::Redacted, found("PERSON", 1), None)
            );
        }
    }
}

#[tokio::test]
async fn names_that_are_masked_are_put_back_for_the_client_alone() {
    let judge = judge(Behaviour::default()).await;
    let address = judge.address();
    // `<EMAIL_1>` stands for something by then, and whatever an analyzer makes of it stays.
    let guards = format!(
        "[ {{ pii: {{ action: mask }} }}, {{ presidio: {{ url: \"http://{address}\", action: mask, timeout: 60s }} }} ]"
    );
    let prompt = json!([
        {"role": "user", "content": "I am Erika Mustermann, <PERSON_3>, anna.schmidt@example.com."},
        {"role": "assistant", "content": "Hello Erika Mustermann."},
        {"role": "user", "content": "Who is John Q. Public?"},
    ]);
    let answer = saying("<PERSON_5> knows <PERSON_4> and Erika Mustermann at <EMAIL_1>.");
    let (stage_of_names, model) = stage(&judge, &guards, answer).await;
    let told = stage_of_names.call(messages(&prompt)).await;
    let sent = crate::guards::sent(&model);
    let contents = [0, 1, 2].map(|turn| sent["messages"][turn]["content"].clone());
    assert_eq!(
        contents,
        [
            "I am <PERSON_4>, <PERSON_3>, <EMAIL_1>.",
            "Hello <PERSON_4>.",
            "Who is <PERSON_5>?",
        ]
    );
    assert_eq!(
        crate::guards::said(&told),
        "John Q. Public knows Erika Mustermann and Erika Mustermann at anna.schmidt@example.com."
    );
    let record = stage_of_names.record().await;
    let all = verdicts(&record);
    assert!(all.iter().all(|verdict| verdict.2 == Ruling::Redacted));

    // In streams, wherever windows and events end.
    let text = format!(
        "{}Erika Mustermann met <PERSON_1> in Springfield. {}",
        "all fine here ".repeat(9),
        "and there ".repeat(20)
    );
    let settings = "action: mask, answer_window: 100, overlap: 30, timeout: 60s";
    for chars in [1, 7, 1_000] {
        let guards = with_presidio(&judge, settings);
        let (stage, model) = stage(&judge, &guards, streaming(&events(&text, chars))).await;
        let body = json!({"model": "gpt-4o", "stream": true, "messages": [{"role": "user", "content": "John Q. Public"}]});
        let told = stage.call(request(body.to_string())).await;
        assert_eq!(crate::guards::prompt_sent(&model), "<PERSON_1>");
        let expected = text.replace("<PERSON_1>", "John Q. Public");
        assert_eq!(said(told.text()).0, expected, "{chars}");
        assert!(told.text().ends_with(DONE));
    }
}

#[tokio::test]
async fn names_in_a_streams_tool_arguments_stay_json_however_they_are_written() {
    const QUOTED: &str = "John\n\"Q\" Public";
    let judge = judge(Behaviour::default()).await;
    // What the analyzer is asked about is what it means: behind `\n` begins a name, and no `n`.
    let text = r#"{"note":"all fine here","to":"Dear\nErika\u0020Mustermann","at":"\"Musterstra\u00dfe 12\"","cc":"John\n\"Q\" Public","who":"<PERSON_1>","s":"x\"y"}"#;
    let expected = |erika: &str, street: &str, cc: &str, john: &str| json!({"note": "all fine here", "to": format!("Dear\n{erika}"), "at": format!("\"{street}\""), "cc": cc, "who": john, "s": "x\"y"});
    for (action, expected) in [
        (
            "mask",
            expected("Erika Mustermann", "Musterstraße 12", QUOTED, QUOTED),
        ),
        (
            "redact",
            expected("[PERSON]", "[LOCATION]", "[PERSON]", "<PERSON_1>"),
        ),
    ] {
        for chars in [1, 7, 40, 1_000] {
            let all: Vec<char> = text.chars().collect();
            let pieces = all
                .chunks(chars)
                .map(|piece| piece.iter().collect::<String>());
            let mut events: Vec<String> = pieces.map(|piece| arguments(&piece)).collect();
            events.extend([DELTA_STOP, USAGE, DONE].map(str::to_owned));
            let settings =
                format!("action: {action}, answer_window: 100, overlap: 45, timeout: 60s");
            let guards = with_presidio(&judge, &settings);
            let (stage, _model) = stage(&judge, &guards, streaming(&events)).await;
            let prompt = json!([{"role": "user", "content": "Who is John\n\"Q\" Public?"}]);
            let body = json!({"model": "gpt-4o", "stream": true, "messages": prompt});
            let told = stage.call(request(body.to_string())).await;
            let said: Value = serde_json::from_str(&said(told.text()).1)
                .unwrap_or_else(|error| panic!("{error}: {}", told.text()));
            assert_eq!(said, expected, "{action} {chars}");
        }
    }
}

#[tokio::test]
async fn presidio_can_block_and_goes_by_on_error_too() {
    let judge = judge(Behaviour::default()).await;
    let (stage_of_names, model) = stage(
        &judge,
        &with_presidio(&judge, "action: block"),
        saying("fine"),
    )
    .await;
    let told = stage_of_names.call(asking("Erika Mustermann")).await;
    assert_eq!((told.status.as_u16(), model.requests()), (400, 0));
    assert!(told.text().contains("PERSON") && !told.text().contains("Erika"));
    judge.set(Behaviour {
        garbage: Some("[{}]".to_owned()),
        ..Behaviour::default()
    });
    for (on_error, status) in [("block", 503), ("allow", 200)] {
        let guards = with_presidio(&judge, &format!("on_error: {on_error}"));
        let (stage, _model) = stage(&judge, &guards, saying("fine")).await;
        assert_eq!(
            stage.call(asking("Erika Mustermann")).await.status.as_u16(),
            status
        );
        let record = stage.record().await;
        assert_eq!(verdicts(&record)[0].4.as_deref(), Some("unreadable answer"));
    }
}
