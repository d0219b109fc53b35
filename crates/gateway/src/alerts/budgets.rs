//! Budgets: thresholds that are crossed, and whether the amount lasts its period.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use config::snapshot::{AlertCondition, AlertRule, KeyedBudget};
use domain::alert::reached;
use domain::budget::PerMille;
use domain::forecast::{Forecast, Question, forecast};
use domain::limit::Period;
use domain::quota::Span;
use domain::{ChannelId, LimitId, Nanos, Wall};
use store::alerts::Crossing;
use store::counters::BudgetLevel;
use store::ledger::spend::Spend;

use super::budget_text;
use super::facts::Facts;
use super::watch::{LookError, Watch};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Calls that outlive their period are charged to it: it is looked at for so long after its end.
const SETTLING_MS: i64 = HOUR_MS;
/// Forecasts change slowly, and each reads eight weeks.
const FORECAST_INTERVAL: Duration = Duration::from_secs(600);
/// Of the counters that are fullest; the others are far from their amount.
const FORECASTS_MAX: usize = 1_000;

/// What was found reached, so that the outbox is asked once for each change.
#[derive(Default)]
pub struct Seen {
    by_counter: HashMap<(LimitId, Arc<str>, Wall), (Nanos, usize)>,
    forecast_at: Option<Wall>,
}

/// One counter of a budget in one period.
pub(super) struct Counter<'f> {
    pub keyed: &'f KeyedBudget,
    pub key: Arc<str>,
    pub amount: Nanos,
    pub used: Nanos,
    pub span: Span,
    /// The period that is over.
    pub is_over: bool,
}

impl Counter<'_> {
    pub fn period(&self) -> Period {
        self.keyed.budget.calendar.period
    }

    /// The key, or nothing where there is only one.
    pub fn named_key(&self) -> Option<&str> {
        (&*self.key != "all").then_some(&*self.key)
    }

    fn crossing(&self, rule: &str, mark: String) -> Crossing {
        let name = &self.keyed.name;
        let subject = match self.named_key() {
            Some(key) => format!("{name}/{key}"),
            None => name.to_string(),
        };
        Crossing {
            rule: rule.to_owned(),
            subject,
            period: self.span.start,
            mark,
            // Longer than anything is charged to it.
            kept_until: Wall(self.span.end.0.saturating_add(2 * DAY_MS)),
        }
    }
}

impl Watch {
    /// Thresholds of the running periods, by the counters.
    pub(super) fn look_at_budgets(&mut self, facts: &Facts) -> Result<(), LookError> {
        for level in &facts.budgets {
            if let Some(counter) = counter(level, facts) {
                self.look_at_thresholds(facts, &counter)?;
            }
        }
        Ok(())
    }

    /// Thresholds of the periods before, by the ledger: what was spent between the last look at them
    /// and their end, while this or another process ran.
    pub(super) fn look_at_ended_periods(
        &mut self,
        facts: &Facts,
        spend: &Spend,
    ) -> Result<(), LookError> {
        let looked_until = self.outbox.looked_until()?;
        for keyed in &facts.snapshot.budgets {
            let calendar = &keyed.budget.calendar;
            let running = calendar.span_at(facts.now);
            let is_settling = facts.now.0 - running.start.0 < SETTLING_MS;
            let was_missed = looked_until.is_some_and(|until| until < running.start);
            if !is_settling && !was_missed {
                continue;
            }
            let span = calendar.span_at(Wall(running.start.0.saturating_sub(1)));
            let (limit, currency) = (&keyed.keyed.limit.id, keyed.budget.currency);
            for (key, used) in spend.budget_spent(limit, currency, span.start)? {
                let amount = keyed.budget.amount_at(&key, Wall(span.end.0 - 1));
                let counter = Counter {
                    keyed,
                    key: key.into(),
                    amount,
                    used,
                    span,
                    is_over: true,
                };
                self.look_at_thresholds(facts, &counter)?;
            }
        }
        let kept_since = facts.now.0 - 2 * DAY_MS;
        let known = &mut self.budgets.by_counter;
        let running: Vec<Wall> = facts.budgets.iter().map(|level| level.span.start).collect();
        known.retain(|(_, _, start), _| start.0 >= kept_since || running.contains(start));
        self.outbox.note_looked(facts.now)?;
        Ok(())
    }

    fn look_at_thresholds(
        &mut self,
        facts: &Facts,
        counter: &Counter<'_>,
    ) -> Result<(), LookError> {
        let Counter { keyed, amount, .. } = counter;
        let reached = reached(&keyed.budget.alert_at, counter.used, *amount);
        if reached.is_empty() {
            return Ok(());
        }
        let key = (
            keyed.keyed.limit.id.clone(),
            counter.key.clone(),
            counter.span.start,
        );
        let state = (*amount, reached.len());
        if self.budgets.by_counter.get(&key) == Some(&state) {
            return Ok(());
        }
        // A word more, where the ledger has it: a threshold is told without it as well.
        let outlook = Spend::open(&self.dir)
            .ok()
            .filter(|_| !counter.is_over && may_be_used_up(counter))
            .and_then(|spend| outlook(counter, &spend, facts.now).ok())
            .and_then(|found| match found {
                Forecast::Known(outlook) => Some(outlook),
                Forecast::TooEarly(_) => None,
            });
        // A raised amount is another one: its thresholds are crossed anew.
        let crossings: Vec<Crossing> = reached
            .iter()
            .map(|share| counter.crossing(&keyed.name, format!("{share} of {amount}")))
            .collect();
        self.raise(facts, &crossings, &keyed.notify, |new| {
            let is_new = |share: &&PerMille| {
                let mark = format!("{share} of {amount}");
                new.iter().any(|crossing| crossing.mark == mark)
            };
            let told: Vec<PerMille> = reached.iter().filter(is_new).copied().collect();
            budget_text::threshold(counter, &told, outlook.as_ref(), facts)
        })?;
        self.budgets.by_counter.insert(key, state);
        Ok(())
    }

    /// Whether the amounts last, of the counters that are fullest.
    pub(super) fn look_at_forecasts(
        &mut self,
        facts: &Facts,
        spend: &Spend,
    ) -> Result<(), LookError> {
        let rules: Vec<ForecastRule<'_>> = facts
            .snapshot
            .alerting
            .rules
            .iter()
            .filter_map(ForecastRule::of)
            .collect();
        let is_due =
            super::watch::is_due(&mut self.budgets.forecast_at, FORECAST_INTERVAL, facts.now);
        if rules.is_empty() || !is_due {
            return Ok(());
        }
        let counters = facts
            .budgets
            .iter()
            .filter_map(|level| counter(level, facts));
        let mut counters: Vec<Counter<'_>> = counters.filter(may_be_used_up).collect();
        let fullness = |counter: &Counter<'_>| counter.used.0 as f64 / counter.amount.0 as f64;
        counters.sort_by(|a, b| fullness(b).total_cmp(&fullness(a)));
        counters.truncate(FORECASTS_MAX);
        for counter in counters {
            let Forecast::Known(outlook) = outlook(&counter, spend, facts.now)? else {
                continue;
            };
            for rule in &rules {
                if !rule.watches(&counter) || outlook.chance_of_passing < rule.certainty {
                    continue;
                }
                let crossing = counter.crossing(rule.name, format!("of {}", counter.amount));
                self.raise(facts, &[crossing], rule.notify, |_| {
                    budget_text::will_be_used_up(rule.name, &counter, &outlook)
                })?;
            }
        }
        Ok(())
    }
}

struct ForecastRule<'f> {
    name: &'f str,
    certainty: f64,
    budgets: &'f [Arc<str>],
    notify: &'f [ChannelId],
}

impl<'f> ForecastRule<'f> {
    fn of(rule: &'f Arc<AlertRule>) -> Option<Self> {
        let AlertCondition::Forecast { certainty, budgets } = &rule.condition else {
            return None;
        };
        Some(Self {
            name: &rule.name,
            certainty: *certainty,
            budgets,
            notify: &rule.notify,
        })
    }

    fn watches(&self, counter: &Counter<'_>) -> bool {
        self.budgets.is_empty() || self.budgets.contains(&counter.keyed.name)
    }
}

/// What is used up has crossed its last threshold; an hour is over before it could be forecast.
fn may_be_used_up(counter: &Counter<'_>) -> bool {
    counter.period() != Period::Hour && counter.used.0 > 0 && counter.used < counter.amount
}

/// `None` for budgets that are no longer configured.
fn counter<'f>(level: &BudgetLevel, facts: &'f Facts) -> Option<Counter<'f>> {
    let of_level = |keyed: &&KeyedBudget| keyed.keyed.limit.id == level.limit.id;
    let keyed = facts.snapshot.budgets.iter().find(of_level)?;
    Some(Counter {
        keyed,
        key: level.key.clone(),
        amount: level.amount,
        used: level.used,
        span: level.span,
        is_over: level.span.end <= facts.now,
    })
}

pub(super) fn outlook(
    counter: &Counter<'_>,
    spend: &Spend,
    now: Wall,
) -> Result<Forecast, LookError> {
    let Counter {
        keyed,
        key,
        amount,
        used,
        span,
        is_over: _,
    } = counter;
    let (limit, currency) = (&keyed.keyed.limit.id, keyed.budget.currency);
    let history = spend.budget_history(limit, key, currency, now)?;
    Ok(forecast(&Question {
        history: &history,
        spent: *used,
        amount: *amount,
        period: *span,
        now,
        time_zone: &keyed.budget.calendar.time_zone,
    }))
}
