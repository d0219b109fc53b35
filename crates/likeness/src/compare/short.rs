//! A text of a word or two: whatever it answers was said before, so that it equals only itself.

use super::Pair;
use crate::difference::{Difference, Kind};
use crate::read;

/// From this many words on a text says by itself what it asks.
const WORDS_MIN: usize = 3;

pub fn difference(pair: &Pair<'_>) -> Option<Difference> {
    let (cached, asked) = (pair.cached.text, pair.asked.text);
    let (words, others) = (
        read::without_greetings(cached),
        read::without_greetings(asked),
    );
    // What is quoted says more than a word, and is compared to the letter.
    let quotes = !pair.cached.passages.is_empty() || !pair.asked.passages.is_empty();
    if quotes || words.len().min(others.len()) >= WORDS_MIN {
        return None;
    }
    // Of signs alone there are no words.
    let same = if words.is_empty() && others.is_empty() {
        cached.split_whitespace().eq(asked.split_whitespace())
    } else {
        words.concat() == others.concat()
    };
    (!same).then(|| pair.differ(Kind::Word, Some(0..cached.len()), Some(0..asked.len())))
}

#[cfg(test)]
mod tests {
    use crate::compare;

    #[test]
    fn a_word_or_two_equal_only_themselves() {
        for (a, b) in [
            ("yes", "no"),
            ("Yes.", "No."),
            ("yes please", "no thanks"),
            ("ja", "nein"),
            ("continue", "stop"),
            ("true", "false"),
            ("a", "b"),
            ("?", "!"),
            ("Option A", "Option B"),
            ("refund policy", "return policy"),
        ] {
            assert!(compare(a, b).is_some(), "{a} / {b}");
        }
    }

    #[test]
    fn case_punctuation_and_politeness_aside() {
        for (a, b) in [
            ("Yes.", "yes!"),
            ("Refund policy", "refund policy?"),
            ("Yes please", "Yes"),
            ("Hello, refund policy? Thanks!", "refund policy"),
            ("Größe", "groesse?"),
        ] {
            assert_eq!(compare(a, b), None, "{a} / {b}");
        }
    }
}
