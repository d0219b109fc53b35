//! A deployment's vectors: asked for once, however many wait for the same, and known for a moment.
//!
//! What a question costs is its asker's, so nothing here is shared between subscriptions. A question that
//! comes too late for its call is not called off: the deployment bills for it, and its breaker must learn of it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use config::Snapshot;
use config::snapshot::BackendEmbedder;
use domain::{Mono, SubscriptionId};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::{Embedded, Payer, Unembedded, asking};
use crate::cache::key;
use crate::gateway::Gateway;

/// The same question comes again within this, if it does: a client that tries again, a stream beside it.
const KNOWN_FOR: Duration = Duration::from_secs(60);
/// Past it, what has been known for longest goes.
const KNOWN_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Of embedders: one, and those that reloads left. Past it, all are learned anew.
const LENGTHS_MAX: usize = 16;

/// SHA-256.
type Hash = [u8; 32];

#[derive(Default)]
pub struct Vectors(Mutex<State>);

#[derive(Default)]
struct State {
    /// By whose they are, what makes them, and their text.
    slots: HashMap<Hash, Slot>,
    /// Those that are known, the oldest first.
    known: VecDeque<(Mono, Hash)>,
    known_bytes: usize,
    /// How many questions of each subscription are being asked; none is 0.
    asking: HashMap<SubscriptionId, usize>,
    /// How long the last vector of each embedder was.
    lengths: HashMap<Hash, usize>,
}

enum Slot {
    Asking(watch::Receiver<Option<Answer>>),
    Known(Embedded),
}

type Answer = Result<Embedded, Unembedded>;

pub struct Asked<'a> {
    pub snapshot: &'a Arc<Snapshot>,
    pub payer: &'a Arc<Payer>,
    pub text: &'a Arc<str>,
}

impl Vectors {
    pub async fn ask(
        self: &Arc<Self>,
        gateway: &Arc<Gateway>,
        rule: &BackendEmbedder,
        asked: &Asked<'_>,
        timeout: Duration,
    ) -> Answer {
        let embedder = key::embedder(asked.snapshot);
        let place = place(&embedder, asked);
        let subscription = &asked.payer.caller.subscription.id;
        let subscriptions = asked.snapshot.subscriptions.len();
        let mut told = {
            let mut state = self.lock();
            state.forget(gateway.clock.mono());
            match state.slots.get(&place) {
                Some(Slot::Known(embedded)) => return Ok(embedded.clone()),
                Some(Slot::Asking(told)) => told.clone(),
                None if !state.admits(subscription, rule, subscriptions) => {
                    return Err(Unembedded::Busy);
                }
                None => {
                    let (tell, told) = watch::channel(None);
                    state.slots.insert(place, Slot::Asking(told.clone()));
                    *state.asking.entry(subscription.clone()).or_default() += 1;
                    let question = Question {
                        vectors: self.clone(),
                        gateway: gateway.clone(),
                        embedder,
                        place,
                        subscription: subscription.clone(),
                        tell: Some(tell),
                    };
                    drop(state);
                    question.start(rule, asked);
                    told
                }
            }
        };
        let answer = tokio::time::timeout(timeout, told.wait_for(Option::is_some)).await;
        match answer {
            Err(_elapsed) => Err(Unembedded::Late),
            Ok(Err(_dropped)) => Err(Unembedded::Failed),
            Ok(Ok(answer)) => answer.clone().unwrap_or(Err(Unembedded::Failed)),
        }
    }

    /// What is known for too long.
    pub fn sweep(&self, now: Mono) {
        self.lock().forget(now);
    }

    /// Every step leaves it whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(embedder: &Hash, asked: &Asked<'_>) -> Hash {
    let mut hash = Sha256::new();
    hash.update(embedder);
    key::put(&mut hash, asked.payer.caller.subscription.id.as_str());
    key::put(&mut hash, asked.text);
    hash.finalize().into()
}

impl State {
    fn admits(
        &self,
        subscription: &SubscriptionId,
        rule: &BackendEmbedder,
        subscriptions: usize,
    ) -> bool {
        let all: usize = self.asking.values().sum();
        let own = self.asking.get(subscription).copied().unwrap_or(0);
        let others = self.asking.len() - usize::from(own > 0);
        let share = share(rule.max_concurrent, others + 1, subscriptions);
        all < rule.max_concurrent && own < share
    }

    fn told(&mut self, subscription: &SubscriptionId) {
        if let Some(asking) = self.asking.get_mut(subscription) {
            *asking -= 1;
            if *asking == 0 {
                self.asking.remove(subscription);
            }
        }
    }

    fn forget(&mut self, now: Mono) {
        while let Some((since, place)) = self.known.front() {
            if now.since(*since) < KNOWN_FOR && self.known_bytes <= KNOWN_BYTES_MAX {
                return;
            }
            if let Some(Slot::Known(embedded)) = self.slots.remove(place) {
                self.known_bytes -= bytes(&embedded);
            }
            self.known.pop_front();
        }
    }

    fn know(&mut self, place: Hash, embedded: &Embedded, now: Mono) {
        self.known_bytes += bytes(embedded);
        self.known.push_back((now, place));
        self.slots.insert(place, Slot::Known(embedded.clone()));
        self.forget(now);
    }

    /// Whether a vector of `embedder` is as long as the one before it.
    fn is_like_before(&mut self, embedder: Hash, length: usize) -> bool {
        if self.lengths.len() >= LENGTHS_MAX && !self.lengths.contains_key(&embedder) {
            self.lengths.clear();
        }
        let before = self.lengths.insert(embedder, length);
        before.is_none_or(|before| before == length)
    }
}

/// How many of `max_concurrent` questions one subscription may ask at once while `asking` of the
/// `configured` ones do, itself among them: an equal share, with one kept for whoever asks next.
fn share(max_concurrent: usize, asking: usize, configured: usize) -> usize {
    let sharers = (asking + 1).min(configured).max(1);
    (max_concurrent / sharers).max(1)
}

/// In memory, with its places.
fn bytes(embedded: &Embedded) -> usize {
    size_of_val(&*embedded.vector) + 256
}

/// One that is being asked. Whoever waits is told, whatever happens to it.
struct Question {
    vectors: Arc<Vectors>,
    gateway: Arc<Gateway>,
    embedder: Hash,
    place: Hash,
    subscription: SubscriptionId,
    tell: Option<watch::Sender<Option<Answer>>>,
}

impl Question {
    fn start(mut self, rule: &BackendEmbedder, asked: &Asked<'_>) {
        let Asked {
            snapshot,
            payer,
            text,
        } = asked;
        let model = rule.model.clone();
        let (snapshot, payer) = (Arc::clone(snapshot), Arc::clone(payer));
        let (gateway, text) = (self.gateway.clone(), Arc::clone(text));
        let tasks = gateway.tasks.clone();
        tasks.spawn(async move {
            let asking = Box::pin(asking::ask(&gateway, &snapshot, &payer, &model, &text));
            // A shutdown waits for no answer: the call behind it settles as one that was left.
            let answer = gateway.stop().run_until_cancelled(asking).await;
            self.answer(answer.unwrap_or(Err(Unembedded::Failed)));
        });
    }

    fn answer(&mut self, answer: Answer) {
        let Some(tell) = self.tell.take() else { return };
        let mut state = self.vectors.lock();
        state.told(&self.subscription);
        state.slots.remove(&self.place);
        let answer = match answer {
            Ok(embedded) if !state.is_like_before(self.embedder, embedded.vector.len()) => {
                Err(Unembedded::OtherLength)
            }
            answer => answer,
        };
        if let Ok(embedded) = &answer {
            state.know(self.place, embedded, self.gateway.clock.mono());
        }
        drop(state);
        tell.send_replace(Some(answer));
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.answer(Err(Unembedded::Failed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(max_concurrent: usize) -> BackendEmbedder {
        BackendEmbedder {
            model: "small".into(),
            region: None,
            timeout: Duration::from_secs(1),
            max_concurrent,
        }
    }

    #[test]
    fn a_subscription_has_an_equal_share_with_one_kept_for_whoever_asks_next() {
        for (asking, configured, expected) in [
            (1, 1, 16),
            (1, 2, 8),
            (1, 9, 8),
            (2, 2, 8),
            (2, 9, 5),
            (3, 9, 4),
            (40, 99, 1),
        ] {
            assert_eq!(
                share(16, asking, configured),
                expected,
                "{asking} {configured}"
            );
        }
        assert_eq!(share(1, 1, 2), 1);
    }

    #[test]
    fn one_that_asks_as_much_as_it_may_leaves_room_for_others() {
        let (greedy, other): (SubscriptionId, SubscriptionId) = ("greedy".into(), "other".into());
        let mut state = State::default();
        let rule = rule(16);
        let ask = |state: &mut State, who: &SubscriptionId| {
            let is_admitted = state.admits(who, &rule, 9);
            if is_admitted {
                *state.asking.entry(who.clone()).or_default() += 1;
            }
            is_admitted
        };
        let taken = (0..100).filter(|_| ask(&mut state, &greedy)).count();
        assert_eq!(taken, 8);
        let taken = (0..100).filter(|_| ask(&mut state, &other)).count();
        assert_eq!(taken, 5);
        // What it has beyond its share now it gives back as its questions are answered.
        for _ in 0..3 {
            state.told(&greedy);
            assert!(!ask(&mut state, &greedy));
        }
        state.told(&greedy);
        assert!(ask(&mut state, &greedy));
        for _ in 0..5 {
            state.told(&other);
        }
        assert_eq!(state.asking.len(), 1, "who asks nothing is forgotten");
    }
}
