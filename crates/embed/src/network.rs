//! The transformer: pieces in, a state for each piece out. Which numbers it computes with is
//! [`product`]'s, where they come from [`weights`]'.
//!
//! Texts of any lengths go through together, one row for each piece and none for padding: only attention
//! knows where a text ends.

mod attention;
mod product;
mod rows;
mod weights;

use rten_gemm::GemmError;
use rten_simd::SimdUnaryOp;
use rten_vecmath::Gelu;

use crate::model::DIMENSIONS;

pub use weights::WeightsError;

use attention::{Attention, PARTS};
use product::{Kernels, Product, Room};
use rows::Norm;
use weights::Table;

/// What a state is widened to between the two halves of a layer's second step.
const WIDE: usize = 4 * DIMENSIONS;

pub struct Network {
    pieces: Table,
    places: Table,
    /// Of two that the model knows, the one of a text that stands alone.
    segment: Vec<f32>,
    embedded: Norm,
    layers: Vec<Layer>,
}

struct Layer {
    /// What each piece asks, offers and says: queries, keys and values, side by side.
    asks: Product,
    hears: Product,
    heard: Norm,
    widens: Product,
    narrows: Product,
    narrowed: Norm,
}

impl Network {
    /// From the model's file.
    pub fn read(onnx: &[u8]) -> Result<Self, WeightsError> {
        weights::read(onnx, Kernels::default().arithmetic())
    }

    /// The state of each piece of each text, one after another: [`DIMENSIONS`] numbers for each.
    ///
    /// Must run on a thread of a pool of one, or the kernels share the work among all processors.
    pub fn states(&self, texts: &[&[u16]]) -> Result<Vec<f32>, GemmError> {
        let kernels = Kernels::default();
        let (mut room, mut attention) = (Room::default(), Attention::default());
        let mut states = self.embedded(texts);
        let pieces = states.len() / DIMENSIONS;
        let mut asked = vec![0.0; pieces * PARTS * DIMENSIONS];
        let mut wide = vec![0.0; pieces * WIDE];
        let mut change = vec![0.0; pieces * DIMENSIONS];
        let mut heard = vec![0.0; pieces * DIMENSIONS];
        for layer in &self.layers {
            layer
                .asks
                .multiply(&kernels, &states, &mut room, &mut asked)?;
            attention.attend(&kernels, texts, &asked, &mut heard)?;
            layer
                .hears
                .multiply(&kernels, &heard, &mut room, &mut change)?;
            layer.heard.add(&mut states, &change);
            layer
                .widens
                .multiply(&kernels, &states, &mut room, &mut wide)?;
            Gelu {}.map_mut(&mut wide);
            layer
                .narrows
                .multiply(&kernels, &wide, &mut room, &mut change)?;
            layer.narrowed.add(&mut states, &change);
        }
        Ok(states)
    }

    /// What a piece is, before it has heard of any other: the piece, its place and its text's segment.
    fn embedded(&self, texts: &[&[u16]]) -> Vec<f32> {
        let pieces = texts.iter().map(|text| text.len()).sum::<usize>();
        let mut states = vec![0.0; pieces * DIMENSIONS];
        let mut places = vec![0.0; pieces * DIMENSIONS];
        let rows = states
            .chunks_exact_mut(DIMENSIONS)
            .zip(places.chunks_exact_mut(DIMENSIONS));
        let read = texts.iter().flat_map(|text| text.iter().zip(0..));
        for ((state, at), (piece, place)) in rows.zip(read) {
            self.pieces.look_up(usize::from(*piece), state);
            self.places.look_up(place, at);
            for (value, segment) in state.iter_mut().zip(&self.segment) {
                *value += segment;
            }
        }
        self.embedded.add(&mut states, &places);
        states
    }
}

#[cfg(test)]
mod tests;
