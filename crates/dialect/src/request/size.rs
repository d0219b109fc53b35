//! How large a prompt can be, from lengths alone.
//!
//! A token is at least one byte of text, and escaping only lengthens text, so the body's raw length
//! bounds its tokens with room for the few that the chat format adds to each message. Inline media
//! are not text: they give way to the provider's rule for them. Files have no published rule and
//! count as their bytes; media named by an id of the provider's own cannot be bounded.

use crate::Operation;
use crate::json::Json;

use super::audio;
use super::fields::Fields;
use super::image::{Detail, ImageRule};

#[derive(Clone, Copy, Debug)]
pub(super) struct PromptSize {
    pub tokens_bound: u64,
    pub text_bytes: u64,
    pub has_audio: bool,
}

impl PromptSize {
    pub(super) fn of(operation: Operation, body: &[u8], fields: &Fields, rule: ImageRule) -> Self {
        let mut bound = body.len() as u64;
        let mut text = fields.text_bytes as u64;
        let mut has_audio = false;
        match operation {
            Operation::ChatCompletions if fields.has_parts => {
                let messages = fields.messages.map(|span| Json::whole(span.of(body)));
                let media = Media::of(messages, rule);
                bound = bound
                    .saturating_sub(media.inline_bytes)
                    .saturating_add(media.tokens);
                text = text.saturating_sub(media.no_text_bytes);
                has_audio = media.has_audio;
            }
            Operation::ChatCompletions => {}
            Operation::Completions | Operation::Embeddings => {
                let ids = fields.ids as u64;
                bound = bound
                    .saturating_sub(fields.id_bytes as u64)
                    .saturating_add(ids);
                text = text.saturating_add(ids.saturating_mul(4));
            }
        }
        Self {
            tokens_bound: bound,
            text_bytes: text,
            has_audio,
        }
    }
}

/// Images and audio of a conversation.
#[derive(Debug, Default)]
struct Media {
    /// Raw length of what stands in the body itself.
    inline_bytes: u64,
    /// Raw length of all that is no text: the same, and links.
    no_text_bytes: u64,
    /// At most, by the provider's rules.
    tokens: u64,
    has_audio: bool,
}

impl Media {
    fn of(messages: Option<Json<'_>>, rule: ImageRule) -> Self {
        let mut media = Self::default();
        let contents = messages
            .into_iter()
            .flat_map(Json::elements)
            .filter_map(|message| message.get("content"));
        for part in contents.flat_map(Json::elements) {
            if let Some(image) = part.get("image_url") {
                let url = image.get("url").unwrap_or(image);
                media.add(url, is_inline(url), rule.tokens_max(Detail::of(image)));
            }
            if let Some(sound) = part.get("input_audio").and_then(|input| input.get("data")) {
                media.add(sound, true, audio::tokens_max(string_bytes(sound)));
                media.has_audio = true;
            }
        }
        media
    }

    fn add(&mut self, content: Json<'_>, is_inline: bool, tokens: u64) {
        let bytes = string_bytes(content);
        self.no_text_bytes += bytes;
        self.inline_bytes += if is_inline { bytes } else { 0 };
        self.tokens = self.tokens.saturating_add(tokens);
    }
}

/// Raw length of a string without its quotes, as the document's text is tallied.
fn string_bytes(value: Json<'_>) -> u64 {
    if value.is_string() {
        value.raw().len().saturating_sub(2) as u64
    } else {
        0
    }
}

fn is_inline(url: Json<'_>) -> bool {
    url.raw()
        .get(1..6)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"data:"))
}
