//! Walks JSON text in place: no tree, no copy of what is not looked at.
//!
//! It does not judge. On text that is not JSON it yields what it can and stops, so a cut answer can
//! still be counted; whoever needs a verdict asks [`scan`] or [`strict`] first.

pub(crate) mod scan;
pub(crate) mod strict;

use std::borrow::Cow;

use memchr::memchr;

/// The text of one value, without the whitespace around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Json<'a>(&'a [u8]);

impl<'a> Json<'a> {
    /// `document` as one value: nothing is searched for its end.
    pub(crate) fn whole(document: &'a [u8]) -> Self {
        Self(document.trim_ascii_start())
    }

    pub(crate) fn raw(self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn is_null(self) -> bool {
        self.0 == b"null"
    }

    pub(crate) fn is_object(self) -> bool {
        self.0.first() == Some(&b'{')
    }

    pub(crate) fn is_array(self) -> bool {
        self.0.first() == Some(&b'[')
    }

    pub(crate) fn is_string(self) -> bool {
        self.0.first() == Some(&b'"')
    }

    /// A string's text, unescaped. A surrogate without its other half becomes U+FFFD.
    pub(crate) fn text(self) -> Option<Cow<'a, str>> {
        let (b'"', rest) = self.0.split_first()? else {
            return None;
        };
        Some(until_quote(rest).1)
    }

    /// An object's members in their order; none for any other value.
    pub(crate) fn members(self) -> Members<'a> {
        Members(self.inside(b'{'))
    }

    /// An array's elements in their order; none for any other value.
    pub(crate) fn elements(self) -> Elements<'a> {
        Elements(self.inside(b'['))
    }

    pub(crate) fn get(self, key: &str) -> Option<Json<'a>> {
        self.members()
            .find(|(found, _)| found == key)
            .map(|(_, value)| value)
    }

    fn inside(self, open: u8) -> Cursor<'a> {
        let at = if self.0.first() == Some(&open) {
            1
        } else {
            self.0.len()
        };
        Cursor { bytes: self.0, at }
    }
}

pub(crate) struct Members<'a>(Cursor<'a>);

impl<'a> Iterator for Members<'a> {
    type Item = (Cow<'a, str>, Json<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = self.next_written()?;
        Some((key.text()?, value))
    }
}

impl<'a> Members<'a> {
    /// The next one, its key as it is written.
    pub(crate) fn next_written(&mut self) -> Option<(Json<'a>, Json<'a>)> {
        self.0.skip_separators(b',');
        let key = self.0.value()?;
        self.0.skip_separators(b':');
        Some((key, self.0.value()?))
    }
}

pub(crate) struct Elements<'a>(Cursor<'a>);

impl<'a> Iterator for Elements<'a> {
    type Item = Json<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.skip_separators(b',');
        self.0.value()
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn skip_separators(&mut self, separator: u8) {
        while let Some(&byte) = self.bytes.get(self.at)
            && (byte == separator || is_whitespace(byte))
        {
            self.at += 1;
        }
    }

    /// Takes the value that starts here; `None` where none starts.
    fn value(&mut self) -> Option<Json<'a>> {
        while is_whitespace(*self.bytes.get(self.at)?) {
            self.at += 1;
        }
        let start = self.at;
        self.at = value_end(self.bytes, start);
        (self.at > start).then(|| Json(&self.bytes[start..self.at]))
    }
}

fn value_end(bytes: &[u8], start: usize) -> usize {
    match bytes[start] {
        b'"' => string_end(bytes, start),
        b'{' | b'[' => container_end(bytes, start),
        _ => scalar_end(bytes, start),
    }
}

/// The end of the string whose opening quote is at `start`: after its closing quote, or the text's
/// end if it has none.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let (length, _) = inner_length(&bytes[start + 1..]);
    (start + 1 + length + 1).min(bytes.len())
}

/// The text of a string whose opening quote came before, up to its closing one, and how many bytes it is
/// written with. All that is left if it has none.
pub(crate) fn until_quote(rest: &[u8]) -> (usize, Cow<'_, str>) {
    let (length, has_escapes) = inner_length(rest);
    let inner = &rest[..length];
    let text = if has_escapes {
        Cow::Owned(unescape(inner))
    } else {
        match std::str::from_utf8(inner) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(inner),
        }
    };
    (length, text)
}

/// Up to the closing quote of a string whose opening one came before, or all if it has none; and
/// whether there are escapes in it.
fn inner_length(inner: &[u8]) -> (usize, bool) {
    let mut at = 0;
    let mut has_escapes = false;
    while let Some(&byte) = inner.get(at) {
        match byte {
            b'"' => return (at, has_escapes),
            b'\\' => {
                has_escapes = true;
                at += 2;
            }
            _ => at += 1 + scan::plain_length(&inner[at + 1..]),
        }
    }
    (inner.len(), has_escapes)
}

fn container_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0usize;
    let mut at = start;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = string_end(bytes, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 1 => return at + 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

fn scalar_end(bytes: &[u8], start: usize) -> usize {
    let is_end = |&byte: &u8| matches!(byte, b',' | b']' | b'}' | b':') || is_whitespace(byte);
    bytes[start..]
        .iter()
        .position(is_end)
        .map_or(bytes.len(), |length| start + length)
}

fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

pub(crate) fn unescape(inner: &[u8]) -> String {
    let mut text = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(backslash) = memchr(b'\\', rest) {
        text.extend_from_slice(&rest[..backslash]);
        let Some((&kind, after)) = rest[backslash + 1..].split_first() else {
            rest = &[];
            break;
        };
        rest = after;
        match kind {
            b'n' => text.push(b'\n'),
            b't' => text.push(b'\t'),
            b'r' => text.push(b'\r'),
            b'b' => text.push(0x08),
            b'f' => text.push(0x0c),
            b'u' => {
                let (character, after) = unicode_escape(rest);
                text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = after;
            }
            other => text.push(other),
        }
    }
    text.extend_from_slice(rest);
    String::from_utf8(text)
        .unwrap_or_else(|fault| String::from_utf8_lossy(fault.as_bytes()).into_owned())
}

/// The character of the hex digits after `\u`, with its low surrogate's escape if it has one.
fn unicode_escape(rest: &[u8]) -> (char, &[u8]) {
    let Some((unit, after)) = hex4(rest) else {
        return (char::REPLACEMENT_CHARACTER, rest);
    };
    if let 0xD800..=0xDBFF = unit
        && let Some((low @ 0xDC00..=0xDFFF, after)) = after.strip_prefix(b"\\u").and_then(hex4)
    {
        let code = 0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
        return (
            char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
            after,
        );
    }
    (
        char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER),
        after,
    )
}

fn hex4(rest: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, after) = rest.split_at_checked(4)?;
    let mut code = 0;
    for &digit in digits {
        code = code * 16 + char::from(digit).to_digit(16)?;
    }
    Some((code, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(text: &str) -> Json<'_> {
        Json::whole(text.as_bytes())
    }

    #[test]
    fn members_keep_their_order_and_escaped_keys_are_read_as_what_they_mean() {
        let found: Vec<_> = json(r#" {"a" : 1 ,"mod\u0065l":"x\"y", "c":[1,{"d":"]"}] } "#)
            .members()
            .map(|(key, value)| {
                (
                    key.into_owned(),
                    String::from_utf8_lossy(value.raw()).into_owned(),
                )
            })
            .collect();
        let expected = [
            ("a", "1"),
            ("model", r#""x\"y""#),
            ("c", r#"[1,{"d":"]"}]"#),
        ];
        assert_eq!(
            found,
            expected.map(|(key, raw)| (key.to_owned(), raw.to_owned()))
        );
    }

    #[test]
    fn strings_are_unescaped_and_a_lone_surrogate_is_replaced() {
        assert_eq!(
            json(r#""a\n\u00e9\ud83d\ude00\/\\""#).text().unwrap(),
            "a\né😀/\\"
        );
        assert_eq!(json(r#""\ud83dx""#).text().unwrap(), "\u{FFFD}x");
        assert_eq!(json(r#""\\""#).text().unwrap(), "\\");
    }

    #[test]
    fn a_cut_document_yields_what_came_before_the_cut() {
        let cut = json(r#"{"choices":[{"message":{"content":"Hello, wo"#);
        let choice = cut.get("choices").unwrap().elements().next().unwrap();
        assert_eq!(
            choice
                .get("message")
                .unwrap()
                .get("content")
                .unwrap()
                .text()
                .unwrap(),
            "Hello, wo"
        );
    }

    fn walk(value: Json<'_>, depth: u32) {
        value.text();
        if depth < 8 {
            value
                .elements()
                .for_each(|element| walk(element, depth + 1));
            value
                .members()
                .for_each(|(_, member)| walk(member, depth + 1));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            walk(Json::whole(&bytes), 0);
        }

        #[test]
        fn near_json_is_walked_to_an_end(text in r#"[\[\]{}",:\\u0-9a-f ]{0,80}"#) {
            walk(json(&text), 0);
        }

        #[test]
        fn text_agrees_with_serde(text in any::<String>()) {
            let written = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(json(&written).text().unwrap(), text);
        }
    }
}
