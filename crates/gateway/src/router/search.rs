//! One call's way through its pool: who is asked next, and after which pause.
//!
//! Who may be chosen is `domain::pool`'s; here is what this call itself has seen of the members.

use std::sync::Arc;
use std::time::Duration;

use config::snapshot::Model;
use domain::pool::{Choice, MemberState};
use domain::{Mono, retry};
use smallvec::SmallVec;

use super::backends::{BackendState, Backends, PoolState, Probe};
use crate::clock::{Chance, Clock};

/// Waits for one retry and no longer: past this the client is told when to come back.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(2);

pub struct Search<'a> {
    model: &'a Model,
    pool: Arc<PoolState>,
    /// In the pool's order. `None`: gone since this call began.
    members: SmallVec<[Option<Arc<BackendState>>; 8]>,
    /// The hash of the call's affinity key, if it has one.
    favourite: Option<u64>,
    /// What the chosen backend must have room for.
    tokens: u64,
    /// One for each attempt; a pool allows ten at most.
    failed: SmallVec<[Failed; 4]>,
}

/// A member that is asked next.
pub struct Found {
    pub backend: Arc<BackendState>,
    pub probe: Probe,
    /// Its place in the pool.
    pub index: usize,
}

/// A member that gave this call no answer.
#[derive(Clone, Copy)]
struct Failed {
    index: usize,
    again_at: Mono,
}

#[derive(Clone, Copy)]
enum Round {
    First,
    /// Someone is left that this call was not at, and that did not ask to be left alone.
    Others,
    /// Whoever can be asked again after the pause.
    Again {
        pause: Duration,
        pause_ends: Mono,
    },
}

impl<'a> Search<'a> {
    pub fn new(
        backends: &Backends,
        model: &'a Model,
        favourite: Option<u64>,
        tokens: u64,
        now: Mono,
    ) -> Self {
        let pool = backends.pool(&model.pool);
        pool.note_call(now);
        let members = model.pool.members.iter();
        Self {
            model,
            pool,
            members: members
                .map(|member| backends.get(&member.backend))
                .collect(),
            favourite,
            tokens,
            failed: SmallVec::new(),
        }
    }

    /// The next member to ask, after a pause if need be. `Err`: nobody is left, or a retry would
    /// come too late or too often; with when the first of the open ones lets a probe through.
    pub async fn next(&self, clock: &Clock, chance: &Chance) -> Result<Found, Option<Mono>> {
        let now = clock.mono();
        let round = self.round(now, chance.roll()).ok_or(None)?;
        match round {
            Round::First => {}
            Round::Others => self.take_retry(now)?,
            Round::Again { pause, .. } => {
                self.take_retry(now)?;
                tokio::time::sleep(pause).await;
            }
        }
        self.choose(round, clock)
    }

    pub fn note_failed(&mut self, index: usize, retry_after: Option<Duration>, now: Mono) {
        self.failed.push(Failed {
            index,
            again_at: now + retry_after.unwrap_or_default(),
        });
    }

    /// Until the first of those that are open or asked to be left alone takes calls again.
    pub fn soonest(&self, now: Mono) -> Option<Duration> {
        let busy = self.members.iter().flatten();
        let soonest = busy.filter_map(|member| member.busy_until(now)).min()?;
        Some(soonest.since(now))
    }

    fn round(&self, now: Mono, roll: u64) -> Option<Round> {
        if self.failed.is_empty() {
            return Some(Round::First);
        }
        let mut soonest: Option<Mono> = None;
        for index in 0..self.members.len() {
            if let MemberState::Open { .. } = self.state(index, now) {
                continue;
            }
            let ready_at = self.ready_at(index, now);
            if ready_at <= now && !self.has_failed(index) {
                return Some(Round::Others);
            }
            soonest = Some(soonest.map_or(ready_at, |earlier| earlier.min(ready_at)));
        }
        let attempt = u32::try_from(self.failed.len()).unwrap_or(u32::MAX);
        let pause = retry::backoff(attempt, roll).max(soonest?.since(now));
        let pause_ends = now + pause;
        (pause <= RETRY_WAIT_MAX).then_some(Round::Again { pause, pause_ends })
    }

    fn take_retry(&self, now: Mono) -> Result<(), Option<Mono>> {
        if self.pool.may_retry(self.model.pool.retry.budget, now) {
            Ok(())
        } else {
            Err(None)
        }
    }

    fn choose(&self, round: Round, clock: &Clock) -> Result<Found, Option<Mono>> {
        // Another call may take a half-open breaker's only probe between choice and start: its
        // member is open then, and the next one is chosen.
        for _ in &self.members {
            let now = clock.mono();
            let states: SmallVec<[MemberState; 8]> = (0..self.members.len())
                .map(|index| {
                    if self.is_passed_over(index, round, now) {
                        MemberState::Tried
                    } else {
                        self.state(index, now)
                    }
                })
                .collect();
            let index = match self.pool.choose(&self.model.pool, &states, self.favourite) {
                Choice::Member(index) => index,
                Choice::None { soonest } => return Err(soonest),
            };
            if let Some(Some(backend)) = self.members.get(index)
                && let Some(probe) = backend.begin(self.tokens, clock)
            {
                return Ok(Found {
                    backend: backend.clone(),
                    probe,
                    index,
                });
            }
        }
        Err(None)
    }

    /// By the time at which it is chosen: other calls may have heard from it during a pause.
    fn is_passed_over(&self, index: usize, round: Round, now: Mono) -> bool {
        match round {
            Round::First => false,
            Round::Others => self.has_failed(index) || self.ready_at(index, now) > now,
            // What a pause was meant to wait for has come, however late or early the clock is.
            Round::Again { pause_ends, .. } => self.ready_at(index, now) > now.max(pause_ends),
        }
    }

    fn has_failed(&self, index: usize) -> bool {
        self.failed.iter().any(|failed| failed.index == index)
    }

    /// When a retry may go to this member, by what it told this call and others.
    fn ready_at(&self, index: usize, now: Mono) -> Mono {
        let told = self.failed.iter().filter(|failed| failed.index == index);
        let member = self.members.get(index).and_then(Option::as_ref);
        told.map(|failed| failed.again_at)
            .chain(member.and_then(|member| member.throttled_until(now)))
            .fold(now, Mono::max)
    }

    fn state(&self, index: usize, now: Mono) -> MemberState {
        match self.members.get(index) {
            Some(Some(backend)) => backend.state(self.tokens, now),
            Some(None) | None => MemberState::Open { until: now },
        }
    }
}
