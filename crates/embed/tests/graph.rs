//! Our forward pass against the graph of the model's own file, which rten runs.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::path::PathBuf;

use embed::{DIMENSIONS, Embedding, Files, Lane, Model};
use rten::{NodeId, Value};

/// Of a component of a text's vector, which is of unit length. Measured: 0.00013.
const VECTOR_ERROR_MAX: f32 = 0.000_5;

/// Of a component of a piece's state, as a share of the longest component. Measured: 0.00026.
const STATE_ERROR_MAX: f32 = 0.002;

#[test]
fn states_are_those_of_the_graph_for_texts_of_any_length_alone_and_together() {
    let long = "how many days after the delivery may a customer return it? ".repeat(30);
    let texts = [
        "",
        "Why?",
        "How do I reset my password?",
        "Wie kündige ich meinen Vertrag zum 31.12.2026, und was kostet das (in €)?",
        "zzxqv 0xDEADBEEF \u{1f600} [MASK] null",
        "word word word word word word word word word word word word word word word word",
        &long[..700],
        &long,
    ];
    let model = Model::open(&files()).unwrap();
    let graph = Graph::open();
    let lane = Lane::default();
    let together = model.read(&texts, &lane).unwrap();
    assert_eq!(together.len(), texts.len());
    for (text, read) in texts.iter().zip(&together) {
        let expected = graph.read(&read.pieces);
        assert_near(read, &expected, text);
        let alone = &model.read(&[text], &lane).unwrap()[0];
        assert_eq!(alone.pieces, read.pieces);
        assert_near(alone, &expected, text);
    }
    let lengths: Vec<usize> = together.iter().map(|read| read.pieces.len()).collect();
    assert_eq!((lengths[0], lengths[7]), (2, 256));
}

fn assert_near(read: &Embedding, expected: &[f32], text: &str) {
    assert_eq!(read.states.len(), expected.len(), "{text:?}");
    let longest = expected.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    let error = farthest(&read.states, expected) / longest;
    assert!(error < STATE_ERROR_MAX, "{text:?}: states, {error}");
    let error = farthest(&read.vector, &mean(expected));
    assert!(error < VECTOR_ERROR_MAX, "{text:?}: vector, {error}");
}

fn farthest(one: &[f32], other: &[f32]) -> f32 {
    let both = one.iter().zip(other);
    // Not `max`, which would pass over what is not a number.
    both.map(|(a, b)| (a - b).abs())
        .fold(0.0, |most, error| if error <= most { most } else { error })
}

fn mean(states: &[f32]) -> Vec<f32> {
    let mut sum = vec![0.0; DIMENSIONS];
    for state in states.chunks_exact(DIMENSIONS) {
        for (total, value) in sum.iter_mut().zip(state) {
            *total += value;
        }
    }
    let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
    sum.into_iter().map(|value| value / length).collect()
}

struct Graph(rten::Model);

impl Graph {
    fn open() -> Self {
        let onnx = std::fs::read(files().model).unwrap();
        Self(rten::Model::load(onnx).unwrap())
    }

    /// The state of each piece.
    fn read(&self, pieces: &[u16]) -> Vec<f32> {
        let input = |name: &str, values: Vec<i32>| {
            let value = Value::from_shape(&[1, pieces.len()], values).unwrap();
            (self.node(name), value.into())
        };
        let inputs = vec![
            input("input_ids", pieces.iter().map(|p| i32::from(*p)).collect()),
            input("attention_mask", vec![1; pieces.len()]),
            input("token_type_ids", vec![0; pieces.len()]),
        ];
        let [states] = self
            .0
            .run_n(inputs, [self.node("last_hidden_state")], None)
            .unwrap();
        let (_shape, states) = states.into_shape_vec::<f32, 3>().unwrap();
        states
    }

    fn node(&self, name: &str) -> NodeId {
        self.0.node_id(name).unwrap()
    }
}

/// Fails rather than skips: a test that needs the model proves nothing without it.
fn files() -> Files {
    let named = std::env::var_os("TOLLGATE_MODELS").map(PathBuf::from);
    let cache = embed::user_cache(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"));
    let folders: Vec<PathBuf> = named.into_iter().chain(cache).collect();
    embed::find(&folders).unwrap_or_else(|missing| panic!("{missing} (or: make model)"))
}
