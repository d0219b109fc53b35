//! Reads a document once, front to back, and judges its syntax on the way: it accepts what serde
//! accepts, no more and no less. It builds nothing; what a token means is its reader's.
//!
//! Whether the text is UTF-8 is not asked here, only whether there is anything to ask
//! ([`Scan::has_non_ascii`]).

use std::borrow::Cow;
use std::ops::Range;

use smallvec::SmallVec;
use wide::u8x16;

use super::{Json, is_whitespace, unescape};

/// The document is not JSON. Where and why is serde's to say, of the few that are not.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Open {
        is_object: bool,
        at: usize,
    },
    /// `end` is behind the bracket.
    Close {
        end: usize,
    },
    Key(Text),
    String(Text),
    /// A number, a boolean or null.
    Scalar(Range<usize>),
}

/// A string, its quotes not included.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub span: Range<usize>,
    pub has_escapes: bool,
}

impl Text {
    /// What the string means, of the document that it is of.
    pub fn bytes<'a>(&self, document: &'a [u8]) -> Cow<'a, [u8]> {
        let raw = &document[self.span.clone()];
        if self.has_escapes {
            Cow::Owned(unescape(raw).into_bytes())
        } else {
            Cow::Borrowed(raw)
        }
    }
}

pub(crate) struct Scan<'a> {
    document: &'a [u8],
    at: usize,
    expects: Expects,
    /// Of each open container, whether it is an object.
    open: SmallVec<[bool; 32]>,
    /// All bytes of strings, or-ed, in sixteen columns.
    seen: u8x16,
}

#[derive(Clone, Copy)]
enum Expects {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    CommaOrEnd,
    Nothing,
}

impl<'a> Scan<'a> {
    pub fn new(document: &'a [u8]) -> Self {
        Self {
            document,
            at: 0,
            expects: Expects::Value,
            open: SmallVec::new(),
            seen: u8x16::ZERO,
        }
    }

    /// How many containers are open after the last token.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// Of what was read. Outside of strings no document has such a byte.
    pub fn has_non_ascii(&self) -> bool {
        !self.seen.to_array().is_ascii()
    }

    /// `None` after the document's end, where nothing but whitespace may follow its value.
    #[inline]
    pub fn next(&mut self) -> Result<Option<Token>, Malformed> {
        loop {
            let Some(byte) = self.next_byte() else {
                return match self.expects {
                    Expects::Nothing => Ok(None),
                    _ => Err(Malformed),
                };
            };
            match (self.expects, byte) {
                (Expects::CommaOrEnd, b',') => {
                    self.at += 1;
                    self.expects = if self.open.last() == Some(&true) {
                        Expects::Key
                    } else {
                        Expects::Value
                    };
                }
                (Expects::CommaOrEnd | Expects::KeyOrEnd, b'}') => return self.close(true),
                (Expects::CommaOrEnd | Expects::ValueOrEnd, b']') => return self.close(false),
                (Expects::Key | Expects::KeyOrEnd, b'"') => {
                    let key = self.string()?;
                    if self.next_byte() != Some(b':') {
                        return Err(Malformed);
                    }
                    self.at += 1;
                    self.expects = Expects::Value;
                    return Ok(Some(Token::Key(key)));
                }
                (Expects::Value | Expects::ValueOrEnd, _) => return self.value(byte).map(Some),
                _ => return Err(Malformed),
            }
        }
    }

    /// The next byte that is no whitespace, which is not taken.
    #[inline]
    fn next_byte(&mut self) -> Option<u8> {
        loop {
            let byte = *self.document.get(self.at)?;
            if !is_whitespace(byte) {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    #[inline]
    fn close(&mut self, is_object: bool) -> Result<Option<Token>, Malformed> {
        if self.open.pop() != Some(is_object) {
            return Err(Malformed);
        }
        self.at += 1;
        self.end_value();
        Ok(Some(Token::Close { end: self.at }))
    }

    #[inline]
    fn end_value(&mut self) {
        self.expects = if self.open.is_empty() {
            Expects::Nothing
        } else {
            Expects::CommaOrEnd
        };
    }

    #[inline]
    fn value(&mut self, first: u8) -> Result<Token, Malformed> {
        let at = self.at;
        match first {
            b'"' => {
                let text = self.string()?;
                self.end_value();
                Ok(Token::String(text))
            }
            b'{' | b'[' => {
                let is_object = first == b'{';
                self.open.push(is_object);
                self.expects = if is_object {
                    Expects::KeyOrEnd
                } else {
                    Expects::ValueOrEnd
                };
                self.at += 1;
                Ok(Token::Open { is_object, at })
            }
            _ => {
                let rest = &self.document[at..];
                let length = match first {
                    b't' => word(rest, b"true")?,
                    b'f' => word(rest, b"false")?,
                    b'n' => word(rest, b"null")?,
                    _ => number(rest)?,
                };
                self.at += length;
                self.end_value();
                Ok(Token::Scalar(at..self.at))
            }
        }
    }

    /// The string whose opening quote is next.
    #[inline]
    fn string(&mut self) -> Result<Text, Malformed> {
        let start = self.at + 1;
        let mut has_escapes = false;
        let mut at = start;
        loop {
            let chunk = chunk(&self.document[at..]);
            self.seen |= chunk;
            let mut stops = stops(chunk);
            let mut next = at + LANES;
            // All of a chunk's escapes in one look: text that was code or JSON itself is full of them.
            while stops != 0 {
                let stop = at + stops.trailing_zeros() as usize;
                match self.document.get(stop) {
                    Some(b'"') => {
                        self.at = stop + 1;
                        return Ok(Text {
                            span: start..stop,
                            has_escapes,
                        });
                    }
                    Some(b'\\') => {
                        has_escapes = true;
                        let end = stop + 1 + escape(&self.document[stop + 1..])?;
                        if end >= next {
                            next = end;
                            break;
                        }
                        stops &= u32::MAX << (end - at);
                    }
                    // A control character, or the document's end.
                    _ => return Err(Malformed),
                }
            }
            at = next;
        }
    }
}

/// The first member of each name in the outermost object, of a document that is JSON to its end.
pub(crate) fn members<'a, const N: usize>(
    document: &'a [u8],
    names: [&str; N],
) -> Result<[Option<Json<'a>>; N], Malformed> {
    let mut scan = Scan::new(document);
    let mut found = [None; N];
    // Which of the names the next value is of, and where a container began.
    let mut of = None;
    let mut start = 0;
    while let Some(token) = scan.next()? {
        let span = match token {
            Token::Key(key) if scan.depth() == 1 => {
                let key = key.bytes(document);
                of = names.iter().position(|name| *key == *name.as_bytes());
                continue;
            }
            Token::Open { at, .. } if scan.depth() == 2 => {
                start = at;
                continue;
            }
            Token::Close { end } => start..end,
            Token::String(text) => text.span.start - 1..text.span.end + 1,
            Token::Scalar(span) => span,
            Token::Key(_) | Token::Open { .. } => continue,
        };
        if scan.depth() == 1
            && let Some(of) = of.take()
        {
            found[of].get_or_insert(Json(&document[span]));
        }
    }
    Ok(found)
}

/// Bytes of text that are looked at together.
const LANES: usize = 16;

/// The next bytes of text, made up with quotes where it ends.
#[inline]
fn chunk(text: &[u8]) -> u8x16 {
    if let Some(chunk) = text.first_chunk::<LANES>() {
        return u8x16::new(*chunk);
    }
    let mut last = [b'"'; LANES];
    last[..text.len()].copy_from_slice(text);
    u8x16::new(last)
}

/// How many bytes come before a quote, a backslash or a control character.
pub(super) fn plain_length(text: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let stops = stops(chunk(&text[at..]));
        if stops != 0 {
            return at + stops.trailing_zeros() as usize;
        }
        at += LANES;
    }
}

/// One bit for each byte that ends a run of plain text.
#[inline]
fn stops(text: u8x16) -> u32 {
    let is_control = text.min(u8x16::splat(0x1f)).simd_eq(text);
    let is_quote = text.simd_eq(u8x16::splat(b'"'));
    let is_backslash = text.simd_eq(u8x16::splat(b'\\'));
    (is_control | is_quote | is_backslash).to_bitmask()
}

/// The length of the escape whose backslash came before.
#[inline]
fn escape(rest: &[u8]) -> Result<usize, Malformed> {
    match rest.first() {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(1),
        Some(b'u') => match rest.get(1..5) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(5),
            _ => Err(Malformed),
        },
        _ => Err(Malformed),
    }
}

#[inline]
fn word(rest: &[u8], word: &[u8]) -> Result<usize, Malformed> {
    if rest.starts_with(word) {
        Ok(word.len())
    } else {
        Err(Malformed)
    }
}

fn number(rest: &[u8]) -> Result<usize, Malformed> {
    let mut at = usize::from(rest.first() == Some(&b'-'));
    at += match rest.get(at) {
        Some(b'0') => 1,
        _ => digits(&rest[at..])?,
    };
    if rest.get(at) == Some(&b'.') {
        at += 1 + digits(&rest[at + 1..])?;
    }
    if let Some(b'e' | b'E') = rest.get(at) {
        at += 1;
        at += usize::from(matches!(rest.get(at), Some(b'+' | b'-')));
        at += digits(&rest[at..])?;
    }
    Ok(at)
}

/// One at least.
fn digits(rest: &[u8]) -> Result<usize, Malformed> {
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        Err(Malformed)
    } else {
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    fn accepts(document: &[u8]) -> bool {
        let mut scan = Scan::new(document);
        loop {
            match scan.next() {
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(Malformed) => return false,
            }
        }
    }

    fn serde_accepts(document: &[u8]) -> bool {
        serde_json::from_slice::<IgnoredAny>(document).is_ok()
    }

    #[test]
    fn every_kind_of_token_is_shown_where_it_stands() {
        let document = br#" {"a\u0062":[1.5e3, "x\ny"], "c":null} "#;
        let mut scan = Scan::new(document);
        let mut shown = Vec::new();
        while let Some(token) = scan.next().unwrap() {
            shown.push(match token {
                Token::Open { is_object, at } => format!("open {is_object} {at}"),
                Token::Close { end } => format!("close {end}"),
                Token::Key(text) => {
                    format!("key {}", String::from_utf8_lossy(&text.bytes(document)))
                }
                Token::String(text) => {
                    format!("string {}", String::from_utf8_lossy(&text.bytes(document)))
                }
                Token::Scalar(span) => {
                    format!("scalar {}", String::from_utf8_lossy(&document[span]))
                }
            });
        }
        let expected = [
            "open true 1",
            "key ab",
            "open false 12",
            "scalar 1.5e3",
            "string x\ny",
            "close 27",
            "key c",
            "scalar null",
            "close 38",
        ];
        assert_eq!(shown, expected);
        assert!(!scan.has_non_ascii());
    }

    #[test]
    fn what_serde_refuses_is_refused() {
        for bad in [
            "",
            " ",
            "{",
            "[",
            "]",
            "}",
            "[}",
            "{]",
            "[1 2]",
            "[1,]",
            "[,1]",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "{a:1}",
            "{1:1}",
            "[1]]",
            "1 1",
            "01",
            "-",
            "+1",
            "1.",
            ".5",
            "1e",
            "1e+",
            "-01",
            "tru",
            "truex",
            "nul",
            "\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\\u123\"",
            "\"\n\"",
            "\"\\",
            "\"\\\"",
            "[1}",
            "{\"a\":[}",
            "NaN",
            "1_000",
            "\u{feff}1",
            "/**/1",
        ] {
            assert!(!accepts(bad.as_bytes()), "{bad}");
            assert!(!serde_accepts(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn a_member_is_found_only_in_the_outermost_object_of_a_whole_document() {
        let usage = |document: &'static str| {
            let [usage, none] =
                members(document.as_bytes(), ["usage", "none"]).map_err(|Malformed| "malformed")?;
            assert!(none.is_none());
            Ok::<_, &str>(usage.map(|json| std::str::from_utf8(json.raw()).unwrap()))
        };
        assert_eq!(
            usage(r#"{"a":{"usage":1},"usage": {"b":[2]} }"#),
            Ok(Some(r#"{"b":[2]}"#))
        );
        assert_eq!(usage(r#"{"us\u0061ge":"x","usage":2}"#), Ok(Some(r#""x""#)));
        assert_eq!(usage(r#"{"a":["usage",1],"b":2}"#), Ok(None));
        assert_eq!(usage(r#"["usage",1]"#), Ok(None));
        assert_eq!(usage("7"), Ok(None));
        assert_eq!(usage(r#"{"usage":1,"usage":2}"#), Ok(Some("1")));
        assert_eq!(usage(r#"{"usage":{"b":1}"#), Err("malformed"));
    }

    #[test]
    fn a_letter_beyond_ascii_is_seen_wherever_it_stands_in_a_string() {
        for before in 0..40 {
            let ascii = format!("[\"{}\",\"b\"]", "a".repeat(before));
            let other = format!("[\"{}é\",\"b\"]", "a".repeat(before));
            for (document, expected) in [(ascii, false), (other, true)] {
                let mut scan = Scan::new(document.as_bytes());
                while scan.next().unwrap().is_some() {}
                assert_eq!(scan.has_non_ascii(), expected, "{document}");
            }
        }
    }

    /// A document as serde writes it, with whitespace in between now and then.
    fn document() -> impl Strategy<Value = String> {
        use serde_json::Value;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[a-z\\\\\"\n]{0,40}".prop_map(Value::from),
        ];
        let value = leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"\\\\é]{0,20}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        });
        (value, any::<bool>()).prop_map(|(value, pretty)| {
            if pretty {
                serde_json::to_string_pretty(&value).unwrap()
            } else {
                serde_json::to_string(&value).unwrap()
            }
        })
    }

    proptest! {
        #[test]
        fn documents_are_accepted_and_their_cuts_judged_as_serde_does(text in document(), cut in any::<prop::sample::Index>()) {
            prop_assert!(accepts(text.as_bytes()));
            let cut = &text.as_bytes()[..cut.index(text.len() + 1)];
            prop_assert_eq!(accepts(cut), serde_accepts(cut));
        }

        #[test]
        fn a_changed_byte_is_judged_as_serde_does(text in document(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = text.into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            prop_assert_eq!(accepts(&bytes), serde_accepts(&bytes), "{}", String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn near_json_is_judged_as_serde_does(text in r#"[\[\]{}",:\\u0-9aetrufalsn+. \-E]{0,40}"#) {
            prop_assert_eq!(accepts(text.as_bytes()), serde_accepts(text.as_bytes()), "{}", text);
        }

        #[test]
        fn numbers_are_judged_as_serde_does(text in "-?[0-9.eE+-]{0,8}") {
            prop_assert_eq!(accepts(text.as_bytes()), serde_accepts(text.as_bytes()), "{}", text);
        }

        #[test]
        fn a_plain_run_ends_where_a_search_says(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let is_stop = |&byte: &u8| byte == b'"' || byte == b'\\' || byte < 0x20;
            let expected = bytes.iter().position(is_stop).unwrap_or(bytes.len());
            prop_assert_eq!(plain_length(&bytes), expected);
        }
    }
}
