//! Puts values back where an answer speaks of their placeholders, whole or in pieces.

use super::masks::{Masks, PLACEHOLDER_BYTES_MAX};

/// Holds back what may be the beginning of a placeholder.
#[derive(Debug, Default)]
pub struct Restore {
    held: String,
}

impl Restore {
    /// A whole text at once.
    pub fn whole(text: &str, masks: &Masks) -> String {
        let mut out = String::with_capacity(text.len());
        let mut restore = Self::default();
        restore.push(text, masks, &mut out);
        restore.finish(&mut out);
        out
    }

    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    pub fn push(&mut self, chunk: &str, masks: &Masks, out: &mut String) {
        if masks.is_empty() {
            out.push_str(chunk);
            return;
        }
        self.held.push_str(chunk);
        let held = std::mem::take(&mut self.held);
        let mut rest = held.as_str();
        while let Some(at) = rest.find('<') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let end = rest
                .bytes()
                .take(PLACEHOLDER_BYTES_MAX)
                .position(|byte| byte == b'>');
            match end {
                Some(end) => {
                    let placeholder = &rest[..=end];
                    let (text, taken) = match masks.value(placeholder) {
                        Some(value) => (value, placeholder.len()),
                        None => ("<", 1),
                    };
                    out.push_str(text);
                    rest = &rest[taken..];
                }
                None if may_be_placeholder(rest) => {
                    rest.clone_into(&mut self.held);
                    return;
                }
                None => {
                    out.push('<');
                    rest = &rest[1..];
                }
            }
        }
        out.push_str(rest);
    }

    /// What was held was no placeholder.
    pub fn finish(self, out: &mut String) {
        out.push_str(&self.held);
    }
}

fn may_be_placeholder(text: &str) -> bool {
    text.len() < PLACEHOLDER_BYTES_MAX
        && text[1..]
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}
