//! Azure AI Content Safety, version 2024-09-01: `text:analyze` says how severe a text is in each
//! category and which blocklists it hits; `text:shieldPrompt` says whether it attacks the model.

use serde::{Deserialize, Serialize};

use super::{Judgement, Unreadable};

/// Sent unless the configuration names another one.
pub const API_VERSION: &str = "2024-09-01";

/// Characters of one text, and of all documents of one request together.
pub const TEXT_CHARS_MAX: usize = 10_000;

/// Documents of one request.
pub const DOCUMENTS_MAX: usize = 5;

/// The scope that a managed identity asks a token for.
pub const ENTRA_SCOPE: &str = "https://cognitiveservices.azure.com/.default";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    Hate,
    SelfHarm,
    Sexual,
    Violence,
}

impl Category {
    pub const ALL: [Self; 4] = [Self::Hate, Self::SelfHarm, Self::Sexual, Self::Violence];

    /// As the service spells it.
    fn as_sent(self) -> &'static str {
        match self {
            Self::Hate => "Hate",
            Self::SelfHarm => "SelfHarm",
            Self::Sexual => "Sexual",
            Self::Violence => "Violence",
        }
    }

    /// As configurations and records spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hate => "hate",
            Self::SelfHarm => "self_harm",
            Self::Sexual => "sexual",
            Self::Violence => "violence",
        }
    }
}

/// What of a text blocks it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The severity from which on each category blocks, 1 to 7; `None` if it is not looked at.
    pub thresholds: [Option<u8>; Category::ALL.len()],
    pub blocklists: Vec<String>,
    /// A hit on a blocklist is all that is asked for: the service then leaves the categories out.
    pub halt_on_blocklist_hit: bool,
}

impl Rules {
    /// Whether `text:analyze` has anything to look for.
    pub fn analyses(&self) -> bool {
        !self.blocklists.is_empty() || self.categories().next().is_some()
    }

    fn categories(&self) -> impl Iterator<Item = (Category, u8)> {
        Category::ALL
            .into_iter()
            .zip(self.thresholds)
            .filter_map(|(category, threshold)| Some((category, threshold?)))
    }

    /// The service says 0, 2, 4 or 6 unless it is asked for all of 0 to 7.
    fn needs_eight_levels(&self) -> bool {
        self.categories().any(|(_, threshold)| threshold % 2 == 1)
    }
}

/// The path of an operation under the resource's own address.
pub fn path(operation: Operation, api_version: &str) -> String {
    let name = match operation {
        Operation::Analyze => "analyze",
        Operation::ShieldPrompt => "shieldPrompt",
    };
    format!("/contentsafety/text:{name}?api-version={api_version}")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Analyze,
    ShieldPrompt,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AnalyzeRequest<'a> {
    text: &'a str,
    categories: Vec<&'static str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    blocklist_names: &'a [String],
    halt_on_blocklist_hit: bool,
    output_type: &'static str,
}

/// Of at most [`TEXT_CHARS_MAX`] characters. Without a category of its own, the service would take
/// all: it is asked for none only beside blocklists.
pub fn analyze(text: &str, rules: &Rules) -> Vec<u8> {
    let categories = rules.categories().map(|(category, _)| category.as_sent());
    let output_type = if rules.needs_eight_levels() {
        "EightSeverityLevels"
    } else {
        "FourSeverityLevels"
    };
    json(&AnalyzeRequest {
        text,
        categories: categories.collect(),
        blocklist_names: &rules.blocklists,
        halt_on_blocklist_hit: rules.halt_on_blocklist_hit,
        output_type,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnalyzeAnswer {
    #[serde(default)]
    categories_analysis: Option<Vec<CategoryAnalysis>>,
    #[serde(default)]
    blocklists_match: Option<Vec<BlocklistMatch>>,
}

#[derive(Deserialize)]
struct CategoryAnalysis {
    category: String,
    severity: Option<u32>,
}

/// The item that was hit is the text itself: it is not read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlocklistMatch {
    blocklist_name: String,
}

/// Severities above 0 are findings; those at their threshold, and every blocklist, block.
pub fn read_analysis(answer: &[u8], rules: &Rules) -> Result<Judgement, Unreadable> {
    let answer: AnalyzeAnswer = serde_json::from_slice(answer).map_err(|_| Unreadable)?;
    let mut judgement = Judgement::default();
    for hit in answer.blocklists_match.iter().flatten() {
        // A list that nobody asked for: this is another question's answer.
        if !rules.blocklists.contains(&hit.blocklist_name) {
            return Err(Unreadable);
        }
        judgement.note(&format!("blocklist/{}", hit.blocklist_name), 1);
        judgement.is_blocked = true;
    }
    let was_halted = judgement.is_blocked && rules.halt_on_blocklist_hit;
    let analysis = answer.categories_analysis.unwrap_or_default();
    for (category, threshold) in rules.categories() {
        let found = analysis
            .iter()
            .find(|found| found.category == category.as_sent());
        let severity = match found.and_then(|found| found.severity) {
            Some(severity @ 0..=7) => severity,
            Some(_) => return Err(Unreadable),
            None if was_halted => continue,
            None => return Err(Unreadable),
        };
        if severity > 0 {
            judgement.note(category.as_str(), severity);
        }
        judgement.is_blocked |= severity >= u32::from(threshold);
    }
    Ok(judgement)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShieldRequest<'a> {
    user_prompt: &'a str,
    documents: &'a [&'a str],
}

/// What a user wrote, and what else the model will read: at most [`DOCUMENTS_MAX`] documents.
pub fn shield_prompt(user_prompt: &str, documents: &[&str]) -> Vec<u8> {
    json(&ShieldRequest {
        user_prompt,
        documents,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ShieldAnswer {
    user_prompt_analysis: Option<Analysis>,
    #[serde(default)]
    documents_analysis: Option<Vec<Analysis>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Analysis {
    attack_detected: bool,
}

/// Every attack blocks. `documents` is how many were sent: each must have been looked at.
pub fn read_shield(
    answer: &[u8],
    has_user_prompt: bool,
    documents: usize,
) -> Result<Judgement, Unreadable> {
    let answer: ShieldAnswer = serde_json::from_slice(answer).map_err(|_| Unreadable)?;
    let mut judgement = Judgement::default();
    match answer.user_prompt_analysis {
        Some(Analysis {
            attack_detected: true,
        }) => judgement.note("prompt_attack", 1),
        Some(Analysis {
            attack_detected: false,
        }) => {}
        None if has_user_prompt => return Err(Unreadable),
        None => {}
    }
    let analyses = answer.documents_analysis.unwrap_or_default();
    if analyses.len() != documents {
        return Err(Unreadable);
    }
    let attacks = analyses.iter().filter(|found| found.attack_detected);
    let attacks = u32::try_from(attacks.count()).unwrap_or(u32::MAX);
    if attacks > 0 {
        judgement.note("document_attack", attacks);
    }
    judgement.is_blocked = !judgement.findings().is_empty();
    Ok(judgement)
}

/// Documents that go into one request, as their numbers: as many as fit, in order. Each must be
/// within [`TEXT_CHARS_MAX`] on its own.
pub fn batches(lengths: &[usize]) -> Vec<std::ops::Range<usize>> {
    let mut batches = Vec::new();
    let (mut start, mut chars) = (0, 0);
    for (at, length) in lengths.iter().enumerate() {
        if at > start && (at - start == DOCUMENTS_MAX || chars + length > TEXT_CHARS_MAX) {
            batches.push(start..at);
            (start, chars) = (at, 0);
        }
        chars += length;
    }
    if start < lengths.len() {
        batches.push(start..lengths.len());
    }
    batches
}

fn json(request: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(request).expect("structs of texts, lists and booleans can be written")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn rules(hate: u8, violence: u8) -> Rules {
        Rules {
            thresholds: [Some(hate), None, None, Some(violence)],
            ..Rules::default()
        }
    }

    fn judged(answer: &Value, rules: &Rules) -> Result<Judgement, Unreadable> {
        read_analysis(answer.to_string().as_bytes(), rules)
    }

    fn severities(hate: u32, violence: u32) -> Value {
        json!({ "blocklistsMatch": [], "categoriesAnalysis": [
            { "category": "Hate", "severity": hate },
            { "category": "Violence", "severity": violence },
        ]})
    }

    #[test]
    fn each_category_blocks_at_its_own_threshold() {
        let rules = rules(4, 2);
        for (hate, violence, is_blocked) in [
            (0, 0, false),
            (2, 0, false),
            (4, 0, true),
            (6, 0, true),
            (0, 2, true),
            (2, 2, true),
        ] {
            let judgement = judged(&severities(hate, violence), &rules).unwrap();
            assert_eq!(judgement.is_blocked, is_blocked, "{hate} {violence}");
        }
        let judgement = judged(&severities(2, 0), &rules).unwrap();
        assert_eq!(judgement.findings(), [("hate".to_owned(), 2)]);
    }

    #[test]
    fn only_an_odd_threshold_asks_for_eight_levels() {
        let sent = |rules: Rules| serde_json::from_slice::<Value>(&analyze("x", &rules)).unwrap();
        let four = sent(rules(4, 2));
        assert_eq!(four["outputType"], "FourSeverityLevels");
        assert_eq!(four["categories"], json!(["Hate", "Violence"]));
        assert!(four.get("blocklistNames").is_none());
        assert_eq!(sent(rules(4, 3))["outputType"], "EightSeverityLevels");
    }

    #[test]
    fn a_category_that_was_asked_for_and_is_not_answered_is_unreadable() {
        let rules = rules(4, 4);
        for answer in [
            json!({}),
            json!({ "categoriesAnalysis": [{ "category": "Hate", "severity": 0 }] }),
            json!({ "categoriesAnalysis": [
                { "category": "Hate", "severity": 0 }, { "category": "Violence" } ] }),
            json!({ "categoriesAnalysis": [
                { "category": "Hate", "severity": 0 }, { "category": "Violence", "severity": 8 } ] }),
            json!({ "error": { "code": "InvalidRequestBody" } }),
            json!([]),
        ] {
            assert_eq!(judged(&answer, &rules), Err(Unreadable), "{answer}");
        }
    }

    #[test]
    fn a_hit_on_a_blocklist_blocks_and_may_leave_the_categories_out() {
        let mut rules = rules(4, 4);
        rules.blocklists = vec!["names".to_owned()];
        let answer = json!({ "blocklistsMatch": [{ "blocklistName": "names",
            "blocklistItemId": "1", "blocklistItemText": "anna" }] });
        assert_eq!(judged(&answer, &rules), Err(Unreadable));
        rules.halt_on_blocklist_hit = true;
        let judgement = judged(&answer, &rules).unwrap();
        assert!(judgement.is_blocked);
        assert_eq!(judgement.findings(), [("blocklist/names".to_owned(), 1)]);
        rules.blocklists = vec!["others".to_owned()];
        assert_eq!(judged(&answer, &rules), Err(Unreadable));
    }

    #[test]
    fn attacks_block_and_every_document_must_have_been_looked_at() {
        let answer = |user: bool, documents: &[bool]| {
            let documents: Vec<Value> = documents
                .iter()
                .map(|attack| json!({ "attackDetected": attack }))
                .collect();
            json!({ "userPromptAnalysis": { "attackDetected": user },
                "documentsAnalysis": documents })
            .to_string()
        };
        let read = |answer: &str, documents| read_shield(answer.as_bytes(), true, documents);
        assert!(read(&answer(false, &[false]), 1).unwrap().is_clean());
        assert!(read(&answer(true, &[]), 0).unwrap().is_blocked);
        let found = read(&answer(false, &[true, false, true]), 3).unwrap();
        assert_eq!(found.findings(), [("document_attack".to_owned(), 2)]);
        assert_eq!(read(&answer(false, &[false]), 2), Err(Unreadable));
        assert_eq!(read("{}", 0), Err(Unreadable));
        assert!(read_shield(b"{}", false, 0).unwrap().is_clean());
    }

    #[test]
    fn documents_go_five_at_a_time_and_within_ten_thousand_characters() {
        assert_eq!(batches(&[1; 12]), [0..5, 5..10, 10..12]);
        assert_eq!(batches(&[6_000, 4_000, 1, 10_000]), [0..2, 2..3, 3..4]);
        assert!(batches(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn no_answer_of_the_service_breaks_us(answer in any::<Vec<u8>>(), text in "\\PC*") {
            let rules = rules(4, 4);
            let _ = read_analysis(&answer, &rules);
            let _ = read_shield(&answer, true, 1);
            let _ = read_analysis(text.as_bytes(), &rules);
        }

        #[test]
        fn an_answer_that_is_read_names_every_category(hate in 0u32..10, violence in 0u32..10, cut in 0usize..200) {
            let answer = severities(hate, violence).to_string();
            let rules = rules(4, 4);
            let whole = read_analysis(answer.as_bytes(), &rules);
            prop_assert_eq!(whole.is_ok(), hate < 8 && violence < 8);
            if cut < answer.len() {
                prop_assert!(read_analysis(&answer.as_bytes()[..cut], &rules).is_err());
            }
        }
    }
}
