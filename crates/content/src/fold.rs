//! A text as it is compared: one spelling for what looks the same, and where each of its bytes came
//! from. Full-width and decorated letters are plain ones, what has no width is gone.

use std::borrow::Cow;
use std::ops::Range;

use icu_normalizer::ComposingNormalizerBorrowed;

/// How much is made equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// For words: upper and lower case too, and white space of any kind and length.
    Words,
    /// For patterns, which say themselves what they take for equal.
    Spelling,
}

#[derive(Clone, Debug)]
pub struct Folded<'a> {
    pub text: Cow<'a, str>,
    /// For each byte of `text`, where what it stands for begins; `None` if they are the same.
    origins: Option<Vec<usize>>,
    source_bytes: usize,
}

impl Fold {
    pub fn fold(self, text: &str) -> Folded<'_> {
        match self {
            Self::Spelling if text.is_ascii() => Folded {
                text: Cow::Borrowed(text),
                origins: None,
                source_bytes: text.len(),
            },
            Self::Words if text.is_ascii() && !has_odd_space(text) => Folded {
                text: Cow::Owned(text.to_ascii_lowercase()),
                origins: None,
                source_bytes: text.len(),
            },
            Self::Words | Self::Spelling => self.piecewise(text),
        }
    }

    fn piecewise(self, source: &str) -> Folded<'_> {
        let mut out = Writer {
            fold: self,
            text: String::with_capacity(source.len()),
            origins: Vec::with_capacity(source.len()),
        };
        let nfkc = ComposingNormalizerBorrowed::new_nfkc();
        let mut chars = source.char_indices().peekable();
        while let Some((start, char)) = chars.next() {
            if char.is_ascii() && chars.peek().is_none_or(|(_, next)| next.is_ascii()) {
                out.put(char, start);
                continue;
            }
            // A letter and the marks that follow it are one.
            let mut end = start + char.len_utf8();
            while let Some((at, mark)) =
                chars.next_if(|(_, next)| is_mark(*next) || is_nothing(*next))
            {
                end = at + mark.len_utf8();
            }
            let cluster: String = source[start..end]
                .chars()
                .filter(|char| !is_nothing(*char))
                .collect();
            for char in nfkc.normalize(&cluster).chars() {
                out.put(char, start);
            }
        }
        Folded {
            text: Cow::Owned(out.text),
            origins: Some(out.origins),
            source_bytes: source.len(),
        }
    }
}

struct Writer {
    fold: Fold,
    text: String,
    origins: Vec<usize>,
}

impl Writer {
    fn put(&mut self, char: char, origin: usize) {
        if is_nothing(char) {
            return;
        }
        match (self.fold, char) {
            (Fold::Spelling, char) => self.push(char, origin),
            (Fold::Words, char) if char.is_whitespace() => {
                if !self.text.ends_with(' ') {
                    self.push(' ', origin);
                }
            }
            (Fold::Words, 'ß' | 'ẞ') => {
                self.push('s', origin);
                self.push('s', origin);
            }
            (Fold::Words, 'ς') => self.push('σ', origin),
            (Fold::Words, char) => {
                for lower in char.to_lowercase() {
                    // What is left of a capital I with its dot.
                    if lower != '\u{307}' {
                        self.push(lower, origin);
                    }
                }
            }
        }
    }

    fn push(&mut self, char: char, origin: usize) {
        self.text.push(char);
        self.origins.resize(self.text.len(), origin);
    }
}

impl Folded<'_> {
    /// The bytes of the source that a range of the folded text stands for; always whole characters.
    pub fn source(&self, range: Range<usize>) -> Range<usize> {
        let Some(origins) = &self.origins else {
            return range;
        };
        let origin = |at: usize| origins.get(at).copied().unwrap_or(self.source_bytes);
        let start = origin(range.start);
        let mut end = range.end;
        // One character of the source may have become several.
        while end > range.start && end < origins.len() && origins[end] == origins[end - 1] {
            end += 1;
        }
        start..origin(end)
    }
}

fn has_odd_space(text: &str) -> bool {
    let mut was_space = false;
    text.bytes().any(|byte| {
        let is_space = byte.is_ascii_whitespace() || byte == 0x0b;
        let odd = is_space && (byte != b' ' || was_space);
        was_space = is_space;
        odd || byte.is_ascii_control() && !is_space
    })
}

/// Combining marks of the scripts that have them beside precomposed letters.
fn is_mark(char: char) -> bool {
    matches!(char,
        '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{3099}'..='\u{309a}' | '\u{fe20}'..='\u{fe2f}')
}

/// Has no width and no meaning: put between letters, it hides a word and shows it all the same.
fn is_nothing(char: char) -> bool {
    matches!(char,
        '\0'..='\u{8}' | '\u{e}'..='\u{1f}' | '\u{7f}'
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fff8}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> String {
        Fold::Words.fold(text).text.into_owned()
    }

    #[test]
    fn what_looks_the_same_is_the_same() {
        for (written, folded) in [
            ("Plain  TEXT\n here", "plain text here"),
            ("ｆｕｌｌ ｗｉｄｔｈ", "full width"),
            ("z\u{200b}e\u{200d}r\u{ad}o\u{2060}", "zero"),
            ("𝓯𝓪𝓷𝓬𝔂 Ⓒⓘⓡⓒⓛⓔ ﬁne", "fancy circle fine"),
            ("e\u{301}t\u{200b}e\u{301}", "été"),
            ("STRASSE Straße", "strasse strasse"),
            ("ΣΊΣΥΦΟΣ σίσυφος", "σίσυφοσ σίσυφοσ"),
            ("İstanbul", "istanbul"),
            ("no\u{a0}break", "no break"),
        ] {
            assert_eq!(words(written), folded, "{written}");
        }
    }

    #[test]
    fn patterns_see_the_spelling_that_was_written() {
        let folded = Fold::Spelling.fold("Ｋey:\u{200b} A\n");
        assert_eq!(folded.text, "Key: A\n");
    }

    #[test]
    fn a_range_is_found_again_where_it_stood() {
        let text = "say ｂ\u{200b}ａｄ ﬁne";
        let folded = Fold::Words.fold(text);
        let at = folded.text.find("bad").unwrap();
        assert_eq!(&text[folded.source(at..at + 3)], "ｂ\u{200b}ａｄ");
        let half = folded.text.find("fine").unwrap();
        assert_eq!(&text[folded.source(half..half + 1)], "ﬁ");
    }

    proptest! {
        #[test]
        fn every_range_is_of_whole_characters(text in "(\\PC|[a-z]|\u{200b}|\u{301}|ﬁ|ß){0,60}") {
            for fold in [Fold::Words, Fold::Spelling] {
                let folded = fold.fold(&text);
                let bounds: Vec<usize> = folded.text.char_indices().map(|(at, _)| at).chain([folded.text.len()]).collect();
                for pair in bounds.windows(2) {
                    let range = folded.source(pair[0]..pair[1]);
                    prop_assert!(text.get(range.clone()).is_some_and(|part| !part.is_empty()), "{range:?}");
                }
                prop_assert!(text.get(folded.source(0..folded.text.len())).is_some());
            }
        }
    }
}
