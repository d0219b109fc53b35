//! The network's weights, from the tensors of the model's file. The file's graph, which says the same as
//! [`Network::states`](super::Network::states), is not looked at: it is the one file whose hash is known.

use std::collections::HashMap;

use rten_onnx::onnx::{DataType, ModelProto, TensorProto};
use rten_onnx::protobuf::ProtobufError;

use super::product::{Arithmetic, Product, Weights};
use super::rows::Norm;
use super::{Layer, Network, WIDE};
use crate::model::DIMENSIONS;
use crate::tokenizer::{PIECES_KNOWN, PIECES_MAX};

/// Places that the file has a row for. Only the first [`PIECES_MAX`] are used.
const PLACES: usize = 512;
const _: () = assert!(PIECES_MAX <= PLACES);

/// Kinds of text that the model knows; all that it reads here is of the first.
const SEGMENTS: usize = 2;

/// What the file calls the matrices of each layer: queries, keys, values, what is made of what was heard,
/// the widening and the narrowing. The exporter numbered them.
const MATRICES: [[u16; 6]; 6] = [
    [49, 57, 65, 105, 109, 118],
    [122, 130, 138, 176, 180, 189],
    [193, 201, 209, 247, 251, 260],
    [264, 272, 280, 318, 322, 331],
    [335, 343, 351, 389, 393, 402],
    [406, 414, 422, 460, 464, 473],
];

#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    #[error("it is not an ONNX file: {0}")]
    Onnx(#[from] ProtobufError),
    #[error("it has no tensor `{name}` of {numbers} numbers of the right kind")]
    Tensor { name: String, numbers: usize },
}

pub fn read(onnx: &[u8], arithmetic: Arithmetic) -> Result<Network, WeightsError> {
    let graph = ModelProto::parse_buf(onnx)?.graph.unwrap_or_default();
    let named = |tensor: TensorProto| Some((tensor.name.clone()?, tensor));
    let mut tensors = Tensors(graph.initializer.into_iter().filter_map(named).collect());
    let mut segment = tensors.floats(
        "inner.embeddings.token_type_embeddings.weight",
        SEGMENTS * DIMENSIONS,
    )?;
    segment.truncate(DIMENSIONS);
    let mut layers = Vec::with_capacity(MATRICES.len());
    for (number, matrices) in MATRICES.iter().enumerate() {
        layers.push(layer(&mut tensors, number, matrices, arithmetic)?);
    }
    Ok(Network {
        pieces: tensors.table("inner.embeddings.word_embeddings", PIECES_KNOWN)?,
        places: tensors.table("inner.embeddings.position_embeddings", PLACES)?,
        segment,
        embedded: tensors.norm("inner.embeddings.LayerNorm")?,
        layers,
    })
}

fn layer(
    tensors: &mut Tensors,
    number: usize,
    matrices: &[u16; 6],
    arithmetic: Arithmetic,
) -> Result<Layer, WeightsError> {
    let layer = format!("inner.encoder.layer.{number}");
    let [query, key, value, hears, widens, narrows] = matrices;
    let mut weights = |matrix: &u16, part: &str, shape| {
        tensors.weights(&format!("val_{matrix}"), &format!("{layer}.{part}"), shape)
    };
    let square = [DIMENSIONS, DIMENSIONS];
    let asks = [
        weights(query, "attention.self.query", square)?,
        weights(key, "attention.self.key", square)?,
        weights(value, "attention.self.value", square)?,
    ];
    let hears = weights(hears, "attention.output.dense", square)?;
    let widens = weights(widens, "intermediate.dense", [DIMENSIONS, WIDE])?;
    let narrows = weights(narrows, "output.dense", [WIDE, DIMENSIONS])?;
    Ok(Layer {
        asks: Product::new(Weights::beside(&asks), arithmetic),
        hears: Product::new(hears, arithmetic),
        heard: tensors.norm(&format!("{layer}.attention.output.LayerNorm"))?,
        widens: Product::new(widens, arithmetic),
        narrows: Product::new(narrows, arithmetic),
        narrowed: tensors.norm(&format!("{layer}.output.LayerNorm"))?,
    })
}

/// Rows to look up: whole numbers of which each row has its own scale.
pub struct Table {
    values: Vec<i8>,
    scales: Vec<f32>,
}

impl Table {
    /// A row that is not there is zeros; no tokenizer's piece is one.
    pub fn look_up(&self, row: usize, to: &mut [f32]) {
        let columns = to.len();
        let values = self.values.get(row * columns..(row + 1) * columns);
        let scale = self.scales.get(row).copied().unwrap_or_default();
        for (to, value) in to.iter_mut().zip(values.unwrap_or_default()) {
            *to = f32::from(*value) * scale;
        }
    }
}

/// The file's, by name; each is taken once, so that none is there twice.
struct Tensors(HashMap<String, TensorProto>);

impl Tensors {
    fn weights(
        &mut self,
        matrix: &str,
        part: &str,
        [inputs, outputs]: [usize; 2],
    ) -> Result<Weights, WeightsError> {
        Ok(Weights {
            inputs,
            values: self.bytes(&format!("{matrix}_q"), inputs * outputs)?,
            scales: self.floats(&format!("{matrix}_scale"), outputs)?,
            bias: self.floats(&format!("{part}.bias"), outputs)?,
        })
    }

    fn table(&mut self, part: &str, rows: usize) -> Result<Table, WeightsError> {
        Ok(Table {
            values: self.bytes(&format!("{part}.weight_q"), rows * DIMENSIONS)?,
            scales: self.floats(&format!("{part}.weight_scale"), rows)?,
        })
    }

    fn norm(&mut self, part: &str) -> Result<Norm, WeightsError> {
        Ok(Norm {
            weight: self.floats(&format!("{part}.weight"), DIMENSIONS)?,
            bias: self.floats(&format!("{part}.bias"), DIMENSIONS)?,
        })
    }

    fn bytes(&mut self, name: &str, numbers: usize) -> Result<Vec<i8>, WeightsError> {
        let raw = self.raw(name, DataType::INT8, (numbers, 1))?;
        Ok(raw.into_iter().map(|byte| byte as i8).collect())
    }

    fn floats(&mut self, name: &str, numbers: usize) -> Result<Vec<f32>, WeightsError> {
        let raw = self.raw(name, DataType::FLOAT, (numbers, size_of::<f32>()))?;
        let (floats, _) = raw.as_chunks();
        Ok(floats
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect())
    }

    fn raw(
        &mut self,
        name: &str,
        kind: DataType,
        (numbers, bytes_each): (usize, usize),
    ) -> Result<Vec<u8>, WeightsError> {
        self.0
            .remove(name)
            .filter(|tensor| tensor.data_type == Some(kind))
            .and_then(|tensor| tensor.raw_data)
            .map(std::cell::RefCell::into_inner)
            .filter(|raw| raw.len() == numbers * bytes_each)
            .ok_or_else(|| WeightsError::Tensor {
                name: name.to_owned(),
                numbers,
            })
    }
}
