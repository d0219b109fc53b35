use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// Holds back the last letter of everything, and says it in capitals.
#[derive(Default)]
struct Slow {
    held: HashMap<Place, String>,
}

impl Slow {
    fn edit(&mut self, place: &Place, part: Part<'_>) -> String {
        let held = self.held.entry(place.clone()).or_default();
        match part {
            Part::Called(_) => String::new(),
            Part::More(text) => {
                held.push_str(text);
                let last = held.pop();
                let said = std::mem::take(held);
                held.extend(last);
                said.to_uppercase()
            }
            Part::End => std::mem::take(held).to_uppercase(),
        }
    }
}

fn delta(text: &str) -> String {
    format!(
        "data: {{\"id\":\"c1\",\"created\":7,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{}}},\"logprobs\":null,\"finish_reason\":null}}]}}\n\n",
        Value::from(text)
    )
}

const STOP: &str = "data: {\"id\":\"c1\",\"created\":7,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

fn run(events: &[&str]) -> String {
    let mut slow = Slow::default();
    let mut texts = EventTexts::default();
    let mut out = Vec::new();
    for event in events {
        let mut edit = |place: &Place, part: Part<'_>| slow.edit(place, part);
        out.extend(texts.edit(event.as_bytes(), &mut edit).unwrap());
    }
    out.extend(texts.finish(&mut |place, part| slow.edit(place, part)));
    String::from_utf8(out).unwrap()
}

/// Every event's data.
fn values(stream: &str) -> Vec<Value> {
    let data = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

fn content(stream: &str) -> String {
    let values = values(stream);
    values
        .iter()
        .filter_map(|value| value["choices"][0]["delta"]["content"].as_str())
        .collect()
}

#[test]
fn what_was_held_is_said_before_the_choice_finishes() {
    let out = run(&[&delta("hel"), &delta("lo"), STOP, "data: [DONE]\n\n"]);
    assert_eq!(content(&out), "HELLO");
    let last = values(&out).pop().unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert!(out.ends_with("data: [DONE]\n\n"));
    // What is put in looks like the events around it.
    for value in values(&out) {
        assert_eq!(
            (&value["id"], &value["created"], &value["model"]),
            (&"c1".into(), &7.into(), &"m".into())
        );
    }
}

#[test]
fn a_last_event_with_text_and_reason_says_all_of_it_first() {
    let both = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}],\"usage\":{\"total_tokens\":3}}\n\n";
    let out = run(&[&delta("hel"), both]);
    assert_eq!(content(&out), "HELLO");
    let values = values(&out);
    let reasons: Vec<_> = values
        .iter()
        .map(|value| value["choices"][0]["finish_reason"].clone())
        .collect();
    assert_eq!(reasons.iter().filter(|reason| !reason.is_null()).count(), 1);
    assert_eq!(reasons.last().unwrap(), "stop");
    assert_eq!(
        values
            .iter()
            .filter(|value| value["usage"].is_object())
            .count(),
        1
    );
}

#[test]
fn an_answer_that_breaks_off_still_says_what_was_held() {
    assert_eq!(content(&run(&[&delta("hel")])), "HEL");
}

#[test]
fn choices_and_tool_calls_are_texts_of_their_own() {
    let call = |index: u64, arguments: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":1,\"delta\":{{\"tool_calls\":[{{\"index\":{index},\"function\":{{\"arguments\":\"{arguments}\"}}}}]}}}}]}}\n\n"
        )
    };
    let first = "data: {\"choices\":[{\"index\":1,\"delta\":{\"role\":\"assistant\",\"tool_calls\":[{\"index\":0,\"id\":\"call_a\",\"type\":\"function\",\"function\":{\"name\":\"find\",\"arguments\":\"\"}}]}}]}\n\n";
    let out = run(&[
        first,
        &call(0, "abc"),
        &call(1, "xyz"),
        &call(0, "def"),
        &delta("hi"),
        "data: [DONE]\n\n",
    ]);
    let mut arguments = HashMap::<u64, String>::new();
    let mut names = String::new();
    for value in values(&out) {
        for call in value["choices"][0]["delta"]["tool_calls"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let said = call["function"]["arguments"].as_str().unwrap_or_default();
            arguments
                .entry(call["index"].as_u64().unwrap())
                .or_default()
                .push_str(said);
            names.push_str(call["function"]["name"].as_str().unwrap_or_default());
        }
    }
    assert_eq!(
        (
            arguments[&0].as_str(),
            arguments[&1].as_str(),
            names.as_str()
        ),
        ("ABCDEF", "XYZ", "find")
    );
    assert_eq!(content(&out), "HI");
}

#[test]
fn texts_are_told_what_they_are_called_before_they_begin() {
    let events = [
        r#"data: {"choices":[{"delta":{"content":"a","pin":"1","cards":["2"]}}],"extra":{"note":"b"}}"#,
        r#"data: {"choices":[{"delta":{"content":"c","pin":"3"}}]}"#,
        r#"data: {"error":{"message":"d","pin":"4"}}"#,
    ];
    let mut seen = Vec::new();
    let mut edit = |_: &Place, part: Part<'_>| match part {
        Part::Called(name) => {
            seen.push(format!("{name}:"));
            String::new()
        }
        Part::More(text) => {
            seen.push(text.to_owned());
            text.to_owned()
        }
        Part::End => String::new(),
    };
    let stream = events.join("\n\n") + "\n\n";
    let out = EventTexts::default().edit(stream.as_bytes(), &mut edit);
    assert_eq!(out.unwrap(), stream.as_bytes());
    let expected = "extra note note: b a pin pin: 1 cards cards: 2 c pin 3 d pin pin: 4";
    assert_eq!(seen.join(" "), expected);
}

#[test]
fn arguments_know_that_they_are_json() {
    let event = "data: {\"choices\":[{\"delta\":{\"content\":\"a\",\"tool_calls\":[{\"function\":{\"arguments\":\"b\"}}]}}]}\n\n";
    let mut seen = Vec::new();
    let mut edit = |place: &Place, part: Part<'_>| match part {
        Part::Called(_) => String::new(),
        Part::More(text) => {
            seen.push((text.to_owned(), place.is_json()));
            text.to_owned()
        }
        Part::End => String::new(),
    };
    EventTexts::default()
        .edit(event.as_bytes(), &mut edit)
        .unwrap();
    assert_eq!(seen, [("a".to_owned(), false), ("b".to_owned(), true)]);
}

#[test]
fn comments_and_other_lines_pass_and_errors_are_texts() {
    let comment = ": keep-alive\n\n";
    assert_eq!(run(&[comment]), comment);
    assert_eq!(run(&["event: anna\ndata: {}\n\n"]), "data: {}\n\n");
    let error = "event: error\ndata: {\"error\":{\"message\":\"no\",\"type\":\"x\"}}\n\n";
    assert_eq!(
        run(&[error]),
        "event: error\ndata: {\"error\":{\"message\":\"NO\",\"type\":\"x\"}}\n\n"
    );
}

#[test]
fn what_stands_beside_the_choices_is_text_too() {
    let event = "data: {\"id\":\"c1\",\"citations\":[\"see it\"],\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ab\"}}]}\n\n";
    let out = run(&[event]);
    assert_eq!(values(&out)[0]["citations"][0], "SEE IT");
    // What is put in behind it has it as it was edited.
    assert!(!out.contains("see it"), "{out}");
    assert_eq!(content(&out), "AB");
}

#[test]
fn names_that_a_model_chose_are_texts_wherever_they_stand() {
    let event = "data: {\"zed\":1,\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ab\",\"x\":{\"yon\":\"cd\"}}}]}\n\n";
    let out = run(&[event, STOP]);
    let lower = ["zed", "\"x\"", "yon"];
    assert!(lower.iter().all(|name| !out.contains(name)), "{out}");
    let said: Vec<Value> = values(&out);
    assert_eq!(said[0]["ZED"], 1);
    let rest: String = said
        .iter()
        .filter_map(|value| value["choices"][0]["delta"]["X"]["YON"].as_str())
        .collect();
    assert_eq!((content(&out), rest), ("AB".to_owned(), "CD".to_owned()));
}

#[test]
fn what_is_called_choices_and_is_none_is_text() {
    for event in [
        "data: {\"choices\":\"anna\"}\n\n",
        "data: {\"choices\":[\"anna\"]}\n\n",
        "data: {\"choices\":{\"a\":[{\"content\":\"anna\"}]}}\n\n",
        "data: {\"choices\":[{\"delta\":{\"function_call\":{\"name\":\"of anna\"}}}]}\n\n",
    ] {
        let out = run(&[event]);
        assert!(!out.contains("anna") && out.contains("ANNA"), "{out}");
    }
}

#[test]
fn token_lists_do_not_tell_what_was_edited() {
    let event = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ab\"},\"logprobs\":{\"content\":[{\"token\":\"ab\"}]}}]}\r\n\r\n";
    let out = run(&[event]);
    assert!(
        out.contains("\"logprobs\":null") && !out.contains("ab"),
        "{out}"
    );
}

#[test]
fn what_cannot_be_read_is_not_passed_on() {
    let mut texts = EventTexts::default();
    let mut edit = |_: &Place, part: Part<'_>| match part {
        Part::More(text) => text.to_owned(),
        Part::Called(_) | Part::End => String::new(),
    };
    for event in [
        "data: {\"choices\":[\n\n",
        "data: a\ndata: b\n\n",
        "data: hello\n\n",
    ] {
        assert_eq!(
            texts.edit(event.as_bytes(), &mut edit),
            Err(Unreadable),
            "{event}"
        );
    }
}

proptest! {
    #[test]
    fn an_editor_that_changes_nothing_changes_no_byte(
        pieces in prop::collection::vec("[a-zé\"\\\\ ]{0,8}", 1..6),
    ) {
        let mut texts = EventTexts::default();
        let mut edit = |_: &Place, part: Part<'_>| match part {
            Part::More(text) => text.to_owned(),
            Part::Called(_) | Part::End => String::new(),
        };
        let stream: String = pieces.iter().map(|piece| delta(piece)).collect::<String>() + STOP + "data: [DONE]\n\n";
        let out = texts.edit(stream.as_bytes(), &mut edit).unwrap();
        prop_assert_eq!(String::from_utf8(out).unwrap(), stream);
    }

    #[test]
    fn nothing_said_is_lost_or_said_twice(pieces in prop::collection::vec("[a-z]{0,8}", 1..8)) {
        let events: Vec<String> = pieces.iter().map(|piece| delta(piece)).collect();
        let mut events: Vec<&str> = events.iter().map(String::as_str).collect();
        events.push(STOP);
        prop_assert_eq!(content(&run(&events)), pieces.concat().to_uppercase());
    }
}

#[test]
fn what_was_held_back_when_a_provider_was_cut_is_an_event_of_its_own() {
    let whole = delta("cut");
    let torn = whole.trim_end();
    let sent = run(&[torn]);
    let events: Vec<&str> = sent
        .split("\n\n")
        .filter(|event| !event.is_empty())
        .collect();
    assert_eq!(events.len(), 2, "{sent}");
    assert_eq!(content(&sent), "CUT");
}
