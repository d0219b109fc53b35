//! Decides what to answer: words, a tool call or JSON, how long, and why it ends.

use serde_json::Value;

use crate::behaviour::Behaviour;
use crate::question::{Question, Tool, ToolChoice};
use crate::random::Random;
use crate::route::Operation;
use crate::schema;
use crate::words::{self, WORDS};

/// Longer answers end with `length` here, as at a model's own bound on its output; several choices
/// share it.
const ANSWER_TOKENS_MAX: u64 = 16_384;
/// Of several prompts times `n`; more are not answered.
const CHOICES_MAX: u64 = 128;
/// JSON and tool arguments count one token for so many bytes; they are ASCII, so any cut is sound.
const JSON_BYTES_PER_TOKEN: usize = 4;

pub struct Answer {
    pub choices: Vec<Choice>,
    /// Tokens that are sent.
    pub visible_tokens: u64,
    /// Tokens that are billed and never sent.
    pub reasoning_tokens: u64,
    pub audio_tokens: u64,
}

pub struct Choice {
    pub content: Content,
    pub finish_reason: &'static str,
    pub tokens: u64,
}

pub enum Content {
    /// In pieces of one token each.
    Text(Vec<String>),
    ToolCall {
        id: String,
        name: String,
        arguments: Vec<String>,
    },
}

impl Answer {
    pub fn completion_tokens(&self) -> u64 {
        self.visible_tokens + self.reasoning_tokens + self.audio_tokens
    }
}

pub fn decide(
    operation: Operation,
    question: &Question,
    behaviour: &Behaviour,
    random: &mut Random,
) -> Answer {
    let prompts = if operation == Operation::Completions {
        question.inputs.len() as u64
    } else {
        1
    };
    let choices = question.choices.saturating_mul(prompts).min(CHOICES_MAX);
    let own_bound = ANSWER_TOKENS_MAX / choices.max(1);
    let limit = question
        .answer_tokens_max
        .unwrap_or(own_bound)
        .min(own_bound);
    let reasoning = behaviour.reasoning_tokens.min(limit);
    let room = limit - reasoning;
    let choices: Vec<_> = (0..choices)
        .map(|_| match (wanted_tool(question), &question.schema) {
            (Some(tool), _) => tool_call(tool, room, random),
            (None, Some(schema)) => text(
                json_pieces(&schema::value_of(schema, random)),
                room,
                &question.stop,
            ),
            (None, None) => text(spoken(question, behaviour, random), room, &question.stop),
        })
        .collect();
    Answer {
        visible_tokens: choices.iter().map(|choice| choice.tokens).sum(),
        reasoning_tokens: reasoning * choices.len() as u64,
        audio_tokens: behaviour.audio_completion_tokens.min(ANSWER_TOKENS_MAX),
        choices,
    }
}

/// Left to itself, the model calls a tool when the user speaks of one.
fn wanted_tool(question: &Question) -> Option<&Tool> {
    let first = question.tools.first()?;
    match &question.tool_choice {
        ToolChoice::None => None,
        ToolChoice::Required => Some(first),
        ToolChoice::Named(name) => question.tools.iter().find(|tool| tool.name == *name),
        ToolChoice::Auto => {
            let text = question.last_user_text();
            let named = question.tools.iter().find(|tool| text.contains(&tool.name));
            named.or_else(|| text.to_lowercase().contains("tool").then_some(first))
        }
    }
}

fn tool_call(tool: &Tool, room: u64, random: &mut Random) -> Choice {
    let mut arguments = json_pieces(&schema::value_of(&tool.parameters, random));
    let name_tokens = (tool.name.len() as u64).div_ceil(JSON_BYTES_PER_TOKEN as u64);
    let fits = room.saturating_sub(name_tokens) as usize;
    let finish_reason = if arguments.len() > fits {
        "length"
    } else {
        "tool_calls"
    };
    arguments.truncate(fits);
    Choice {
        tokens: name_tokens + arguments.len() as u64,
        content: Content::ToolCall {
            id: format!("call_{}", random.id(24)),
            name: tool.name.clone(),
            arguments,
        },
        finish_reason,
    }
}

fn spoken(question: &Question, behaviour: &Behaviour, random: &mut Random) -> Vec<String> {
    let spread = behaviour
        .answer_words_max
        .saturating_sub(behaviour.answer_words_min);
    let drawn = behaviour
        .answer_words_min
        .saturating_add(random.below(spread.saturating_add(1)));
    // One more than the bound, so that a longer answer is seen to be cut.
    let length = words::asked_length(question.last_user_text())
        .unwrap_or(drawn)
        .min(ANSWER_TOKENS_MAX + 1);
    (0..length)
        .map(|position| {
            let word = WORDS[random.below(WORDS.len() as u64) as usize];
            if position == 0 {
                word.to_owned()
            } else {
                format!(" {word}")
            }
        })
        .collect()
}

fn json_pieces(value: &Value) -> Vec<String> {
    let written = value.to_string();
    let mut pieces = vec![String::new()];
    for character in written.chars() {
        if pieces
            .last()
            .is_some_and(|piece| piece.len() >= JSON_BYTES_PER_TOKEN)
        {
            pieces.push(String::new());
        }
        if let Some(piece) = pieces.last_mut() {
            piece.push(character);
        }
    }
    pieces
}

fn text(mut pieces: Vec<String>, room: u64, stop: &[String]) -> Choice {
    let mut finish_reason = "stop";
    if pieces.len() as u64 > room {
        pieces.truncate(room as usize);
        finish_reason = "length";
    }
    if let Some(stop_at) = first_stop(&pieces, stop) {
        cut(&mut pieces, stop_at);
        finish_reason = "stop";
    }
    Choice {
        tokens: pieces.len() as u64,
        content: Content::Text(pieces),
        finish_reason,
    }
}

fn first_stop(pieces: &[String], stop: &[String]) -> Option<usize> {
    if stop.is_empty() {
        return None;
    }
    let whole = pieces.concat();
    stop.iter()
        .filter(|stop| !stop.is_empty())
        .filter_map(|stop| whole.find(stop.as_str()))
        .min()
}

fn cut(pieces: &mut Vec<String>, mut bytes_left: usize) {
    let mut kept = 0;
    while let Some(piece) = pieces.get_mut(kept) {
        if bytes_left == 0 {
            break;
        }
        piece.truncate(bytes_left);
        bytes_left -= piece.len();
        kept += 1;
    }
    pieces.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question;
    use serde_json::json;

    fn answer_to(mut body: Value, behaviour: &Behaviour) -> Answer {
        body["model"] = json!("gpt-4o");
        let question = question::read(Operation::Chat, None, body.to_string().as_bytes()).unwrap();
        decide(Operation::Chat, &question, behaviour, &mut Random::of(1, 1))
    }

    fn said(choice: &Choice) -> String {
        match &choice.content {
            Content::Text(pieces) => pieces.concat(),
            Content::ToolCall {
                name, arguments, ..
            } => format!("{name}({})", arguments.concat()),
        }
    }

    fn user(content: &str) -> Value {
        json!([{ "role": "user", "content": content }])
    }

    #[test]
    fn an_answer_has_as_many_words_as_the_prompt_asks_and_each_is_a_token() {
        let answer = answer_to(
            json!({ "messages": user("answer 40 words") }),
            &Behaviour::default(),
        );
        assert_eq!(answer.completion_tokens(), 40);
        assert_eq!(words::tokens(&said(&answer.choices[0])), 40);
        assert_eq!(answer.choices[0].finish_reason, "stop");
    }

    #[test]
    fn max_tokens_cut_the_answer_and_hidden_reasoning_counts_against_them() {
        let body = json!({ "messages": user("answer 40 words"), "max_completion_tokens": 10 });
        let answer = answer_to(
            body,
            &Behaviour {
                reasoning_tokens: 4,
                ..Behaviour::default()
            },
        );
        assert_eq!((answer.visible_tokens, answer.completion_tokens()), (6, 10));
        assert_eq!(answer.choices[0].finish_reason, "length");
    }

    #[test]
    fn an_absurd_length_is_cut_at_the_models_own_bound() {
        let answer = answer_to(
            json!({ "messages": user("answer 99999999999 words") }),
            &Behaviour::default(),
        );
        assert_eq!(answer.completion_tokens(), ANSWER_TOKENS_MAX);
        assert_eq!(answer.choices[0].finish_reason, "length");
    }

    #[test]
    fn lengths_nobody_asked_for_stay_within_what_is_configured() {
        let behaviour = Behaviour {
            answer_words_min: 3,
            answer_words_max: 5,
            ..Behaviour::default()
        };
        for _ in 0..50 {
            assert!((3..=5).contains(
                &answer_to(json!({ "messages": user("hi") }), &behaviour).visible_tokens
            ));
        }
    }

    #[test]
    fn a_stop_sequence_ends_the_answer_before_it() {
        let body = json!({ "messages": user("answer 40 words"), "stop": [" "] });
        assert_eq!(
            answer_to(body, &Behaviour::default()).completion_tokens(),
            1
        );
    }

    #[test]
    fn a_tool_is_called_when_chosen_or_spoken_of_and_not_otherwise() {
        let tools = json!([
            { "type": "function", "function": { "name": "get_time", "parameters": { "type": "object" } } },
            { "type": "function", "function": { "name": "get_weather", "parameters": {
                "type": "object", "properties": { "city": { "type": "string" } } } } },
        ]);
        let called = |content: &str, choice: Value| {
            let body = json!({ "messages": user(content), "tools": tools, "tool_choice": choice });
            let answer = answer_to(body, &Behaviour::default());
            (answer.choices[0].finish_reason, said(&answer.choices[0]))
        };
        let (reason, call) = called("call get_weather please", json!("auto"));
        assert!(
            reason == "tool_calls" && call.starts_with(r#"get_weather({"city":""#),
            "{call}"
        );
        assert!(
            called("use a tool", json!("auto"))
                .1
                .starts_with("get_time({})")
        );
        assert!(called("hi", json!("required")).1.starts_with("get_time"));
        assert!(
            called(
                "hi",
                json!({ "type": "function", "function": { "name": "get_weather" } })
            )
            .1
            .starts_with("get_weather")
        );
        assert_eq!(called("hi", json!("auto")).0, "stop");
        assert_eq!(called("use a tool", json!("none")).0, "stop");
    }

    #[test]
    fn a_json_answer_is_valid_json_of_the_schema() {
        let schema = json!({ "type": "object", "properties": { "age": { "type": "integer" } } });
        let format =
            json!({ "type": "json_schema", "json_schema": { "name": "x", "schema": schema } });
        let answer = answer_to(
            json!({ "messages": user("hi"), "response_format": format }),
            &Behaviour::default(),
        );
        let value: Value = serde_json::from_str(&said(&answer.choices[0])).unwrap();
        assert!(value["age"].is_i64());
    }

    #[test]
    fn every_choice_is_an_answer_of_its_own() {
        let answer = answer_to(
            json!({ "messages": user("answer 5 words"), "n": 3 }),
            &Behaviour::default(),
        );
        assert_eq!((answer.choices.len(), answer.completion_tokens()), (3, 15));
        assert_ne!(said(&answer.choices[0]), said(&answer.choices[1]));
    }
}
