//! Many words and phrases, looked for at once and found only where they stand whole.

use std::ops::Range;

use aho_corasick::AhoCorasick;

use crate::fold::Fold;

#[derive(Debug)]
pub struct Phrases {
    automaton: AhoCorasick,
    chars_max: usize,
}

/// As it is looked for; `None` if there is nothing to look for.
pub fn folded(phrase: &str) -> Option<String> {
    let folded = Fold::Words.fold(phrase).text.trim().to_owned();
    (!folded.is_empty()).then_some(folded)
}

impl Phrases {
    /// `None` without any. Their numbers are their places in `phrases`, which have been checked.
    pub fn new<'a>(phrases: impl Iterator<Item = &'a str>) -> Option<Self> {
        let folded: Vec<String> = phrases
            .map(|phrase| folded(phrase).unwrap_or_default())
            .collect();
        let chars_max = folded.iter().map(|phrase| phrase.chars().count()).max()?;
        // Fails past four billion states: the lists are bounded far below.
        let automaton = AhoCorasick::new(&folded).ok()?;
        Some(Self {
            automaton,
            chars_max,
        })
    }

    pub fn chars_max(&self) -> usize {
        self.chars_max
    }

    /// `text` is folded. Shows each phrase, by its number, that is not part of a longer word.
    pub fn each(&self, text: &str, mut show: impl FnMut(usize, Range<usize>)) {
        for found in self.automaton.find_overlapping_iter(text) {
            let range = found.range();
            if !range.is_empty() && is_whole(text, &range) {
                show(found.pattern().as_usize(), range);
            }
        }
    }
}

fn is_whole(text: &str, range: &Range<usize>) -> bool {
    let (before, after) = (&text[..range.start], &text[range.end..]);
    let phrase = &text[range.clone()];
    let joins = |one: Option<char>, other: Option<char>| match (one, other) {
        (Some(one), Some(other)) => is_of_word(one) && is_of_word(other),
        _ => false,
    };
    !joins(before.chars().next_back(), phrase.chars().next())
        && !joins(phrase.chars().next_back(), after.chars().next())
}

/// Scripts that write no space between words have no words to be part of.
fn is_of_word(char: char) -> bool {
    (char.is_alphanumeric() || char == '_')
        && !matches!(char,
            '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
            | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}')
}
