//! Attention: each piece of a text hears what the others of the same text say, by how well what they offer
//! fits what it asks.

use rten_gemm::GemmError;
use rten_simd::SimdOp;
use rten_tensor::NdTensorView;
use rten_vecmath::Softmax;

use super::product::{Kernels, grown};
use crate::model::DIMENSIONS;

/// Each listens to its own twelfth of what is said.
const HEADS: usize = 12;
const HEAD: usize = DIMENSIONS / HEADS;

/// Query, key and value of a piece, side by side.
pub const PARTS: usize = 3;

/// What attention needs on the way, kept from one layer to the next.
#[derive(Default)]
pub struct Attention {
    fits: Vec<f32>,
    heard: Vec<f32>,
}

impl Attention {
    /// `asked` has the queries, keys and values of all pieces of all `texts`; what each piece hears goes to
    /// `heard`.
    pub fn attend(
        &mut self,
        kernels: &Kernels,
        texts: &[&[u16]],
        asked: &[f32],
        heard: &mut [f32],
    ) -> Result<(), GemmError> {
        let mut from = 0;
        for text in texts {
            let to = from + text.len();
            let asked = &asked[from * PARTS * DIMENSIONS..to * PARTS * DIMENSIONS];
            let heard = &mut heard[from * DIMENSIONS..to * DIMENSIONS];
            self.attend_text(kernels, text.len(), asked, heard)?;
            from = to;
        }
        Ok(())
    }

    fn attend_text(
        &mut self,
        kernels: &Kernels,
        pieces: usize,
        asked: &[f32],
        heard: &mut [f32],
    ) -> Result<(), GemmError> {
        let asked = NdTensorView::from_data([pieces, PARTS * DIMENSIONS], asked);
        let fits = grown(&mut self.fits, pieces * pieces, 0.0);
        let of_head = grown(&mut self.heard, pieces * HEAD, 0.0);
        // Sums of that many products spread with the root of their number.
        let factor = 1.0 / (HEAD as f32).sqrt();
        for head in 0..HEADS {
            let part = |part: usize| {
                let column = part * DIMENSIONS + head * HEAD;
                asked.slice((.., column..column + HEAD))
            };
            kernels.floats(factor, part(0), part(1).transposed(), fits)?;
            for row in fits.chunks_exact_mut(pieces) {
                Softmax::new_mut(row).dispatch();
            }
            let shares = NdTensorView::from_data([pieces, pieces], &*fits);
            kernels.floats(1.0, shares, part(2), of_head)?;
            let rows = heard.chunks_exact_mut(DIMENSIONS);
            for (row, of_head) in rows.zip(of_head.chunks_exact(HEAD)) {
                row[head * HEAD..(head + 1) * HEAD].copy_from_slice(of_head);
            }
        }
        Ok(())
    }
}
