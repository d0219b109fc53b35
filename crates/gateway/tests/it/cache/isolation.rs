//! No answer crosses what answers must not cross.

use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{EXACT, cached, call, configuration, with};
use crate::scripted::{Answer, Backend};
use crate::stage::Stage;

/// What may differ between two calls, each from a few so that they meet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Ask {
    key: &'static str,
    model: &'static str,
    system: Option<&'static str>,
    tools: bool,
    temperature: Option<u8>,
    question: &'static str,
    /// Does not shape the answer.
    is_stream: bool,
}

fn ask() -> impl Strategy<Value = Ask> {
    (
        prop::sample::select(
            &[
                "search-key-of-16-or-more",
                "chat-key-of-16-or-more",
                "apart-key-of-16-or-more",
            ][..],
        ),
        prop::sample::select(&["gpt-4o", "gpt-mini"][..]),
        prop::sample::select(&[None, Some("be brief"), Some("be long")][..]),
        any::<bool>(),
        prop::sample::select(&[None, Some(0), Some(1)][..]),
        prop::sample::select(&["How far is the moon?", "How far is the sun?"][..]),
        any::<bool>(),
    )
        .prop_map(
            |(key, model, system, tools, temperature, question, is_stream)| Ask {
                key,
                model,
                system,
                tools,
                temperature,
                question,
                is_stream,
            },
        )
}

fn body(ask: &Ask) -> Value {
    let mut messages = Vec::new();
    if let Some(system) = ask.system {
        messages.push(json!({"role": "system", "content": system}));
    }
    messages.push(json!({"role": "user", "content": ask.question}));
    let mut body = json!({"model": ask.model, "messages": messages, "stream": ask.is_stream});
    if ask.tools {
        body["tools"] = json!([{"type": "function", "function": {"name": "look_up"}}]);
    }
    if let Some(temperature) = ask.temperature {
        body["temperature"] = temperature.into();
    }
    body
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_call_is_answered_again_exactly_if_all_that_shapes_it_was_asked_before(
        asks in prop::collection::vec(ask(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let backend = Backend::answering(Answer::chat()).await;
            let stage = Stage::reading(&configuration(&backend, EXACT, ""));
            let mut seen = HashSet::new();
            for ask in &asks {
                // The backend answers in one way only: what it was asked for is not what is tested here.
                let is_new = seen.insert(Ask { is_stream: false, ..ask.clone() });
                if is_new {
                    let first = Ask { is_stream: false, ..ask.clone() };
                    let told = stage.call(sent(&first)).await;
                    prop_assert_eq!(cached(&told), "miss", "{:?}", ask);
                } else {
                    let told = stage.call(sent(ask)).await;
                    prop_assert_eq!(cached(&told), "hit", "{:?}", ask);
                }
            }
            prop_assert_eq!(backend.requests(), seen.len());
            Ok(())
        })?;
    }
}

fn sent(ask: &Ask) -> http::Request<http_body_util::Full<bytes::Bytes>> {
    with(
        call(&body(ask)),
        "authorization",
        &format!("Bearer {}", ask.key),
    )
}
