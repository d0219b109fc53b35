//! Teams and applications whose pace has changed.

use std::collections::HashMap;
use std::sync::Arc;

use config::snapshot::{AlertCondition, AlertRule, Direction, PaceMeasure, PaceSubject};
use domain::limit::{Calendar, Period};
use domain::pace::{Hour, Pace, Usual, same_hours};
use domain::{Nanos, Wall};
use store::alerts::Crossing;
use store::ledger::spend::{Spend, SpendBy, SpendOf};

use super::counts::Kind;
use super::facts::Facts;
use super::message::{Message, Severity};
use super::watch::{LookError, Told, Watch, currency};
use super::words;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// What an hour usually is, by rule, hour and subject. Read from the ledger once an hour; the hours
/// before the last go.
#[derive(Default)]
pub struct Usuals {
    known: HashMap<(Arc<str>, Wall), BySubject>,
}

type BySubject = Arc<HashMap<String, Usual>>;

/// One pace rule, taken apart.
struct Rule<'f> {
    rule: &'f Arc<AlertRule>,
    of: PaceSubject,
    measure: PaceMeasure,
    factor: f64,
    direction: Direction,
}

impl Watch {
    pub(super) fn look_at_pace(&mut self, facts: &Facts, spend: &Spend) -> Result<(), LookError> {
        let running = Wall(facts.now.0.div_euclid(HOUR_MS) * HOUR_MS);
        let last = Wall(running.0 - HOUR_MS);
        self.usuals.known.retain(|(_, hour), _| *hour >= last);
        for rule in &facts.snapshot.alerting.rules {
            let AlertCondition::Pace {
                of,
                measure,
                factor,
                direction,
            } = &rule.condition
            else {
                continue;
            };
            let rule = Rule {
                rule,
                of: *of,
                measure: *measure,
                factor: *factor,
                direction: *direction,
            };
            // The last hour again: calls may have ended in it since it was looked at.
            for (hour, is_over) in [(last, true), (running, false)] {
                self.look_at_hour(facts, spend, &rule, hour, is_over)?;
            }
        }
        Ok(())
    }

    fn look_at_hour(
        &mut self,
        facts: &Facts,
        spend: &Spend,
        rule: &Rule<'_>,
        hour: Wall,
        is_over: bool,
    ) -> Result<(), LookError> {
        let usuals = self.usuals(facts, spend, rule, hour)?;
        let amounts = spend.hours(rule.by(), rule.sums(facts), &[hour])?;
        for (subject, usual) in &*usuals {
            let amount = amounts
                .get(subject)
                .and_then(|hours| hours.get(&hour))
                .copied()
                .unwrap_or(0);
            let pace = usual.compare(Hour { amount, is_over }, rule.factor);
            let kind = match (pace, rule.direction) {
                (Pace::Faster, Direction::Faster | Direction::Either) => Kind::PaceFaster,
                (Pace::Slower, Direction::Slower | Direction::Either) => Kind::PaceSlower,
                (Pace::Usual | Pace::Faster | Pace::Slower, _) => continue,
            };
            let calendar = Calendar {
                period: Period::Day,
                time_zone: facts.snapshot.settings.time_zone.clone(),
            };
            let day = calendar.span_at(hour);
            let crossing = Crossing {
                rule: rule.rule.name.to_string(),
                subject: subject.clone(),
                period: day.start,
                mark: kind.as_str().to_owned(),
                kept_until: Wall(day.end.0.saturating_add(DAY_MS)),
            };
            let found = Found {
                kind,
                subject,
                amount,
                usual: usual.amount(),
                hour,
                is_over,
            };
            self.raise(facts, &[crossing], &rule.rule.notify, |_| {
                told(rule, &found, facts)
            })?;
        }
        Ok(())
    }

    fn usuals(
        &mut self,
        facts: &Facts,
        spend: &Spend,
        rule: &Rule<'_>,
        hour: Wall,
    ) -> Result<BySubject, LookError> {
        // A rule that was changed under its name is another one.
        let name: Arc<str> = format!("{}/{:?}/{:?}", rule.rule.name, rule.of, rule.measure).into();
        if let Some(known) = self.usuals.known.get(&(name.clone(), hour)) {
            return Ok(known.clone());
        }
        let groups = same_hours(hour, &facts.snapshot.settings.time_zone);
        let hours: Vec<Wall> = groups.iter().flatten().copied().collect();
        let amounts = spend.hours(rule.by(), rule.sums(facts), &hours)?;
        let minimum = rule.minimum();
        let usuals = amounts.into_iter().filter_map(|(subject, hours)| {
            let amount = |hour: &Wall| hours.get(hour).copied().unwrap_or(0);
            let days: Vec<[u64; 3]> = groups
                .iter()
                .map(|group| group.each_ref().map(amount))
                .collect();
            Some((subject, Usual::of(&days, minimum)?))
        });
        let usuals = Arc::new(usuals.collect());
        self.usuals.known.insert((name, hour), Arc::clone(&usuals));
        Ok(usuals)
    }
}

impl Rule<'_> {
    fn by(&self) -> SpendBy {
        match self.of {
            PaceSubject::Subscription => SpendBy::Subscription,
            PaceSubject::Application => SpendBy::Application,
        }
    }

    fn sums(&self, facts: &Facts) -> SpendOf {
        match self.measure {
            PaceMeasure::Cost { .. } => SpendOf::Cost(currency(facts)),
            PaceMeasure::Tokens { .. } => SpendOf::Tokens,
        }
    }

    fn minimum(&self) -> u64 {
        match self.measure {
            PaceMeasure::Cost { minimum } | PaceMeasure::Tokens { minimum } => minimum,
        }
    }

    fn amount(&self, amount: u64, facts: &Facts) -> String {
        match self.measure {
            PaceMeasure::Cost { .. } => {
                let nanos = i64::try_from(amount).unwrap_or(i64::MAX);
                words::money(Nanos(nanos), currency(facts))
            }
            PaceMeasure::Tokens { .. } => format!("{} tokens", words::thousands(amount)),
        }
    }
}

struct Found<'a> {
    kind: Kind,
    subject: &'a str,
    amount: u64,
    usual: u64,
    hour: Wall,
    is_over: bool,
}

fn told(rule: &Rule<'_>, found: &Found<'_>, facts: &Facts) -> Message {
    let Found {
        kind,
        subject,
        amount,
        usual,
        hour,
        is_over,
    } = *found;
    let zone = &facts.snapshot.settings.time_zone;
    let (now, usually) = (rule.amount(amount, facts), rule.amount(usual, facts));
    let from = words::moment(hour, zone);
    let until = if is_over {
        "in the hour from"
    } else {
        "so far in the hour from"
    };
    let of = rule.of.as_str();
    let change = match kind {
        Kind::PaceSlower => "less",
        _ => "more",
    };
    let name = facts
        .snapshot
        .subscriptions
        .get(subject)
        .filter(|_| rule.of == PaceSubject::Subscription)
        .map_or(subject, |subscription| &subscription.name);
    let times = (amount.max(1) as f64 / usual.max(1) as f64).clamp(0.0, 9_999.0);
    let told = Told {
        kind,
        severity: Severity::Warning,
        resolved: false,
        rule: rule.rule.name.to_string(),
        subject: subject.to_owned(),
        title: format!("{name} uses much {change} than usual: {now} instead of {usually}"),
        text: format!(
            "The {of} {name} ({subject}) used {now} {until} {from}. In the same hours of the last four weeks it was {usually}, in the middle.\n\
             `tollgate usage --by {of},model,hour --since 24h` shows on what. It is told once for each {of} and day."
        ),
    };
    told.into_message()
        .fact("Now", &now)
        .fact("Usual", &usually)
        .fact("Times the usual", &format!("{times:.1}"))
        .fact("Hour", &format!("{from} ({})", words::zone_name(zone)))
        .detail(of, subject)
        .detail("hour", words::rfc3339(hour))
        .detail("hour_is_over", is_over)
        .detail("amount", amount)
        .detail("usual", usual)
        .detail(
            "unit",
            match rule.measure {
                PaceMeasure::Cost { .. } => format!("nanos of {}", currency(facts)),
                PaceMeasure::Tokens { .. } => "tokens".to_owned(),
            },
        )
}
