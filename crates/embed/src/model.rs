//! The sentence model: pieces through a transformer, the mean of what comes out, of unit length.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rten::{ModelOptions, NodeId, RunOptions, ThreadPool, Value, op_registry};

use crate::files::{Files, MODEL_BYTES, is_model};
use crate::tokenizer::{PIECES_MAX, encode};

pub const DIMENSIONS: usize = 384;

/// Texts that go through the model at once, at most: what they need on the way is a few MB each.
const BATCH_TEXTS_MAX: usize = 16;

/// Shared by every thread that embeds: running it changes nothing in it.
pub struct Model {
    graph: rten::Model,
    nodes: Nodes,
}

/// Where texts go in and vectors come out.
struct Nodes {
    pieces: NodeId,
    mask: NodeId,
    segments: NodeId,
    states: NodeId,
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
    Graph(String),
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
pub struct Lane(Arc<ThreadPool>);

impl Default for Lane {
    fn default() -> Self {
        Self(Arc::new(ThreadPool::with_num_threads(1)))
    }
}

impl Model {
    /// Reads, verifies and prepares the model: some 0.2 s, and 150 MB that stay.
    pub fn open(files: &Files) -> Result<Self, ModelError> {
        Self::from_bytes(read(files)?)
    }

    fn from_bytes(onnx: Vec<u8>) -> Result<Self, ModelError> {
        // The operators of this model, so that the binary carries no others.
        let operators = op_registry!(
            Add,
            And,
            Cast,
            Concat,
            ConstantOfShape,
            Div,
            Equal,
            Erf,
            Expand,
            Gather,
            GatherND,
            GreaterOrEqual,
            IsNaN,
            LayerNormalization,
            MatMul,
            Max,
            Mul,
            Range,
            Reshape,
            Shape,
            Slice,
            Softmax,
            Squeeze,
            Transpose,
            Unsqueeze,
            Where
        );
        let graph = ModelOptions::with_ops(operators)
            .prepack_weights(PREPACK)
            .load(onnx)
            .map_err(|error| ModelError::Graph(error.to_string()))?;
        let node = |name| {
            graph
                .node_id(name)
                .map_err(|error| ModelError::Graph(error.to_string()))
        };
        let nodes = Nodes {
            pieces: node("input_ids")?,
            mask: node("attention_mask")?,
            segments: node("token_type_ids")?,
            states: node("last_hidden_state")?,
        };
        Ok(Self { graph, nodes })
    }

    /// The vector of each text, in order. Of a text longer than `PIECES_MAX` only the start is read.
    pub fn embed(&self, texts: &[&str], lane: &Lane) -> Result<Vec<Box<[f32]>>, ModelError> {
        let read = self.read(texts, lane)?;
        Ok(read.into_iter().map(|read| read.vector).collect())
    }

    /// The same, with the pieces and their states.
    pub fn read(&self, texts: &[&str], lane: &Lane) -> Result<Vec<Embedding>, ModelError> {
        let pieces: Vec<Vec<u16>> = texts.iter().map(|text| encode(text, PIECES_MAX)).collect();
        let mut read: Vec<Option<Embedding>> = vec![None; texts.len()];
        for batch in batches(&pieces) {
            let of_batch: Vec<&[u16]> = batch.iter().map(|at| pieces[*at].as_slice()).collect();
            let run = self.run(&of_batch, lane)?;
            for (at, embedding) in batch.into_iter().zip(run) {
                read[at] = Some(embedding);
            }
        }
        // Every text is in one batch.
        Ok(read.into_iter().flatten().collect())
    }

    fn run(&self, texts: &[&[u16]], lane: &Lane) -> Result<Vec<Embedding>, ModelError> {
        let failed = |error: &dyn std::fmt::Display| ModelError::Run(error.to_string());
        let columns = texts.iter().map(|pieces| pieces.len()).max().unwrap_or(0);
        let mut pieces = vec![0_i32; texts.len() * columns];
        let mut mask = vec![0_i32; texts.len() * columns];
        for (row, text) in texts.iter().enumerate() {
            let from = row * columns;
            for (at, piece) in (from..).zip(*text) {
                pieces[at] = i32::from(*piece);
                mask[at] = 1;
            }
        }
        let shape = [texts.len(), columns];
        let input = |values| Value::from_shape(shape, values).map_err(|error| failed(&error));
        let segments = vec![0_i32; texts.len() * columns];
        let inputs = vec![
            (self.nodes.pieces, input(pieces)?.into()),
            (self.nodes.mask, input(mask)?.into()),
            (self.nodes.segments, input(segments)?.into()),
        ];
        let options = RunOptions::default().with_thread_pool(Some(lane.0.clone()));
        let [states] = self
            .graph
            .run_n(inputs, [self.nodes.states], Some(options))
            .map_err(|error| failed(&error))?;
        let (shape, states) = states
            .into_shape_vec::<f32, 3>()
            .map_err(|error| failed(&error))?;
        if shape != [texts.len(), columns, DIMENSIONS] {
            return Err(failed(&"its answer has another shape than was asked for"));
        }
        let rows = states.chunks_exact(columns * DIMENSIONS);
        texts
            .iter()
            .zip(rows)
            .map(|(text, states)| {
                let states = &states[..text.len() * DIMENSIONS];
                Ok(Embedding {
                    vector: mean(states).ok_or_else(|| failed(&"its answer is not a number"))?,
                    pieces: Box::from(*text),
                    states: Box::from(states),
                })
            })
            .collect()
    }
}

/// Measured: see `docs/cache.md`.
const PREPACK: bool = true;

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

/// Which texts go through the model together.
fn batches(texts: &[Vec<u16>]) -> Vec<Vec<usize>> {
    let mut by_length: Vec<usize> = (0..texts.len()).collect();
    by_length.sort_by_key(|at| texts[*at].len());
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for at in by_length {
        match batches.last_mut() {
            Some(batch)
                if batch.len() < BATCH_TEXTS_MAX && texts[batch[0]].len() == texts[at].len() =>
            {
                batch.push(at);
            }
            _ => batches.push(vec![at]),
        }
    }
    batches
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
