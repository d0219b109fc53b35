//! A value that fits a JSON schema, for structured output and tool arguments. Simple schemas: types,
//! enums, required fields, items, references, alternatives; no patterns, no arithmetic.

use serde_json::{Map, Value, json};

use crate::random::Random;
use crate::words::WORDS;

/// Deeper, or past this many values, everything is null: schemas may refer to themselves.
const DEPTH_MAX: u32 = 16;
const VALUES_MAX: u32 = 1000;
const ITEMS_MAX: u64 = 8;

pub fn value_of(schema: &Value, random: &mut Random) -> Value {
    let mut values_left = VALUES_MAX;
    Generator {
        root: schema,
        random,
        values_left: &mut values_left,
    }
    .value(schema, 0)
}

struct Generator<'call> {
    root: &'call Value,
    random: &'call mut Random,
    values_left: &'call mut u32,
}

impl Generator<'_> {
    fn value(&mut self, schema: &Value, depth: u32) -> Value {
        if depth > DEPTH_MAX || *self.values_left == 0 {
            return Value::Null;
        }
        *self.values_left -= 1;
        if let Some(constant) = schema.get("const") {
            return constant.clone();
        }
        if let Some(first) = schema["enum"].get(0) {
            return first.clone();
        }
        if let Some(target) = schema["$ref"]
            .as_str()
            .and_then(|reference| reference.strip_prefix('#'))
        {
            let target = self.root.pointer(target).cloned().unwrap_or(Value::Null);
            return self.value(&target, depth + 1);
        }
        if let Some(first) = ["anyOf", "oneOf", "allOf"]
            .iter()
            .find_map(|name| schema[*name].get(0))
        {
            return self.value(first, depth + 1);
        }
        let kind = schema["type"]
            .as_str()
            .or_else(|| schema["type"].get(0).and_then(Value::as_str));
        match kind {
            Some("string") => self.text(schema),
            Some("integer") => json!(
                schema["minimum"]
                    .as_i64()
                    .unwrap_or(0)
                    .max(self.random.below(100) as i64)
            ),
            Some("number") => json!(
                schema["minimum"].as_f64().unwrap_or(0.0) + self.random.below(100) as f64 / 2.0
            ),
            Some("boolean") => json!(self.random.below(2) == 1),
            Some("null") => Value::Null,
            Some("array") => {
                let items = schema["minItems"].as_u64().unwrap_or(1).min(ITEMS_MAX);
                (0..items)
                    .map(|_| self.value(&schema["items"], depth + 1))
                    .collect()
            }
            _ if schema["properties"].is_object() => self.object(schema, depth),
            Some("object") => Value::Object(Map::new()),
            // JSON mode, which has no schema.
            _ if *schema == Value::Bool(true) => json!({ "answer": self.word() }),
            _ => Value::String(self.word().to_owned()),
        }
    }

    fn object(&mut self, schema: &Value, depth: u32) -> Value {
        let properties = schema["properties"].as_object().into_iter().flatten();
        properties
            .map(|(name, schema)| (name.clone(), self.value(schema, depth + 1)))
            .collect::<Map<_, _>>()
            .into()
    }

    fn text(&mut self, schema: &Value) -> Value {
        match schema["format"].as_str() {
            Some("date-time") => json!("2026-01-31T12:00:00Z"),
            Some("date") => json!("2026-01-31"),
            Some("email") => json!("someone@example.com"),
            Some("uri") => json!("https://example.com/"),
            Some("uuid") => json!("00000000-0000-4000-8000-000000000000"),
            _ => json!(self.word()),
        }
    }

    fn word(&mut self) -> &'static str {
        WORDS[self.random.below(WORDS.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fit_their_schema() {
        let schema = json!({
            "type": "object",
            "properties": {
                "name": { "type": "string" },
                "steps": { "type": "array", "minItems": 2, "items": { "$ref": "#/$defs/step" } },
                "unit": { "enum": ["celsius", "fahrenheit"] },
                "note": { "type": ["string", "null"] },
                "count": { "type": "integer", "minimum": 500 },
            },
            "$defs": { "step": { "type": "object", "properties": { "done": { "type": "boolean" } } } },
        });
        let value = value_of(&schema, &mut Random::of(1, 1));
        assert!(value["name"].is_string() && value["note"].is_string());
        assert_eq!(value["steps"].as_array().unwrap().len(), 2);
        assert!(value["steps"][1]["done"].is_boolean());
        assert_eq!(value["unit"], "celsius");
        assert_eq!(value["count"], 500);
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({ "type": "array", "minItems": 8, "items": { "$ref": "#" } });
        assert!(value_of(&schema, &mut Random::of(1, 1)).is_array());
    }
}
