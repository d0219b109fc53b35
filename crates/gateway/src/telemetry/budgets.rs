//! How full budgets are, and how many calls they had no room for.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use config::Snapshot;
use domain::budget::OnExceeded;
use domain::{Limit, LimitId, Nanos, Now, Rule};

use super::bounded::Bounded;
use super::catalogue;
use super::sample::{Family, Value};
use crate::admission::{BudgetLevels, Downgraded};
use crate::gateway::Gateway;

const BUDGETS_MAX: usize = 50_000;

/// Calls past a budget, by its id. Those that it refused are among the refusals.
pub struct PastBudgets(Bounded<Arc<str>, Past>);

#[derive(Default)]
struct Past {
    passed: AtomicU64,
    throttled: AtomicU64,
    downgraded: AtomicU64,
}

impl Default for PastBudgets {
    fn default() -> Self {
        Self(Bounded::new(BUDGETS_MAX, Past::default))
    }
}

impl PastBudgets {
    pub fn count(&self, levels: Option<&BudgetLevels>, downgraded: Option<&Downgraded>) {
        for limit in levels.into_iter().flat_map(|levels| &levels.past) {
            let Rule::Budget(budget) = &limit.rule else {
                continue;
            };
            let throttles = matches!(budget.on_exceeded, OnExceeded::Throttle { .. });
            self.add(limit, |past| {
                if throttles {
                    &past.throttled
                } else {
                    &past.passed
                }
            });
        }
        if let Some(downgraded) = downgraded {
            self.add(&downgraded.budget, |past| &past.downgraded);
        }
    }

    fn add(&self, limit: &Limit, of: impl Fn(&Past) -> &AtomicU64) {
        let count = |past: &Past| {
            of(past).fetch_add(1, Ordering::Relaxed);
        };
        self.0.count(&*limit.name, || limit.name.clone(), count);
    }

    /// After a load: what is no longer configured makes room.
    pub fn retain(&self, snapshot: &Snapshot) {
        let names: HashSet<&str> = snapshot
            .budgets
            .iter()
            .map(|budget| &*budget.name)
            .collect();
        self.0.retain(|name| names.contains(&**name));
    }

    pub fn families(&self, gateway: &Gateway, now: Now, into: &mut Vec<Family>) {
        let mut past = Family::new(&catalogue::BUDGET_PAST);
        let mut say = |name: &str, counts: &Past| {
            for (action, count) in [
                ("passed", &counts.passed),
                ("throttled", &counts.throttled),
                ("downgraded", &counts.downgraded),
            ] {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    past.add(&[name, action], Value::Whole(count));
                }
            }
        };
        self.0.for_each(|name, counts| say(name, counts));
        if let Some(counts) = self.0.other() {
            say("other", counts);
        }
        into.push(past);
        level_families(gateway, now, into);
    }
}

#[derive(Default)]
struct Sum {
    used_ratio: f64,
    used: Nanos,
    reserved: Nanos,
}

/// Of every budget in force, one that nobody used yet too. Keys may be users: they are no labels.
fn level_families(gateway: &Gateway, now: Now, into: &mut Vec<Family>) {
    let mut sums: HashMap<LimitId, Sum> = HashMap::new();
    for level in gateway.counters.budget_levels(now) {
        let sum = sums.entry(level.limit.id.clone()).or_default();
        let ratio = level.used.0 as f64 / level.amount.0.max(1) as f64;
        sum.used_ratio = sum.used_ratio.max(ratio);
        sum.used += level.used;
        sum.reserved += level.reserved;
    }
    let mut ratio = Family::new(&catalogue::BUDGET_USED_RATIO);
    let mut used = Family::new(&catalogue::BUDGET_USED);
    let mut reserved = Family::new(&catalogue::BUDGET_RESERVED);
    for budget in &gateway.snapshot.load().budgets {
        let sum = sums.remove(&budget.keyed.limit.id).unwrap_or_default();
        let (name, currency) = (&*budget.name, budget.budget.currency);
        let money = |amount: Nanos| Value::Real(amount.0 as f64 / 1e9);
        ratio.add(&[name], Value::Real(sum.used_ratio));
        used.add(&[name, currency.as_str()], money(sum.used));
        reserved.add(&[name, currency.as_str()], money(sum.reserved));
    }
    into.extend([ratio, used, reserved]);
}
