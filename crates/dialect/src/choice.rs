//! The text of an answer's choices, whole (`message`) or in pieces (`delta`): what a count of
//! completion tokens goes by.

use crate::json::Json;

/// Which of an answer's texts a piece belongs to. Each is tokenized on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Channel {
    choice: u64,
    call: u64,
    part: Part,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Text,
    Content,
    Refusal,
    Reasoning,
    CallName,
    CallArguments,
}

/// Shows each piece of text in `answer`, a unary body or one stream event.
pub(crate) fn each_text(answer: Json<'_>, mut text: impl FnMut(Channel, &str)) {
    let Some(choices) = answer.get("choices") else {
        return;
    };
    for (position, choice) in (0..).zip(choices.elements()) {
        let mut index = position;
        let mut said = None;
        let mut message = None;
        for (key, value) in choice.members() {
            match key.as_ref() {
                "index" => index = number(value).unwrap_or(position),
                "text" => said = Some(value),
                "delta" | "message" => message = Some(value),
                _ => {}
            }
        }
        if let Some(value) = said {
            show(
                value,
                Channel {
                    choice: index,
                    call: 0,
                    part: Part::Text,
                },
                &mut text,
            );
        }
        if let Some(value) = message {
            each_of_message(value, index, &mut text);
        }
    }
}

fn each_of_message(message: Json<'_>, choice: u64, text: &mut impl FnMut(Channel, &str)) {
    for (key, value) in message.members() {
        let part = match key.as_ref() {
            "content" => Part::Content,
            "refusal" => Part::Refusal,
            "reasoning_content" | "reasoning" => Part::Reasoning,
            "function_call" => {
                each_of_function(
                    value,
                    Channel {
                        choice,
                        call: 0,
                        part: Part::CallName,
                    },
                    text,
                );
                continue;
            }
            "tool_calls" => {
                for (position, call) in (0..).zip(value.elements()) {
                    let call_index = call.get("index").and_then(number).unwrap_or(position);
                    if let Some(function) = call.get("function") {
                        each_of_function(
                            function,
                            Channel {
                                choice,
                                call: call_index,
                                part: Part::CallName,
                            },
                            text,
                        );
                    }
                }
                continue;
            }
            _ => continue,
        };
        show(
            value,
            Channel {
                choice,
                call: 0,
                part,
            },
            text,
        );
    }
}

fn each_of_function(function: Json<'_>, channel: Channel, text: &mut impl FnMut(Channel, &str)) {
    for (key, value) in function.members() {
        match key.as_ref() {
            "name" => show(value, channel, text),
            "arguments" => show(
                value,
                Channel {
                    part: Part::CallArguments,
                    ..channel
                },
                text,
            ),
            _ => {}
        }
    }
}

fn show(value: Json<'_>, channel: Channel, text: &mut impl FnMut(Channel, &str)) {
    match value.text() {
        Some(piece) if !piece.is_empty() => text(channel, &piece),
        _ => {}
    }
}

fn number(value: Json<'_>) -> Option<u64> {
    std::str::from_utf8(value.raw()).ok()?.parse().ok()
}
