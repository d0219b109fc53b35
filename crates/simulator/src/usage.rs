//! The `usage` object, in the form that a provider documents and in the odd ones met in the field.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::behaviour::{Behaviour, UsageForm};

/// `None`: the field is absent. `completion` is what was written so far.
pub fn of(
    behaviour: &Behaviour,
    prompt: u64,
    completion: u64,
    answer: Option<&Answer>,
) -> Option<Value> {
    let details = match behaviour.usage {
        UsageForm::Missing => return None,
        UsageForm::Null => return Some(Value::Null),
        UsageForm::Bare => {
            return Some(json!({ "prompt_tokens": prompt, "completion_tokens": completion }));
        }
        UsageForm::Zero => {
            return Some(json!({ "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0 }));
        }
        UsageForm::NullDetails => (Value::Null, Value::Null),
        UsageForm::Exact | UsageForm::LastChoice | UsageForm::EveryChunk => (
            json!({
                "cached_tokens": behaviour.cached_prompt_tokens.min(prompt),
                "audio_tokens": behaviour.audio_prompt_tokens.min(prompt),
            }),
            json!({
                "reasoning_tokens": answer.map_or(0, |answer| answer.reasoning_tokens),
                "audio_tokens": answer.map_or(0, |answer| answer.audio_tokens),
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            }),
        ),
    };
    let mut usage = json!({ "prompt_tokens": prompt, "total_tokens": prompt + completion });
    // Embeddings write nothing, and their usage says nothing of it.
    if answer.is_some() {
        usage["completion_tokens"] = json!(completion);
        usage["prompt_tokens_details"] = details.0;
        usage["completion_tokens_details"] = details.1;
    }
    Some(usage)
}
