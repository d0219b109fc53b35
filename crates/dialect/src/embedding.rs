//! The vector of one text: how it is asked for, and what an answer says of it.

use serde_json::json;

use crate::json::{Json, scan};

/// More is no vector of a text: the longest that providers make have a few thousand.
const COMPONENTS_MAX: usize = 16_384;
/// A name; longer ones are none.
const MODEL_BYTES_MAX: usize = 256;

/// A direction, of unit length.
#[derive(Clone, Debug, PartialEq)]
pub struct Vector {
    pub components: Vec<f32>,
    /// What the provider calls the model that made it.
    pub model: Option<String>,
}

/// The body of a call for the vector of one text.
pub fn body(model: &str, text: &str) -> Vec<u8> {
    let body = json!({ "model": model, "input": text, "encoding_format": "float" });
    body.to_string().into_bytes()
}

/// The answer's only vector. `None` for whatever else it may be: two of them, none, no numbers, no direction.
pub fn vector(answer: &[u8]) -> Option<Vector> {
    let [data, model] = scan::members(answer, ["data", "model"]).ok()?;
    let mut all = data?.elements();
    let only = all.next()?;
    if all.next().is_some() {
        return None;
    }
    let written = only.get("embedding").filter(|list| list.is_array())?;
    let mut components = Vec::new();
    for component in written.elements() {
        if components.len() == COMPONENTS_MAX {
            return None;
        }
        components.push(number(component)?);
    }
    let square: f64 = components.iter().map(|of| f64::from(*of).powi(2)).sum();
    if !square.is_normal() {
        return None;
    }
    let shrink = 1.0 / square.sqrt();
    for component in &mut components {
        *component = (f64::from(*component) * shrink) as f32;
    }
    let model = model.and_then(Json::text);
    let model = model.filter(|name| !name.is_empty() && name.len() <= MODEL_BYTES_MAX);
    Some(Vector {
        components,
        model: model.map(Into::into),
    })
}

fn number(value: Json<'_>) -> Option<f32> {
    let number: f32 = std::str::from_utf8(value.raw()).ok()?.parse().ok()?;
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_answers_vector_has_unit_length_and_its_models_name() {
        let answer = br#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[3,-4.0e0]}],"model":"text-embedding-3-small","usage":{"prompt_tokens":2,"total_tokens":2}}"#;
        assert_eq!(
            vector(answer),
            Some(Vector {
                components: vec![0.6, -0.8],
                model: Some("text-embedding-3-small".to_owned()),
            })
        );
    }

    #[test]
    fn what_is_no_vector_of_one_text_is_none() {
        for answer in [
            "",
            "{}",
            r#"{"data":[]}"#,
            r#"{"data":[{"embedding":[]}]}"#,
            r#"{"data":[{"embedding":[0,0]}]}"#,
            r#"{"data":[{"embedding":[1,"2"]}]}"#,
            r#"{"data":[{"embedding":[1,null]}]}"#,
            r#"{"data":[{"embedding":[1,1e999]}]}"#,
            r#"{"data":[{"embedding":"AACAPw=="}]}"#,
            r#"{"data":[{"embedding":[1]},{"embedding":[1]}]}"#,
            r#"{"data":[{"embedding":[1]}]"#,
        ] {
            assert_eq!(vector(answer.as_bytes()), None, "{answer}");
        }
    }

    #[test]
    fn a_text_is_asked_for_as_it_is() {
        let body: serde_json::Value = serde_json::from_slice(&body("e", "a \"b\"\n")).unwrap();
        assert_eq!(body["input"], "a \"b\"\n");
    }

    proptest! {
        #[test]
        fn whatever_comes_nothing_panics(answer in "[{}\\[\\]\",:a-z0-9.e-]{0,80}") {
            let _ = vector(answer.as_bytes());
            let _ = vector(format!("{{\"data\":[{{\"embedding\":[{answer}]}}]}}").as_bytes());
        }
    }
}
