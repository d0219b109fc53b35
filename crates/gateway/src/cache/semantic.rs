//! Answers to questions that mean the same: looked for, and tried where they are not trusted yet.
//!
//! Decides nothing by itself: `likeness` says what may be given. Only questions of one partition meet here,
//! and a partition is made of everything but the question's own text. Whatever goes wrong is a miss.

use std::sync::Arc;
use std::time::Duration;

use ::cache::{Cache, Near, Partition, Question};
use bytes::Bytes;
use config::Snapshot;
use config::snapshot::{CacheRule, SemanticRule};
use domain::{Now, Wall};
use likeness::choice::{self, Candidate, Choice, Chosen, NearEnough};
use likeness::verified::Observations;

use super::embedding::{Embedded, Embedding};
use super::wishes::Wishes;
use super::{document, is_fresh, key};
use crate::gateway::Gateway;
use crate::refusal::Refusal;
use crate::router::Errand;

/// So many of the nearest are compared in their words: a near miss may stand before the right one.
const CANDIDATES_MAX: usize = 8;

/// So many of them are read again for the comparer, at most, where that was not kept: each takes the model as long as
/// the question itself.
const READ_AGAIN_MAX: usize = 2;

/// Below this no answer is even tried, where no similarity is configured.
const SIMILARITY_FLOOR: f64 = 0.7;

/// What is to be looked for.
pub struct Inquiry {
    rule: Arc<CacheRule>,
    partition: Partition,
    text: Arc<str>,
    embedding: Embedding,
}

/// What a call asks, as the index knows it.
#[derive(Clone)]
pub struct Asked {
    partition: Partition,
    text: Arc<str>,
    embedded: Embedded,
}

/// A cached answer that is compared with the one that the provider gives.
#[derive(Clone)]
pub struct Trial {
    pub near: Near,
    /// What compares them.
    pub embedding: Embedding,
    /// But for `shadow`.
    pub would_give: bool,
}

/// What came of looking.
#[derive(Default)]
pub struct Found {
    pub given: Option<(Near, Bytes)>,
    /// Absent where the question has no vector: it cannot be found either.
    pub asked: Option<Asked>,
    pub trial: Option<Trial>,
}

/// `None` for calls whose question is not compared by its meaning.
pub fn inquiry(
    rule: &Arc<CacheRule>,
    (snapshot, errand): (&Snapshot, &Errand<'_>),
    embedding: impl FnOnce() -> Embedding,
) -> Result<Option<Inquiry>, Refusal> {
    let Some(semantic) = &rule.semantic else {
        return Ok(None);
    };
    let question = errand
        .call
        .question(&rule.ignored)
        .filter(|question| question.user_turns <= semantic.turns_max);
    let Some(question) = question else {
        return Ok(None);
    };
    Ok(Some(Inquiry {
        rule: rule.clone(),
        partition: key::partition(&question, (rule, semantic), (snapshot, errand))?,
        text: question.text.into(),
        embedding: embedding(),
    }))
}

impl Inquiry {
    pub async fn seek(self, gateway: &Arc<Gateway>, wishes: Wishes, started: Now) -> Found {
        let Self {
            rule,
            partition,
            text,
            embedding,
        } = self;
        let series = &gateway.telemetry.semantic;
        let Some(semantic) = &rule.semantic else {
            return Found::default();
        };
        let began = gateway.clock.mono();
        let timeout = embedding.snapshot.caching.embedder.timeout();
        let embedded = match embedding.embed(gateway, &text, timeout).await {
            Ok(embedded) => embedded,
            Err(why) => {
                series.count_unembedded(why);
                return Found::default();
            }
        };
        series.embedded_in(gateway.clock.mono().since(began));
        let asked = Asked {
            partition: key::made_by(&partition, &embedded),
            text,
            embedded,
        };
        let mut found = Found::default();
        if wishes.reads {
            let may_be_given = |near: &Near| {
                let entry = &near.entry;
                wishes.admits(entry.stored_at, started.wall)
                    && is_fresh(entry, semantic.ttl, started.wall)
            };
            let roll = uniform(gateway.chance.roll());
            let cache = &gateway.cache.entries();
            let mut nearest = nearest(cache, semantic, &asked, started.wall);
            nearest.retain(may_be_given);
            if semantic.choice.guard {
                let left = timeout.saturating_sub(gateway.clock.mono().since(began));
                read_again(gateway, &embedding, &asked, &nearest, left).await;
            }
            let looked = look(semantic, &asked, nearest, roll);
            for kind in looked.passed_over {
                series.count_passed_over(kind);
            }
            match looked.found {
                Looked::Give(near) => {
                    if let Some(document) = document(gateway, &near.entry).await {
                        found.given = Some((near, document));
                    }
                }
                Looked::Try { near, would_give } => {
                    found.trial = Some(Trial {
                        near,
                        embedding,
                        would_give,
                    });
                }
                Looked::Nothing => {}
            }
        }
        found.asked = Some(asked);
        found
    }
}

impl Asked {
    fn as_compared(&self) -> choice::Asked<'_> {
        choice::Asked {
            text: &self.text,
            reading: self.embedded.reading.as_ref(),
        }
    }

    /// As an answer is stored with it.
    pub fn into_question(self) -> Question {
        let Self {
            partition,
            text,
            embedded,
        } = self;
        Question {
            partition,
            text,
            embedder: embedded.by,
            embedding: Box::from(&*embedded.vector),
            reading: embedded.reading,
        }
    }
}

/// In thousandths, as records have it.
pub fn thousandths(similarity: f32) -> u16 {
    // Within a u16 by the clamp.
    (similarity.clamp(0.0, 1.0) * 1_000.0).round() as u16
}

enum Looked {
    Give(Near),
    Try { near: Near, would_give: bool },
    Nothing,
}

struct Look {
    found: Looked,
    passed_over: Vec<likeness::Kind>,
}

/// What of the cache is near enough to be compared with `asked`, the nearest first.
fn nearest(cache: &Cache, rule: &SemanticRule, asked: &Asked, now: Wall) -> Vec<Near> {
    let least = match rule.choice.near_enough {
        NearEnough::Safe => choice::SAFE,
        NearEnough::AtLeast(least) => least,
        NearEnough::MaxErrorRate(_) => SIMILARITY_FLOOR,
    };
    let vector = &asked.embedded.vector;
    cache.nearest(&asked.partition, vector, least as f32, CANDIDATES_MAX, now)
}

/// Has the local model read those again that the words do not tell apart and of which no reading was kept: they were
/// on disk. What is not read within `timeout` is compared by its words alone.
async fn read_again(
    gateway: &Arc<Gateway>,
    embedding: &Embedding,
    asked: &Asked,
    nearest: &[Near],
    timeout: Duration,
) {
    if asked.embedded.reading.is_none() {
        return;
    }
    let unread = nearest.iter().filter_map(|near| {
        let text = near.entry.text().filter(|_| near.entry.lacks_reading())?;
        let undecided = **text != *asked.text && likeness::compare(text, &asked.text).is_none();
        undecided.then_some((&near.entry, text))
    });
    let began = gateway.clock.mono();
    for (entry, text) in unread.take(READ_AGAIN_MAX) {
        let left = timeout.saturating_sub(gateway.clock.mono().since(began));
        let embedded = embedding.embed(gateway, text, left).await;
        if let Some(reading) = embedded.ok().and_then(|embedded| embedded.reading) {
            entry.keep_reading(reading);
        }
    }
}

/// Which of the nearest is given or tried, as `rule` allows it.
fn look(rule: &SemanticRule, asked: &Asked, mut nearest: Vec<Near>, roll: f64) -> Look {
    let learns = matches!(rule.choice.near_enough, NearEnough::MaxErrorRate(_));
    let observations: Vec<Observations> = nearest
        .iter()
        .map(|near| match learns {
            true => near.entry.observations(),
            false => Observations::default(),
        })
        .collect();
    let candidates: Vec<Candidate<'_>> = nearest
        .iter()
        .zip(&observations)
        .map(|(near, observations)| Candidate {
            similarity: f64::from(near.similarity),
            // What is found by meaning has a text.
            text: near.entry.text().map_or("", |text| text),
            reading: near.entry.reading(),
            observations,
        })
        .collect();
    let Chosen {
        choice,
        passed_over,
    } = choice::choose(&rule.choice, asked.as_compared(), &candidates, roll);
    let found = match choice {
        Choice::Give(place) => Looked::Give(nearest.swap_remove(place)),
        Choice::Try {
            candidate,
            would_give,
        } => Looked::Try {
            near: nearest.swap_remove(candidate),
            would_give,
        },
        Choice::Nothing => Looked::Nothing,
    };
    Look { found, passed_over }
}

/// In `[0, 1)`, of as many bits as a fraction has.
fn uniform(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}
