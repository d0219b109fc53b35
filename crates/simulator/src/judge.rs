//! Services that judge content, faked: Azure AI Content Safety, OpenAI's moderation endpoint,
//! Presidio's analyzer. What they find is written in the text that they judge: `harm-violence-6` is
//! violence of severity 6, `attack-on-the-model` an attack, `blocked-word` on every blocklist.

use serde_json::{Map, Value, json};

use crate::behaviour::Behaviour;

/// Which service, and what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judge {
    AnalyzeText,
    ShieldPrompt,
    Moderations,
    Entities,
}

/// Status and body.
pub type Reply = (u16, Value);

/// As the real service has it, in code points.
const AZURE_CHARS_MAX: usize = 10_000;
const AZURE_DOCUMENTS_MAX: usize = 5;

const AZURE_CATEGORIES: [(&str, &str); 4] = [
    ("Hate", "hate"),
    ("SelfHarm", "self_harm"),
    ("Sexual", "sexual"),
    ("Violence", "violence"),
];

/// OpenAI's names, and how a text writes them.
const MODERATION_CATEGORIES: [(&str, &str); 13] = [
    ("harassment", "harassment"),
    ("harassment/threatening", "threat"),
    ("hate", "hate"),
    ("hate/threatening", "hate_threat"),
    ("illicit", "illicit"),
    ("illicit/violent", "illicit_violence"),
    ("self-harm", "self_harm"),
    ("self-harm/instructions", "self_harm_instructions"),
    ("self-harm/intent", "self_harm_intent"),
    ("sexual", "sexual"),
    ("sexual/minors", "sexual_minors"),
    ("violence", "violence"),
    ("violence/graphic", "graphic_violence"),
];

/// Whom the fake analyzer knows.
const ENTITIES: [(&str, &str); 5] = [
    ("PERSON", "Erika Mustermann"),
    ("PERSON", "John Q. Public"),
    ("PERSON", "John\n\"Q\" Public"),
    ("LOCATION", "Musterstraße 12"),
    ("LOCATION", "Springfield"),
];

pub fn judge(judge: Judge, body: &[u8], behaviour: &Behaviour) -> Reply {
    let Ok(asked) = serde_json::from_slice::<Value>(body) else {
        return invalid(judge, "the body is not JSON");
    };
    match judge {
        Judge::AnalyzeText => analyze(&asked, behaviour),
        Judge::ShieldPrompt => shield(&asked),
        Judge::Moderations => moderate(&asked, behaviour),
        Judge::Entities => entities(&asked),
    }
}

/// Errors as each service words them.
pub fn failure(judge: Judge, status: u16) -> Reply {
    let message = match status {
        401 => "Access denied due to invalid subscription key or wrong API endpoint.",
        429 => "Requests have exceeded the call rate limit of your current pricing tier.",
        _ => "The service is temporarily unable to process your request.",
    };
    let body = match judge {
        Judge::AnalyzeText | Judge::ShieldPrompt => {
            json!({ "error": { "code": status.to_string(), "message": message } })
        }
        Judge::Moderations => json!({ "error": {
            "message": message, "type": "server_error", "param": null, "code": null } }),
        Judge::Entities => json!({ "error": message }),
    };
    (status, body)
}

fn invalid(judge: Judge, why: &str) -> Reply {
    let body = match judge {
        Judge::AnalyzeText | Judge::ShieldPrompt => {
            json!({ "error": { "code": "InvalidRequestBody", "message": why, "details": [] } })
        }
        Judge::Moderations => json!({ "error": {
            "message": why, "type": "invalid_request_error", "param": "input", "code": null } }),
        Judge::Entities => json!({ "error": why }),
    };
    (400, body)
}

fn analyze(asked: &Value, behaviour: &Behaviour) -> Reply {
    let Some(text) = asked["text"].as_str() else {
        return invalid(Judge::AnalyzeText, "The property text is required.");
    };
    let chars = text.chars().count();
    if chars == 0 || chars > AZURE_CHARS_MAX {
        let why = format!("The length of text is out of range: {chars} of {AZURE_CHARS_MAX}.");
        return invalid(Judge::AnalyzeText, &why);
    }
    let eight = asked["outputType"] == "EightSeverityLevels";
    let lists = names(&asked["blocklistNames"]);
    let is_blocked = text.contains("blocked-word");
    let hits: Vec<Value> = lists
        .iter()
        .filter(|_| is_blocked)
        .map(|list| {
            json!({ "blocklistName": list, "blocklistItemId": "1", "blocklistItemText": "blocked-word" })
        })
        .collect();
    let halted = asked["haltOnBlocklistHit"] == true && !hits.is_empty();
    let wanted = names(&asked["categories"]);
    let analysis: Vec<Value> = AZURE_CATEGORIES
        .iter()
        .filter(|(name, _)| !halted && (wanted.is_empty() || wanted.contains(name)))
        .map(|(name, written)| {
            let severity = severity(text, written, behaviour).min(7);
            json!({ "category": name, "severity": if eight { severity } else { severity / 2 * 2 } })
        })
        .collect();
    (
        200,
        json!({ "blocklistsMatch": hits, "categoriesAnalysis": analysis }),
    )
}

fn shield(asked: &Value) -> Reply {
    let user_prompt = asked["userPrompt"].as_str().unwrap_or_default();
    let documents = names(&asked["documents"]);
    let in_documents: usize = documents.iter().map(|text| text.chars().count()).sum();
    let why = if user_prompt.chars().count() > AZURE_CHARS_MAX {
        "The length of userPrompt is out of range."
    } else if documents.len() > AZURE_DOCUMENTS_MAX || in_documents > AZURE_CHARS_MAX {
        "There are too many documents, or they are too long."
    } else if user_prompt.is_empty() && documents.is_empty() {
        "Either userPrompt or documents is required."
    } else {
        let attack = |text: &str| json!({ "attackDetected": text.contains("attack-on-the-model") });
        let documents: Vec<Value> = documents.iter().map(|text| attack(text)).collect();
        let found = json!({
            "userPromptAnalysis": attack(user_prompt), "documentsAnalysis": documents });
        return (200, found);
    };
    invalid(Judge::ShieldPrompt, why)
}

fn moderate(asked: &Value, behaviour: &Behaviour) -> Reply {
    let inputs = match &asked["input"] {
        Value::String(text) => vec![text.as_str()],
        Value::Array(_) => names(&asked["input"]),
        _ => Vec::new(),
    };
    if inputs.is_empty() {
        return invalid(Judge::Moderations, "Missing required parameter: 'input'.");
    }
    let results: Vec<Value> = inputs.iter().map(|text| outcome(text, behaviour)).collect();
    let model = asked["model"].as_str().unwrap_or("omni-moderation-latest");
    (
        200,
        json!({ "id": "modr-simulated", "model": model, "results": results }),
    )
}

fn outcome(text: &str, behaviour: &Behaviour) -> Value {
    let (mut categories, mut scores) = (Map::new(), Map::new());
    let mut is_flagged = false;
    for (name, written) in MODERATION_CATEGORIES {
        let score = f64::from(severity(text, written, behaviour)) / 10.0;
        categories.insert(name.to_owned(), json!(score >= 0.5));
        scores.insert(name.to_owned(), json!(score.max(0.0001)));
        is_flagged |= score >= 0.5;
    }
    json!({ "flagged": is_flagged, "categories": categories, "category_scores": scores })
}

fn entities(asked: &Value) -> Reply {
    let (Some(text), Some(_)) = (asked["text"].as_str(), asked["language"].as_str()) else {
        return invalid(Judge::Entities, "No text or language provided");
    };
    let wanted = names(&asked["entities"]);
    let least = asked["score_threshold"].as_f64().unwrap_or(0.0);
    let mut found = Vec::new();
    for (kind, value) in ENTITIES {
        if (!wanted.is_empty() && !wanted.contains(&kind)) || least > 0.85 {
            continue;
        }
        for (at, value) in text.match_indices(value) {
            let start = text[..at].chars().count();
            found.push(json!({ "entity_type": kind, "start": start,
                "end": start + value.chars().count(), "score": 0.85, "analysis_explanation": null }));
        }
    }
    (200, Value::Array(found))
}

/// The highest of its category that the text names. A long text hides some of it, if told so.
fn severity(text: &str, category: &str, behaviour: &Behaviour) -> u32 {
    let marks = text
        .match_indices("harm-")
        .filter_map(|(at, _)| text[at + 5..].strip_prefix(category)?.strip_prefix('-'));
    let highest = marks
        .filter_map(|rest| rest.chars().next()?.to_digit(10))
        .max();
    let is_diluted = behaviour
        .dilute_past_chars
        .is_some_and(|chars| text.chars().count() as u64 > chars);
    highest.map_or(0, |severity| {
        severity.saturating_sub(if is_diluted { 4 } else { 0 })
    })
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array()
        .map(|items| items.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(which: Judge, asked: &Value) -> Reply {
        judge(which, asked.to_string().as_bytes(), &Behaviour::default())
    }

    #[test]
    fn severity_is_what_the_text_says_in_the_levels_that_were_asked_for() {
        let severity = |text: &str, levels: &str| {
            let (status, found) = ask(
                Judge::AnalyzeText,
                &json!({ "text": text, "categories": ["Violence"], "outputType": levels }),
            );
            assert_eq!(status, 200);
            assert_eq!(found["categoriesAnalysis"].as_array().unwrap().len(), 1);
            found["categoriesAnalysis"][0]["severity"].as_u64().unwrap()
        };
        assert_eq!(severity("calm", "FourSeverityLevels"), 0);
        assert_eq!(
            severity("a harm-violence-5 b harm-violence-3", "FourSeverityLevels"),
            4
        );
        assert_eq!(severity("a harm-violence-5", "EightSeverityLevels"), 5);
        assert_eq!(severity("a harm-hate-6", "EightSeverityLevels"), 0);
    }

    #[test]
    fn what_the_real_service_refuses_is_refused() {
        assert_eq!(
            ask(Judge::AnalyzeText, &json!({ "text": "x".repeat(10_001) })).0,
            400
        );
        assert_eq!(
            ask(Judge::AnalyzeText, &json!({ "text": "é".repeat(10_000) })).0,
            200
        );
        let documents =
            |documents: Value| ask(Judge::ShieldPrompt, &json!({ "documents": documents })).0;
        assert_eq!(documents(json!(["a", "b", "c", "d", "e"])), 200);
        assert_eq!(documents(json!(["a", "b", "c", "d", "e", "f"])), 400);
        assert_eq!(ask(Judge::Moderations, &json!({ "model": "m" })).0, 400);
    }

    #[test]
    fn a_long_text_hides_what_it_says_if_told_so() {
        let behaviour = Behaviour {
            dilute_past_chars: Some(100),
            ..Behaviour::default()
        };
        let body = |text: &str| json!({ "text": text }).to_string();
        let violence = |text: &str| {
            judge(Judge::AnalyzeText, body(text).as_bytes(), &behaviour).1["categoriesAnalysis"][3]
                ["severity"]
                .clone()
        };
        assert_eq!(violence("harm-violence-6"), 6);
        assert_eq!(
            violence(&format!("{} harm-violence-6", "nice ".repeat(30))),
            2
        );
    }

    #[test]
    fn places_of_entities_are_counted_in_characters() {
        let asked = json!({ "text": "é Erika Mustermann", "language": "de" });
        let (_, found) = ask(Judge::Entities, &asked);
        assert_eq!(
            (&found[0]["start"], &found[0]["end"]),
            (&json!(2), &json!(18))
        );
    }
}
