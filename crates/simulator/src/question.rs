//! What a request asks, as far as an answer depends on it, and how many tokens its prompt has.

use serde_json::Value;

use crate::route::Operation;
use crate::words;

/// OpenAI's published overhead: each message has 3 tokens around it, and the answer is primed by 3.
const MESSAGE_OVERHEAD: u64 = 3;
const PRIMING: u64 = 3;
const IMAGE_LOW: u64 = 85;
const IMAGE_HIGH: u64 = 765;
/// What OpenAI lets a legacy completion write when nobody says how much.
const COMPLETIONS_DEFAULT: u64 = 16;
/// More choices, prompts or inputs are refused, as by the providers.
const CHOICES_MAX: u64 = 128;
const INPUTS_MAX: usize = 2048;

#[derive(Debug)]
pub struct Question {
    pub model: String,
    pub stream: bool,
    pub include_usage: bool,
    pub choices: u64,
    pub answer_tokens_max: Option<u64>,
    pub prompt_tokens: u64,
    /// All text of the prompt: where an override's marker is looked for.
    pub text: String,
    /// Where the text of the last user message begins in `text`.
    pub last_user_at: usize,
    pub stop: Vec<String>,
    pub tools: Vec<Tool>,
    pub tool_choice: ToolChoice,
    /// A JSON answer is asked; the schema is `true` where none is given.
    pub schema: Option<Value>,
    /// Embeddings: the texts; completions: the prompts.
    pub inputs: Vec<String>,
    pub dimensions: Option<u64>,
    pub base64: bool,
    /// The body field `simulate`.
    pub simulate: Option<Value>,
}

#[derive(Debug)]
pub struct Tool {
    pub name: String,
    pub parameters: Value,
}

#[derive(Debug, PartialEq, Eq)]
pub enum ToolChoice {
    Auto,
    None,
    Required,
    Named(String),
}

/// What a provider would refuse as 400.
#[derive(Debug, PartialEq, Eq)]
pub struct Invalid {
    pub message: String,
    pub param: Option<&'static str>,
}

impl Invalid {
    fn new(message: impl Into<String>, param: &'static str) -> Self {
        Self {
            message: message.into(),
            param: Some(param),
        }
    }
}

pub fn read(
    operation: Operation,
    deployment: Option<&str>,
    body: &[u8],
) -> Result<Question, Invalid> {
    let unreadable = || {
        Invalid {
        message: "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your \
                  HTTP library correctly. The API expects a JSON payload, but what was sent was not valid JSON.)"
            .to_owned(),
        param: None,
    }
    };
    let Value::Object(mut body) = serde_json::from_slice(body).map_err(|_| unreadable())? else {
        return Err(unreadable());
    };
    let model = match (deployment, body.get("model").and_then(Value::as_str)) {
        (Some(deployment), _) => deployment.to_owned(),
        (None, Some(model)) if !model.is_empty() => model.to_owned(),
        (None, _) => {
            return Err(Invalid {
                message: "you must provide a model parameter".to_owned(),
                param: None,
            });
        }
    };
    let number = |name| body.get(name).and_then(Value::as_u64);
    let choices = number("n").unwrap_or(1).max(1);
    if choices > CHOICES_MAX {
        return Err(Invalid::new(
            format!("Invalid 'n': expected a value <= {CHOICES_MAX}"),
            "n",
        ));
    }
    let mut question = Question {
        model,
        stream: body.get("stream").and_then(Value::as_bool).unwrap_or(false),
        include_usage: body
            .get("stream_options")
            .is_some_and(|options| options["include_usage"] == true),
        choices,
        answer_tokens_max: number("max_completion_tokens").or(number("max_tokens")),
        prompt_tokens: 0,
        text: String::new(),
        last_user_at: 0,
        stop: texts(body.get("stop")),
        tools: Vec::new(),
        tool_choice: ToolChoice::Auto,
        schema: None,
        inputs: Vec::new(),
        dimensions: number("dimensions"),
        base64: body
            .get("encoding_format")
            .is_some_and(|format| format == "base64"),
        simulate: None,
    };
    match operation {
        Operation::Chat => {
            let messages = body
                .get("messages")
                .and_then(Value::as_array)
                .filter(|messages| !messages.is_empty());
            let Some(messages) = messages else {
                return Err(Invalid::new(
                    "Missing required parameter: 'messages'.",
                    "messages",
                ));
            };
            question.read_messages(messages);
            question.read_tools(&body);
            question.schema = wanted_schema(body.get("response_format"));
            // Nobody publishes what a schema or a tool costs; four bytes a token is near.
            for costly in ["tools", "response_format"]
                .iter()
                .filter_map(|name| body.get(*name))
            {
                question.prompt_tokens += (costly.to_string().len() as u64).div_ceil(4);
            }
        }
        Operation::Completions => {
            question
                .answer_tokens_max
                .get_or_insert(COMPLETIONS_DEFAULT);
            question.read_inputs(body.get("prompt").unwrap_or(&Value::Null), "prompt")?;
        }
        Operation::Embeddings => {
            question.read_inputs(body.get("input").unwrap_or(&Value::Null), "input")?;
        }
    }
    question.simulate = body.remove("simulate");
    Ok(question)
}

impl Question {
    pub fn last_user_text(&self) -> &str {
        self.text.get(self.last_user_at..).unwrap_or_default()
    }

    fn read_messages(&mut self, messages: &[Value]) {
        self.prompt_tokens = PRIMING;
        for message in messages {
            let starts_at = self.text.len();
            self.prompt_tokens += MESSAGE_OVERHEAD + 1;
            if let Some(name) = message["name"].as_str() {
                self.prompt_tokens += 1 + words::tokens(name);
            }
            if let Some(calls) = message["tool_calls"].as_array() {
                let written: usize = calls
                    .iter()
                    .map(|call| call["function"].to_string().len())
                    .sum();
                self.prompt_tokens += (written as u64).div_ceil(4);
            }
            self.read_content(&message["content"]);
            if message["role"] == "user" {
                self.last_user_at = starts_at;
            }
        }
    }

    fn read_content(&mut self, content: &Value) {
        match content {
            Value::String(text) => self.read_text(text),
            Value::Array(parts) => {
                for part in parts {
                    match part["type"].as_str() {
                        Some("image_url") if part["image_url"]["detail"] == "low" => {
                            self.prompt_tokens += IMAGE_LOW;
                        }
                        Some("image_url") => self.prompt_tokens += IMAGE_HIGH,
                        _ => self.read_text(part["text"].as_str().unwrap_or_default()),
                    }
                }
            }
            _ => {}
        }
    }

    fn read_text(&mut self, text: &str) {
        self.prompt_tokens += words::tokens(text);
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn read_tools(&mut self, body: &serde_json::Map<String, Value>) {
        for tool in body
            .get("tools")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let function = &tool["function"];
            if let Some(name) = function["name"].as_str() {
                self.tools.push(Tool {
                    name: name.to_owned(),
                    parameters: function["parameters"].clone(),
                });
            }
        }
        self.tool_choice = match body.get("tool_choice") {
            Some(Value::String(choice)) if choice == "none" => ToolChoice::None,
            Some(Value::String(choice)) if choice == "required" => ToolChoice::Required,
            Some(choice @ Value::Object(_)) => match choice["function"]["name"].as_str() {
                Some(name) => ToolChoice::Named(name.to_owned()),
                None => ToolChoice::Required,
            },
            _ => ToolChoice::Auto,
        };
    }

    /// A text, several texts, token ids, or several lists of token ids.
    fn read_inputs(&mut self, inputs: &Value, param: &'static str) -> Result<(), Invalid> {
        let ids = |list: &[Value]| !list.is_empty() && list.iter().all(Value::is_u64);
        let list = match inputs {
            Value::Array(list) if !list.is_empty() && !ids(list) => list.as_slice(),
            Value::String(_) | Value::Array(_) => std::slice::from_ref(inputs),
            _ => &[],
        };
        if list.is_empty()
            || list.len() > INPUTS_MAX
            || inputs.as_array().is_some_and(Vec::is_empty)
        {
            return Err(Invalid::new(
                format!("'{param}' must hold 1 to {INPUTS_MAX} texts or lists of tokens."),
                param,
            ));
        }
        for input in list {
            match input {
                Value::String(text) => {
                    self.read_text(text);
                    self.inputs.push(text.clone());
                }
                Value::Array(tokens) if ids(tokens) => {
                    self.prompt_tokens += tokens.len() as u64;
                    self.inputs.push(input.to_string());
                }
                _ => {
                    return Err(Invalid::new(
                        format!("'{param}' holds neither text nor tokens."),
                        param,
                    ));
                }
            }
        }
        Ok(())
    }
}

fn wanted_schema(format: Option<&Value>) -> Option<Value> {
    let format = format?;
    match format["type"].as_str()? {
        "json_schema" => Some(format["json_schema"]["schema"].clone()),
        "json_object" => Some(Value::Bool(true)),
        _ => None,
    }
}

fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn chat(body: &Value) -> Question {
        read(Operation::Chat, None, body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_chat_prompt_has_its_words_and_the_published_overhead() {
        let question = chat(&json!({ "model": "gpt-4o", "messages": [
            { "role": "system", "content": "answer short" },
            { "role": "user", "content": [{ "type": "text", "text": "answer 40 words" }] },
        ]}));
        assert_eq!(question.prompt_tokens, 3 + (4 + 2) + (4 + 4));
        assert_eq!(question.last_user_text(), "answer 40 words\n");
    }

    #[test]
    fn completions_have_the_words_of_every_prompt_and_a_short_answer() {
        let body = json!({ "model": "m", "prompt": ["one two", "say 30 words"] }).to_string();
        let question = read(Operation::Completions, None, body.as_bytes()).unwrap();
        assert_eq!(
            (question.prompt_tokens, question.answer_tokens_max),
            (6, Some(16))
        );
    }

    #[test]
    fn embeddings_take_texts_and_tokens() {
        let tokens = |input: Value| {
            let body = json!({ "model": "m", "input": input }).to_string();
            read(Operation::Embeddings, None, body.as_bytes())
                .map(|question| (question.prompt_tokens, question.inputs.len()))
        };
        assert_eq!(tokens(json!("one two")), Ok((2, 1)));
        assert_eq!(tokens(json!([1, 2, 3])), Ok((3, 1)));
        assert_eq!(tokens(json!([[1, 2], [3]])), Ok((3, 2)));
        assert_eq!(tokens(json!([])).unwrap_err().param, Some("input"));
        assert!(tokens(json!({})).is_err() && tokens(json!([{}])).is_err());
    }

    #[test]
    fn what_a_provider_refuses_is_refused() {
        let fault = |body: &str| read(Operation::Chat, None, body.as_bytes()).unwrap_err();
        assert!(fault("{").message.contains("could not parse"));
        assert!(fault("[]").message.contains("could not parse"));
        assert!(fault("{}").message.contains("model"));
        assert_eq!(fault(r#"{"model":"m"}"#).param, Some("messages"));
        assert_eq!(fault(r#"{"model":"m","n":1000}"#).param, Some("n"));
    }

    #[test]
    fn the_deployment_of_the_path_is_the_model() {
        let body = br#"{"model":"other","messages":[{"role":"user","content":"hi"}]}"#;
        assert_eq!(
            read(Operation::Chat, Some("mine"), body).unwrap().model,
            "mine"
        );
    }
}
