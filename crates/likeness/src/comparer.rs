//! What two questions' pieces, as the local model reads them, say of whether one answer serves both.
//!
//! Decomposable attention (Parikh et al. 2016, arXiv 1606.01933): each piece is looked up, softly, in the other
//! question and compared with what was found there; the sum and the most of what the comparisons say decide. Trained
//! by `tools/evaluation/comparer` on the development pairs. Decides nothing by itself: the score weighs its word.

mod weights;

use std::sync::Arc;

use weights::{COMPARED, MEMBERS, Member, UNITS, WIDTH};

/// Numbers that the model has of a piece.
const STATE: usize = weights::STATE;
/// A longer question is not read: none was learned from, and the cost grows with the square.
const PIECES_MAX: usize = 64;
/// A piece's number, and what each member makes of it.
const BYTES_OF_PIECE: usize = 2 + MEMBERS * WIDTH;
/// What the values are multiplied with, to be kept in a byte.
const SCALE: f32 = 127.0;

/// What is kept of a question to compare it: some hundred bytes for each piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading(Arc<[u8]>);

impl Reading {
    /// Of the pieces of a text and the states that the model has of them, one after the other. `None` for what is too
    /// long to be compared, or no reading.
    pub fn of(pieces: &[u16], states: &[f32]) -> Option<Self> {
        let fits = (1..=PIECES_MAX).contains(&pieces.len()) && states.len() == pieces.len() * STATE;
        if !fits || states.iter().any(|state| !state.is_finite()) {
            return None;
        }
        let mut bytes = Vec::with_capacity(pieces.len() * BYTES_OF_PIECE);
        for (piece, state) in pieces.iter().zip(states.chunks_exact(STATE)) {
            bytes.extend_from_slice(&piece.to_le_bytes());
            for member in weights::members() {
                let projected: [f32; WIDTH] = member.project.of(state);
                // Within a byte: a tangent is at most 1.
                let halved = projected.map(|value| (value.tanh() * SCALE).round() as i8);
                bytes.extend(halved.map(i8::cast_unsigned));
            }
        }
        Some(Self(bytes.into()))
    }

    /// Of memory.
    pub fn bytes(&self) -> usize {
        self.0.len() + 16
    }

    /// What the reading of this text takes, or somewhat more.
    pub fn bytes_guess(text: &str) -> usize {
        // Few pieces are shorter than two bytes; two stand around all.
        (text.len() / 2 + 2).min(PIECES_MAX) * BYTES_OF_PIECE + 16
    }

    /// What a member makes of each piece.
    fn side(&self, member: usize) -> Vec<Piece> {
        let of_member = 2 + member * WIDTH;
        let pieces = self.0.chunks_exact(BYTES_OF_PIECE);
        let read = |bytes: &[u8]| Piece {
            number: u16::from_le_bytes([bytes[0], bytes[1]]),
            values: std::array::from_fn(|at| f32::from(bytes[of_member + at] as i8) / SCALE),
        };
        pieces.map(read).collect()
    }
}

struct Piece {
    number: u16,
    values: [f32; WIDTH],
}

/// The logit of one answer serving both: above 0 where that is likely. The same whichever question comes first.
pub fn say(one: &Reading, other: &Reading, cosine: f64) -> f64 {
    let members = weights::members().iter().enumerate();
    let said = members.map(|(at, member)| {
        let (one, other) = (one.side(at), other.side(at));
        f64::from(logit(member, &one, &other, cosine as f32))
    });
    said.sum::<f64>() / MEMBERS as f64
}

fn logit(member: &Member, one: &[Piece], other: &[Piece], cosine: f32) -> f32 {
    let of_one = compared(member, one, other);
    let of_other = compared(member, other, one);
    let mut found = [0.0; 3 * COMPARED];
    for at in 0..COMPARED {
        found[at] = f32::midpoint(of_one.sum[at], of_other.sum[at]);
        found[COMPARED + at] = (of_one.sum[at] - of_other.sum[at]).abs();
        found[2 * COMPARED + at] = of_one.most[at].max(of_other.most[at]);
    }
    let units: [f32; UNITS] = member.decide.of(&found);
    let answer = units.iter().zip(&member.answer);
    let answer: f32 = answer.map(|(unit, weight)| unit.max(0.0) * weight).sum();
    answer + member.answer_bias + member.cosine * cosine
}

/// What comparing each piece with its like says.
struct Compared {
    /// A quarter of it.
    sum: [f32; COMPARED],
    /// One exchanged word must be able to decide.
    most: [f32; COMPARED],
}

fn compared(member: &Member, own: &[Piece], other: &[Piece]) -> Compared {
    let mut all = Compared {
        sum: [0.0; COMPARED],
        most: [0.0; COMPARED],
    };
    for piece in own {
        let (like, met) = like(member, piece, other);
        let mut both = [0.0; 3 * WIDTH + 1];
        for at in 0..WIDTH {
            both[at] = (piece.values[at] - like[at]).abs();
            both[WIDTH + at] = piece.values[at] * like[at];
            both[2 * WIDTH + at] = piece.values[at];
        }
        both[3 * WIDTH] = met;
        let says: [f32; COMPARED] = member.compare.of(&both);
        for (at, said) in says.into_iter().enumerate() {
            let said = said.max(0.0);
            all.sum[at] += said / 4.0;
            all.most[at] = all.most[at].max(said);
        }
    }
    all
}

/// What stands for a piece in the other question, and how much of it is the very piece.
fn like(member: &Member, piece: &Piece, other: &[Piece]) -> ([f32; WIDTH], f32) {
    let alike = |candidate: &Piece| {
        let values = piece.values.iter().zip(&candidate.values);
        let product: f32 = values.map(|(a, b)| a * b).sum();
        let same = f32::from(u8::from(piece.number == candidate.number));
        product * member.sharpness + same * member.same_piece
    };
    let alike: Vec<f32> = other.iter().map(alike).collect();
    let most = alike.iter().copied().fold(f32::MIN, f32::max);
    let (mut like, mut met, mut all) = ([0.0; WIDTH], 0.0, 0.0);
    for (candidate, alike) in other.iter().zip(alike) {
        let weight = (alike - most).exp();
        all += weight;
        for (sum, value) in like.iter_mut().zip(&candidate.values) {
            *sum += weight * value;
        }
        if candidate.number == piece.number {
            met += weight;
        }
    }
    (like.map(|sum| sum / all), met / all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reading(pieces: &[u16]) -> Reading {
        // States that go by the piece: a wave of its own for each.
        let state = |piece: u16| {
            (0..STATE).map(move |at| (f32::from(piece % 97) * 0.1 + at as f32 * 0.37).sin())
        };
        let states: Vec<f32> = pieces.iter().copied().flat_map(state).collect();
        Reading::of(pieces, &states).unwrap()
    }

    #[test]
    fn what_is_no_reading_is_none() {
        assert_eq!(Reading::of(&[], &[]), None);
        assert_eq!(Reading::of(&[1], &[0.0; STATE - 1]), None);
        assert_eq!(Reading::of(&[1], &[f32::NAN; STATE]), None);
        let long = vec![7; PIECES_MAX + 1];
        assert_eq!(Reading::of(&long, &vec![0.1; long.len() * STATE]), None);
    }

    #[test]
    fn a_reading_takes_what_was_guessed_or_less() {
        assert!(reading(&[101, 2339, 102]).bytes() <= Reading::bytes_guess("why?"));
        let long: Vec<u16> = (0..PIECES_MAX as u16).collect();
        assert_eq!(
            reading(&long).bytes(),
            Reading::bytes_guess(&"word ".repeat(4000))
        );
    }

    proptest! {
        #[test]
        fn the_order_does_not_matter_and_every_answer_is_a_number(
            a in prop::collection::vec(0_u16..30_522, 1..20),
            b in prop::collection::vec(0_u16..30_522, 1..20),
            cosine in -1.0..1.0,
        ) {
            let (a, b) = (reading(&a), reading(&b));
            let said = say(&a, &b, cosine);
            prop_assert!(said.is_finite());
            prop_assert!((said - say(&b, &a, cosine)).abs() < f64::EPSILON);
        }
    }
}
