//! Slack's incoming webhooks: blocks of plain text, so that no name can be taken for markup.

use serde_json::{Value, json};

use crate::alerts::message::{Message, Severity};

/// What Slack takes in one section.
const FIELDS_MAX: usize = 10;

pub(super) fn body(message: &Message) -> String {
    let plain = |text: &str| json!({ "type": "plain_text", "text": text, "emoji": false });
    let sign = match (message.resolved, message.severity) {
        (true, _) => "✅",
        (false, Severity::Info) => "ℹ️",
        (false, Severity::Warning) => "⚠️",
        (false, Severity::Critical) => "🚨",
    };
    let mut blocks = vec![
        json!({ "type": "header", "text": plain(&format!("{sign} {}", message.title)) }),
        json!({ "type": "section", "text": plain(&message.text) }),
    ];
    for facts in message.facts.chunks(FIELDS_MAX) {
        let fields: Vec<Value> = facts
            .iter()
            .map(|fact| plain(&format!("{}: {}", fact.name, fact.value)))
            .collect();
        blocks.push(json!({ "type": "section", "fields": fields }));
    }
    let about = format!("Tollgate · {} · {}", message.rule, message.raised_at);
    blocks.push(json!({ "type": "context", "elements": [plain(&about)] }));
    // What notifications show. Here `&`, `<` and `>` are markup.
    let escaped = message
        .title
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    json!({ "text": escaped, "blocks": blocks }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::message::sample;

    #[test]
    fn a_name_is_text_and_never_a_link_or_a_mention() {
        let mut message = sample();
        message.title = "Budget <!channel> of <https://evil.example|us>".to_owned();
        let body: Value = serde_json::from_str(&body(&message)).unwrap();
        assert_eq!(
            body["text"],
            "Budget &lt;!channel&gt; of &lt;https://evil.example|us&gt;"
        );
        let kinds: Vec<&Value> = body["blocks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|block| &block["type"])
            .collect();
        assert_eq!(kinds, ["header", "section", "section", "context"]);
        assert_eq!(body["blocks"][0]["text"]["type"], "plain_text");
        assert_eq!(body["blocks"][2]["fields"][0]["text"], "Spent: 402.13 EUR");
    }

    #[test]
    fn the_longest_message_is_within_slack_s_bounds() {
        let mut message = sample();
        for _ in 0..15 {
            message = message.fact(&"n".repeat(50), &"v".repeat(5_000));
        }
        message.title = "t".repeat(1_000);
        message.text = "x".repeat(10_000);
        let message: Message = serde_json::from_str(&message.into_json()).unwrap();
        let body: Value = serde_json::from_str(&body(&message)).unwrap();
        let length = |text: &Value| text["text"].as_str().unwrap().chars().count();
        for block in body["blocks"].as_array().unwrap() {
            match block["type"].as_str().unwrap() {
                "header" => assert!(length(&block["text"]) <= 150),
                "section" => {
                    assert!(block.get("text").is_none_or(|text| length(text) <= 3_000));
                    let fields = block["fields"].as_array();
                    assert!(fields.is_none_or(|fields| fields.len() <= 10));
                }
                _ => {}
            }
        }
    }
}
