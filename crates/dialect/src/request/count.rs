//! A prompt's tokens by the model's tokenizer, with the overheads that OpenAI publishes ("How to
//! count tokens with tiktoken"): 3 for each message and 3 that prime the answer, 1 for a name, and
//! the figures below for functions. They are OpenAI's own estimate; a call settles on reported usage.

use crate::Encoding;
use crate::json::Json;

use super::audio;
use super::image::ImageRule;

const MESSAGE: u64 = 3;
const PRIMING: u64 = 3;
const NAME: u64 = 1;
/// Not published; a call in the history is framed much like a message.
const CALL: u64 = 3;

const PROPERTIES: u64 = 3;
const PROPERTY: u64 = 3;
const ENUM_ITEM: u64 = 3;
/// The first item of an enum costs nothing.
const ENUM: u64 = 3;
const FUNCTIONS_END: u64 = 12;
/// Below this, a schema is counted as the text it is: each level is walked again by the next.
const SCHEMA_DEPTH_MAX: usize = 8;

pub(super) fn chat(body: Json<'_>, encoding: Encoding, rule: ImageRule) -> u64 {
    let counter = Counter { encoding, rule };
    let mut tokens = PRIMING;
    for (key, value) in body.members() {
        tokens += match key.as_ref() {
            "messages" => value
                .elements()
                .map(|message| counter.message(message))
                .sum(),
            "tools" => counter.functions(value.elements().filter_map(|tool| tool.get("function"))),
            "functions" => counter.functions(value.elements()),
            "response_format" => value
                .get("json_schema")
                .map_or(0, |schema| counter.raw(schema)),
            _ => 0,
        };
    }
    tokens
}

/// A string, strings, token ids, or lists of token ids.
pub(super) fn text_or_ids(value: Option<Json<'_>>, encoding: Encoding) -> u64 {
    let Some(value) = value else {
        return 0;
    };
    if value.is_array() {
        // Two levels are all there is: deeper ones are the upstream's to refuse.
        let mut tokens = 0;
        for element in value.elements() {
            tokens += if element.is_array() {
                element.elements().count() as u64
            } else {
                text_or_id(element, encoding)
            };
        }
        return tokens;
    }
    text_or_id(value, encoding)
}

fn text_or_id(value: Json<'_>, encoding: Encoding) -> u64 {
    value.text().map_or(1, |text| encoding.count(&text))
}

pub(super) fn suffix(body: Json<'_>, encoding: Encoding) -> u64 {
    body.get("suffix")
        .and_then(Json::text)
        .map_or(0, |text| encoding.count(&text))
}

struct Counter {
    encoding: Encoding,
    rule: ImageRule,
}

impl Counter {
    fn message(&self, message: Json<'_>) -> u64 {
        let mut tokens = MESSAGE;
        for (key, value) in message.members() {
            tokens += match key.as_ref() {
                "role" | "refusal" | "reasoning_content" => self.text(value),
                "name" if value.is_string() => NAME + self.text(value),
                "content" if value.is_array() => value.elements().map(|part| self.part(part)).sum(),
                "content" => self.text(value),
                "tool_calls" => value
                    .elements()
                    .filter_map(|call| call.get("function"))
                    .map(|function| self.call(function))
                    .sum(),
                "function_call" if value.is_object() => self.call(value),
                _ => 0,
            };
        }
        tokens
    }

    fn part(&self, part: Json<'_>) -> u64 {
        let mut tokens = 0;
        for (key, value) in part.members() {
            tokens += match key.as_ref() {
                "text" | "refusal" => self.text(value),
                "image_url" => self.rule.tokens(value),
                "input_audio" => audio::tokens(value),
                // No published rule: four bytes to a token, which pages of text and images stay below.
                "file" => value.raw().len() as u64 / 4,
                "type" => 0,
                _ => self.raw(value),
            };
        }
        tokens
    }

    fn call(&self, function: Json<'_>) -> u64 {
        let text = |key| function.get(key).map_or(0, |value| self.text(value));
        CALL + text("name") + text("arguments")
    }

    fn functions<'a>(&self, functions: impl Iterator<Item = Json<'a>>) -> u64 {
        let function_start = match self.encoding {
            Encoding::O200k => 7,
            Encoding::Cl100k => 10,
        };
        let mut tokens = 0;
        for function in functions {
            let Some(name) = function.get("name").and_then(Json::text) else {
                continue;
            };
            let line = format!("{name}:{}", description(function));
            tokens += function_start + self.encoding.count(&line);
            tokens += function
                .get("parameters")
                .map_or(0, |schema| self.properties(schema, 0));
        }
        if tokens > 0 {
            tokens + FUNCTIONS_END
        } else {
            0
        }
    }

    /// The published figures are for one level of properties; nested ones are counted alike.
    fn properties(&self, schema: Json<'_>, depth: usize) -> u64 {
        if depth == SCHEMA_DEPTH_MAX {
            return self.raw(schema);
        }
        let mut tokens = 0;
        for (key, value) in schema.members() {
            tokens += match key.as_ref() {
                "properties" if value.members().next().is_some() => {
                    PROPERTIES
                        + value
                            .members()
                            .map(|(name, property)| self.property(&name, property, depth))
                            .sum::<u64>()
                }
                "items" => self.properties(value, depth + 1),
                _ => 0,
            };
        }
        tokens
    }

    fn property(&self, name: &str, property: Json<'_>, depth: usize) -> u64 {
        let kind = property
            .get("type")
            .and_then(Json::text)
            .unwrap_or_default();
        let line = format!("{name}:{kind}:{}", description(property));
        let mut tokens = PROPERTY + self.encoding.count(&line);
        if let Some(values) = property.get("enum") {
            let items: u64 = values.elements().map(|item| self.enum_item(item)).sum();
            tokens += items.saturating_sub(ENUM);
        }
        tokens + self.properties(property, depth + 1)
    }

    fn enum_item(&self, item: Json<'_>) -> u64 {
        if item.is_string() {
            ENUM_ITEM + self.text(item)
        } else {
            self.raw(item)
        }
    }

    fn text(&self, value: Json<'_>) -> u64 {
        value.text().map_or(0, |text| self.encoding.count(&text))
    }

    /// The value as the JSON that it is.
    fn raw(&self, value: Json<'_>) -> u64 {
        self.encoding.count(&String::from_utf8_lossy(value.raw()))
    }
}

/// Without its full stop, as the published count has it.
fn description(of: Json<'_>) -> String {
    let mut text = of
        .get("description")
        .and_then(Json::text)
        .unwrap_or_default()
        .into_owned();
    if text.ends_with('.') {
        text.pop();
    }
    text
}
