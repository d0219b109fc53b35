//! Short names that are little words but for their capitals: `US` and `us`, `IT` and `it`, `WHO` and `who`.

use std::ops::Range;

use super::Pair;
use crate::difference::{Difference, Kind};

/// Of other little words capitals only raise the voice.
const NAMES: [&str; 8] = ["us", "it", "who", "un", "ce", "la", "er", "or"];

pub fn difference(pair: &Pair<'_>) -> Option<Difference> {
    let (cached, asked) = (Words::of(pair.cached.text), Words::of(pair.asked.text));
    // Who writes all in one case says nothing by it.
    if !cached.tell || !asked.tell {
        return None;
    }
    NAMES.iter().find_map(|name| {
        let (one, other) = (cached.find(name), asked.find(name));
        let (one, other) = match (one, other) {
            (
                Use {
                    name: Some(name),
                    word: None,
                },
                Use {
                    name: None,
                    word: Some(word),
                },
            ) => (name, word),
            (
                Use {
                    name: None,
                    word: Some(word),
                },
                Use {
                    name: Some(name),
                    word: None,
                },
            ) => (word, name),
            _ => return None,
        };
        Some(pair.differ(Kind::Entity, Some(one), Some(other)))
    })
}

struct Words<'a> {
    words: Vec<(&'a str, Range<usize>)>,
    /// There are small letters and capitals.
    tell: bool,
}

/// Where it stands in capitals, and where in small letters.
struct Use {
    name: Option<Range<usize>>,
    word: Option<Range<usize>>,
}

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Self {
        let mut at = 0;
        let words = text
            .split_inclusive(|sign: char| !sign.is_alphanumeric())
            .map(|word| {
                let bare = word.trim_end_matches(|sign: char| !sign.is_alphanumeric());
                let span = at..at + bare.len();
                at += word.len();
                (bare, span)
            });
        Self {
            words: words.collect(),
            tell: text.contains(char::is_uppercase) && text.contains(char::is_lowercase),
        }
    }

    fn find(&self, name: &str) -> Use {
        let mut of_name = self
            .words
            .iter()
            .filter(|(word, _)| word.eq_ignore_ascii_case(name));
        let in_capitals = |word: &str| !word.contains(char::is_lowercase);
        let mut found = Use {
            name: None,
            word: None,
        };
        for (word, span) in &mut of_name {
            let place = if in_capitals(word) {
                &mut found.name
            } else {
                &mut found.word
            };
            place.get_or_insert_with(|| span.clone());
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use crate::compare;

    #[test]
    fn a_name_in_capitals_is_no_little_word() {
        for (a, b) in [
            ("Is this legal for us?", "Is this legal for US?"),
            ("Does it help here?", "Does IT help here?"),
            ("What is WHO in all?", "What is who in all?"),
            ("Was macht die UN heute?", "Was macht die un heute?"),
        ] {
            assert!(compare(a, b).is_some(), "{a} / {b}");
        }
    }

    #[test]
    fn one_case_throughout_says_nothing() {
        for (a, b) in [
            ("DOES IT HELP HERE?", "Does it help here?"),
            ("Does IT help here?", "does it help here"),
            ("Do I HAVE to sign it?", "Do I have to sign it?"),
            ("It is IT that it asks", "It is IT that it asks."),
        ] {
            assert_eq!(compare(a, b), None, "{a} / {b}");
        }
    }
}
