//! What part of a JSON document's strings means, and where it is written: for whoever reads a tool
//! call's arguments as they come, and edits them where they stand.

use std::ops::Range;

use crate::json::unescape;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meaning {
    /// Without half an escape at the end: what follows says what it means.
    pub text: String,
    /// In order.
    escapes: Vec<Escape>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Escape {
    written: Range<usize>,
    means: Range<usize>,
}

impl Meaning {
    pub fn of(written: &str) -> Self {
        let mut meaning = Self::default();
        let mut at = 0;
        while let Some(length) = written[at..].find('\\') {
            meaning.text.push_str(&written[at..at + length]);
            at += length;
            let Some(length) = escape_length(&written[at..]) else {
                return meaning;
            };
            let start = meaning.text.len();
            meaning
                .text
                .push_str(&unescape(&written.as_bytes()[at..at + length]));
            meaning.escapes.push(Escape {
                written: at..at + length,
                means: start..meaning.text.len(),
            });
            at += length;
        }
        meaning.text.push_str(&written[at..]);
        meaning
    }

    /// Where in the text begins what is written from `at` on; behind an escape, if `at` is within it.
    pub fn place(&self, at: usize) -> usize {
        let before = self
            .escapes
            .partition_point(|escape| escape.written.start < at);
        let Some(escape) = self.escapes[..before].last() else {
            return at.min(self.text.len());
        };
        let behind = at.saturating_sub(escape.written.end);
        (escape.means.end + behind).min(self.text.len())
    }

    /// What `range` of the text was written as, of which this is the meaning: in several pieces where
    /// a string's end or beginning is within it, which must stay.
    pub fn written(&self, range: Range<usize>) -> Vec<Range<usize>> {
        let mut pieces = Vec::new();
        let mut from = range.start;
        let quotes = self.text[range.clone()].match_indices('"');
        let quotes = quotes.map(|(at, _)| range.start + at);
        for quote in quotes.filter(|at| !self.is_escaped(*at)) {
            pieces.push(from..quote);
            from = quote + 1;
        }
        pieces.push(from..range.end);
        pieces.retain(|piece| self.text[piece.clone()].chars().any(char::is_alphanumeric));
        let written =
            |piece: Range<usize>| self.written_at(piece.start)..self.written_at(piece.end);
        pieces.into_iter().map(written).collect()
    }

    fn written_at(&self, place: usize) -> usize {
        let before = self
            .escapes
            .partition_point(|escape| escape.means.end <= place);
        match self.escapes[..before].last() {
            Some(escape) => escape.written.end + place - escape.means.end,
            None => place,
        }
    }

    fn is_escaped(&self, place: usize) -> bool {
        let before = self
            .escapes
            .partition_point(|escape| escape.means.end <= place);
        let next = self.escapes.get(before);
        next.is_some_and(|escape| escape.means.start <= place)
    }
}

/// Of the escape that `text` begins with; `None` if more of it may come.
fn escape_length(text: &str) -> Option<usize> {
    const UNIT: usize = "\\u0000".len();
    let kind = text[1..].chars().next()?;
    if kind != 'u' {
        return Some(1 + kind.len_utf8());
    }
    let digits = |text: &str| {
        let hex = text.bytes().take(4);
        hex.take_while(u8::is_ascii_hexdigit).count()
    };
    let first = digits(&text[2..]);
    if first < 4 {
        return (2 + first < text.len()).then_some(2);
    }
    let unit = u32::from_str_radix(&text[2..UNIT], 16).ok()?;
    if !(0xD800..0xDC00).contains(&unit) {
        return Some(UNIT);
    }
    let rest = &text[UNIT..];
    if matches!(rest, "" | "\\") {
        return None;
    }
    let Some(low) = rest.strip_prefix("\\u") else {
        return Some(UNIT);
    };
    match digits(low) {
        4 => {
            let low = u32::from_str_radix(&low[..4], 16).ok()?;
            let is_low = (0xDC00..0xE000).contains(&low);
            Some(if is_low { 2 * UNIT } else { UNIT })
        }
        some if some < low.len() => Some(UNIT),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written<'w>(text: &'w str, what: &str) -> Vec<&'w str> {
        let meaning = Meaning::of(text);
        let at = meaning.text.find(what).unwrap();
        let ranges = meaning.written(at..at + what.len());
        ranges.into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn what_is_found_in_the_meaning_is_whole_escapes_where_it_is_written() {
        let text = r#"{"a":"Hi\nAnna \"B\" M\u00fcller","b":"\ud83d\ude00 Eva"}"#;
        let meaning = Meaning::of(text);
        assert_eq!(
            meaning.text,
            "{\"a\":\"Hi\nAnna \"B\" Müller\",\"b\":\"😀 Eva\"}"
        );
        assert_eq!(written(text, "Anna"), ["Anna"]);
        assert_eq!(
            written(text, "Anna \"B\" Müller"),
            [r#"Anna \"B\" M\u00fcller"#]
        );
        assert_eq!(written(text, "😀 Eva"), [r"\ud83d\ude00 Eva"]);
        assert_eq!(written(text, "Müller\",\"b"), [r"M\u00fcller", "b"]);
    }

    #[test]
    fn half_an_escape_at_the_end_is_none_of_it() {
        for half in [r"\", r"\u", r"\u00f", r"\ud83d", r"\ud83d\", r"\ud83d\ude0"] {
            assert_eq!(Meaning::of(&format!("ab{half}")).text, "ab", "{half}");
        }
        for odd in [r"\u00x", r"\ud83dx", r"\ud83d\n", r"\ud83d\u0041", r"\é"] {
            let whole = Meaning::of(&format!("ab{odd}c")).text;
            assert_eq!(whole, unescape(format!("ab{odd}c").as_bytes()), "{odd}");
        }
    }

    #[test]
    fn a_place_within_an_escape_is_behind_it() {
        let meaning = Meaning::of(r"a\u00fcb");
        let places = [0, 1, 2, 6, 7, 8].map(|at| meaning.place(at));
        assert_eq!(places, [0, 1, 3, 3, 3, 4]);
    }

    proptest! {
        #[test]
        fn every_character_is_where_it_is_written(text in "([a-zäé😀\n\"\\\\]|\\PC){0,30}") {
            let quoted = serde_json::to_string(&text).unwrap();
            let inner = &quoted[1..quoted.len() - 1];
            let meaning = Meaning::of(inner);
            prop_assert_eq!(&meaning.text, &text);
            for (at, char) in text.char_indices() {
                let written = meaning.written_at(at)..meaning.written_at(at + char.len_utf8());
                prop_assert_eq!(unescape(&inner.as_bytes()[written.clone()]), char.to_string());
                prop_assert_eq!(meaning.place(written.start), at);
            }
        }

        #[test]
        fn any_bytes_have_a_meaning(text in r#"([\\\\u\"d8c0-9é]|\\PC){0,30}"#, at in 0usize..40) {
            let meaning = Meaning::of(&text);
            prop_assert!(meaning.place(at) <= meaning.text.len());
            for range in meaning.written(0..meaning.text.len()) {
                prop_assert!(text.get(range).is_some());
            }
        }
    }
}
