//! Counters of one gateway, in memory: a lock for each counter, none for all.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use domain::budget::OnExceeded;
use domain::limit::{Demand, Limit, LimitRefusal};
use domain::record::ChargeUnit;
use domain::{Amount, Counter, LimitId, Now, Rule, Verdict, Wall};
use smallvec::SmallVec;

use super::map::{COUNTERS_MAX, CounterMap, Entry, Full, State};
use super::{
    Ask, BudgetLevel, Level, Part, Past, Reservation, ReserveError, Reserved, Restored,
    RestoredBudget,
};

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
    /// What is taken where there is no room. No bound: it would keep room from calls that fit.
    past_amount: Amount,
    role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Refuses,
    /// Charged though it has no room.
    Passes,
    /// Asked, and charged, only where the budget with this serial has no room.
    Throttles {
        budget: u64,
    },
}

type Claims<'a> = SmallVec<[Claim<'a>; LIMITS_INLINE]>;
type Locked<'a> = SmallVec<[MutexGuard<'a, State>; LIMITS_INLINE]>;

/// A counter was swept, or its limit counts something else since a reload.
struct Retired(usize);

/// What checking every counter of a call found.
#[derive(Default)]
struct Findings {
    count_first: bool,
    /// Which claim refuses, and for how long.
    refusal: Option<(usize, Option<Duration>)>,
    /// A budget that would have another model answer.
    downgrade: Option<usize>,
    /// Serials of the budgets that have no room and let the call through.
    past: SmallVec<[u64; 2]>,
}

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
        for budget in &restored.budgets {
            let RestoredBudget {
                budget,
                key,
                period_start,
                currency,
                spent,
            } = budget;
            let Some(limit) = limits.get(budget) else {
                continue;
            };
            let nanos = u64::try_from(spent.0).unwrap_or(0);
            // A reload may have changed what a counter of this name counts.
            let restored = self.with_counter(limit, key, now, |counter| {
                counter.restore_money(nanos, *currency, *period_start, now);
            });
            if let Err(Full) = restored {
                left_out += 1;
            }
        }
        if left_out > 0 {
            tracing::warn!(
                left_out,
                "too many distinct counter keys to restore; those left out start at zero"
            );
        }
    }

    /// The counter that calls of this configuration find.
    fn with_counter(
        &self,
        limit: &Arc<Limit>,
        key: &str,
        now: Now,
        change: impl FnOnce(&mut Counter),
    ) -> Result<(), Full> {
        loop {
            let entry = self.map.find_or_make(limit, key, now)?;
            let mut state = entry.lock();
            if state.follows(limit, key, now) {
                change(&mut state.counter);
                return Ok(());
            }
            drop(state);
            self.map.forget(&entry);
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

    pub fn budget_levels(&self, now: Now) -> Vec<BudgetLevel> {
        let mut levels = Vec::new();
        self.map.for_each(|entry| {
            // Told by the id, so that a million other counters are not locked for a metric.
            if !entry.limit().as_str().starts_with("budget/") {
                return;
            }
            let mut state = entry.lock();
            state.counter.advance(now);
            let (figures, span) = (state.counter.figures(now), state.counter.span());
            levels.extend(BudgetLevel::new(&state.limit, entry.key(), figures, span));
        });
        levels
    }

    pub fn in_use(&self) -> usize {
        self.map.len()
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
            let find = |limit| {
                self.map
                    .find_or_make(limit, ask.key, now)
                    .map_err(|Full| ReserveError::Full)
            };
            let entry = find(ask.limit)?;
            let role = match ask.past {
                Past::Refuse => Role::Refuses,
                Past::Pass => Role::Passes,
                Past::Throttle(limit) => {
                    let amount = limit.rule.amount(demand);
                    claims.push(Claim {
                        limit,
                        entry: find(limit)?,
                        amount,
                        past_amount: amount,
                        role: Role::Throttles {
                            budget: entry.serial,
                        },
                    });
                    Role::Passes
                }
            };
            let past_amount = match &ask.limit.rule {
                Rule::Budget(budget) => demand.likely_cost(budget),
                rule => rule.amount(demand),
            };
            let amount = match ask.past {
                Past::Pass => past_amount,
                Past::Refuse | Past::Throttle(_) => ask.limit.rule.amount(demand),
            };
            claims.push(Claim {
                limit: ask.limit,
                entry,
                amount,
                past_amount,
                role,
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
    let Findings {
        count_first,
        refusal,
        downgrade,
        past,
    } = check(claims, &locked, now);
    if let Some((index, retry_after)) = refusal {
        let mut refusal = refuse(&claims[index], &locked[index], retry_after, now);
        refusal.downgrade = downgrade.map(|index| claims[index].limit.clone());
        return Ok(Err(ReserveError::Refused(Box::new(refusal))));
    }
    if count_first {
        return Ok(Ok(Reserved::CountFirst));
    }
    let parts = claims
        .iter()
        .zip(&mut locked)
        .filter(|(claim, _)| claim.role.applies(&past))
        .map(|(claim, state)| take(claim, state, past.contains(&claim.entry.serial), now))
        .collect();
    Ok(Ok(Reserved::Admitted(Reservation { parts, at: now })))
}

/// Throttles last: whether they apply is what the budgets say.
fn check(claims: &[Claim<'_>], locked: &Locked<'_>, now: Now) -> Findings {
    let mut findings = Findings::default();
    for throttles in [false, true] {
        for (index, (claim, state)) in claims.iter().zip(locked).enumerate() {
            let is_throttle = matches!(claim.role, Role::Throttles { .. });
            if is_throttle != throttles || !claim.role.applies(&findings.past) {
                continue;
            }
            match (state.counter.check(claim.amount, now), claim.role) {
                (Verdict::Fits, _) => {}
                (Verdict::CountFirst, _) => findings.count_first = true,
                (Verdict::Refused { .. }, Role::Passes) => findings.past.push(claim.entry.serial),
                (Verdict::Refused { retry_after }, Role::Refuses | Role::Throttles { .. }) => {
                    findings.note_refusal(index, claim.limit, retry_after);
                }
            }
        }
    }
    findings
}

impl Role {
    fn applies(self, past: &[u64]) -> bool {
        match self {
            Self::Refuses | Self::Passes => true,
            Self::Throttles { budget } => past.contains(&budget),
        }
    }
}

impl Findings {
    fn note_refusal(&mut self, index: usize, limit: &Limit, retry_after: Option<Duration>) {
        if self
            .refusal
            .is_none_or(|(_, other)| is_longer(retry_after, other))
        {
            self.refusal = Some((index, retry_after));
        }
        if let Rule::Budget(budget) = &limit.rule
            && matches!(budget.on_exceeded, OnExceeded::Downgrade(_))
        {
            self.downgrade.get_or_insert(index);
        }
    }
}

/// Locks all counters and brings each up to `now` and to the call's own configuration.
fn lock<'a>(claims: &'a [Claim<'_>], now: Now) -> Result<Locked<'a>, Retired> {
    let mut locked = Locked::new();
    for (index, claim) in claims.iter().enumerate() {
        let mut state = claim.entry.lock();
        if !state.follows(claim.limit, claim.entry.key(), now) {
            return Err(Retired(index));
        }
        state.counter.advance(now);
        locked.push(state);
    }
    Ok(locked)
}

impl State {
    /// Brought to the limit of a call's own configuration; false if it counts something else since.
    fn follows(&mut self, limit: &Arc<Limit>, key: &str, now: Now) -> bool {
        if !Arc::ptr_eq(&self.limit, limit) {
            self.retired |= !self.counter.follow(&limit.rule, key, now);
            self.limit = limit.clone();
        }
        !self.retired
    }
}

fn take(claim: &Claim<'_>, state: &mut State, is_past: bool, now: Now) -> Part {
    let amount = if is_past {
        claim.past_amount
    } else {
        claim.amount
    };
    let held = state.counter.take(amount);
    Part {
        entry: claim.entry.clone(),
        limit: claim.limit.clone(),
        held,
        figures: state.counter.figures(now),
        is_past,
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
        Rule::TokensPerMinute { .. }
        | Rule::RequestsPerMinute { .. }
        | Rule::TokenQuota { .. }
        | Rule::Budget(_) => retry_after.map(|after| after_at_least(now.wall, after)),
    };
    LimitRefusal {
        limit: claim.limit.clone(),
        bound: figures.bound,
        used: figures.used,
        reserved: figures.reserved,
        wanted: claim.amount.wanted,
        retry_after,
        resets_at,
        downgrade: None,
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
