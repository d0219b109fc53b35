//! Would the cached answer have been right? Compared with the one that the provider gave, and noted.
//!
//! Happens after the call: no client waits for it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::ProductId;
use likeness::answers;
use likeness::verified::Observation;
use serde_json::Value;

use super::embedding::Embedding;
use super::semantic::Trial;
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

/// Compares the trial's answer with the `fresh` one, on a task of its own.
pub fn start(gateway: &Arc<Gateway>, trial: Trial, product: ProductId, fresh: Bytes) {
    let cache = gateway.cache.entries();
    let gateway = gateway.clone();
    let tasks = gateway.tasks.clone();
    tasks.spawn(async move {
        let (entry, entries) = (trial.near.entry.clone(), cache.clone());
        // It may be on a disk.
        let cached = tokio::task::spawn_blocking(move || entries.read(&entry)).await;
        let texts = match cached {
            Ok(Some(cached)) => text_of(&cached).zip(text_of(&fresh)),
            _ => None,
        };
        let verdict = match texts {
            Some((cached, fresh)) => compare(&gateway, &trial.embedding, (cached, fresh)).await,
            None => Verdict::Unknown,
        };
        let series = &gateway.telemetry.semantic;
        series.count_compared(&product, trial.would_give, verdict);
        let right = match verdict {
            Verdict::Right => true,
            Verdict::Wrong => false,
            Verdict::Unknown => return,
        };
        let similarity = f64::from(trial.near.similarity);
        cache.observe(&trial.near.entry, Observation { similarity, right });
    });
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
