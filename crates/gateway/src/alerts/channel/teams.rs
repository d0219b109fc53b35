//! Microsoft Teams through a Workflows webhook: an Adaptive Card.

use serde_json::{Value, json};

use crate::alerts::message::{Message, Severity};

pub(super) fn body(message: &Message) -> String {
    let colour = match (message.resolved, message.severity) {
        (true, _) => "Good",
        (false, Severity::Info) => "Default",
        (false, Severity::Warning) => "Warning",
        (false, Severity::Critical) => "Attention",
    };
    let facts: Vec<Value> = message
        .facts
        .iter()
        .map(|fact| json!({ "title": escaped(&fact.name), "value": escaped(&fact.value) }))
        .collect();
    let about = format!("Tollgate · {} · {}", message.rule, message.raised_at);
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": { "width": "Full" },
        "body": [
            { "type": "TextBlock", "text": escaped(&message.title), "size": "Large", "weight": "Bolder", "color": colour, "wrap": true },
            // Two line breaks make a new line in a card.
            { "type": "TextBlock", "text": escaped(&message.text).replace('\n', "\n\n"), "wrap": true },
            { "type": "FactSet", "facts": facts },
            { "type": "TextBlock", "text": escaped(&about), "isSubtle": true, "size": "Small", "wrap": true },
        ],
    });
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": card,
        }],
    })
    .to_string()
}

/// Cards take Markdown: a name must not become a link.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '[' | ']' | '*' | '_' | '`') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::message::sample;

    #[test]
    fn it_is_a_card_with_the_facts_and_no_markup_of_others() {
        let mut message = sample();
        message.title = "Budget [here](https://evil.example)".to_owned();
        let body: Value = serde_json::from_str(&body(&message)).unwrap();
        assert_eq!(body["type"], "message");
        let card = &body["attachments"][0];
        assert_eq!(
            card["contentType"],
            "application/vnd.microsoft.card.adaptive"
        );
        let blocks = card["content"]["body"].as_array().unwrap();
        assert_eq!(blocks[0]["text"], "Budget \\[here\\](https://evil.example)");
        assert_eq!(blocks[2]["facts"][0]["value"], "402.13 EUR");
        assert_eq!(
            blocks[1]["text"],
            "402.13 of 500.00 EUR are spent.\n\nCalls go on."
        );
    }
}
