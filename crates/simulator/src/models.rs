//! The list of models, and the dated name under which a model answers.

use serde_json::{Value, json};

/// What a provider offers when nobody configured its models.
const USUAL: [&str; 6] = [
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4.1",
    "gpt-3.5-turbo-instruct",
    "text-embedding-3-small",
    "text-embedding-3-large",
];

/// Providers answer with the snapshot behind the name that was asked for.
pub fn snapshot_of(model: &str) -> &str {
    match model {
        "gpt-4o" => "gpt-4o-2024-08-06",
        "gpt-4o-mini" => "gpt-4o-mini-2024-07-18",
        "gpt-4.1" => "gpt-4.1-2025-04-14",
        other => other,
    }
}

/// Any name is known where none is configured, but those that start with `unknown`.
pub fn knows(configured: &[String], model: &str) -> bool {
    if configured.is_empty() {
        !model.starts_with("unknown")
    } else {
        configured.iter().any(|known| known == model)
    }
}

pub fn list(configured: &[String]) -> Value {
    let models: Vec<Value> = if configured.is_empty() {
        USUAL.iter().map(|id| one(id)).collect()
    } else {
        configured.iter().map(|id| one(id)).collect()
    };
    json!({ "object": "list", "data": models })
}

pub fn one(id: &str) -> Value {
    json!({ "id": id, "object": "model", "created": 1_715_367_049, "owned_by": "system" })
}
