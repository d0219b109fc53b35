//! Calls that ask the same at the same time: one is forwarded, the others wait for its answer.
//!
//! The first is the leader. It holds a [`Lead`] until it has settled, so that whoever comes meanwhile
//! finds its answer here, and afterwards in the cache. One that goes away before it has an answer leaves
//! its place to one of those who wait. One whose answer cannot be shared leaves the others alone: each
//! then asks for itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::cache::Key;
use bytes::Bytes;
use dialect::{Dialect, Request};
use domain::Usage;
use tokio::sync::watch;

use crate::identity::Caller;
use crate::meter::MeteredBody;

use super::shared::{Reader, Shared};

/// Calls that get the same bytes, or the same document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlightKey {
    key: Key,
    is_stream: bool,
    wants_usage: bool,
    /// In which errors within a stream are told.
    dialect: Dialect,
    /// Who looks at a stream while it passes, by address: within one configuration, the same guards.
    guards: usize,
}

impl FlightKey {
    pub fn of(key: Key, call: &Request, caller: &Caller, dialect: Dialect) -> Self {
        let guards = caller.subscription.guards.as_ref();
        Self {
            key,
            is_stream: call.stream,
            wants_usage: call.wants_usage,
            dialect,
            guards: guards.map_or(0, |guards| Arc::as_ptr(guards).addr()),
        }
    }
}

/// One for each leader that has not settled: no more than there are calls.
#[derive(Default)]
pub struct Flights {
    open: Mutex<HashMap<FlightKey, Arc<Flight>>>,
}

pub struct Flight {
    key: FlightKey,
    stage: watch::Sender<Stage>,
}

#[derive(Clone)]
enum Stage {
    Waiting,
    /// The leader went away: who finds this first leads.
    Leaderless,
    Whole(Arc<Whole>),
    /// Here for as long as somebody waits to read it; it has let go of its call by its end.
    Streaming(Arc<Shared>),
    Alone,
}

/// A unary answer as it came, before any guard.
pub struct Whole {
    pub document: Bytes,
    pub usage: Usage,
}

pub enum Joined {
    Lead(Lead),
    Landed(Landed),
}

pub enum Landed {
    Whole(Arc<Whole>),
    Stream(Reader),
    /// There is nothing to share.
    Alone,
}

impl Flights {
    /// Leads, or waits for the leader.
    pub async fn join(self: &Arc<Self>, key: FlightKey) -> Joined {
        let mut waiting = {
            let mut open = lock(&self.open);
            if let Some(flight) = open.get(&key) {
                Waiting {
                    stage: flight.stage.subscribe(),
                    flight: flight.clone(),
                    flights: self.clone(),
                }
            } else {
                let flight = Arc::new(Flight {
                    key,
                    stage: watch::Sender::new(Stage::Waiting),
                });
                open.insert(key, flight.clone());
                return Joined::Lead(Lead {
                    flights: self.clone(),
                    flight,
                });
            }
        };
        waiting.land().await
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        lock(&self.open).len()
    }
}

/// Panics elsewhere leave the map as it was.
fn lock(
    open: &Mutex<HashMap<FlightKey, Arc<Flight>>>,
) -> MutexGuard<'_, HashMap<FlightKey, Arc<Flight>>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Flight {
    /// The leader's stream, from now on everybody's. The reader is the leader's own.
    pub fn share(&self, body: MeteredBody) -> Reader {
        let (shared, reader) = Shared::of(body);
        self.stage.send_replace(Stage::Streaming(shared));
        reader
    }
}

/// The right to be asked for, and the duty to tell.
pub struct Lead {
    flights: Arc<Flights>,
    flight: Arc<Flight>,
}

impl Lead {
    pub fn tell(&self, whole: Whole) {
        self.flight
            .stage
            .send_replace(Stage::Whole(Arc::new(whole)));
    }

    pub fn leave_alone(&self) {
        self.flight.stage.send_replace(Stage::Alone);
    }

    pub fn flight(&self) -> Arc<Flight> {
        self.flight.clone()
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        let mut open = lock(&self.flights.open);
        // Nobody joins or leaves for good while the map is locked.
        let stage = &self.flight.stage;
        let has_told = !matches!(*stage.borrow(), Stage::Waiting);
        if !has_told && stage.receiver_count() > 0 {
            stage.send_replace(Stage::Leaderless);
            return;
        }
        open.remove(&self.flight.key);
    }
}

struct Waiting {
    flights: Arc<Flights>,
    flight: Arc<Flight>,
    stage: watch::Receiver<Stage>,
}

impl Waiting {
    async fn land(&mut self) -> Joined {
        loop {
            let stage = self.stage.borrow_and_update().clone();
            match stage {
                Stage::Waiting => {}
                Stage::Leaderless => {
                    let claimed = self.flight.stage.send_if_modified(|stage| {
                        let is_free = matches!(stage, Stage::Leaderless);
                        if is_free {
                            *stage = Stage::Waiting;
                        }
                        is_free
                    });
                    if claimed {
                        return Joined::Lead(Lead {
                            flights: self.flights.clone(),
                            flight: self.flight.clone(),
                        });
                    }
                    continue;
                }
                Stage::Whole(whole) => return Joined::Landed(Landed::Whole(whole)),
                Stage::Streaming(shared) => {
                    let reader = Shared::join(&shared);
                    return Joined::Landed(reader.map_or(Landed::Alone, Landed::Stream));
                }
                Stage::Alone => return Joined::Landed(Landed::Alone),
            }
            // The sender is in `flight`, which is held here: it does not go.
            if self.stage.changed().await.is_err() {
                return Joined::Landed(Landed::Alone);
            }
        }
    }
}

impl Drop for Waiting {
    /// The last one who might have led goes, too.
    fn drop(&mut self) {
        let mut open = lock(&self.flights.open);
        let stage = &self.flight.stage;
        let is_free = matches!(*stage.borrow(), Stage::Leaderless);
        if is_free && stage.receiver_count() <= 1 {
            open.remove(&self.flight.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: FlightKey = FlightKey {
        key: Key([7; 32]),
        is_stream: false,
        wants_usage: false,
        dialect: Dialect::OpenAi,
        guards: 0,
    };

    async fn lead(flights: &Arc<Flights>) -> Lead {
        match flights.join(KEY).await {
            Joined::Lead(lead) => lead,
            Joined::Landed(_) => panic!("somebody else leads"),
        }
    }

    fn whole() -> Whole {
        Whole {
            document: Bytes::from_static(b"{}"),
            usage: Usage::default(),
        }
    }

    #[tokio::test]
    async fn those_who_ask_meanwhile_get_the_leaders_answer() {
        let flights = Arc::<Flights>::default();
        let leader = lead(&flights).await;
        let (one, other) = (flights.join(KEY), flights.join(KEY));
        let told = async { leader.tell(whole()) };
        let (one, other, ()) = tokio::join!(one, other, told);
        for joined in [one, other, flights.join(KEY).await] {
            assert!(matches!(joined, Joined::Landed(Landed::Whole(_))));
        }
        drop(leader);
        assert_eq!(flights.len(), 0);
        lead(&flights).await;
    }

    #[tokio::test]
    async fn a_leader_that_goes_leaves_its_place_to_one_of_those_who_wait() {
        let flights = Arc::<Flights>::default();
        let leader = lead(&flights).await;
        let gone = async { drop(leader) };
        let follow = || async {
            match flights.join(KEY).await {
                Joined::Lead(lead) => {
                    lead.tell(whole());
                    "led"
                }
                Joined::Landed(Landed::Whole(_)) => "followed",
                Joined::Landed(_) => "alone",
            }
        };
        let (one, other, third, ()) = tokio::join!(follow(), follow(), follow(), gone);
        let mut all = [one, other, third];
        all.sort_unstable();
        assert_eq!(all, ["followed", "followed", "led"]);
        assert_eq!(flights.len(), 0);
    }

    #[tokio::test]
    async fn who_goes_while_it_could_have_led_leaves_nothing_behind() {
        let flights = Arc::<Flights>::default();
        let leader = lead(&flights).await;
        {
            let mut follower = Box::pin(flights.join(KEY));
            let waker = std::task::Waker::noop();
            let mut cx = std::task::Context::from_waker(waker);
            assert!(follower.as_mut().poll(&mut cx).is_pending());
            drop(leader);
            assert_eq!(flights.len(), 1);
        }
        assert_eq!(flights.len(), 0);
    }

    #[tokio::test]
    async fn an_answer_that_cannot_be_shared_leaves_everybody_alone() {
        let flights = Arc::<Flights>::default();
        let leader = lead(&flights).await;
        let told = async { leader.leave_alone() };
        let (joined, ()) = tokio::join!(flights.join(KEY), told);
        assert!(matches!(joined, Joined::Landed(Landed::Alone)));
    }
}
