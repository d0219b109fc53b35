//! Topics: a text is about one when enough of its phrases stand near each other.

use std::collections::{BTreeMap, VecDeque};

use super::phrases::{self, Phrases};
use super::{Found, PHRASE_CHARS_MAX, SpecError, Topic};
use crate::fold::Fold;

#[derive(Debug, Default)]
pub struct Topics {
    all: Vec<Compiled>,
}

#[derive(Debug)]
struct Compiled {
    name: String,
    phrases: Option<Phrases>,
    /// Of each phrase, by its number.
    weights: Vec<u32>,
    threshold: u32,
    window: usize,
}

/// What of each topic stands in the last window of a text.
#[derive(Clone, Debug, Default)]
pub struct Near {
    topics: Vec<Recent>,
}

/// A topic's phrases and where they began, in characters of the folded text.
#[derive(Clone, Debug, Default)]
struct Recent {
    hits: VecDeque<(u64, usize)>,
    score: u32,
}

pub fn check(topics: &BTreeMap<String, Topic>, errors: &mut Vec<SpecError>) {
    for (name, topic) in topics {
        for phrase in topic.phrases.keys() {
            let folded = phrases::folded(phrase);
            if folded.is_none_or(|folded| folded.chars().count() > PHRASE_CHARS_MAX) {
                errors.push(SpecError::TopicPhrase {
                    topic: name.clone(),
                    phrase: phrase.clone(),
                });
            }
        }
        let weights = topic.phrases.values();
        let sum = weights.fold(0u32, |sum, weight| sum.saturating_add(*weight));
        if sum < topic.threshold {
            errors.push(SpecError::TopicThreshold {
                topic: name.clone(),
                sum,
            });
        }
    }
}

impl Topics {
    pub fn new(topics: &BTreeMap<String, Topic>) -> Self {
        let compiled = |(name, topic): (&String, &Topic)| Compiled {
            name: name.clone(),
            phrases: Phrases::new(topic.phrases.keys().map(String::as_str)),
            weights: topic.phrases.values().copied().collect(),
            threshold: topic.threshold.max(1),
            window: topic.window,
        };
        Self {
            all: topics.iter().map(compiled).collect(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn chars_max(&self) -> usize {
        let topics = self.all.iter().filter_map(|topic| topic.phrases.as_ref());
        topics.map(Phrases::chars_max).max().unwrap_or(0)
    }

    pub fn whole(&self, text: &str, found: &mut Found) {
        if self.is_empty() {
            return;
        }
        let folded = Fold::Words.fold(text);
        self.look(&folded.text, &mut Near::default(), found, |_| Some(0));
    }

    /// `folded` is all of a text, or what of it is looked at now. `place` says how many characters
    /// stood before the byte, if a phrase that begins there is to be counted.
    pub fn look(
        &self,
        folded: &str,
        near: &mut Near,
        found: &mut Found,
        mut place: impl FnMut(usize) -> Option<u64>,
    ) {
        near.topics.resize_with(self.all.len(), Recent::default);
        for (topic, recent) in self.all.iter().zip(&mut near.topics) {
            let Some(phrases) = &topic.phrases else {
                continue;
            };
            let mut hits = Vec::new();
            phrases.each(folded, |number, range| hits.push((range.start, number)));
            hits.sort_unstable();
            let (mut at, mut chars) = (0, 0);
            for (start, number) in hits {
                let Some(before) = place(start) else { continue };
                chars += folded[at..start].chars().count() as u64;
                at = start;
                recent.add(topic, before + chars, number);
                if recent.score >= topic.threshold {
                    found.is_blocked = true;
                    let highest = found.topics.entry(topic.name.clone()).or_default();
                    *highest = (*highest).max(recent.score);
                }
            }
        }
    }
}

impl Recent {
    /// A phrase counts once in a window, however often it stands there: as its last one.
    fn add(&mut self, topic: &Compiled, at: u64, number: usize) {
        while let Some((first, old)) = self.hits.front().copied()
            && at.saturating_sub(first) > topic.window as u64
        {
            self.hits.pop_front();
            self.score -= topic.weights[old];
        }
        match self.hits.iter().position(|(_, known)| *known == number) {
            Some(known) => {
                self.hits.remove(known);
            }
            None => self.score = self.score.saturating_add(topic.weights[number]),
        }
        self.hits.push_back((at, number));
    }
}
