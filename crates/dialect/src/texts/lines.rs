//! A server-sent event's lines beside its data: what of them a judge can read, and nothing else.
//!
//! Comments and fields that nobody knows say nothing to a client that they would be missed for, so
//! they are emptied or left out instead of being looked at.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

use super::names;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// No event's name is longer.
const EVENT_NAME_BYTES_MAX: usize = 64;

/// Milliseconds.
const RETRY_DIGITS_MAX: usize = 9;

/// Whole events with their data each in one line, and beside it nothing but an event's name, the time
/// to wait for another try, and comments that say nothing.
pub fn plain_events(events: &[u8]) -> Cow<'_, [u8]> {
    let mut out: Option<Vec<u8>> = None;
    let mut at = 0;
    while at < events.len() {
        let event = &events[at..at + super::event_length(&events[at..])];
        if !is_plain(event) {
            put_plain(event, out.get_or_insert_with(|| events[..at].to_vec()));
        } else if let Some(out) = &mut out {
            out.extend_from_slice(event);
        }
        at += event.len();
    }
    out.map_or(Cow::Borrowed(events), Cow::Owned)
}

/// One line of data and the empty one behind it, if it is there.
fn is_plain(event: &[u8]) -> bool {
    if !event.starts_with(b"data:") {
        return false;
    }
    let end = memchr(b'\n', event).unwrap_or(event.len());
    matches!(&event[end..], b"" | b"\n" | b"\n\n" | b"\n\r\n")
}

fn put_plain(event: &[u8], out: &mut Vec<u8>) {
    let mut data: Option<Vec<u8>> = None;
    // As the event's own lines end.
    let mut line_end: &[u8] = b"";
    let mut rest = event.strip_prefix(BYTE_ORDER_MARK).unwrap_or(event);
    while !rest.is_empty() {
        let length = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let (whole, after) = rest.split_at(length);
        rest = after;
        let line = whole.strip_suffix(b"\n").unwrap_or(whole);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        line_end = &whole[line.len()..];
        if line.is_empty() {
            put_data(&mut data, line_end, out);
            out.extend_from_slice(line_end);
        } else if let Some(more) = field(line, b"data:") {
            // A line's end between them, which JSON takes for any other space.
            match &mut data {
                Some(data) => {
                    data.push(b' ');
                    data.extend_from_slice(more);
                }
                None => data = Some(more.to_vec()),
            }
        } else if let Some(kept) = said_beside(line) {
            out.extend_from_slice(kept);
            // Data may come behind it.
            let end = if line_end.is_empty() { b"\n" } else { line_end };
            out.extend_from_slice(end);
        }
    }
    put_data(&mut data, line_end, out);
}

/// What is kept of a line that is no data.
fn said_beside(line: &[u8]) -> Option<&[u8]> {
    if line.starts_with(b":") {
        return Some(b":");
    }
    let is_known = field(line, b"event:").is_some_and(is_event_name)
        || field(line, b"retry:").is_some_and(is_retry);
    is_known.then_some(line)
}

fn put_data(data: &mut Option<Vec<u8>>, line_end: &[u8], out: &mut Vec<u8>) {
    if let Some(data) = data.take() {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&data);
        out.extend_from_slice(line_end);
    }
}

fn field<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let value = line.strip_prefix(name)?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

fn is_event_name(value: &[u8]) -> bool {
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(byte);
    value.len() <= EVENT_NAME_BYTES_MAX && value.iter().all(is_of_name)
}

fn is_retry(value: &[u8]) -> bool {
    value.len() <= RETRY_DIGITS_MAX && value.iter().all(u8::is_ascii_digit)
}

/// The lines of an event that name it otherwise than the protocol does, and the names.
pub(super) fn odd_names(event: &[u8]) -> impl Iterator<Item = (Range<usize>, Cow<'_, str>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        // Most events begin with their data and have no name.
        while at < event.len() && !event[at..].starts_with(b"data:") {
            let start = at;
            at += memchr(b'\n', &event[at..]).map_or(event.len() - at, |end| end + 1);
            let name = field(event[start..at].trim_ascii_end(), b"event:");
            let Some(name) = name.map(String::from_utf8_lossy) else {
                continue;
            };
            if !is_known(&name) {
                return Some((start..at, name));
            }
        }
        None
    })
}

/// `error`, `response.output_text.delta`, `content_block_start`.
fn is_known(name: &str) -> bool {
    let last = [
        "start",
        "stop",
        "done",
        "added",
        "completed",
        "failed",
        "ping",
        "in_progress",
    ];
    name.split('.').all(|part| {
        let begun = last.iter().find_map(|last| part.strip_suffix(last));
        let begun = begun.map(|part| part.strip_suffix('_').unwrap_or(part));
        part.is_empty()
            || names::is_known(part)
            || begun.is_some_and(|part| part.is_empty() || names::is_known(part))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(events: &str) -> String {
        String::from_utf8(plain_events(events.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn what_stands_beside_the_data_says_nothing() {
        for (events, expected) in [
            (
                "data: {}\n\ndata: [DONE]\n\n",
                "data: {}\n\ndata: [DONE]\n\n",
            ),
            (": keep anna\n\ndata: 1\n\n", ":\n\ndata: 1\n\n"),
            ("event: error\ndata: 1\n\n", "event: error\ndata: 1\n\n"),
            (
                "event: for anna\r\nid: anna\r\nretry: 5\r\nretry: anna\r\nanna: 1\r\nanna\r\ndata:1\r\n\r\n",
                "retry: 5\r\ndata: 1\r\n\r\n",
            ),
            (
                "data: {\ndata:  }\nevent: x\n\n",
                "event: x\ndata: {  }\n\n",
            ),
            ("\u{feff}data: 1\n\n", "data: 1\n\n"),
            ("id: 1\ndata: 1", "data: 1"),
            ("id: 1\ndata: 1\n", "data: 1\n"),
            ("data: 1\nevent: x", "event: x\ndata: 1"),
        ] {
            assert_eq!(plain(events), expected, "{events:?}");
        }
    }

    #[test]
    fn names_of_events_that_the_protocol_has_are_not_asked_about() {
        for (name, is_odd) in [
            ("error", false),
            ("response.output_text.delta", false),
            ("content_block_start", false),
            ("response.completed", false),
            ("ping", false),
            ("message", false),
            ("anna", true),
            ("message.anna", true),
        ] {
            let event = format!("event: {name}\ndata: 1\n\n");
            let odd = odd_names(event.as_bytes()).next().map(|(span, _)| span);
            let expected = is_odd.then(|| 0..8 + name.len());
            assert_eq!(odd, expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_become_plain_and_stay_so(events in "(data:|event: |id:|[a-z{}:]|\r?\n){0,40}") {
            let once = plain(&events);
            prop_assert_eq!(plain(&once), once);
        }
    }
}
