//! What of a call shapes its answer, as digests: calls with the same one may be given the same answer.
//!
//! Two texts of one JSON value have one digest: the order of keys, whitespace, escapes and the way a
//! number is written do not matter. Every field does that is not known to shape nothing, ones that
//! nobody has heard of too. Which model stands behind a name, and who may share answers, is not known
//! here.

mod canon;

use std::fmt;

use crate::json::Json;
use crate::{Operation, Request};
use canon::Canon;

/// Larger calls are not looked at: they seldom come twice, and each level of nesting is a pass.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// SHA-256.
pub type Digest = [u8; 32];

/// A field that an operator may say shapes no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ignored {
    User,
    Metadata,
    SafetyIdentifier,
    PromptCacheKey,
}

impl Ignored {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Metadata => "metadata",
            Self::SafetyIdentifier => "safety_identifier",
            Self::PromptCacheKey => "prompt_cache_key",
        }
    }
}

/// What of a call's body shapes its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    pub digest: Digest,
    /// 1 where the call says nothing of it, as providers take it.
    pub temperature: f64,
    /// The answer may call a tool.
    pub offers_tools: bool,
}

/// The text of a chat's last user turn, and all that stands around it.
#[derive(Clone, PartialEq, Eq)]
pub struct Question {
    /// Of everything but the text.
    pub around: Digest,
    /// Parts are joined by line ends.
    pub text: String,
    /// How many messages are the user's.
    pub user_turns: u32,
}

/// Leaves the text out: logs hold no prompts.
impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question")
            .field("text_bytes", &self.text.len())
            .field("user_turns", &self.user_turns)
            .finish_non_exhaustive()
    }
}

/// Why no answer to the call may be given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unshaped {
    TooLarge,
    /// Sound is in the prompt or wanted in the answer.
    Audio,
    /// Tokens one by one: a cached answer does not keep them.
    Logprobs,
    /// The answer depends on what the web says now.
    WebSearch,
    /// The provider is to keep the call: a second one would be missing there.
    Stored,
    /// The provider will say what is wrong with it.
    Temperature,
}

impl Request {
    /// What shapes the answer, beside the model. `stream` and its options do not: an answer can be
    /// given either way.
    pub fn shape(&self, ignored: &[Ignored]) -> Result<Shape, Unshaped> {
        if self.body_len() > BODY_BYTES_MAX {
            return Err(Unshaped::TooLarge);
        }
        if self.has_audio {
            return Err(Unshaped::Audio);
        }
        let mut canon = Canon::new(self.operation);
        let mut members = canon::sorted(Json::whole(self.body()));
        members.retain(|(name, _)| !is_left_out(name, ignored));
        let mut temperature = 1.0;
        let mut offers_tools = false;
        for (name, value) in &members {
            match &**name {
                "logprobs" if !is_off(*value) => return Err(Unshaped::Logprobs),
                "web_search_options" if !value.is_null() => return Err(Unshaped::WebSearch),
                "store" if !is_off(*value) => return Err(Unshaped::Stored),
                "tools" | "functions" => offers_tools |= value.elements().next().is_some(),
                "temperature" if !value.is_null() => {
                    temperature = number(*value).ok_or(Unshaped::Temperature)?;
                }
                _ => {}
            }
        }
        canon.members(&members);
        Ok(Shape {
            digest: canon.digest(),
            temperature,
            offers_tools,
        })
    }

    /// `None` for calls that are no chats, or whose last turn is not a user's text.
    pub fn question(&self, ignored: &[Ignored]) -> Option<Question> {
        if self.operation != Operation::ChatCompletions || self.body_len() > BODY_BYTES_MAX {
            return None;
        }
        let body = Json::whole(self.body());
        let mut last = None;
        let mut user_turns = 0;
        for message in body.get("messages")?.elements() {
            user_turns += u32::from(is_user(message));
            last = Some(message);
        }
        let last = last.filter(|message| is_user(*message))?;
        let text = text_of(last.get("content")?)?;
        let mut canon = Canon::new(self.operation).around(last);
        let mut members = canon::sorted(body);
        members.retain(|(name, _)| !is_left_out(name, ignored));
        canon.members(&members);
        Some(Question {
            around: canon.digest(),
            text,
            user_turns,
        })
    }
}

fn is_left_out(name: &str, ignored: &[Ignored]) -> bool {
    // The path may name another model than the body: whoever knows adds what the call went by.
    matches!(name, "stream" | "stream_options" | "model")
        || ignored.iter().any(|field| field.as_str() == name)
}

fn is_off(value: Json<'_>) -> bool {
    matches!(value.raw(), b"false" | b"null")
}

fn is_user(message: Json<'_>) -> bool {
    let role = message.get("role").and_then(Json::text);
    role.as_deref() == Some("user")
}

fn number(value: Json<'_>) -> Option<f64> {
    let number = std::str::from_utf8(value.raw()).ok()?.parse::<f64>().ok()?;
    number.is_finite().then_some(number)
}

/// Of a content, where there is some: a string, or the text parts of a list.
fn text_of(content: Json<'_>) -> Option<String> {
    let mut text = String::new();
    if let Some(whole) = content.text() {
        text.push_str(&whole);
    }
    let mut is_first = true;
    for part in content.elements().filter_map(part_text) {
        if !std::mem::take(&mut is_first) {
            text.push('\n');
        }
        text.push_str(&part.text()?);
    }
    (!text.trim().is_empty()).then_some(text)
}

/// The text of a part that is one.
fn part_text(part: Json<'_>) -> Option<Json<'_>> {
    let kind = part.get("type")?.text()?;
    let text = part.get("text")?;
    (kind == "text" && text.is_string()).then_some(text)
}

#[cfg(test)]
mod tests;
