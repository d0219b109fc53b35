//! The usage object in every form in which OpenAI-shaped providers send it.

use domain::{ServiceTier, Usage};

use crate::Operation;
use crate::json::Json;

/// The usage object of a whole answer, or of one event of a stream, at the tier that it says.
pub(crate) fn at_tier(
    operation: Operation,
    usage: Json<'_>,
    tier: Option<Json<'_>>,
) -> Option<Usage> {
    let mut usage = read(operation, usage)?;
    if let Some(tier) = tier.and_then(service_tier) {
        usage.tier = tier;
    }
    Some(usage)
}

/// `None` where the object does not say enough to bill by: then the gateway counts for itself.
pub(crate) fn read(operation: Operation, usage: Json<'_>) -> Option<Usage> {
    if !usage.is_object() {
        return None;
    }
    let named = Named::of(usage);
    let Named {
        total,
        prompt,
        completion,
        of_prompt,
        of_completion,
        ..
    } = named;
    let (prompt, mut completion) = match (prompt, completion) {
        (Some(prompt), Some(completion)) => (prompt, completion),
        (Some(prompt), None) if operation == Operation::Embeddings => (prompt, 0),
        (None, None) if operation == Operation::Embeddings => (total?, 0),
        (Some(prompt), None) => (prompt, total?.checked_sub(prompt)?),
        (None, Some(completion)) => (total?.checked_sub(completion)?, completion),
        (None, None) => return None,
    };
    let detail = |object: Option<Json<'_>>, name| {
        object.and_then(|object| tokens(object, name)).unwrap_or(0)
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
    let caches = Caches::of(&named);
    Some(Usage {
        tier: named.tier.and_then(service_tier).unwrap_or_default(),
        prompt,
        completion,
        cached_prompt: caches.read.min(prompt),
        cache_write: caches.written.min(prompt),
        cache_write_1h: caches.written_1h.min(caches.written).min(prompt),
        reasoning: reasoning.min(completion),
        audio_prompt: detail(of_prompt, "audio_tokens").min(prompt),
        audio_completion: detail(of_completion, "audio_tokens").min(completion),
        images: 0,
    })
}

/// What a usage object says, found in one pass. Of a name that is there twice, the first that says
/// something counts.
#[derive(Default)]
struct Named<'a> {
    total: Option<u64>,
    prompt: Option<u64>,
    completion: Option<u64>,
    cache_read: Option<u64>,
    cache_hit: Option<u64>,
    cache_creation: Option<u64>,
    of_prompt: Option<Json<'a>>,
    of_completion: Option<Json<'a>>,
    of_cache_creation: Option<Json<'a>>,
    tier: Option<Json<'a>>,
}

impl<'a> Named<'a> {
    fn of(usage: Json<'a>) -> Self {
        let mut named = Self::default();
        for (name, value) in usage.members() {
            let number = match &*name {
                "total_tokens" => &mut named.total,
                "prompt_tokens" => &mut named.prompt,
                "completion_tokens" => &mut named.completion,
                "cache_read_input_tokens" => &mut named.cache_read,
                "prompt_cache_hit_tokens" => &mut named.cache_hit,
                "cache_creation_input_tokens" => &mut named.cache_creation,
                other => {
                    named.note(other, value);
                    continue;
                }
            };
            *number = number.or_else(|| count(value));
        }
        named
    }

    fn note(&mut self, name: &str, value: Json<'a>) {
        let place = match name {
            "prompt_tokens_details" => &mut self.of_prompt,
            "completion_tokens_details" => &mut self.of_completion,
            "cache_creation" => &mut self.of_cache_creation,
            "service_tier" => &mut self.tier,
            _ => return,
        };
        place.get_or_insert(value);
    }
}

/// The provider's prompt cache, under the names that providers and the gateways before them use.
/// In this shape of usage, `prompt_tokens` has them all.
struct Caches {
    read: u64,
    written: u64,
    /// The part of `written` that is kept for an hour.
    written_1h: u64,
}

impl Caches {
    fn of(usage: &Named<'_>) -> Self {
        let detail = |name| usage.of_prompt.and_then(|object| tokens(object, name));
        let read = detail("cached_tokens")
            .or(usage.cache_read)
            .or(usage.cache_hit);
        let written = detail("cache_write_tokens")
            .or_else(|| detail("cache_creation_tokens"))
            .or(usage.cache_creation);
        let by_lifetime = usage
            .of_cache_creation
            .or_else(|| usage.of_prompt?.get("cache_creation_token_details"));
        let lives = |name| by_lifetime.and_then(|object| tokens(object, name));
        let written_1h = lives("ephemeral_1h_input_tokens").unwrap_or(0);
        let by_lifetime = written_1h + lives("ephemeral_5m_input_tokens").unwrap_or(0);
        Self {
            read: read.unwrap_or(0),
            written: written.unwrap_or(by_lifetime),
            written_1h,
        }
    }
}

/// `None` for words that name no tier with a price of its own, such as `default` and `scale`.
pub(crate) fn service_tier(value: Json<'_>) -> Option<ServiceTier> {
    match &*value.text()? {
        "batch" => Some(ServiceTier::Batch),
        "priority" => Some(ServiceTier::Priority),
        "flex" => Some(ServiceTier::Flex),
        _ => None,
    }
}

fn tokens(object: Json<'_>, name: &str) -> Option<u64> {
    count(object.get(name)?)
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
    fn the_tier_is_that_of_the_answer_or_of_its_usage() {
        let tier = |text: &str| {
            crate::answer::read(Operation::ChatCompletions, text.as_bytes())
                .usage
                .map(|usage| usage.tier)
        };
        let answer = |tier: &str| {
            format!(
                r#"{{"service_tier":{tier},"usage":{{"prompt_tokens":1,"completion_tokens":2}}}}"#
            )
        };
        assert_eq!(tier(&answer(r#""priority""#)), Some(ServiceTier::Priority));
        assert_eq!(tier(&answer(r#""flex""#)), Some(ServiceTier::Flex));
        for standard in [r#""default""#, r#""auto""#, "null", "7"] {
            assert_eq!(
                tier(&answer(standard)),
                Some(ServiceTier::Standard),
                "{standard}"
            );
        }
        let within =
            r#"{"usage":{"prompt_tokens":1,"completion_tokens":2,"service_tier":"batch"}}"#;
        assert_eq!(tier(within), Some(ServiceTier::Batch));
        assert_eq!(tier(r#"{"service_tier":"flex"}"#), None);
    }

    #[test]
    fn caches_are_read_under_every_name_and_split_by_their_lifetime() {
        let caches = |details: &str| {
            let usage = format!(r#"{{"prompt_tokens":1000,"completion_tokens":1,{details}}}"#);
            let usage = chat(&usage).expect("usage");
            (usage.cached_prompt, usage.cache_write, usage.cache_write_1h)
        };
        let anthropic = r#""cache_read_input_tokens":600,"cache_creation_input_tokens":300,
            "cache_creation":{"ephemeral_5m_input_tokens":200,"ephemeral_1h_input_tokens":100}"#;
        assert_eq!(caches(anthropic), (600, 300, 100));
        let split_only =
            r#""cache_creation":{"ephemeral_5m_input_tokens":200,"ephemeral_1h_input_tokens":100}"#;
        assert_eq!(caches(split_only), (0, 300, 100));
        let within_details = r#""prompt_tokens_details":{"cached_tokens":6,"cache_creation_tokens":4,
            "cache_creation_token_details":{"ephemeral_1h_input_tokens":4}}"#;
        assert_eq!(caches(within_details), (6, 4, 4));
        assert_eq!(
            caches(r#""prompt_tokens_details":{"cache_write_tokens":7}"#),
            (0, 7, 0)
        );
        assert_eq!(
            caches(r#""prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":936"#),
            (64, 0, 0)
        );
        assert_eq!(
            caches(r#""cache_read_input_tokens":5000"#),
            (1000, 0, 0),
            "never more than the prompt"
        );
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
