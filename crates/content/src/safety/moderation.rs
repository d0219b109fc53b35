//! OpenAI's moderation endpoint, and what speaks as it does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Judgement, Unreadable, is_name};

/// The endpoint has tokens as its bound; it judges short texts better than long ones.
pub const TEXT_CHARS_MAX: usize = 10_000;

/// Texts of one request. The documentation names no bound: this keeps answers small.
pub const INPUTS_MAX: usize = 16;

/// Scores below are noise, and not written down.
const NOTED_PER_CENT_MIN: u32 = 10;

/// What of a text blocks it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// The score from which on a category blocks, above 0 and up to 1, by the service's own names.
    pub thresholds: BTreeMap<String, f64>,
    /// Whatever the service itself flags blocks too.
    pub block_flagged: bool,
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    input: &'a [&'a str],
}

pub fn request(model: &str, texts: &[&str]) -> Vec<u8> {
    let request = Request {
        model,
        input: texts,
    };
    serde_json::to_vec(&request).expect("texts can be written")
}

#[derive(Deserialize)]
struct Answer {
    results: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    flagged: bool,
    /// Some categories are null for some models.
    #[serde(default)]
    categories: BTreeMap<String, Option<bool>>,
    #[serde(default)]
    category_scores: BTreeMap<String, Option<f64>>,
}

/// One outcome for each of `inputs` texts. A category with a threshold must have a score: one that
/// the service does not know would otherwise never block.
pub fn read(answer: &[u8], inputs: usize, rules: &Rules) -> Result<Judgement, Unreadable> {
    let answer: Answer = serde_json::from_slice(answer).map_err(|_| Unreadable)?;
    if answer.results.len() != inputs {
        return Err(Unreadable);
    }
    let mut judgement = Judgement::default();
    for outcome in &answer.results {
        judge(outcome, rules, &mut judgement)?;
    }
    Ok(judgement)
}

fn judge(outcome: &Outcome, rules: &Rules, judgement: &mut Judgement) -> Result<(), Unreadable> {
    let score_of = |category: &str| outcome.category_scores.get(category).copied().flatten();
    for (category, threshold) in &rules.thresholds {
        let score = score_of(category).ok_or(Unreadable)?;
        judgement.is_blocked |= score >= *threshold;
        // What blocks is always told.
        if score >= *threshold {
            judgement.note(category, per_cent(score));
        }
    }
    for (category, score) in &outcome.category_scores {
        let figure = per_cent(score.unwrap_or(0.0));
        if figure >= NOTED_PER_CENT_MIN && is_name(category) {
            judgement.note(category, figure);
        }
    }
    if !outcome.flagged {
        return Ok(());
    }
    judgement.is_blocked |= rules.block_flagged;
    let flagged = outcome
        .categories
        .iter()
        .filter(|(category, is_flagged)| **is_flagged == Some(true) && is_name(category));
    for (category, _) in flagged {
        judgement.note(category, per_cent(score_of(category).unwrap_or(1.0)));
    }
    Ok(())
}

fn per_cent(score: f64) -> u32 {
    // Saturates: whatever a service sends ends between 0 and 100.
    (score.clamp(0.0, 1.0) * 100.0).round() as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn rules(thresholds: &[(&str, f64)], block_flagged: bool) -> Rules {
        let thresholds = thresholds
            .iter()
            .map(|(name, at)| ((*name).to_owned(), *at));
        Rules {
            thresholds: thresholds.collect(),
            block_flagged,
        }
    }

    fn outcome(flagged: bool, violence: f64) -> Value {
        json!({ "flagged": flagged,
            "categories": { "violence": flagged, "illicit": null },
            "category_scores": { "violence": violence, "hate": 0.01 },
            "category_applied_input_types": { "violence": ["text"] } })
    }

    fn read_all(outcomes: &[Value], rules: &Rules) -> Result<Judgement, Unreadable> {
        let answer = json!({ "id": "modr-1", "model": "m", "results": outcomes }).to_string();
        read(answer.as_bytes(), outcomes.len(), rules)
    }

    #[test]
    fn a_score_at_its_threshold_blocks_and_one_below_does_not() {
        let rules = rules(&[("violence", 0.5)], false);
        for (score, is_blocked) in [(0.49, false), (0.5, true), (0.99, true)] {
            let judgement = read_all(&[outcome(true, score)], &rules).unwrap();
            assert_eq!(judgement.is_blocked, is_blocked, "{score}");
        }
        let judgement = read_all(&[outcome(false, 0.2), outcome(false, 0.97)], &rules).unwrap();
        assert_eq!(judgement.findings(), [("violence".to_owned(), 97)]);
        assert!(judgement.is_blocked);
    }

    #[test]
    fn what_the_service_flags_blocks_where_told_so() {
        let flagged = [outcome(true, 0.3)];
        assert!(read_all(&flagged, &rules(&[], true)).unwrap().is_blocked);
        assert!(!read_all(&flagged, &rules(&[], false)).unwrap().is_blocked);
        assert!(
            read_all(&[outcome(false, 0.02)], &rules(&[], true))
                .unwrap()
                .is_clean()
        );
    }

    #[test]
    fn a_category_without_a_score_and_a_missing_outcome_are_unreadable() {
        let unknown = rules(&[("no-such-category", 0.5)], false);
        assert_eq!(read_all(&[outcome(false, 0.0)], &unknown), Err(Unreadable));
        let answer = json!({ "results": [outcome(false, 0.0)] }).to_string();
        assert_eq!(
            read(answer.as_bytes(), 2, &rules(&[], true)),
            Err(Unreadable)
        );
        assert_eq!(read(b"{}", 1, &rules(&[], true)), Err(Unreadable));
        assert_eq!(
            read(b"{\"results\":[{}]}", 1, &rules(&[], true)),
            Err(Unreadable)
        );
    }

    proptest! {
        #[test]
        fn no_answer_of_the_service_breaks_us(answer in any::<Vec<u8>>(), score in any::<f64>()) {
            let rules = rules(&[("violence", 0.5)], true);
            let _ = read(&answer, 1, &rules);
            let answer = json!({ "results": [outcome(true, score)] }).to_string();
            if let Ok(judgement) = read(answer.as_bytes(), 1, &rules) {
                prop_assert!(judgement.findings().iter().all(|(_, figure)| *figure <= 100));
            }
        }
    }
}
