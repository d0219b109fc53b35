//! The sentence model: pieces through a transformer, the mean of what comes out, of unit length.

use std::io;
use std::path::PathBuf;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::files::{Files, MODEL_BYTES, is_model};
use crate::network::{Network, WeightsError};
use crate::tokenizer::{PIECES_MAX, encode};

pub const DIMENSIONS: usize = 384;

/// Pieces of texts that go through the model at once, at most: each needs some 35 KB on the way.
const BATCH_PIECES_MAX: usize = PIECES_MAX;

/// Shared by every thread that embeds: running it changes nothing in it.
pub struct Model {
    network: Network,
}

#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("the model's file {} cannot be read", file.display())]
    Unreadable {
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "{} is not the model that it should be (its bytes differ); replace it: tollgate cache install-model",
        file.display()
    )]
    Altered { file: PathBuf },
    #[error("the model cannot be loaded: {0}")]
    Weights(#[from] WeightsError),
    #[error("the model failed: {0}")]
    Run(String),
}

/// What the model makes of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// Of unit length.
    pub vector: Box<[f32]>,
    /// The pieces that the text was read as.
    pub pieces: Box<[u16]>,
    /// What the vector is the mean of: [`DIMENSIONS`] numbers for each piece.
    pub states: Box<[f32]>,
}

/// The thread that a caller computes on. One for each caller: two callers of one would take turns.
///
/// The matrix kernels share work among the threads of the pool that they are called on, hence a pool of one.
pub struct Lane(Option<ThreadPool>);

impl Default for Lane {
    fn default() -> Self {
        let one = ThreadPoolBuilder::new()
            .num_threads(1)
            .thread_name(|_| "embed-lane".to_owned());
        Self(one.build().ok())
    }
}

impl Model {
    /// Reads, verifies and prepares the model: some 0.1 s, and 25 MB that stay.
    pub fn open(files: &Files) -> Result<Self, ModelError> {
        let onnx = read(files)?;
        let network = Network::read(&onnx)?;
        Ok(Self { network })
    }

    /// The vector of each text, in order. Of a text longer than `PIECES_MAX` only the start is read.
    pub fn embed(&self, texts: &[&str], lane: &Lane) -> Result<Vec<Box<[f32]>>, ModelError> {
        let read = self.read(texts, lane)?;
        Ok(read.into_iter().map(|read| read.vector).collect())
    }

    /// The same, with the pieces and their states.
    pub fn read(&self, texts: &[&str], lane: &Lane) -> Result<Vec<Embedding>, ModelError> {
        let pieces: Vec<Vec<u16>> = texts.iter().map(|text| encode(text, PIECES_MAX)).collect();
        let mut read = Vec::with_capacity(texts.len());
        for batch in batches(&pieces) {
            let texts: Vec<&[u16]> = batch.iter().map(Vec::as_slice).collect();
            read.extend(self.run(&texts, lane)?);
        }
        Ok(read)
    }

    fn run(&self, texts: &[&[u16]], lane: &Lane) -> Result<Vec<Embedding>, ModelError> {
        let failed = |why: &dyn std::fmt::Display| ModelError::Run(why.to_string());
        let Lane(Some(lane)) = lane else {
            return Err(failed(&"the machine gave it no thread"));
        };
        let states = lane
            .install(|| self.network.states(texts))
            .map_err(|error| failed(&error))?;
        let mut read = Vec::with_capacity(texts.len());
        let mut states = &states[..];
        for text in texts {
            let (of_text, rest) = states.split_at(text.len() * DIMENSIONS);
            states = rest;
            read.push(Embedding {
                vector: mean(of_text).ok_or_else(|| failed(&"its answer is not a number"))?,
                pieces: Box::from(*text),
                states: Box::from(of_text),
            });
        }
        Ok(read)
    }
}

fn read(files: &Files) -> Result<Vec<u8>, ModelError> {
    let file = || files.model.clone();
    let unreadable = |source| ModelError::Unreadable {
        file: file(),
        source,
    };
    // Its size first: a file of any size would be read whole.
    let bytes = std::fs::metadata(&files.model).map_err(unreadable)?.len();
    if bytes != MODEL_BYTES {
        return Err(ModelError::Altered { file: file() });
    }
    let onnx = std::fs::read(&files.model).map_err(unreadable)?;
    if !is_model(&onnx) {
        return Err(ModelError::Altered { file: file() });
    }
    Ok(onnx)
}

/// Which texts go through the model together: as many in a row as fit.
fn batches(texts: &[Vec<u16>]) -> impl Iterator<Item = &[Vec<u16>]> {
    let mut rest = texts;
    std::iter::from_fn(move || {
        let mut pieces = 0;
        let fit = rest.iter().take_while(|text| {
            pieces += text.len();
            pieces <= BATCH_PIECES_MAX
        });
        // A text alone always goes through: it has no more than `PIECES_MAX`.
        let (batch, left) = rest.split_at(fit.count().max(1).min(rest.len()));
        rest = left;
        (!batch.is_empty()).then_some(batch)
    })
}

/// The mean of the pieces' states, of length one. `None` for what is no direction at all.
fn mean(states: &[f32]) -> Option<Box<[f32]>> {
    let mut sum = vec![0_f32; DIMENSIONS];
    for state in states.chunks_exact(DIMENSIONS) {
        for (total, value) in sum.iter_mut().zip(state) {
            *total += value;
        }
    }
    let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
    if !length.is_normal() {
        return None;
    }
    for value in &mut sum {
        *value /= length;
    }
    Some(sum.into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_is_in_one_batch_in_order_and_none_is_too_large(
            lengths in prop::collection::vec(2..=PIECES_MAX, 0..40),
        ) {
            let number = |at: usize| u16::try_from(at).unwrap();
            let texts: Vec<Vec<u16>> = (0..).zip(&lengths).map(|(at, n)| vec![number(at); *n]).collect();
            let batches: Vec<&[Vec<u16>]> = batches(&texts).collect();
            prop_assert_eq!(&batches.concat(), &texts);
            for batch in &batches {
                let pieces = batch.iter().map(Vec::len).sum::<usize>();
                prop_assert!(pieces <= BATCH_PIECES_MAX);
            }
            // Two that would have fitted into one are one.
            for two in batches.windows(2) {
                let pieces = two[0].iter().chain(&two[1][..1]).map(Vec::len).sum::<usize>();
                prop_assert!(pieces > BATCH_PIECES_MAX);
            }
        }
    }
}
