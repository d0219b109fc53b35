//! The usage object in every form in which OpenAI-shaped providers send it.

use domain::Usage;

use crate::Operation;
use crate::json::Json;

/// `None` where the object does not say enough to bill by: then the gateway counts for itself.
pub(crate) fn read(operation: Operation, usage: Json<'_>) -> Option<Usage> {
    if !usage.is_object() {
        return None;
    }
    let Named {
        total,
        prompt,
        completion,
        of_prompt,
        of_completion,
    } = Named::in_object(usage);
    let (prompt, mut completion) = match (prompt, completion) {
        (Some(prompt), Some(completion)) => (prompt, completion),
        (Some(prompt), None) if operation == Operation::Embeddings => (prompt, 0),
        (None, None) if operation == Operation::Embeddings => (total?, 0),
        (Some(prompt), None) => (prompt, total?.checked_sub(prompt)?),
        (None, Some(completion)) => (total?.checked_sub(completion)?, completion),
        (None, None) => return None,
    };
    let detail = |object: Option<Json<'_>>, name| {
        object
            .and_then(|object| count(object.get(name)?))
            .unwrap_or(0)
    };
    let reasoning = detail(of_completion, "reasoning_tokens");
    // Some providers leave reasoning out of `completion_tokens`; their total gives it away.
    if reasoning > 0
        && total
            == prompt
                .checked_add(completion)
                .and_then(|sum| sum.checked_add(reasoning))
    {
        completion += reasoning;
    }
    Some(Usage {
        prompt,
        completion,
        cached_prompt: detail(of_prompt, "cached_tokens").min(prompt),
        reasoning: reasoning.min(completion),
        audio_prompt: detail(of_prompt, "audio_tokens").min(prompt),
        audio_completion: detail(of_completion, "audio_tokens").min(completion),
        ..Usage::default()
    })
}

/// The members that matter, found in one pass. Of a name that is there twice, the first that says
/// something counts.
#[derive(Default)]
struct Named<'a> {
    total: Option<u64>,
    prompt: Option<u64>,
    completion: Option<u64>,
    of_prompt: Option<Json<'a>>,
    of_completion: Option<Json<'a>>,
}

impl<'a> Named<'a> {
    fn in_object(usage: Json<'a>) -> Self {
        let mut named = Self::default();
        for (name, value) in usage.members() {
            match name.as_ref() {
                "total_tokens" => named.total = named.total.or_else(|| count(value)),
                "prompt_tokens" => named.prompt = named.prompt.or_else(|| count(value)),
                "completion_tokens" => named.completion = named.completion.or_else(|| count(value)),
                "prompt_tokens_details" => named.of_prompt = named.of_prompt.or(Some(value)),
                "completion_tokens_details" => {
                    named.of_completion = named.of_completion.or(Some(value));
                }
                _ => {}
            }
        }
        named
    }
}

/// A count, also when written as `12.0`. Null, negative, fractional or absurd is not a count.
fn count(value: Json<'_>) -> Option<u64> {
    /// Past this a float no longer holds every integer, and no answer is so long.
    const COUNT_MAX: f64 = 9_007_199_254_740_992.0;
    let text = std::str::from_utf8(value.raw()).ok()?;
    if let Ok(count) = text.parse::<u64>() {
        return Some(count);
    }
    let count = text.parse::<f64>().ok()?;
    let is_count = (0.0..COUNT_MAX).contains(&count) && count.fract() == 0.0;
    is_count.then_some(count as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(text: &str) -> Option<Usage> {
        read(Operation::ChatCompletions, Json::whole(text.as_bytes()))
    }

    #[test]
    fn every_detail_is_read() {
        let usage = chat(
            r#"{"prompt_tokens":1000,"completion_tokens":300,"total_tokens":1300,
                "prompt_tokens_details":{"cached_tokens":640,"audio_tokens":7},
                "completion_tokens_details":{"reasoning_tokens":200,"audio_tokens":5,
                "accepted_prediction_tokens":1,"rejected_prediction_tokens":2}}"#,
        );
        let expected = Usage {
            prompt: 1000,
            completion: 300,
            cached_prompt: 640,
            reasoning: 200,
            audio_prompt: 7,
            audio_completion: 5,
            ..Usage::default()
        };
        assert_eq!(usage, Some(expected));
    }

    #[test]
    fn nulls_and_floats_are_tolerated() {
        let usage = chat(
            r#"{"prompt_tokens":12.0,"completion_tokens":3,"total_tokens":null,"prompt_tokens_details":null,
                "completion_tokens_details":{"reasoning_tokens":null}}"#,
        );
        assert_eq!(
            usage,
            Some(Usage {
                prompt: 12,
                completion: 3,
                ..Usage::default()
            })
        );
    }

    #[test]
    fn a_missing_part_is_taken_from_the_total() {
        let expected = Some(Usage {
            prompt: 12,
            completion: 3,
            ..Usage::default()
        });
        assert_eq!(chat(r#"{"prompt_tokens":12,"total_tokens":15}"#), expected);
        assert_eq!(
            chat(r#"{"completion_tokens":3,"total_tokens":15}"#),
            expected
        );
        let embeddings = Json::whole(br#"{"prompt_tokens":8,"total_tokens":8}"#);
        let expected = Some(Usage {
            prompt: 8,
            ..Usage::default()
        });
        assert_eq!(read(Operation::Embeddings, embeddings), expected);
    }

    #[test]
    fn what_cannot_be_billed_by_is_unreported() {
        for text in [
            "null",
            "{}",
            "[]",
            "7",
            r#"{"prompt_tokens":-5,"completion_tokens":3}"#,
            r#"{"prompt_tokens":5}"#,
            r#"{"prompt_tokens":"5","completion_tokens":"3"}"#,
            r#"{"prompt_tokens":20,"total_tokens":15}"#,
            r#"{"prompt_tokens":1e300,"completion_tokens":1}"#,
        ] {
            assert_eq!(chat(text), None, "{text}");
        }
    }

    #[test]
    fn reasoning_outside_of_the_completion_is_added_to_it() {
        let usage = chat(
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":115,
                "completion_tokens_details":{"reasoning_tokens":100}}"#,
        );
        assert_eq!(
            usage.map(|usage| (usage.completion, usage.reasoning)),
            Some((105, 100))
        );
    }
}
