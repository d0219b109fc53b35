//! Long texts in windows that a service takes: nothing is left out, and each window begins a little
//! before the one before it ended, so that a phrase at a cut is seen whole.

use std::ops::Range;

mod grouping;
mod windower;

pub use grouping::questions;
pub use windower::{Given, Windower};

/// How long windows are, in characters (code points, which is what services count).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    chars_max: usize,
    overlap: usize,
}

/// Shorter windows would be all overlap.
pub const WINDOW_CHARS_MIN: usize = 16;

impl Bounds {
    /// An overlap of more than half a window is cut to that: each window must bring something new.
    pub fn new(chars_max: usize, overlap: usize) -> Self {
        let chars_max = chars_max.max(WINDOW_CHARS_MIN);
        Self {
            chars_max,
            overlap: overlap.min(chars_max / 2),
        }
    }

    pub fn chars_max(self) -> usize {
        self.chars_max
    }

    pub fn overlap(self) -> usize {
        self.overlap
    }

    /// The windows of a text, in order; of an empty text, none. Whatever is no longer than the overlap
    /// lies within one of them whole.
    pub fn windows(self, text: &str) -> Vec<Range<usize>> {
        let mut windows = Vec::new();
        let mut start = 0;
        while start < text.len() {
            let Some(end) = self.end(text, start) else {
                windows.push(start..text.len());
                break;
            };
            windows.push(start..end);
            start = self.resume(text, end);
        }
        windows
    }

    /// Where the window that begins at `start` ends, if not with the text: behind a sentence, else
    /// behind a word, if one ends in its last quarter.
    fn end(self, text: &str, start: usize) -> Option<usize> {
        let rest = &text[start..];
        let (hard, _) = rest.char_indices().nth(self.chars_max)?;
        let window = &rest[..hard];
        let (mut sentence, mut word) = (None, None);
        let mut after = hard;
        for (at, char) in window.char_indices().rev().take(self.chars_max / 4) {
            if ends_sentence(char, rest[after..].chars().next()) {
                sentence = Some(after);
                break;
            }
            if char.is_whitespace() && word.is_none() {
                word = Some(after);
            }
            after = at;
        }
        Some(start + sentence.or(word).unwrap_or(hard))
    }

    /// Where the window behind one that ended at `end` begins.
    fn resume(self, text: &str, end: usize) -> usize {
        if self.overlap == 0 {
            return end;
        }
        let back = |from: usize, chars: usize| {
            let mut before = text[..from].char_indices().rev();
            before.nth(chars - 1).map_or(0, |(at, _)| at)
        };
        let start = back(end, self.overlap);
        // A little more, so that it begins with a whole word.
        let slack = self.chars_max / 8;
        let mut word = start;
        for (at, char) in text[..start].char_indices().rev().take(slack) {
            if char.is_whitespace() {
                return word;
            }
            word = at;
        }
        start
    }
}

fn ends_sentence(char: char, next: Option<char>) -> bool {
    match char {
        '\n' | '。' | '！' | '？' | '।' => true,
        '.' | '!' | '?' => next.is_none_or(char::is_whitespace),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(bounds: Bounds, text: &str) -> Vec<&str> {
        let windows = bounds.windows(text).into_iter();
        windows.map(|window| &text[window]).collect()
    }

    #[test]
    fn a_text_that_fits_is_one_window_and_an_empty_one_none() {
        let bounds = Bounds::new(20, 5);
        assert_eq!(
            parts(bounds, "twenty characters ok"),
            ["twenty characters ok"]
        );
        assert!(parts(bounds, "").is_empty());
    }

    #[test]
    fn cuts_are_behind_sentences_then_words_then_anywhere() {
        let bounds = Bounds::new(20, 0);
        assert_eq!(
            parts(bounds, "One is here now. Two"),
            ["One is here now. Two"]
        );
        assert_eq!(
            parts(bounds, "One is here, now. Two and more"),
            ["One is here, now.", " Two and more"]
        );
        assert_eq!(
            parts(bounds, "one two three four fivesix"),
            ["one two three four ", "fivesix"]
        );
        assert_eq!(parts(bounds, &"x".repeat(45)).len(), 3);
    }

    #[test]
    fn windows_are_counted_in_characters_and_begin_with_a_word() {
        let bounds = Bounds::new(16, 4);
        let text = "äöü äöü äöü äöü äöü äöü äöü";
        for window in parts(bounds, text) {
            assert!(window.chars().count() <= 16, "{window}");
            assert!(window.starts_with("äöü"), "{window}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_no_longer_than_the_overlap_is_in_one_window_whole(
            text in "([a-z .\n]|ä|😀|。){0,400}",
            (chars_max, overlap) in (16usize..60, 0usize..40),
            (from, length) in (0usize..400, 1usize..30),
        ) {
            let bounds = Bounds::new(chars_max, overlap);
            let windows = bounds.windows(&text);
            let at = |chars: usize| text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at);
            let phrase = at(from)..at(from + length.min(bounds.overlap()));
            let is_seen = phrase.is_empty()
                || windows.iter().any(|window| window.start <= phrase.start && phrase.end <= window.end);
            prop_assert!(is_seen);
            let mut seen = 0;
            for window in &windows {
                prop_assert!(window.start <= seen && window.end > seen, "a gap at {seen}");
                prop_assert!(text[window.clone()].chars().count() <= bounds.chars_max());
                seen = window.end;
            }
            prop_assert_eq!(seen, text.len());
        }
    }
}
