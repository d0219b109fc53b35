//! Whose text is whose: a judge must not weigh what a user wrote against what stands before it, and
//! looks at what tools brought otherwise than at what people wrote.

use super::{ARGUMENTS, DEPTH_MAX, TOKENS, TOKENS_DEPTH, is_no_text, names};
use crate::json::{Json, scan};

/// Who brought a text into the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Voice {
    /// Whoever built the application: instructions, definitions of tools.
    System,
    /// And whatever is not known to be somebody else's.
    User,
    Assistant,
    /// What a tool returned, or a document that was attached.
    Tool,
}

/// Parts that hold what a tool returned, whoever sends them.
const TOOL_PARTS: [&str; 9] = [
    "tool_result",
    "function_call_output",
    "custom_tool_call_output",
    "computer_call_output",
    "local_shell_call_output",
    "mcp_call",
    "web_search_tool_result",
    "document",
    "search_result",
];

/// Shows every text of `document` that [`super::each`] shows, in the same order, with its voice;
/// those of a tool call's arguments whole. What is not JSON is one text.
pub fn each_turn(document: &[u8], mut look: impl FnMut(Voice, &str)) {
    if scan::members(document, []).is_err() {
        look(Voice::User, &String::from_utf8_lossy(document));
        return;
    }
    walk(Json::whole(document), Voice::User, 0, &mut look);
}

fn walk(value: Json<'_>, voice: Voice, depth: usize, look: &mut dyn FnMut(Voice, &str)) {
    if depth > DEPTH_MAX {
        return;
    }
    for element in value.elements() {
        show("", element, voice, depth, look);
    }
    let voice = own_voice(value).unwrap_or(voice);
    for (key, value) in value.members() {
        if !names::is_known(&key) {
            look(voice, &key);
        }
        if key == TOKENS && depth == TOKENS_DEPTH {
            continue;
        }
        let voice = match &*key {
            // OpenAI's responses, Anthropic's messages, everybody's tools.
            "instructions" | "system" | "tools" | "functions" | "response_format" => Voice::System,
            _ => voice,
        };
        show(&key, value, voice, depth, look);
    }
}

fn show(key: &str, value: Json<'_>, voice: Voice, depth: usize, look: &mut dyn FnMut(Voice, &str)) {
    if !value.is_string() {
        return walk(value, voice, depth + 1, look);
    }
    let Some(text) = value.text() else { return };
    if is_no_text(key, &text) {
        return;
    }
    // As a tool reads them: a word that escapes take apart is one word.
    if key == ARGUMENTS && scan::members(text.as_bytes(), []).is_ok() {
        return arguments(Json::whole(text.as_bytes()), voice, 0, look);
    }
    look(voice, &text);
}

fn arguments(value: Json<'_>, voice: Voice, depth: usize, look: &mut dyn FnMut(Voice, &str)) {
    if let Some(text) = value.text() {
        return look(voice, &text);
    }
    if depth > DEPTH_MAX {
        return;
    }
    for element in value.elements() {
        arguments(element, voice, depth + 1, look);
    }
    for (key, value) in value.members() {
        look(voice, &key);
        arguments(value, voice, depth + 1, look);
    }
}

/// What a message says of itself by its role, or a part of one by its type.
fn own_voice(value: Json<'_>) -> Option<Voice> {
    let text = |key| value.get(key).and_then(|value| value.text());
    if text("type").is_some_and(|kind| TOOL_PARTS.contains(&&*kind)) {
        return Some(Voice::Tool);
    }
    match text("role").as_deref()? {
        "system" | "developer" => Some(Voice::System),
        "assistant" => Some(Voice::Assistant),
        "tool" | "function" => Some(Voice::Tool),
        "user" => Some(Voice::User),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(document: &str) -> Vec<(Voice, String)> {
        let mut turns = Vec::new();
        each_turn(document.as_bytes(), |voice, text| {
            turns.push((voice, text.to_owned()));
        });
        let mut texts = Vec::new();
        super::super::each(document.as_bytes(), |text| texts.push(text.to_owned()));
        let shown: Vec<&String> = turns.iter().map(|(_, text)| text).collect();
        assert_eq!(shown, texts.iter().collect::<Vec<_>>(), "{document}");
        turns
    }

    fn expect(document: &str, expected: &[(Voice, &str)]) {
        let expected: Vec<(Voice, String)> = expected
            .iter()
            .map(|(voice, text)| (*voice, (*text).to_owned()))
            .collect();
        assert_eq!(turns(document), expected, "{document}");
    }

    #[test]
    fn each_text_of_a_chat_has_the_voice_of_its_message() {
        expect(
            r#"{"model":"m","messages":[
                {"role":"system","content":"be nice"},
                {"content":[{"type":"text","text":"hi"}],"role":"user"},
                {"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{\"q\":\"x\"}"}}]},
                {"role":"tool","content":"found"}],
              "tools":[{"function":{"description":"finds"}}]}"#,
            &[
                (Voice::System, "be nice"),
                (Voice::User, "hi"),
                (Voice::Assistant, "f"),
                (Voice::Assistant, "q"),
                (Voice::Assistant, "x"),
                (Voice::Tool, "found"),
                (Voice::System, "finds"),
            ],
        );
    }

    #[test]
    fn anthropic_blocks_and_results_of_tools_are_told_apart() {
        expect(
            r#"{"system":[{"type":"text","text":"be nice"}],"messages":[
                {"role":"user","content":[
                    {"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"found"}]},
                    {"type":"text","text":"and now?"}]}]}"#,
            &[
                (Voice::System, "be nice"),
                (Voice::Tool, "t"),
                (Voice::Tool, "found"),
                (Voice::User, "and now?"),
            ],
        );
    }

    #[test]
    fn what_is_nobodys_is_a_users() {
        expect(
            r#"{"prompt":["a","b"],"unheard_of":{"x":"c"}}"#,
            &[
                (Voice::User, "a"),
                (Voice::User, "b"),
                (Voice::User, "unheard_of"),
                (Voice::User, "x"),
                (Voice::User, "c"),
            ],
        );
        expect(
            r#"{"instructions":"s","input":[{"type":"function_call_output","output":"t"},{"role":"user","content":"u"}]}"#,
            &[(Voice::System, "s"), (Voice::Tool, "t"), (Voice::User, "u")],
        );
        expect("no json", &[(Voice::User, "no json")]);
    }
}
