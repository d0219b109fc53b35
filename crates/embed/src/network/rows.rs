//! What is done to rows of numbers between products: plain loops, compiled once for each instruction set
//! and chosen at run time.

use rten_simd::{Isa, SimdOp};

/// What a digit of zero is written as.
pub const DIGIT_ZERO: u8 = 128;

/// The largest number of a row becomes this, so that both digits fit into bytes: 127 * 256 + 127.
const LARGEST: f32 = 32_639.0;

/// Added to a number this small its float has its last bit at one: the low sixteen bits are then the number,
/// rounded, and with both digits' zeros (128 * 256 + 128) in it.
const TO_DIGITS: f32 = 8_388_608.0 + 32_896.0;

/// A row of numbers no larger than this is nothing: their scale would not be a number.
const NOTHING: f32 = 1e-30;

/// Sums and maxima are taken of this many columns apart, which is what lets them be vectors.
const LANES: usize = 16;

/// Each row as whole numbers of two digits, the high digits of all rows before the low ones, and what one
/// is worth in each row.
pub fn split(rows: &[f32], columns: usize, digits: &mut [u8], scales: &mut [f32]) {
    let (high, low) = digits.split_at_mut(rows.len());
    Split {
        rows,
        columns,
        high,
        low,
        scales,
    }
    .dispatch();
}

struct Split<'r> {
    rows: &'r [f32],
    columns: usize,
    high: &'r mut [u8],
    low: &'r mut [u8],
    scales: &'r mut [f32],
}

impl SimdOp for Split<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, _: I) {
        let digits = self
            .high
            .chunks_exact_mut(self.columns)
            .zip(self.low.chunks_exact_mut(self.columns));
        let rows = self.rows.chunks_exact(self.columns);
        for ((row, (high, low)), scale) in rows.zip(digits).zip(self.scales) {
            let largest = over_lanes(row, |most, value| most.max(value.abs()), f32::max);
            let per_one = if largest > NOTHING {
                LARGEST / largest
            } else {
                0.0
            };
            *scale = largest / LARGEST;
            for ((value, high), low) in row.iter().zip(high).zip(low) {
                let bits = (value * per_one + TO_DIGITS).to_bits();
                *high = (bits >> 8) as u8;
                *low = bits as u8;
            }
        }
    }
}

/// The products of both digits, row by row.
pub struct Summed<'s> {
    pub high: &'s [i32],
    pub low: &'s [i32],
    pub row_scales: &'s [f32],
    pub column_scales: &'s [f32],
    pub bias: &'s [f32],
}

impl Summed<'_> {
    /// What they are worth, and the bias.
    pub fn join(self, out: &mut [f32]) {
        Join { summed: self, out }.dispatch();
    }
}

struct Join<'j> {
    summed: Summed<'j>,
    out: &'j mut [f32],
}

impl SimdOp for Join<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, _: I) {
        let Summed {
            high,
            low,
            row_scales,
            column_scales,
            bias,
        } = self.summed;
        let columns = bias.len();
        let sums = high.chunks_exact(columns).zip(low.chunks_exact(columns));
        let rows = self.out.chunks_exact_mut(columns);
        for (((high, low), row_scale), row) in sums.zip(row_scales).zip(rows) {
            let sums = high.iter().zip(low);
            let columns = column_scales.iter().zip(bias);
            for ((value, (high, low)), (scale, bias)) in row.iter_mut().zip(sums).zip(columns) {
                let sum = *high as f32 * 256.0 + *low as f32;
                *value = sum * (row_scale * scale) + bias;
            }
        }
    }
}

/// Layer normalisation: rows of mean zero and deviation one, then each column by its own weight and bias.
pub struct Norm {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// As the model was trained with it.
const EPSILON: f32 = 1e-12;

impl Norm {
    /// Adds `change` to `rows` and normalises them.
    pub fn add(&self, rows: &mut [f32], change: &[f32]) {
        AddAndNorm {
            norm: self,
            rows,
            change,
        }
        .dispatch();
    }
}

struct AddAndNorm<'n> {
    norm: &'n Norm,
    rows: &'n mut [f32],
    change: &'n [f32],
}

impl SimdOp for AddAndNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, _: I) {
        let Norm { weight, bias } = self.norm;
        let columns = weight.len();
        let changes = self.change.chunks_exact(columns);
        for (row, change) in self.rows.chunks_exact_mut(columns).zip(changes) {
            for (value, change) in row.iter_mut().zip(change) {
                *value += change;
            }
            let add = |one, other| one + other;
            let mean = over_lanes(row, add, add) / columns as f32;
            let squares = |sum, value| sum + (value - mean) * (value - mean);
            let variance = over_lanes(row, squares, add) / columns as f32;
            let scale = 1.0 / (variance + EPSILON).sqrt();
            for ((value, weight), bias) in row.iter_mut().zip(weight).zip(bias) {
                *value = (*value - mean) * scale * weight + bias;
            }
        }
    }
}

/// Takes each lane of `row` together with `take`, from zero, then all lanes with `join`.
#[inline(always)]
fn over_lanes(row: &[f32], take: impl Fn(f32, f32) -> f32, join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = take(*lane, *value);
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane = take(*lane, *value);
    }
    lanes.into_iter().fold(0.0, join)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the digits of one row are worth.
    fn worth(digits: &[u8], scale: f32) -> Vec<f32> {
        let (high, low) = digits.split_at(digits.len() / 2);
        let digit = |digit: u8| f32::from(digit) - f32::from(DIGIT_ZERO);
        let both = high.iter().zip(low);
        both.map(|(high, low)| (digit(*high) * 256.0 + digit(*low)) * scale)
            .collect()
    }

    proptest! {
        #[test]
        fn digits_are_worth_what_they_were_made_of(
            row in prop::collection::vec(-1.0_f32..1.0, 1..70),
            size in prop::sample::select(vec![1e-25_f32, 1e-3, 1.0, 1e4, 1e30]),
        ) {
            let row: Vec<f32> = row.iter().map(|value| value * size).collect();
            let (mut digits, mut scale) = (vec![0; 2 * row.len()], [0.0]);
            split(&row, row.len(), &mut digits, &mut scale);
            for (value, worth) in row.iter().zip(worth(&digits, scale[0])) {
                prop_assert!((value - worth).abs() <= scale[0] * 0.51, "{value} {worth}");
            }
        }
    }

    #[test]
    fn the_ends_of_a_row_fit_into_digits() {
        let (mut digits, mut scale) = ([0; 6], [0.0]);
        split(&[-5.0, 0.0, 5.0], 3, &mut digits, &mut scale);
        assert_eq!(digits, [1, 128, 255, 1, 128, 255]);
        assert!((worth(&digits, scale[0])[0] + 5.0).abs() < 1e-5);
    }

    #[test]
    fn each_row_has_a_scale_of_its_own_and_none_is_zero() {
        let rows = [0.0, 0.0, 1e-35, -1e-35, 1000.0, -500.0];
        let (mut digits, mut scales) = ([0; 12], [0.0; 3]);
        split(&rows, 2, &mut digits, &mut scales);
        assert_eq!(digits[..4], [DIGIT_ZERO; 4]);
        assert_eq!(digits[4], 255);
        assert!(scales.iter().all(|scale| scale.is_finite()));
    }

    #[test]
    fn normal_rows_have_a_mean_of_zero_and_a_deviation_of_one() {
        let columns = 37;
        let norm = Norm {
            weight: vec![1.0; columns],
            bias: vec![0.0; columns],
        };
        let mut rows: Vec<f32> = (0..2 * columns).map(|at| (at * at % 23) as f32).collect();
        let change: Vec<f32> = (0..2 * columns).map(|at| (at % 7) as f32).collect();
        norm.add(&mut rows, &change);
        for row in rows.chunks_exact(columns) {
            let mean = row.iter().sum::<f32>() / columns as f32;
            let squares = row.iter().map(|value| value * value).sum::<f32>();
            assert!(mean.abs() < 1e-5, "{mean}");
            assert!((squares / columns as f32 - 1.0).abs() < 1e-4, "{squares}");
        }
        // 0 + 0, 1 + 1, 4 + 2: in the order that they had.
        assert!(rows[0] < rows[1] && rows[1] < rows[2]);
    }
}
