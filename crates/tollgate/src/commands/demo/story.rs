//! Tells what is seen from outside: from calls' answers and `/metrics`, second by second.
//!
//! Pure: observations in, sentences out. It knows nothing of the script that the regions follow.

use std::collections::{BTreeMap, VecDeque};

use super::metrics::Metrics;
use super::traffic::{Call, FromCache, Refusal};
use crate::print::harmless;
use crate::table::thousands;

/// Sentences that wait for their turn; one is told each second. Past it the oldest is left out.
const WAITING_MAX: usize = 6;
/// The same kind of sentence is told this seldom.
const QUIET_S: u64 = 10;
/// A backend without answers for so long is idle.
const IDLE_S: u64 = 3;
/// With fewer calls in a second nothing is concluded from who answered none.
const CALLS_MIN: usize = 3;

/// The backend with priority 2.
const RESERVE: &str = "swedencentral";

#[derive(Debug, Default)]
pub struct Story {
    waiting: VecDeque<(u64, String)>,
    before: Metrics,
    /// The last second in which each backend answered.
    answered: BTreeMap<String, u64>,
    /// The last second in which an attempt at each backend failed.
    failed: BTreeMap<String, u64>,
    /// Those that were said to be idle.
    idle: Vec<String>,
    told: BTreeMap<String, u64>,
}

impl Story {
    /// What was seen in this second.
    pub fn observe(&mut self, second: u64, calls: &[Call], metrics: Metrics) {
        self.breakers(second, &metrics);
        self.shifts(second, calls, &metrics);
        for call in calls {
            if let Some(refusal) = &call.refusal {
                self.refused(second, call, refusal);
            }
            if let Some(from_cache) = &call.from_cache {
                self.cached(second, call, from_cache);
            }
        }
        self.before = metrics;
    }

    /// What an alert says: its title, and what it expects, if it does.
    pub fn alert(&mut self, second: u64, title: &str, body: &str) {
        let message: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        let text = message["text"].as_str().unwrap_or_default();
        let first = text.lines().next().unwrap_or_default();
        self.say(second, format!("alert: {}", harmless(title)));
        if let Some(at) = first.find("At this pace") {
            self.say(second, format!("       {}", harmless(&first[at..])));
        }
    }

    /// The next sentence, with the second it is about.
    pub fn tell(&mut self) -> Option<(u64, String)> {
        self.waiting.pop_front()
    }

    fn breakers(&mut self, second: u64, now: &Metrics) {
        let before = std::mem::take(&mut self.before);
        for (backend, failed) in &now.failed {
            let new = failed.saturating_sub(before.failed.get(backend).copied().unwrap_or(0));
            if new > 0 {
                self.failed.insert(backend.clone(), second);
            }
            if new > 0 && !now.open.contains(backend) && !before.open.contains(backend) {
                let calls = if new == 1 { "a call" } else { "calls" };
                self.say_seldom(
                    second,
                    &format!("failed {backend}"),
                    format!("{backend} failed {calls}: retried in another region"),
                );
            }
        }
        for backend in now.open.difference(&before.open) {
            self.say(
                second,
                format!("{backend}: breaker opened, no more calls go there"),
            );
        }
        for backend in before.open.difference(&now.open) {
            self.say(
                second,
                format!("{backend}: its probe was answered, breaker closed"),
            );
        }
    }

    fn shifts(&mut self, second: u64, calls: &[Call], metrics: &Metrics) {
        for backend in calls.iter().filter_map(|call| call.backend.as_deref()) {
            let first = !self.answered.contains_key(backend);
            self.answered.insert(backend.to_owned(), second);
            let was_idle = self.idle.iter().any(|idle| idle == backend);
            self.idle.retain(|idle| idle != backend);
            match (backend, first || was_idle) {
                (RESERVE, true) => self.say(
                    second,
                    format!("{RESERVE} (priority 2) takes over calls that priority 1 cannot"),
                ),
                (_, true) if was_idle => self.say(second, format!("{backend} answers calls again")),
                _ => {}
            }
        }
        if calls.iter().filter(|call| call.backend.is_some()).count() < CALLS_MIN {
            return;
        }
        let quiet = |last: &u64| second.saturating_sub(*last) >= IDLE_S;
        let silent = self.answered.iter().filter(|(_, last)| quiet(last));
        // One that fails was asked: it is not idle.
        let silent = silent.filter(|(backend, _)| self.failed.get(*backend).is_none_or(quiet));
        let silent: Vec<String> = silent.map(|(backend, _)| backend.clone()).collect();
        for backend in silent {
            if self.idle.contains(&backend) {
                continue;
            }
            // Why a backend with an open breaker is idle has been told.
            if backend == RESERVE {
                self.say(
                    second,
                    format!("{RESERVE} is idle again: priority 1 answers everything"),
                );
            } else if !metrics.open.contains(&backend) {
                self.say(
                    second,
                    format!(
                        "{backend} says that it has no room left: skipped before it answers 429"
                    ),
                );
            }
            self.idle.push(backend);
        }
    }

    fn refused(&mut self, second: u64, call: &Call, refusal: &Refusal) {
        let Refusal {
            code,
            rule,
            used,
            reserved,
            limit,
            retry_after,
        } = refusal;
        let sentence = if rule.is_empty() {
            format!("{} got {} {code}", call.team, call.status)
        } else {
            format!(
                "{} refused {} by {rule}: {} used + {} reserved of {}, retry in {} s",
                call.team,
                call.status,
                thousands(*used),
                thousands(*reserved),
                thousands(*limit),
                retry_after.as_secs()
            )
        };
        self.say_seldom(second, &format!("refused {} {code}", call.team), sentence);
    }

    fn cached(&mut self, second: u64, call: &Call, from_cache: &FromCache) {
        let FromCache { asked, similarity } = from_cache;
        match similarity {
            None => self.say_seldom(
                second,
                &format!("cached {}", call.team),
                format!(
                    "{} asked `{asked}` once more: answered from the cache",
                    call.team
                ),
            ),
            Some(similarity) => self.say_seldom(
                second,
                &format!("cached alike {}", call.team),
                format!(
                    "{} asked `{asked}`, before in other words (similarity {similarity}): answered from the cache",
                    call.team
                ),
            ),
        }
    }

    fn say_seldom(&mut self, second: u64, kind: &str, sentence: String) {
        let quiet = self
            .told
            .get(kind)
            .is_some_and(|last| second < last + QUIET_S);
        if !quiet {
            self.told.insert(kind.to_owned(), second);
            self.say(second, sentence);
        }
    }

    pub fn say(&mut self, second: u64, sentence: String) {
        if self.waiting.len() == WAITING_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back((second, sentence));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn answered(backends: &[&str]) -> Vec<Call> {
        let call = |backend: &&str| Call {
            team: "search",
            status: 200,
            backend: Some((*backend).to_owned()),
            ..Call::default()
        };
        backends.iter().map(call).collect()
    }

    fn told(story: &mut Story) -> Vec<String> {
        std::iter::from_fn(|| story.tell())
            .map(|(_, sentence)| sentence)
            .collect()
    }

    fn metrics(open: &[&str], failed: u64) -> Metrics {
        let open = open.iter().map(|backend| (*backend).to_owned()).collect();
        Metrics {
            open,
            failed: [("eastus".to_owned(), failed)].into(),
        }
    }

    #[test]
    fn an_alert_is_told_with_what_it_expects() {
        let mut story = Story::default();
        let body = r#"{"text":"search has spent 4 of 5 EUR. At this pace it is used up on 24 November.\nCalls go on."}"#;
        story.alert(12, "Budget search-month: 80% used", body);
        let sentences = [
            "alert: Budget search-month: 80% used",
            "       At this pace it is used up on 24 November.",
        ];
        assert_eq!(told(&mut story), sentences);
    }

    #[test]
    fn a_breaker_is_told_when_it_opens_and_when_it_closes_and_not_in_between() {
        let mut story = Story::default();
        for (second, now) in [
            metrics(&[], 0),
            metrics(&["eastus"], 5),
            metrics(&["eastus"], 6),
            metrics(&[], 6),
        ]
        .into_iter()
        .enumerate()
        {
            story.observe(second as u64, &[], now);
        }
        let sentences = [
            "eastus: breaker opened, no more calls go there",
            "eastus: its probe was answered, breaker closed",
        ];
        assert_eq!(told(&mut story), sentences);
    }

    #[test]
    fn a_closed_breaker_without_answers_means_that_the_backend_said_it_is_full() {
        let mut story = Story::default();
        story.observe(0, &answered(&["eastus", "westeurope"]), Metrics::default());
        for second in 1..=3 {
            story.observe(second, &answered(&["westeurope"; 3]), Metrics::default());
        }
        assert_eq!(
            told(&mut story),
            ["eastus says that it has no room left: skipped before it answers 429"]
        );
        story.observe(4, &answered(&["eastus"]), Metrics::default());
        assert_eq!(told(&mut story), ["eastus answers calls again"]);
    }

    #[test]
    fn a_backend_that_fails_is_not_called_full() {
        let mut story = Story::default();
        story.observe(0, &answered(&["eastus", "westeurope"]), metrics(&[], 0));
        for second in 1..=4 {
            story.observe(second, &answered(&["westeurope"; 3]), metrics(&[], second));
        }
        assert_eq!(
            told(&mut story),
            ["eastus failed a call: retried in another region"]
        );
    }

    #[test]
    fn the_reserve_is_told_when_it_steps_in_and_when_it_rests() {
        let mut story = Story::default();
        story.observe(0, &answered(&["westeurope"]), Metrics::default());
        story.observe(1, &answered(&["swedencentral"]), Metrics::default());
        for second in 2..=4 {
            story.observe(second, &answered(&["westeurope"; 3]), Metrics::default());
        }
        let sentences = [
            "swedencentral (priority 2) takes over calls that priority 1 cannot",
            "swedencentral is idle again: priority 1 answers everything",
        ];
        assert_eq!(told(&mut story), sentences);
    }

    #[test]
    fn refusals_are_told_with_their_rule_and_not_every_time() {
        let refusal = Refusal {
            code: "token_limit".to_owned(),
            rule: "product/batch/tpm".to_owned(),
            used: 5800,
            reserved: 150,
            limit: 6000,
            retry_after: Duration::from_secs(12),
        };
        let call = Call {
            team: "batch",
            status: 429,
            refusal: Some(refusal),
            ..Call::default()
        };
        let mut story = Story::default();
        for second in 20..=30 {
            story.observe(second, std::slice::from_ref(&call), Metrics::default());
        }
        let sentence = "batch refused 429 by product/batch/tpm: 5,800 used + 150 reserved of 6,000, retry in 12 s";
        assert_eq!(told(&mut story), [sentence, sentence]);
    }

    #[test]
    fn answers_from_the_cache_are_told_now_and_then_and_which_had_other_words() {
        let call = |similarity: Option<&str>| Call {
            team: "faq",
            status: 200,
            from_cache: Some(FromCache {
                asked: "Where is my order?",
                similarity: similarity.map(str::to_owned),
            }),
            ..Call::default()
        };
        let mut story = Story::default();
        for second in 0..5 {
            let calls = [call(None), call(Some("0.971"))];
            story.observe(second, &calls, Metrics::default());
        }
        let sentences = [
            "faq asked `Where is my order?` once more: answered from the cache",
            "faq asked `Where is my order?`, before in other words (similarity 0.971): answered from the cache",
        ];
        assert_eq!(told(&mut story), sentences);
    }

    #[test]
    fn answers_from_the_cache_say_nothing_of_backends() {
        let mut story = Story::default();
        story.observe(0, &answered(&["eastus", "westeurope"]), Metrics::default());
        let from_cache = Call {
            team: "faq",
            status: 200,
            ..Call::default()
        };
        for second in 1..=4 {
            story.observe(second, &vec![from_cache.clone(); 5], Metrics::default());
        }
        assert_eq!(told(&mut story), [""; 0]);
    }
}
