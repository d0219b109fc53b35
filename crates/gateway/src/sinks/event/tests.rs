//! What the page says is what is sent.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use domain::record::{CacheOutcome, Content, Opening, Outcome, PriceId, Ruling, Who};
use domain::{Nanos, Usage};
use serde_json::Value;

use super::*;

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sinks.md");
    std::fs::read_to_string(path).unwrap()
}

/// The call of the page's example.
fn record() -> CallRecord {
    let usage = Usage {
        prompt: 1200,
        completion: 85,
        cached_prompt: 1024,
        reasoning: 40,
        ..Usage::default()
    };
    let cost = Cost::Priced {
        amount: Nanos(2_570_000),
        currency: "EUR".parse().unwrap(),
        price: PriceId("9f2c41d0a7e3".into()),
    };
    CallRecord {
        opening: Opening {
            id: CallId(0x019a_ab4f_2b00_5d8c_93e1_7a60_44f2_c01b),
            at: Wall(1_795_361_400_250),
            who: Who {
                subscription: "search".into(),
                product: "standard".into(),
                application: Some("chat-ui".into()),
                caller: "search/primary".into(),
                user: None,
            },
            model: "gpt-4o".into(),
            asked_model: None,
            stream: true,
            revision: 7,
            prompt_tokens: 1200,
            charges: Vec::new(),
            price: None,
        },
        outcome: Outcome::Ok,
        status: 200,
        rule: None,
        backend: Some("openai-westeurope".into()),
        cache: CacheOutcome::Off,
        metered: Metered::Reported(usage),
        cost: cost.clone(),
        saved: Nanos(1_280_000),
        latency: Duration::from_micros(1_840_700),
        first_byte: Some(Duration::from_millis(412)),
        saved_tokens: 0,
        similarity: None,
        verdicts: vec![Verdict {
            guard: "product/standard/guard/pii".into(),
            on: Content::Prompt,
            verdict: Ruling::Redacted,
            findings: vec![("email".into(), 2)],
            failure: None,
        }],
        attempts: vec![
            AttemptRecord {
                backend: "openai-eastus".into(),
                status: 429,
                failure: Some(AttemptFailure::Status),
                metered: Metered::NOTHING,
                cost: Cost::Nothing,
                latency: Duration::from_millis(61),
            },
            AttemptRecord {
                backend: "openai-westeurope".into(),
                status: 200,
                failure: None,
                metered: Metered::Reported(usage),
                cost,
                latency: Duration::from_millis(1777),
            },
        ],
    }
}

fn sent(envelope: Envelope) -> Value {
    let event = Event::of_call(&record(), envelope);
    serde_json::from_slice(&event.json).unwrap()
}

#[test]
fn the_pages_example_is_what_this_call_becomes() {
    let page = page();
    let (_, rest) = page.split_once("```json\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let example: Value = serde_json::from_str(example).unwrap();
    let sent = sent(Envelope::None);
    assert!(
        example == sent,
        "docs/sinks.md should show\n{}",
        serde_json::to_string_pretty(&sent).unwrap()
    );
}

/// `usage.prompt_tokens`; an array's items have the fields of its first.
fn paths(value: &Value, under: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = match under {
                    "" => name.clone(),
                    under => format!("{under}.{name}"),
                };
                into.insert(path.clone());
                paths(value, &path, into);
            }
        }
        Value::Array(items) => {
            if let Some(first) = items.first() {
                paths(first, &format!("{under}[]"), into);
            }
        }
        _ => {}
    }
}

#[test]
fn the_page_lists_every_field_and_no_other() {
    let mut sent_paths = BTreeSet::new();
    paths(&sent(Envelope::None), "", &mut sent_paths);
    // Said once, of the call's own.
    sent_paths.retain(|path| {
        !path.starts_with("attempts[].usage.") && !path.starts_with("attempts[].cost.")
    });
    let page = page();
    let (_, rest) = page
        .split_once("| Field | Type | Meaning |\n|---|---|---|\n")
        .unwrap();
    let rows = rest.lines().take_while(|line| line.starts_with('|'));
    let listed: BTreeSet<String> = rows
        .filter_map(|row| row.split('`').nth(1).map(str::to_owned))
        .collect();
    assert_eq!(listed, sent_paths);
}

#[test]
fn words_on_the_page_are_those_that_are_sent() {
    let page = page();
    let closed = Outcome::ALL
        .iter()
        .map(|outcome| outcome.as_str())
        .chain(AttemptFailure::ALL.iter().map(|failure| failure.as_str()))
        .chain(CacheOutcome::ALL.iter().map(|cache| cache.as_str()))
        .chain(
            domain::usage::ServiceTier::ALL
                .iter()
                .map(|tier| tier.as_str()),
        )
        .chain(Content::ALL.iter().map(|content| content.as_str()))
        .chain(Ruling::ALL.iter().map(|ruling| ruling.as_str()))
        .chain([USAGE_SCHEMA, TEST_SCHEMA, "nothing", "priced", "unpriced"]);
    for word in closed {
        assert!(page.contains(&format!("`{word}`")), "{word}");
    }
}

#[test]
fn an_envelope_changes_nothing_in_the_event() {
    assert_eq!(sent(Envelope::CloudEvents)["data"], sent(Envelope::None));
}

#[test]
fn a_call_without_anything_has_every_field_all_the_same() {
    let mut bare = record();
    bare.opening.who.application = None;
    bare.backend = None;
    bare.first_byte = None;
    bare.cost = Cost::Unpriced;
    bare.attempts.clear();
    bare.verdicts.clear();
    let event = Event::of_call(&bare, Envelope::None);
    let bare: Value = serde_json::from_slice(&event.json).unwrap();
    let full = sent(Envelope::None);
    let names =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(names(&bare), names(&full));
    assert_eq!(names(&bare["cost"]), names(&full["cost"]));
    assert_eq!(bare["cost"]["state"], "unpriced");
    assert_eq!(bare["cost"]["amount"], Value::Null);
}
