//! Answers to questions that mean the same: looked for, and tried where they are not trusted yet.
//!
//! Decides nothing by itself: `likeness` says what may be given. Only questions of one partition meet here,
//! and a partition is made of everything but the question's own text. Whatever goes wrong is a miss.

use std::sync::Arc;

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
            let looked = look(cache, semantic, &asked, may_be_given, roll, started.wall);
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

/// What of the cache is like `asked`, as `rule` allows it.
fn look(
    cache: &Cache,
    rule: &SemanticRule,
    asked: &Asked,
    may_be_given: impl Fn(&Near) -> bool,
    roll: f64,
    now: Wall,
) -> Look {
    let (least, learns) = match rule.choice.near_enough {
        NearEnough::AtLeast(least) => (least, false),
        NearEnough::MaxErrorRate(_) => (SIMILARITY_FLOOR, true),
    };
    let Asked {
        partition,
        text,
        embedded,
    } = asked;
    let mut nearest = cache.nearest(
        partition,
        &embedded.vector,
        least as f32,
        CANDIDATES_MAX,
        now,
    );
    nearest.retain(may_be_given);
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
            observations,
        })
        .collect();
    let Chosen {
        choice,
        passed_over,
    } = choice::choose(&rule.choice, text, &candidates, roll);
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
