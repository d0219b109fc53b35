//! Rows of numbers times a matrix of weights, and a bias.
//!
//! The file has weights of eight bits, so the fast way to multiply is with whole numbers: each row is
//! written with numbers of sixteen bits, these as two digits of eight, and both digits are multiplied with
//! the weights as they are. Sums are exact, so what is lost is what a row loses at sixteen bits: cosines of
//! texts move by 0.0001 at most. It takes processors that multiply bytes without overflow; on others
//! weights become floats.

use rten_gemm::{
    BiasVector, GemmError, GemmExecutor, GemmInputA, GemmInputB, GemmOptions, PackedBMatrix,
    QuantParams,
};
use rten_tensor::{Matrix, NdTensorView};

use super::rows::{self, DIGIT_ZERO, Summed};

/// What a product is computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// Whole numbers of two digits of a byte each.
    Digits,
    Floats,
}

/// Chosen for the processor at run time. Cheap to make, and bound to a thread.
#[derive(Default)]
pub struct Kernels {
    digits: GemmExecutor<u8, i8, i32>,
    floats: GemmExecutor<f32>,
}

impl Kernels {
    /// The faster one that is exact. Without VNNI the sum of two products of bytes is cut to sixteen bits.
    pub fn arithmetic(&self) -> Arithmetic {
        if self.digits.may_saturate() {
            return Arithmetic::Floats;
        }
        Arithmetic::Digits
    }

    /// `left` times `right`, times `factor`.
    pub fn floats(
        &self,
        factor: f32,
        left: Matrix<'_, f32>,
        right: Matrix<'_, f32>,
        out: &mut [f32],
    ) -> Result<(), GemmError> {
        self.floats.gemm(
            out,
            GemmInputA::Unpacked(left),
            GemmInputB::Unpacked(right),
            GemmOptions {
                alpha: factor,
                ..GemmOptions::default()
            },
        )
    }
}

/// Weights as the file has them: row by row, whole numbers of which each column has its own scale.
pub struct Weights {
    pub inputs: usize,
    pub values: Vec<i8>,
    pub scales: Vec<f32>,
    pub bias: Vec<f32>,
}

impl Weights {
    /// One matrix of several that the same rows are multiplied with.
    pub fn beside(several: &[Self]) -> Self {
        let inputs = several.iter().map(|one| one.inputs).min().unwrap_or(0);
        let mut values = Vec::with_capacity(several.iter().map(|one| one.values.len()).sum());
        for row in 0..inputs {
            for one in several {
                let columns = one.scales.len();
                values.extend_from_slice(&one.values[row * columns..(row + 1) * columns]);
            }
        }
        let joined = |part: fn(&Self) -> &Vec<f32>| several.iter().flat_map(part).copied();
        Self {
            inputs,
            values,
            scales: joined(|one| &one.scales).collect(),
            bias: joined(|one| &one.bias).collect(),
        }
    }
}

/// A matrix that rows are multiplied with, arranged as the kernels read it.
pub struct Product {
    inputs: usize,
    packed: Packed,
    bias: Vec<f32>,
}

enum Packed {
    Digits {
        weights: PackedBMatrix<i8>,
        scales: Vec<f32>,
    },
    Floats(PackedBMatrix<f32>),
}

/// What products need on the way, kept from one to the next.
#[derive(Default)]
pub struct Room {
    digits: Vec<u8>,
    zeros: Vec<u8>,
    scales: Vec<f32>,
    sums: Vec<i32>,
}

impl Product {
    pub fn new(weights: Weights, arithmetic: Arithmetic) -> Self {
        let kernels = Kernels::default();
        let Weights {
            inputs,
            values,
            scales,
            bias,
        } = weights;
        let shape = [inputs, scales.len()];
        let packed = match arithmetic {
            Arithmetic::Digits => Packed::Digits {
                weights: kernels
                    .digits
                    .prepack_b(NdTensorView::from_data(shape, &values[..])),
                scales,
            },
            Arithmetic::Floats => {
                let columns = scales.iter().cycle();
                let values: Vec<f32> = values
                    .iter()
                    .zip(columns)
                    .map(|(value, scale)| f32::from(*value) * scale)
                    .collect();
                let values = NdTensorView::from_data(shape, &values[..]);
                Packed::Floats(kernels.floats.prepack_b(values))
            }
        };
        Self {
            inputs,
            packed,
            bias,
        }
    }

    /// `rows` times the matrix, and the bias, to `out`.
    pub fn multiply(
        &self,
        kernels: &Kernels,
        rows: &[f32],
        room: &mut Room,
        out: &mut [f32],
    ) -> Result<(), GemmError> {
        let (inputs, count) = (self.inputs, rows.len() / self.inputs);
        let (weights, scales) = match &self.packed {
            Packed::Digits { weights, scales } => (weights, scales),
            Packed::Floats(weights) => {
                return kernels.floats.gemm(
                    out,
                    GemmInputA::Unpacked(NdTensorView::from_data([count, inputs], rows)),
                    GemmInputB::Packed(weights),
                    GemmOptions {
                        bias: Some(BiasVector::Row(&self.bias)),
                        ..GemmOptions::default()
                    },
                );
            }
        };
        // The high digits of all rows, then the low ones: the weights are gone through once for both.
        let digits = grown(&mut room.digits, 2 * rows.len(), 0);
        let row_scales = grown(&mut room.scales, count, 0.0);
        let sums = grown(&mut room.sums, 2 * count * self.bias.len(), 0);
        rows::split(rows, inputs, digits, row_scales);
        let zero_point = &*grown(&mut room.zeros, 2 * count, DIGIT_ZERO);
        kernels.digits.gemm(
            sums,
            GemmInputA::Unpacked(NdTensorView::from_data([2 * count, inputs], &*digits)),
            GemmInputB::Packed(weights),
            GemmOptions {
                a_quant: Some(QuantParams { zero_point }),
                ..GemmOptions::default()
            },
        )?;
        let (high, low) = sums.split_at(count * self.bias.len());
        Summed {
            high,
            low,
            row_scales,
            column_scales: scales,
            bias: &self.bias,
        }
        .join(out);
        Ok(())
    }
}

/// The first `length` of `room`, which is made larger if it must be.
pub fn grown<T: Copy>(room: &mut Vec<T>, length: usize, with: T) -> &mut [T] {
    if room.len() < length {
        room.resize(length, with);
    }
    &mut room[..length]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn weights(inputs: usize, columns: usize, seed: usize) -> Weights {
        let number = |at: usize| (at * 7919 + seed * 104_729) % 255;
        Weights {
            inputs,
            values: (0..inputs * columns)
                .map(|at| (number(at) as i32 - 127) as i8)
                .collect(),
            scales: (0..columns)
                .map(|at| 0.001 + at as f32 * 0.000_01)
                .collect(),
            bias: (0..columns).map(|at| at as f32 - 3.0).collect(),
        }
    }

    fn multiplied(weights: Weights, arithmetic: Arithmetic, rows: &[f32]) -> Vec<f32> {
        let columns = weights.bias.len();
        let mut out = vec![0.0; rows.len() / weights.inputs * columns];
        let mut room = Room::default();
        Product::new(weights, arithmetic)
            .multiply(&Kernels::default(), rows, &mut room, &mut out)
            .unwrap();
        out
    }

    /// As one learns it at school, in twice the precision.
    fn expected(weights: &Weights, rows: &[f32]) -> Vec<f64> {
        let columns = weights.bias.len();
        let mut out = Vec::new();
        for row in rows.chunks_exact(weights.inputs) {
            for column in 0..columns {
                let of_column = weights.values.iter().skip(column).step_by(columns);
                let both = row.iter().zip(of_column);
                let sum: f64 = both.map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                let (scale, bias) = (weights.scales[column], weights.bias[column]);
                out.push(sum * f64::from(scale) + f64::from(bias));
            }
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn products_are_right_with_digits_and_with_floats(
            // Beyond 1024 the kernels sum in parts.
            inputs in prop::sample::select(vec![1_usize, 5, 32, 384, 1030]),
            (columns, count) in (1_usize..70, 1_usize..12),
            seed in 0_usize..1000,
        ) {
            // Processors that cut sums of bytes never see digits.
            let exact = Kernels::default().arithmetic();
            for arithmetic in [Arithmetic::Floats, exact] {
                let weights = weights(inputs, columns, seed);
                let rows: Vec<f32> = (0..count * inputs)
                    .map(|at| ((at * 31 + seed) % 101) as f32 / 50.0 - 1.0)
                    .collect();
                let expected = expected(&weights, &rows);
                // The most that each number of a row can be off, in every product: half of its last digit.
                let bound = 127.0 * 0.0017 * inputs as f64 * 0.5 / 32_639.0 + 1e-4;
                for (value, expected) in multiplied(weights, arithmetic, &rows).iter().zip(expected) {
                    prop_assert!((f64::from(*value) - expected).abs() < bound, "{value} {expected}");
                }
            }
        }
    }

    #[test]
    fn one_product_of_several_matrices_is_theirs_side_by_side() {
        let rows = [0.5, -1.0, 0.25, 1.0, 0.75, -0.5];
        let apart = [weights(3, 2, 1), weights(3, 4, 2)];
        let [one, other] = apart.each_ref().map(|one| expected(one, &rows));
        let beside = expected(&Weights::beside(&apart), &rows);
        assert_eq!(beside[..2], one[..2]);
        assert_eq!(beside[2..6], other[..4]);
        assert_eq!(beside[6..8], one[2..]);
        assert_eq!(beside[8..], other[4..]);
    }
}
