//! WordPiece as BERT's uncased models read it: text in, numbers of pieces out.
//!
//! Never looks at more of a text than it keeps. Names of special pieces within a text (`[MASK]`) are text:
//! whoever writes one asks about it.

mod normal;
mod vocabulary;

use std::sync::OnceLock;

use normal::{Part, parts};
use vocabulary::Vocabulary;

pub(crate) use vocabulary::PIECES as PIECES_KNOWN;

/// What the model was trained to read of a text, the pieces that open and close it included.
pub const PIECES_MAX: usize = 256;

/// A longer word is unknown as a whole: splitting it takes time with the square of its length.
const WORD_CHARS_MAX: usize = 100;

const UNKNOWN: u16 = 100;
const OPENS: u16 = 101;
const CLOSES: u16 = 102;

/// How many pieces the model would read of `text`; counts no further than `PIECES_MAX + 1`, which says
/// that it would not read all.
pub fn count_pieces(text: &str) -> usize {
    encode(text, PIECES_MAX + 1).len()
}

/// The pieces of `text`, opened and closed: `at_most` of them.
pub(crate) fn encode(text: &str, at_most: usize) -> Vec<u16> {
    let vocabulary = vocabulary();
    let room = at_most.saturating_sub(1);
    let mut pieces = Vec::with_capacity(at_most.min(2 + text.len() / 3));
    pieces.push(OPENS);
    let mut word = Word::default();
    for part in parts(text) {
        match part {
            Part::Letter(letter) => word.push(letter),
            Part::Alone(sign) => {
                word.finish(vocabulary, &mut pieces);
                word.push(sign);
                word.finish(vocabulary, &mut pieces);
            }
            Part::Space => word.finish(vocabulary, &mut pieces),
        }
        if pieces.len() > room {
            break;
        }
    }
    word.finish(vocabulary, &mut pieces);
    pieces.truncate(room);
    pieces.push(CLOSES);
    pieces
}

/// Built at the first text: 30,522 pieces, some 1.5 MB.
fn vocabulary() -> &'static Vocabulary {
    static VOCABULARY: OnceLock<Vocabulary> = OnceLock::new();
    VOCABULARY.get_or_init(Vocabulary::of_bert_uncased)
}

/// The letters since the last space or sign. Of a word that is too long only the fact is kept.
#[derive(Default)]
struct Word {
    letters: String,
    chars: usize,
}

impl Word {
    fn push(&mut self, letter: char) {
        self.chars += 1;
        if self.chars <= WORD_CHARS_MAX {
            self.letters.push(letter);
        }
    }

    fn finish(&mut self, vocabulary: &Vocabulary, pieces: &mut Vec<u16>) {
        if self.chars > WORD_CHARS_MAX {
            pieces.push(UNKNOWN);
        } else if self.chars > 0 {
            split(&self.letters, vocabulary, pieces);
        }
        self.letters.clear();
        self.chars = 0;
    }
}

/// The longest piece that begins the word, then the longest that goes on, and so forth. A word of which any
/// rest is no piece is unknown as a whole.
fn split(word: &str, vocabulary: &Vocabulary, pieces: &mut Vec<u16>) {
    let before = pieces.len();
    let mut rest = word;
    while !rest.is_empty() {
        let begins = rest.len() == word.len();
        let Some((piece, bytes)) = vocabulary.longest(rest, begins) else {
            pieces.truncate(before);
            pieces.push(UNKNOWN);
            return;
        };
        pieces.push(piece);
        rest = &rest[bytes..];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pieces(text: &str) -> Vec<u16> {
        encode(text, PIECES_MAX)
    }

    #[test]
    fn pieces_are_those_of_the_reference() {
        let reference = include_str!("../tests/reference/pieces.tsv");
        for line in reference.lines() {
            let (text, numbers) = line.split_once('\t').unwrap();
            let text: String = serde_json::from_str(text).unwrap();
            let numbers: Vec<u16> = numbers.split(' ').map(|n| n.parse().unwrap()).collect();
            assert_eq!(pieces(&text), numbers, "{text:?}");
        }
        assert!(reference.lines().count() > 100);
    }

    #[test]
    fn words_are_split_into_the_longest_pieces() {
        // "un ##aff ##able": the example of the paper's own code.
        assert_eq!(pieces("Unaffable"), [OPENS, 14477, 20961, 3468, CLOSES]);
    }

    #[test]
    fn a_word_that_is_too_long_is_one_unknown_piece_however_long() {
        let long = "a".repeat(1_000_000);
        assert_eq!(pieces(&long), [OPENS, UNKNOWN, CLOSES]);
    }

    #[test]
    fn names_of_special_pieces_are_text() {
        let said = pieces("[SEP]");
        assert_eq!(said.iter().filter(|piece| **piece == CLOSES).count(), 1);
    }

    #[test]
    fn counting_stops_right_past_what_the_model_reads() {
        assert_eq!(count_pieces(&"word ".repeat(254)), PIECES_MAX);
        assert_eq!(count_pieces(&"word ".repeat(255)), PIECES_MAX + 1);
        assert_eq!(count_pieces(&"word ".repeat(100_000)), PIECES_MAX + 1);
    }

    proptest! {
        #[test]
        fn any_text_has_pieces_that_the_model_knows(text in "\\PC{0,400}|[\\x00-\\x{10FFFF}]{0,80}") {
            let read = pieces(&text);
            prop_assert!(read.len() >= 2 && read.len() <= PIECES_MAX);
            prop_assert!(read.iter().all(|piece| usize::from(*piece) < vocabulary::PIECES));
            prop_assert_eq!(count_pieces(&text).min(PIECES_MAX), read.len());
        }
    }
}
