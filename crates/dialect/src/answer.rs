//! Unary answers: their usage, and what to count when they have none.

use domain::Usage;
use serde_json::value::RawValue;

use crate::json::{Json, scan};
use crate::{Encoding, Operation, choice, usage};

/// What a whole unary answer says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub usage: Option<Usage>,
    /// Parsed as JSON to its end: a cut answer is not whole.
    pub is_whole: bool,
}

pub fn read(operation: Operation, body: &[u8]) -> Answer {
    let Ok([usage, tier]) = scan::members(body, ["usage", "service_tier"]) else {
        return Answer::default();
    };
    Answer {
        usage: usage.and_then(|object| usage::at_tier(operation, object, tier)),
        is_whole: true,
    }
}

/// The last usage object within a piece of an answer too large to hold, at the tier that the piece
/// says.
pub fn usage_within(operation: Operation, piece: &[u8]) -> Option<Usage> {
    let usage = last_within(piece, b"\"usage\"", |value| usage::read(operation, value))?;
    let tier = last_within(piece, b"\"service_tier\"", usage::service_tier);
    Some(Usage {
        tier: tier.unwrap_or(usage.tier),
        ..usage
    })
}

/// The last value of this name of which something can be made.
fn last_within<T>(piece: &[u8], name: &[u8], read: impl Fn(Json<'_>) -> Option<T>) -> Option<T> {
    memchr::memmem::rfind_iter(piece, name).find_map(|at| {
        let value = piece[at + name.len()..]
            .trim_ascii_start()
            .strip_prefix(b":")?;
        let first = serde_json::Deserializer::from_slice(value)
            .into_iter::<&RawValue>()
            .next()?;
        read(Json::whole(first.ok()?.get().as_bytes()))
    })
}

/// Completion tokens of an answer without usage (also of a cut one), by tokenizer.
pub fn completion_tokens(operation: Operation, body: &[u8], encoding: Encoding) -> u64 {
    match operation {
        Operation::Embeddings => 0,
        Operation::ChatCompletions | Operation::Completions => {
            let mut tokens = 0;
            choice::each_text(Json::whole(body), |_, text| tokens += encoding.count(text));
            tokens
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANSWER: &str = r#"{"id":"c1","choices":[{"index":0,"message":{"role":"assistant","content":"Hello, world!"},
        "finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}}"#;

    #[test]
    fn a_whole_answer_reports_its_usage() {
        let usage = Some(Usage {
            prompt: 9,
            completion: 4,
            ..Usage::default()
        });
        let answer = read(Operation::ChatCompletions, ANSWER.as_bytes());
        assert_eq!(
            answer,
            Answer {
                usage,
                is_whole: true
            }
        );
    }

    #[test]
    fn usage_is_found_in_a_tail_that_begins_anywhere() {
        let tail = br#"8,0.07]}],"model":"m", "usage" : {"prompt_tokens":8,"total_tokens":8}}"#;
        let usage = Some(Usage {
            prompt: 8,
            ..Usage::default()
        });
        assert_eq!(usage_within(Operation::Embeddings, tail), usage);
        assert_eq!(
            usage_within(Operation::Embeddings, &tail[..tail.len() - 9]),
            None
        );
    }

    #[test]
    fn a_tail_says_its_tier_before_or_after_the_usage() {
        let usage = r#""usage":{"prompt_tokens":8,"completion_tokens":1}"#;
        let tier = r#""service_tier":"priority""#;
        for tail in [
            format!("x\"}}],{usage},{tier}}}"),
            format!("x\"}}],{tier},{usage}}}"),
        ] {
            let found = usage_within(Operation::ChatCompletions, tail.as_bytes());
            assert_eq!(
                found.map(|usage| usage.tier),
                Some(domain::ServiceTier::Priority),
                "{tail}"
            );
        }
    }

    #[test]
    fn every_cut_of_an_answer_is_seen_and_reports_nothing() {
        for length in 0..ANSWER.len() {
            assert_eq!(
                read(Operation::ChatCompletions, &ANSWER.as_bytes()[..length]),
                Answer::default()
            );
        }
    }

    #[test]
    fn a_cut_answer_is_counted_to_the_cut() {
        let cut = ANSWER.find("world").unwrap();
        let tokens = completion_tokens(
            Operation::ChatCompletions,
            &ANSWER.as_bytes()[..cut],
            Encoding::O200k,
        );
        assert_eq!(tokens, Encoding::O200k.count("Hello, "));
    }

    #[test]
    fn every_text_of_every_choice_is_counted() {
        let body = r#"{"choices":[
            {"message":{"content":"one two","refusal":null,"reasoning_content":"hmm"}},
            {"message":{"content":null,"tool_calls":[{"id":"call_1","type":"function",
                "function":{"name":"get_weather","arguments":"{\"city\":\"Paris\"}"}}]}},
            {"text":"three"}]}"#;
        let expected: u64 = [
            "one two",
            "hmm",
            "get_weather",
            r#"{"city":"Paris"}"#,
            "three",
        ]
        .iter()
        .map(|text| Encoding::Cl100k.count(text))
        .sum();
        assert_eq!(
            completion_tokens(
                Operation::ChatCompletions,
                body.as_bytes(),
                Encoding::Cl100k
            ),
            expected
        );
    }

    #[test]
    fn an_embedding_completes_nothing() {
        let body =
            br#"{"data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":8,"total_tokens":8}}"#;
        let answer = read(Operation::Embeddings, body);
        assert_eq!(
            answer.usage,
            Some(Usage {
                prompt: 8,
                ..Usage::default()
            })
        );
        assert_eq!(
            completion_tokens(Operation::Embeddings, body, Encoding::Cl100k),
            0
        );
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd_to_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            read(Operation::ChatCompletions, &bytes);
            completion_tokens(Operation::ChatCompletions, &bytes, Encoding::Cl100k);
        }
    }
}
