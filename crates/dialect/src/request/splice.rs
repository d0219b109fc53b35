//! Edits a body by replacing a few spans of it. Everything else keeps its bytes: order, spacing,
//! the spelling of numbers, fields that nobody here has heard of.

use std::borrow::Cow;

use bytes::Bytes;

use super::Span;
use crate::json::Json;

/// `text` takes the place of the bytes at `span`, none if it is empty.
#[derive(Clone, Debug)]
pub(super) struct Splice {
    pub span: Span,
    text: Cow<'static, str>,
    /// The text is a member's value; otherwise a member that is put in first.
    is_value: bool,
}

/// Where the model's name goes; its text comes with [`Splice::with_model`].
pub(super) fn model(body: &[u8], value: Option<Span>) -> Splice {
    let is_value = value.is_some();
    let span = value.unwrap_or_else(|| after_brace(body, 0));
    let separator = if !is_value && !has_members(body) {
        ""
    } else {
        ","
    };
    Splice {
        span,
        text: Cow::Borrowed(separator),
        is_value,
    }
}

/// What turns on `stream_options.include_usage`; `None` if it is on.
pub(super) fn include_usage(body: &[u8], options: Option<Span>) -> Option<Splice> {
    let splice = |span, text: &'static str, is_value| {
        Some(Splice {
            span,
            text: Cow::Borrowed(text),
            is_value,
        })
    };
    let Some(span) = options else {
        // There are members: `stream` is one.
        return splice(
            after_brace(body, 0),
            r#""stream_options":{"include_usage":true},"#,
            false,
        );
    };
    let options = Json::whole(span.of(body));
    if options.is_null() {
        return splice(span, r#"{"include_usage":true}"#, true);
    }
    match options.get("include_usage") {
        Some(value) if value.raw() == b"true" => None,
        Some(value) => {
            let start = span.start + (value.raw().as_ptr().addr() - options.raw().as_ptr().addr());
            splice(
                Span {
                    start,
                    end: start + value.raw().len(),
                },
                "true",
                true,
            )
        }
        None if has_members(options.raw()) => splice(
            after_brace(body, span.start),
            r#""include_usage":true,"#,
            false,
        ),
        None => splice(
            after_brace(body, span.start),
            r#""include_usage":true"#,
            false,
        ),
    }
}

impl Splice {
    pub(super) fn with_model(&self, deployment: &str) -> Self {
        let name = serde_json::to_string(deployment).expect("a string always serialises");
        let text = if self.is_value {
            name
        } else {
            format!("\"model\":{name}{}", self.text)
        };
        Self {
            span: self.span,
            text: Cow::Owned(text),
            is_value: self.is_value,
        }
    }
}

/// The body with both edits; the very same bytes if there are none. Where both put something in at
/// one place, `one` goes first.
pub(super) fn apply(body: &Bytes, one: Option<&Splice>, other: Option<&Splice>) -> Bytes {
    let (first, second) = match (one, other) {
        (None, None) => return body.clone(),
        (Some(one), Some(other)) if other.span.start < one.span.start => (Some(other), Some(one)),
        pair => pair,
    };
    let splices = || first.into_iter().chain(second);
    let added: usize = splices().map(|splice| splice.text.len()).sum();
    let mut edited = Vec::with_capacity(body.len() + added);
    let mut copied = 0;
    for Splice { span, text, .. } in splices() {
        edited.extend_from_slice(
            Span {
                start: copied,
                end: span.start,
            }
            .of(body),
        );
        edited.extend_from_slice(text.as_bytes());
        copied = span.end;
    }
    edited.extend_from_slice(
        Span {
            start: copied,
            end: body.len(),
        }
        .of(body),
    );
    Bytes::from(edited)
}

/// The empty span after the first `{` at or after `from`.
fn after_brace(body: &[u8], from: usize) -> Span {
    let brace = body
        .iter()
        .skip(from)
        .position(|&byte| byte == b'{')
        .unwrap_or(0);
    let at = from + brace + 1;
    Span { start: at, end: at }
}

fn has_members(object: &[u8]) -> bool {
    Json::whole(object).members().next().is_some()
}
