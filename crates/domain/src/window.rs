//! Sliding window: a bound that holds in *any* 60 s.
//!
//! Counts amounts, whatever their unit. Does not know prompts, answers or keys.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Mono;

/// An admission lies anywhere within its 1 s slice, so a slice counts until its last instant is
/// 60 s old.
pub const SLICE_LIFE_S: u64 = 61;

/// Invariants, after every method: slices ascend by `second`, none is older than `SLICE_LIFE_S`,
/// `used` and `held` are their sums, and there is debt only while the window is full.
#[derive(Clone, Debug)]
pub struct Window {
    bound: u64,
    slices: VecDeque<Slice>,
    used: u64,
    held: u64,
    /// What settling found above the reservations. It waits at the head of the queue: as slices
    /// expire it is moved into the current one before any call is admitted.
    debt: u64,
    /// Time of the last change, in whole seconds. Never goes back.
    head: u64,
}

#[derive(Clone, Copy, Debug)]
struct Slice {
    second: u64,
    used: u64,
    held: u64,
}

/// The slice that a reservation is charged to: that of its admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceId(u64);

impl Window {
    pub fn new(bound: u64) -> Self {
        Self {
            bound,
            slices: VecDeque::new(),
            used: 0,
            held: 0,
            debt: 0,
            head: 0,
        }
    }

    pub fn bound(&self) -> u64 {
        self.bound
    }

    /// After a reload. What was counted stays; new room pays debt first.
    pub fn set_bound(&mut self, bound: u64, now: Mono) {
        self.advance(now);
        self.bound = bound;
        self.pay_debt();
    }

    /// Settled use that still counts, debt included.
    pub fn used(&self) -> u64 {
        self.used.saturating_add(self.debt)
    }

    /// Held by calls in flight that were admitted within the window.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// Zero while debt remains: debt is paid from any room first.
    pub fn room(&self) -> u64 {
        self.bound.saturating_sub(self.sum())
    }

    pub fn is_empty(&self) -> bool {
        self.sum() == 0 && self.debt == 0
    }

    /// Lets slices expire one after the other, each paying debt at its own instant, so that the
    /// result is the same however rarely this is called.
    pub fn advance(&mut self, now: Mono) {
        let second = second_of(now).max(self.head);
        while let Some(expiry) = self.slices.front().map(|slice| slice.second + SLICE_LIFE_S)
            && expiry <= second
        {
            self.head = self.head.max(expiry);
            self.drop_front();
            self.pay_debt();
            self.skip_cycles(second);
        }
        self.head = second;
        self.pay_debt();
    }

    /// How long until `wanted` fits if nobody else asks; zero if it fits now, `None` if it never
    /// will. Expects a window advanced to `now`.
    pub fn wait(&self, wanted: u64, now: Mono) -> Option<Duration> {
        if wanted > self.bound {
            return None;
        }
        let sum = u128::from(self.sum());
        let bound = u128::from(self.bound);
        // What must expire. Debt is paid from the first of it, and expires again 61 s later.
        let needed = (sum + u128::from(self.debt) + u128::from(wanted)).saturating_sub(bound);
        if needed == 0 {
            return Some(Duration::ZERO);
        }
        if bound == 0 {
            return None;
        }
        let cycles = needed.saturating_sub(sum).div_ceil(bound);
        let needed = needed - cycles * bound;
        // From the newest: what is asked most is when all of it has expired.
        let mut freed_before = sum;
        let slice = self.slices.iter().rev().find(|slice| {
            freed_before -= u128::from(slice.used) + u128::from(slice.held);
            freed_before < needed
        })?;
        let cycles = u64::try_from(cycles).unwrap_or(u64::MAX);
        let expiry_s = cycles
            .saturating_add(1)
            .saturating_mul(SLICE_LIFE_S)
            .saturating_add(slice.second);
        Some(Duration::from_secs(expiry_s).saturating_sub(Duration::from_nanos(now.0)))
    }

    /// Takes `amount`, which the caller found to fit.
    pub fn reserve(&mut self, amount: u64) -> SliceId {
        self.held = self.held.saturating_add(amount);
        let slice = self.slice_at_head();
        slice.held = slice.held.saturating_add(amount);
        SliceId(self.head)
    }

    /// Refunds what was not used to the slice that it came from, while that counts; what was used
    /// above the reservation becomes debt.
    pub fn settle(&mut self, id: SliceId, reserved: u64, actual: u64, now: Mono) {
        self.advance(now);
        if let Ok(index) = self
            .slices
            .binary_search_by_key(&id.0, |slice| slice.second)
        {
            let slice = &mut self.slices[index];
            let used = actual.min(reserved);
            slice.held = slice.held.saturating_sub(reserved);
            slice.used = slice.used.saturating_add(used);
            self.held = self.held.saturating_sub(reserved);
            self.used = self.used.saturating_add(used);
        }
        self.debt = self.debt.saturating_add(actual.saturating_sub(reserved));
        self.pay_debt();
    }

    /// Counts what was used at `at`, before a restart. May pass the bound; then nothing fits until
    /// enough of it expires.
    pub fn restore(&mut self, amount: u64, at: Mono, now: Mono) {
        self.advance(now);
        let second = second_of(at).min(self.head);
        if second + SLICE_LIFE_S <= self.head {
            return;
        }
        self.used = self.used.saturating_add(amount);
        match self
            .slices
            .binary_search_by_key(&second, |slice| slice.second)
        {
            Ok(index) => self.slices[index].used = self.slices[index].used.saturating_add(amount),
            Err(index) => self.slices.insert(
                index,
                Slice {
                    second,
                    used: amount,
                    held: 0,
                },
            ),
        }
    }

    fn sum(&self) -> u64 {
        self.used.saturating_add(self.held)
    }

    fn slice_at_head(&mut self) -> &mut Slice {
        if self
            .slices
            .back()
            .is_none_or(|slice| slice.second < self.head)
        {
            self.slices.push_back(Slice {
                second: self.head,
                used: 0,
                held: 0,
            });
        }
        let last = self.slices.len() - 1;
        &mut self.slices[last]
    }

    fn drop_front(&mut self) {
        if let Some(slice) = self.slices.pop_front() {
            self.used = self.used.saturating_sub(slice.used);
            self.held = self.held.saturating_sub(slice.held);
        }
    }

    fn pay_debt(&mut self) {
        let paid = self.debt.min(self.room());
        if paid == 0 {
            return;
        }
        self.debt -= paid;
        self.used = self.used.saturating_add(paid);
        let slice = self.slice_at_head();
        slice.used = slice.used.saturating_add(paid);
    }

    /// A full window with more debt than the bound repeats itself every 61 s, paying the bound each
    /// time: such cycles are counted, not walked, so that a large debt costs no time.
    fn skip_cycles(&mut self, until_s: u64) {
        if self.bound == 0 || self.debt <= self.bound || self.sum() != self.bound {
            return;
        }
        let cycles = ((self.debt - 1) / self.bound).min((until_s - self.head) / SLICE_LIFE_S);
        if cycles == 0 {
            return;
        }
        self.debt -= cycles * self.bound;
        self.head += cycles * SLICE_LIFE_S;
        self.used = self.bound;
        self.held = 0;
        for slice in &mut self.slices {
            slice.second += cycles * SLICE_LIFE_S;
            slice.used += slice.held;
            slice.held = 0;
        }
    }
}

fn second_of(at: Mono) -> u64 {
    at.0 / 1_000_000_000
}

#[cfg(test)]
mod tests;
