//! What one server-sent event is to the meter. Most are deltas, and cost two searches for a word.

use std::borrow::Cow;
use std::sync::LazyLock;

use domain::Usage;
use memchr::memchr;
use memchr::memmem::Finder;

use crate::json::{Json, scan};
use crate::{Operation, usage};

pub(super) enum Event<'a> {
    /// No data: a comment, a keep-alive, a lone field.
    Other,
    Done,
    Error,
    Delta {
        data: Cow<'a, [u8]>,
        usage: Option<Usage>,
    },
    /// A usage object and no choices: what `include_usage` adds. Azure's opening chunk has no
    /// choices either, but no usage.
    ExtraUsage {
        usage: Option<Usage>,
    },
}

// In a delta's text the quotes around the word are escaped, so these find members only.
static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usage\""));
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"error\""));

impl<'a> Event<'a> {
    pub(super) fn read(operation: Operation, bytes: &'a [u8]) -> Self {
        let (data, is_error) = fields(bytes);
        if is_error {
            return Self::Error;
        }
        let Some(data) = data else {
            return Self::Other;
        };
        if data.trim_ascii() == b"[DONE]" {
            return Self::Done;
        }
        if ERROR.find(&data).is_some()
            && member(&data, "error").is_some_and(|error| !error.is_null())
        {
            return Self::Error;
        }
        if !may_have_usage(&data) {
            return Self::Delta { data, usage: None };
        }
        let Some((object, tier)) = reported(&data) else {
            return Self::Delta { data, usage: None };
        };
        let usage = usage::at_tier(operation, object, tier);
        let has_choices =
            member(&data, "choices").is_some_and(|choices| choices.elements().next().is_some());
        if has_choices {
            Self::Delta { data, usage }
        } else {
            Self::ExtraUsage { usage }
        }
    }
}

/// The event's data, its lines joined, and whether it is named `error`.
fn fields(bytes: &[u8]) -> (Option<Cow<'_, [u8]>>, bool) {
    let mut data: Option<Cow<'_, [u8]>> = None;
    let mut is_error = false;
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        rest = rest.get(end + 1..).unwrap_or_default();
        if let Some(value) = line.strip_prefix(b"data:") {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            match &mut data {
                None => data = Some(Cow::Borrowed(value)),
                Some(first) => {
                    let joined = first.to_mut();
                    joined.push(b'\n');
                    joined.extend_from_slice(value);
                }
            }
        } else if let Some(name) = line.strip_prefix(b"event:") {
            is_error = name.trim_ascii() == b"error";
        }
    }
    (data, is_error)
}

/// There is a `"usage"` that is not `null`: many providers send `null` with every chunk.
fn may_have_usage(data: &[u8]) -> bool {
    USAGE.find_iter(data).any(|at| {
        let after = data[at + USAGE.needle().len()..].trim_ascii_start();
        let value = after.strip_prefix(b":").unwrap_or(after).trim_ascii_start();
        !value.starts_with(b"null")
    })
}

/// The usage object of an event that is JSON to its end, and the tier beside it. A cut event is not
/// believed.
fn reported(data: &[u8]) -> Option<(Json<'_>, Option<Json<'_>>)> {
    let [usage, tier] = scan::members(data, ["usage", "service_tier"]).ok()?;
    Some((usage.filter(|object| object.is_object())?, tier))
}

fn member<'a>(data: &'a [u8], key: &str) -> Option<Json<'a>> {
    Json::whole(data).get(key)
}
