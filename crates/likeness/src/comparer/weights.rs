//! The comparer's weights, as `tools/evaluation/comparer/train.py` writes them: a name, four sizes, and of each member
//! all numbers in the upper half of a float, which is as exact as they need to be.

use std::sync::LazyLock;

/// What the local model has of a piece.
pub const STATE: usize = 384;
/// What each member keeps of it.
pub const WIDTH: usize = 48;
pub const COMPARED: usize = 32;
pub const UNITS: usize = 24;
/// Trained from two beginnings: their mean errs less than either.
pub const MEMBERS: usize = 2;

const FILE: &[u8] = include_bytes!("weights.bin");
const NAME: &[u8] = b"comparer1";

pub struct Member {
    pub project: Layer,
    pub sharpness: f32,
    /// How much more the same piece is looked at.
    pub same_piece: f32,
    pub compare: Layer,
    pub decide: Layer,
    pub answer: Box<[f32]>,
    pub answer_bias: f32,
    pub cosine: f32,
}

/// A matrix, input by input, and what is added.
pub struct Layer {
    weights: Box<[f32]>,
    bias: Box<[f32]>,
}

impl Layer {
    /// As many outputs as the layer has.
    pub fn of<const OUTPUTS: usize>(&self, inputs: &[f32]) -> [f32; OUTPUTS] {
        let mut outputs = [0.0; OUTPUTS];
        for (output, bias) in outputs.iter_mut().zip(&self.bias) {
            *output = *bias;
        }
        // Outputs in the inner loop: they do not wait for each other.
        for (input, weights) in inputs.iter().zip(self.weights.chunks_exact(OUTPUTS)) {
            for (output, weight) in outputs.iter_mut().zip(weights) {
                *output += input * weight;
            }
        }
        outputs
    }
}

pub fn members() -> &'static [Member] {
    static MEMBERS_READ: LazyLock<Vec<Member>> = LazyLock::new(|| {
        read(FILE).expect("the weights in the binary are whole: a test reads them")
    });
    &MEMBERS_READ
}

fn read(file: &[u8]) -> Option<Vec<Member>> {
    let rest = file.strip_prefix(NAME)?;
    let (sizes, numbers) = rest.split_at_checked(8)?;
    let expected = [MEMBERS, WIDTH, COMPARED, UNITS];
    let sizes = sizes.chunks_exact(2);
    let as_expected = sizes
        .zip(expected)
        .all(|(size, expected)| usize::from(u16::from_le_bytes([size[0], size[1]])) == expected);
    if !as_expected || !numbers.len().is_multiple_of(2) {
        return None;
    }
    let mut numbers = numbers
        .chunks_exact(2)
        .map(|half| f32::from_bits(u32::from(u16::from_le_bytes([half[0], half[1]])) << 16));
    let members = (0..MEMBERS)
        .map(|_| member(&mut numbers))
        .collect::<Option<Vec<_>>>()?;
    numbers.next().is_none().then_some(members)
}

fn member(numbers: &mut impl Iterator<Item = f32>) -> Option<Member> {
    Some(Member {
        project: layer(numbers, STATE, WIDTH)?,
        sharpness: numbers.next()?,
        same_piece: numbers.next()?,
        compare: layer(numbers, 3 * WIDTH + 1, COMPARED)?,
        decide: layer(numbers, 3 * COMPARED, UNITS)?,
        answer: some(numbers, UNITS)?,
        answer_bias: numbers.next()?,
        cosine: numbers.next()?,
    })
}

fn layer(numbers: &mut impl Iterator<Item = f32>, inputs: usize, outputs: usize) -> Option<Layer> {
    Some(Layer {
        weights: some(numbers, inputs * outputs)?,
        bias: some(numbers, outputs)?,
    })
}

/// That many numbers, each of them one.
fn some(numbers: &mut impl Iterator<Item = f32>, count: usize) -> Option<Box<[f32]>> {
    let taken: Box<[f32]> = numbers.take(count).collect();
    (taken.len() == count && taken.iter().all(|number| number.is_finite())).then_some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weights_in_the_binary_are_whole() {
        assert_eq!(read(FILE).map(|members| members.len()), Some(MEMBERS));
    }

    #[test]
    fn what_is_not_the_whole_file_is_not_read() {
        assert!(read(&FILE[1..]).is_none());
        assert!(read(&FILE[..FILE.len() - 2]).is_none());
        assert!(read(&[FILE, &[0, 0]].concat()).is_none());
        assert!(read(b"comparer1").is_none());
    }
}
