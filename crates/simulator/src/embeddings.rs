//! Embeddings: unit vectors made of the text's words, so that texts with shared words are near.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::delivery::Pieces;
use crate::random::Random;
use crate::service::call::Asked;
use crate::usage;

const DIMENSIONS_MAX: u64 = 4096;
/// Words past this many do not move a vector: the work on one text is bounded.
const WORDS_MAX: usize = 256;

pub fn unary(asked: &Asked<'_>) -> Pieces {
    let usual = if asked.question.model.contains("3-large") {
        3072
    } else {
        1536
    };
    let dimensions = asked
        .question
        .dimensions
        .unwrap_or(usual)
        .clamp(1, DIMENSIONS_MAX) as usize;
    let rows = asked
        .question
        .inputs
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let vector = vector_of(text, dimensions);
            let embedding = if asked.question.base64 {
                let bytes: Vec<u8> = vector
                    .iter()
                    .flat_map(|number| number.to_le_bytes())
                    .collect();
                Value::String(STANDARD.encode(bytes))
            } else {
                json!(vector)
            };
            json!({ "object": "embedding", "index": index, "embedding": embedding })
        });
    let mut body =
        json!({ "object": "list", "data": rows.collect::<Vec<_>>(), "model": asked.model });
    if let Some(usage) = usage::of(asked.behaviour, asked.question.prompt_tokens, 0, None) {
        body["usage"] = usage;
    }
    Pieces::whole(body.to_string(), 0)
}

fn vector_of(text: &str, dimensions: usize) -> Vec<f32> {
    let mut vector = vec![0.0f32; dimensions];
    for word in text.split_whitespace().take(WORDS_MAX) {
        let seed = word.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
        });
        let mut random = Random::of(seed, 0);
        for number in &mut vector {
            *number += random.unit() as f32 - 0.5;
        }
    }
    let length = vector
        .iter()
        .map(|number| number * number)
        .sum::<f32>()
        .sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|number| *number /= length);
    } else {
        vector[0] = 1.0;
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(one: &str, other: &str) -> f32 {
        vector_of(one, 256)
            .iter()
            .zip(vector_of(other, 256))
            .map(|(a, b)| a * b)
            .sum()
    }

    #[test]
    fn texts_that_share_words_are_near_and_others_are_not() {
        assert!(cosine("red river road", "river road red") > 0.999);
        assert!(cosine("red river road", "red river bank") > 0.4);
        assert!(cosine("red river road", "music video phone").abs() < 0.4);
        assert!((cosine("", "") - 1.0).abs() < 1e-6);
    }
}
