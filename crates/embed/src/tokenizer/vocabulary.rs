//! The pieces that BERT's uncased models know, by how they are spelled.

use std::collections::HashMap;

use foldhash::fast::FixedState;

/// In the order of their numbers, one a line; those that continue a word begin with `##`.
const SPELLED: &str = include_str!("../../vocabulary.txt");

pub const PIECES: usize = 30_522;

type Numbers = HashMap<&'static str, u16, FixedState>;

pub struct Vocabulary {
    begin: Numbers,
    go_on: Numbers,
    /// No piece is longer, so no longer one is looked up.
    bytes_max: usize,
}

impl Vocabulary {
    pub fn of_bert_uncased() -> Self {
        let mut known = Self {
            begin: HashMap::with_capacity_and_hasher(PIECES, FixedState::default()),
            go_on: HashMap::with_hasher(FixedState::default()),
            bytes_max: 0,
        };
        for (piece, number) in SPELLED.lines().zip(0..) {
            known.bytes_max = known.bytes_max.max(piece.len());
            match piece.strip_prefix("##").filter(|rest| !rest.is_empty()) {
                Some(rest) => known.go_on.insert(rest, number),
                None => known.begin.insert(piece, number),
            };
        }
        known
    }

    /// The longest piece at the start of `rest`: its number and its bytes there.
    pub fn longest(&self, rest: &str, begins: bool) -> Option<(u16, usize)> {
        let numbers = if begins { &self.begin } else { &self.go_on };
        let mut end = rest.floor_char_boundary(self.bytes_max);
        while end > 0 {
            if let Some(number) = numbers.get(&rest[..end]) {
                return Some((*number, end));
            }
            end = rest.floor_char_boundary(end - 1);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_has_a_number_below_their_count() {
        assert_eq!(SPELLED.lines().count(), PIECES);
        let known = Vocabulary::of_bert_uncased();
        assert_eq!(known.begin.len() + known.go_on.len(), PIECES);
    }
}
