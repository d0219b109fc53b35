//! Would the cached answer have been right? Compared with the one that the provider gave, and noted.
//!
//! Happens after the call: no client waits for it.

use std::sync::Arc;
use std::time::Duration;

use ::cache::NewEntry;
use domain::record::{CacheOutcome, CallRecord, Cost, Opening, Outcome};
use domain::{Metered, Nanos};
use likeness::answers;
use likeness::verified::Observation;
use serde_json::Value;

use super::embedding::Embedding;
use super::semantic::{self, Trial};
use crate::gateway::Gateway;

/// Longer than a lookup may take: no client waits for it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What came of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Right,
    Wrong,
    /// The answers are in other words, and too long for the model, or it failed: nobody can say.
    Unknown,
}

/// Compares the trial's answer with the `fresh` one, on a task of its own. The fresh one is kept unless the trial's
/// was right.
pub fn start(gateway: &Arc<Gateway>, trial: Trial, of: &Opening, fresh: NewEntry) {
    let cache = gateway.cache.entries();
    let (gateway, of) = (gateway.clone(), of.clone());
    let tasks = gateway.tasks.clone();
    tasks.spawn(async move {
        let (entry, entries) = (trial.near.entry.clone(), cache.clone());
        // It may be on a disk.
        let cached = tokio::task::spawn_blocking(move || entries.read(&entry)).await;
        let texts = match cached {
            Ok(Some(cached)) => text_of(&cached).zip(text_of(&fresh.answer)),
            _ => None,
        };
        let verdict = match texts {
            Some((cached, fresh)) => compare(&gateway, &trial.embedding, (cached, fresh)).await,
            None => Verdict::Unknown,
        };
        let series = &gateway.telemetry.semantic;
        series.count_compared(&of.who.product, trial.would_give, verdict);
        let compared = record(&gateway, &of, &trial, verdict);
        gateway.ledger.append(None, compared);
        let similarity = f64::from(trial.near.similarity);
        let observe = |right| cache.observe(&trial.near.entry, Observation { similarity, right });
        match verdict {
            Verdict::Right => return observe(true),
            Verdict::Wrong => observe(false),
            Verdict::Unknown => {}
        }
        cache.put(fresh);
    });
}

/// For reports, under the names of the call whose answer was compared. No call, and nothing is owed for it.
fn record(gateway: &Gateway, of: &Opening, trial: &Trial, verdict: Verdict) -> CallRecord {
    let at = gateway.clock.now().wall;
    let cache = match (trial.would_give, verdict) {
        (true, Verdict::Right) => CacheOutcome::ShadowRight,
        (true, Verdict::Wrong) => CacheOutcome::ShadowWrong,
        (true, Verdict::Unknown) => CacheOutcome::ShadowUnknown,
        (false, Verdict::Right) => CacheOutcome::ExploredRight,
        (false, Verdict::Wrong) => CacheOutcome::ExploredWrong,
        (false, Verdict::Unknown) => CacheOutcome::ExploredUnknown,
    };
    CallRecord {
        opening: Opening {
            id: gateway.chance.call_id(at),
            at,
            who: of.who.clone(),
            model: of.model.clone(),
            asked_model: of.asked_model.clone(),
            stream: false,
            revision: of.revision,
            prompt_tokens: 0,
            charges: Vec::new(),
            price: None,
        },
        outcome: Outcome::Ok,
        status: 0,
        rule: None,
        backend: None,
        cache,
        metered: Metered::NOTHING,
        cost: Cost::Nothing,
        saved: Nanos::ZERO,
        saved_tokens: 0,
        similarity: Some(semantic::thousandths(trial.near.similarity)),
        latency: Duration::ZERO,
        first_byte: None,
        attempts: Vec::new(),
        verdicts: Vec::new(),
    }
}

/// Whether two answers say the same.
async fn compare(
    gateway: &Arc<Gateway>,
    embedding: &Embedding,
    (cached, fresh): (String, String),
) -> Verdict {
    if answers::same_words(&cached, &fresh) {
        return Verdict::Right;
    }
    let (one, other) = (Arc::from(&*cached), Arc::from(&*fresh));
    let one = embedding.embed(gateway, &one, TIMEOUT).await;
    let other = embedding.embed(gateway, &other, TIMEOUT).await;
    let (Ok(one), Ok(other)) = (one, other) else {
        return Verdict::Unknown;
    };
    if one.by != other.by || one.vector.len() != other.vector.len() {
        return Verdict::Unknown;
    }
    // Both are of unit length.
    let pairs = one.vector.iter().zip(&*other.vector);
    let cosine: f32 = pairs.map(|(a, b)| a * b).sum();
    if answers::agree(&cached, &fresh, f64::from(cosine)) {
        Verdict::Right
    } else {
        Verdict::Wrong
    }
}

/// What an answer says, all of its choices one after the other.
fn text_of(document: &[u8]) -> Option<String> {
    let document: Value = serde_json::from_slice(document).ok()?;
    let choices = document.get("choices")?.as_array()?;
    let mut text = String::new();
    for choice in choices {
        text.push_str(choice.get("message")?.get("content")?.as_str()?);
        text.push('\n');
    }
    Some(text)
}
