//! Puts values back where an answer speaks of their placeholders, whole or in pieces.

use std::borrow::Cow;

use super::masks::Masks;
use super::nesting::Nesting;
use super::written::{self, MARKS, Reading};

/// Holds back what may be the beginning of a placeholder.
#[derive(Debug, Default)]
pub struct Restore {
    held: String,
    nesting: Nesting,
}

impl Restore {
    /// A whole text at once.
    pub fn whole<'t>(text: &'t str, masks: &Masks) -> Cow<'t, str> {
        if masks.is_empty() || !text.contains(MARKS) {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        let mut restore = Self::default();
        restore.push(text, masks, &mut out);
        restore.finish(&mut out);
        Cow::Owned(out)
    }

    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    pub fn push(&mut self, chunk: &str, masks: &Masks, out: &mut String) {
        if masks.is_empty() {
            self.give(chunk, out);
            return;
        }
        let mut held = std::mem::take(&mut self.held);
        held.push_str(chunk);
        let mut rest = held.as_str();
        while let Some(at) = rest.find(MARKS) {
            self.give(&rest[..at], out);
            rest = &rest[at..];
            let written = match written::read(rest) {
                Reading::Placeholder(written) => written,
                Reading::Nothing => {
                    self.give(&rest[..1], out);
                    rest = &rest[1..];
                    continue;
                }
                Reading::Unfinished => {
                    rest.clone_into(&mut self.held);
                    return;
                }
            };
            let (placeholder, behind) = rest.split_at(written.len);
            let depth = self.nesting.depth();
            self.nesting.pass(placeholder);
            match masks.value(&written.name) {
                Some(value) => out.push_str(&value.put(depth, written.form)),
                None => out.push_str(placeholder),
            }
            rest = behind;
        }
        self.give(rest, out);
    }

    fn give(&mut self, text: &str, out: &mut String) {
        self.nesting.pass(text);
        out.push_str(text);
    }

    /// What was held was no placeholder.
    pub fn finish(self, out: &mut String) {
        out.push_str(&self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::Kind;
    use crate::redact::spelling::Spelling;

    const PASSWORD: &str = r#"Gr8"x\12"#;

    fn masks() -> Masks {
        let mut masks = Masks::default();
        for (kind, value) in [
            (Kind::Email, "anna@example.com"),
            (Kind::Phone, "+49 171 1234567"),
            (Kind::ConnectionString, "a&b"),
            (Kind::Credential, PASSWORD),
        ] {
            masks.placeholder(kind, Spelling::at(0, value)).unwrap();
        }
        masks
    }

    /// In every two pieces, and character by character.
    fn restored(text: &str) -> String {
        let masks = masks();
        let whole = Restore::whole(text, &masks).into_owned();
        let of = |pieces: &[&str]| {
            let (mut restore, mut out) = (Restore::default(), String::new());
            for piece in pieces {
                restore.push(piece, &masks, &mut out);
                assert!(restore.held_bytes() < written::WRITTEN_BYTES_MAX);
            }
            restore.finish(&mut out);
            out
        };
        for (at, _) in text.char_indices() {
            assert_eq!(of(&[&text[..at], &text[at..]]), whole, "{text} at {at}");
        }
        let chars: Vec<String> = text.chars().map(String::from).collect();
        let chars: Vec<&str> = chars.iter().map(String::as_str).collect();
        assert_eq!(of(&chars), whole, "{text}");
        whole
    }

    #[test]
    fn a_placeholder_is_known_however_a_model_writes_it() {
        for (text, expected) in [
            ("to <EMAIL_1>.", "to anna@example.com."),
            ("to <email_1>.", "to anna@example.com."),
            ("to <Email_1>.", "to anna@example.com."),
            (r"to <EMAIL\_1>.", "to anna@example.com."),
            (r"to \<EMAIL\_1\>.", "to anna@example.com."),
            (r"to \<EMAIL\_1>.", "to anna@example.com."),
            (r"to \<EMAIL_1\>.", "to anna@example.com."),
            (r"to \\<EMAIL\\_1\\>.", "to anna@example.com."),
            ("to &lt;EMAIL_1&gt;.", "to anna@example.com."),
            ("&lt;CONNECTION_STRING_1&gt;", "a&amp;b"),
            ("(mailto:%3CEMAIL_1%3E)", "(mailto:anna@example.com)"),
            ("?n=%3cPHONE_1%3e&x", "?n=%2B49%20171%201234567&x"),
            (r"to \u003cEMAIL_1\u003e.", "to anna@example.com."),
            (r"to \u003CEMAIL_1\u003E.", "to anna@example.com."),
            (r"\u003cCREDENTIAL_1\u003e", r#"Gr8\"x\\12"#),
            (r"\&lt;EMAIL_1&gt;", r"\anna@example.com"),
            ("<EMAIL_1", "<EMAIL_1"),
            ("<<EMAIL_1>>", "<anna@example.com>"),
            ("<b<EMAIL_1>", "<banna@example.com"),
        ] {
            assert_eq!(restored(text), expected, "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_placeholder_stays() {
        for text in [
            "<EMAIL_9>, <b>, <email_9/>, <EMAIL_01>",
            "EMAIL_1, [EMAIL_1], < EMAIL_1 >, EMAIL_1>",
            "&lt;EMAIL_1>, <EMAIL_1&gt;, %3CEMAIL_1>, u003cEMAIL_1u003e",
            r"\\\\<b\_1>, \alpha, 100 %, a & b, \u00fc, \",
            "<EMAIL_1 class=\"x\">, <email-1>, </EMAIL_1>",
        ] {
            assert_eq!(restored(text), text);
        }
        assert_eq!(
            restored(r"C:\Users\<EMAIL_1>\x"),
            r"C:\Users\anna@example.com\x",
            "its path keeps its backslash"
        );
    }

    #[test]
    fn a_value_is_escaped_for_the_json_that_it_is_put_into() {
        for (text, expected) in [
            ("it is <CREDENTIAL_1>", r#"it is Gr8"x\12"#),
            (r#"say "<CREDENTIAL_1>""#, r#"say "Gr8"x\12""#),
            (r#"{"pw":"<CREDENTIAL_1>"}"#, r#"{"pw":"Gr8\"x\\12"}"#),
            (r#"{"pw":<CREDENTIAL_1>}"#, r#"{"pw":Gr8"x\12}"#),
            (
                r#"curl -d '{"pw": "\u003cCREDENTIAL_1\u003e"}'; <CREDENTIAL_1>"#,
                r#"curl -d '{"pw": "Gr8\"x\\12"}'; Gr8"x\12"#,
            ),
            (
                r#"{"body":"{\"pw\":\"<CREDENTIAL_1>\"}","pw":"<CREDENTIAL_1>"}"#,
                r#"{"body":"{\"pw\":\"Gr8\\\"x\\\\12\"}","pw":"Gr8\"x\\12"}"#,
            ),
            (r#"{"to":"<EMAIL_1>"}"#, r#"{"to":"anna@example.com"}"#),
        ] {
            assert_eq!(restored(text), expected, "{text}");
        }
    }
}
