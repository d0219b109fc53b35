//! Counters of one gateway, in memory: a lock for each counter, none for all.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use domain::limit::{Demand, Limit, LimitRefusal};
use domain::record::ChargeUnit;
use domain::{Amount, LimitId, Now, Rule, Verdict, Wall};
use smallvec::SmallVec;

use super::map::{COUNTERS_MAX, CounterMap, Entry, Full, State};
use super::{Ask, Level, Part, Reservation, ReserveError, Reserved, Restored};

/// Each call locks all of its counters, in the order in which they were made, then checks all and
/// takes from all or none.
#[derive(Debug)]
pub struct MemoryCounters {
    map: CounterMap,
}

/// More limits than this on one call cost an allocation.
const LIMITS_INLINE: usize = 8;

struct Claim<'a> {
    limit: &'a Arc<Limit>,
    entry: Arc<Entry>,
    amount: Amount,
}

type Claims<'a> = SmallVec<[Claim<'a>; LIMITS_INLINE]>;
type Locked<'a> = SmallVec<[MutexGuard<'a, State>; LIMITS_INLINE]>;

/// A counter was swept, or its limit counts something else since a reload.
struct Retired(usize);

impl Default for MemoryCounters {
    fn default() -> Self {
        Self::with_counters_max(COUNTERS_MAX)
    }
}

impl MemoryCounters {
    pub(super) fn with_counters_max(counters_max: usize) -> Self {
        Self {
            map: CounterMap::new(counters_max),
        }
    }

    pub fn reserve(
        &self,
        asks: &[Ask<'_>],
        demand: &Demand,
        now: Now,
    ) -> Result<Reserved, ReserveError> {
        loop {
            let claims = self.claims(asks, demand, now)?;
            match decide(&claims, now) {
                Ok(decision) => return decision,
                Err(Retired(index)) => self.map.forget(&claims[index].entry),
            }
        }
    }

    pub fn restore(&self, restored: &Restored, limits: &[Arc<Limit>], now: Now) {
        let limits: HashMap<&LimitId, &Arc<Limit>> =
            limits.iter().map(|limit| (&limit.id, limit)).collect();
        let mut left_out = 0u64;
        for (charge, at, amount) in &restored.recent {
            let Some(limit) = limits.get(&charge.limit) else {
                continue;
            };
            if !counts(&limit.rule, charge.unit) {
                continue;
            }
            match self.map.find_or_make(limit, &charge.key, now) {
                Ok(entry) => entry.lock().counter.restore_recent(*amount, *at, now),
                Err(Full) => left_out += 1,
            }
        }
        for (limit, key, period_start, tokens) in &restored.quotas {
            let Some(limit) = limits.get(limit) else {
                continue;
            };
            match self.map.find_or_make(limit, key, now) {
                Ok(entry) => entry
                    .lock()
                    .counter
                    .restore_period(*tokens, *period_start, now),
                Err(Full) => left_out += 1,
            }
        }
        if left_out > 0 {
            tracing::warn!(
                left_out,
                "too many distinct counter keys to restore; those left out start at zero"
            );
        }
    }

    pub fn levels(&self, now: Now) -> Vec<Level> {
        let mut levels = Vec::new();
        self.map.for_each(|entry| {
            let mut state = entry.lock();
            state.counter.advance(now);
            levels.push(Level::new(
                &state.limit,
                entry.key(),
                state.counter.figures(now),
            ));
        });
        levels
    }

    pub fn sweep(&self, now: Now) {
        self.map.sweep(now);
    }

    /// The call's counters, each once, in the order in which everybody locks them.
    fn claims<'a>(
        &self,
        asks: &[Ask<'a>],
        demand: &Demand,
        now: Now,
    ) -> Result<Claims<'a>, ReserveError> {
        let mut claims = Claims::new();
        for ask in asks {
            let entry = self
                .map
                .find_or_make(ask.limit, ask.key, now)
                .map_err(|Full| ReserveError::Full)?;
            claims.push(Claim {
                limit: ask.limit,
                entry,
                amount: ask.limit.rule.amount(demand),
            });
        }
        claims.sort_unstable_by_key(|claim| claim.entry.serial);
        claims.dedup_by_key(|claim| claim.entry.serial);
        Ok(claims)
    }
}

/// Checks all, then takes from all or none.
fn decide(claims: &[Claim<'_>], now: Now) -> Result<Result<Reserved, ReserveError>, Retired> {
    let mut locked = lock(claims, now)?;
    let mut count_first = false;
    let mut refusal: Option<(usize, Option<Duration>)> = None;
    for (index, (claim, state)) in claims.iter().zip(&locked).enumerate() {
        match state.counter.check(claim.amount, now) {
            Verdict::Fits => {}
            Verdict::CountFirst => count_first = true,
            Verdict::Refused { retry_after } => {
                if refusal.is_none_or(|(_, other)| is_longer(retry_after, other)) {
                    refusal = Some((index, retry_after));
                }
            }
        }
    }
    if let Some((index, retry_after)) = refusal {
        let refusal = refuse(&claims[index], &locked[index], retry_after, now);
        return Ok(Err(ReserveError::Refused(Box::new(refusal))));
    }
    if count_first {
        return Ok(Ok(Reserved::CountFirst));
    }
    let parts = claims
        .iter()
        .zip(&mut locked)
        .map(|(claim, state)| take(claim, state, now))
        .collect();
    Ok(Ok(Reserved::Admitted(Reservation { parts, at: now })))
}

/// Locks all counters and brings each up to `now` and to the call's own configuration.
fn lock<'a>(claims: &'a [Claim<'_>], now: Now) -> Result<Locked<'a>, Retired> {
    let mut locked = Locked::new();
    for (index, claim) in claims.iter().enumerate() {
        let mut state = claim.entry.lock();
        if !Arc::ptr_eq(&state.limit, claim.limit) {
            state.retired |= !state.counter.follow(&claim.limit.rule, now);
            state.limit = claim.limit.clone();
        }
        if state.retired {
            return Err(Retired(index));
        }
        state.counter.advance(now);
        locked.push(state);
    }
    Ok(locked)
}

fn take(claim: &Claim<'_>, state: &mut State, now: Now) -> Part {
    let held = state.counter.take(claim.amount);
    Part {
        entry: claim.entry.clone(),
        limit: claim.limit.clone(),
        held,
        figures: state.counter.figures(now),
    }
}

fn refuse(
    claim: &Claim<'_>,
    state: &State,
    retry_after: Option<Duration>,
    now: Now,
) -> LimitRefusal {
    let figures = state.counter.figures(now);
    let resets_at = match claim.limit.rule {
        // Nobody knows when an open call will end.
        Rule::Concurrency { .. } => None,
        Rule::TokensPerMinute { .. } | Rule::RequestsPerMinute { .. } | Rule::TokenQuota { .. } => {
            retry_after.map(|after| after_at_least(now.wall, after))
        }
    };
    LimitRefusal {
        limit: claim.limit.clone(),
        bound: figures.bound,
        used: figures.used,
        reserved: figures.reserved,
        wanted: claim.amount.wanted,
        retry_after,
        resets_at,
    }
}

/// Never is longer than any time.
fn is_longer(wait: Option<Duration>, other: Option<Duration>) -> bool {
    match (wait, other) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(wait), Some(other)) => wait > other,
    }
}

/// Rounded up to the wall clock's milliseconds.
fn after_at_least(wall: Wall, wait: Duration) -> Wall {
    wall + (wait + Duration::from_nanos(999_999))
}

fn counts(rule: &Rule, unit: ChargeUnit) -> bool {
    matches!(
        (rule, unit),
        (Rule::TokensPerMinute { .. }, ChargeUnit::TokensPerMinute)
            | (
                Rule::RequestsPerMinute { .. },
                ChargeUnit::RequestsPerMinute
            )
            | (Rule::TokenQuota { .. }, ChargeUnit::Quota { .. })
    )
}
