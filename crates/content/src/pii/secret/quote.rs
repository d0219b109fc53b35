//! What a value stands between.

/// A quotation mark, and how it is escaped: `"…"`, `\"…\"` in a text that is itself in quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Quote {
    mark: u8,
    /// Backslashes before it.
    escapes: usize,
}

/// More levels of quotes within quotes are not told apart.
const ESCAPES_MAX: usize = 7;

impl Quote {
    /// The mark that `bytes` begin with, and its length.
    pub(super) fn opening(bytes: &[u8]) -> Option<(Self, usize)> {
        let escapes = bytes.iter().take_while(|byte| **byte == b'\\').count();
        let mark = *bytes.get(escapes)?;
        let is_mark = matches!(mark, b'"' | b'\'' | b'`') && escapes <= ESCAPES_MAX;
        is_mark.then_some((Self { mark, escapes }, escapes + 1))
    }

    /// Where what it opened ends in `rest`; at the line's end if not before. `None` while that is to come.
    pub(in super::super) fn end(self, rest: &[u8]) -> Option<usize> {
        let mut escapes = 0;
        for (at, &byte) in rest.iter().enumerate() {
            if byte == b'\\' {
                escapes += 1;
                continue;
            }
            if byte == self.mark && self.is_closed_behind(escapes) {
                return Some(at - escapes.min(self.escapes));
            }
            if byte == b'\n' {
                return Some(at);
            }
            escapes = 0;
        }
        None
    }

    /// A mark of the value itself has one escape more, and so has each backslash before one. Fewer close
    /// the quotes around these.
    fn is_closed_behind(self, escapes: usize) -> bool {
        escapes < self.escapes || escapes % (2 * (self.escapes + 1)) == self.escapes
    }

    /// How much at the end of `rest` may be the beginning of a mark, or says the same of one.
    pub(in super::super) fn begun(self, rest: &[u8]) -> usize {
        let escapes = rest.iter().rev().take_while(|byte| **byte == b'\\');
        let escapes = escapes.count();
        let period = 2 * (self.escapes + 1);
        if escapes < period {
            return escapes;
        }
        period + escapes % period
    }
}

/// The length of a typographic quotation mark that `bytes` begin with, if one is there: `“„”‘‚’«»‹›`.
pub(super) fn typographic(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [0xc2, 0xab | 0xbb, ..] => Some(2),
        [0xe2, 0x80, 0x98..=0x9e | 0xb9 | 0xba, ..] => Some(3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_ends_where_its_own_quote_does() {
        for (text, value) in [
            (r#""abc" d"#, Some("abc")),
            (r#""a\"c" d"#, Some(r#"a\"c"#)),
            (r#""a\\" d"#, Some(r"a\\")),
            (r#"\"abc\" d"#, Some("abc")),
            (r#"\"a\\\"c\" d"#, Some(r#"a\\\"c"#)),
            (r#"\"abc" d"#, Some("abc")),
            ("'a\"b'", Some("a\"b")),
            ("\"abc\nd\"", Some("abc")),
            ("\"abc", None),
        ] {
            let (quote, width) = Quote::opening(text.as_bytes()).unwrap();
            let rest = &text[width..];
            let end = quote.end(rest.as_bytes());
            assert_eq!(end.map(|end| &rest[..end]), value, "{text}");
        }
        assert_eq!(Quote::opening(br"\n"), None);
    }

    #[test]
    fn of_a_row_of_escapes_as_many_are_kept_as_say_what_it_says() {
        for escaped in 0..8 {
            let opening = format!("{}\"", r"\".repeat(escaped));
            let Some((quote, _)) = Quote::opening(opening.as_bytes()) else {
                panic!("{opening}");
            };
            for escapes in 0..64 {
                let kept = quote.begun(r"\".repeat(escapes).as_bytes());
                assert!(kept <= escapes && kept < 32);
                let (whole, rest) = (
                    quote.is_closed_behind(escapes),
                    quote.is_closed_behind(kept),
                );
                assert_eq!(whole, rest, "{escapes} of {escaped}");
            }
        }
    }
}
