//! What is said of budgets: who, how much, until when, and what to do.

use domain::budget::{OnExceeded, PerMille};
use domain::forecast::{Outlook, Weekdays};
use domain::limit::Period;
use domain::{Currency, Nanos, Wall};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::budgets::Counter;
use super::counts::Kind;
use super::facts::Facts;
use super::message::{Message, Severity};
use super::watch::Told;
use super::words::{self, money};

/// `crossed` is not empty, and ascends: one message names the highest, and those that spend passed
/// together with it.
pub fn threshold(
    counter: &Counter<'_>,
    crossed: &[PerMille],
    outlook: Option<&Outlook>,
    facts: &Facts,
) -> Message {
    let about = About::of(counter);
    let highest = crossed.last().copied().unwrap_or(PerMille(1000));
    let is_full = counter.used >= counter.amount;
    let mut text = format!(
        "{} has spent {} of {} for {} ({}).{}",
        about.whose,
        about.used,
        about.amount,
        about.period,
        words::share(counter.used, counter.amount),
        about.ending(counter, facts.now),
    );
    if let [passed @ .., _] = crossed
        && !passed.is_empty()
    {
        let passed: Vec<String> = passed.iter().map(PerMille::to_string).collect();
        text.push_str(&format!(" It passed {} on the way.", passed.join(", ")));
    }
    if let Some(outlook) = outlook.filter(|_| !is_full) {
        text.push_str(&format!(" {}", expected(counter, outlook)));
    }
    text.push_str(&format!(
        "\n{}\n{}",
        about.consequence(counter, is_full),
        about.to_do(counter)
    ));
    let told = Told {
        kind: Kind::BudgetThreshold,
        severity: if highest >= PerMille(1000) {
            Severity::Critical
        } else {
            Severity::Warning
        },
        resolved: false,
        rule: counter.keyed.name.to_string(),
        subject: counter.key.to_string(),
        title: format!("Budget {}: {highest} used", about.name),
        text,
    };
    let message = about.facts(told.into_message(), counter);
    let crossed: Vec<Value> = crossed
        .iter()
        .map(|share| Value::from(f64::from(share.0) / 1000.0))
        .collect();
    message
        .detail("threshold", f64::from(highest.0) / 1000.0)
        .detail("thresholds_crossed", crossed)
}

pub fn will_be_used_up(rule: &str, counter: &Counter<'_>, outlook: &Outlook) -> Message {
    let about = About::of(counter);
    let when = outlook
        .used_up
        .map(|at| format!(" on {}", about.when(counter, at)))
        .unwrap_or_default();
    let text = format!(
        "{} {} has spent {} so far ({}).{}\n{}\n{}",
        expected(counter, outlook),
        about.whose,
        about.used,
        words::share(counter.used, counter.amount),
        basis(outlook),
        about.consequence(counter, false),
        about.to_do(counter),
    );
    let told = Told {
        kind: Kind::BudgetForecast,
        severity: Severity::Warning,
        resolved: false,
        rule: rule.to_owned(),
        subject: counter.keyed.name.to_string(),
        title: format!("Budget {} will be used up{when}", about.name),
        text,
    };
    let currency = counter.keyed.budget.currency;
    let range = format!(
        "{} to {}",
        money(outlook.low, currency),
        money(outlook.high, currency)
    );
    let at = |at: Option<Wall>| at.map_or(Value::Null, |at| json!(words::rfc3339(at)));
    about
        .facts(told.into_message(), counter)
        .fact("Expected", &money(outlook.expected, currency))
        .fact("Four of five", &range)
        .detail("expected", outlook.expected.to_string())
        .detail("low", outlook.low.to_string())
        .detail("high", outlook.high.to_string())
        .detail("used_up", at(outlook.used_up))
        .detail("used_up_earliest", at(outlook.earliest))
        .detail("used_up_latest", at(outlook.latest))
        .detail(
            "chance_of_passing",
            (outlook.chance_of_passing * 1000.0).round() / 1000.0,
        )
        .detail("days_known", outlook.basis.days)
}

/// `At this pace it is used up on 24 November (between 22 and 27 November): 612.40 EUR …`
pub fn expected(counter: &Counter<'_>, outlook: &Outlook) -> String {
    let about = About::of(counter);
    let currency = counter.keyed.budget.currency;
    let total = format!(
        "{} by its end, {} to {} in four of five such periods",
        money(outlook.expected, currency),
        money(outlook.low, currency),
        money(outlook.high, currency),
    );
    let Some(used_up) = outlook.used_up else {
        return format!("At this pace it lasts: {total}.");
    };
    let middle = about.when(counter, used_up);
    let earliest = outlook.earliest.map(|at| about.when(counter, at));
    let latest = outlook.latest.map(|at| about.when(counter, at));
    let between = match (earliest, latest) {
        (Some(earliest), Some(latest)) if earliest == latest => String::new(),
        (Some(earliest), Some(latest)) => format!(" (between {earliest} and {latest})"),
        (Some(earliest), None) => format!(" ({earliest} at the earliest, perhaps not at all)"),
        (None, _) => String::new(),
    };
    format!("At this pace it is used up on {middle}{between}: {total}.")
}

fn basis(outlook: &Outlook) -> String {
    let basis = outlook.basis;
    let days = if basis.days == 1 { "day" } else { "days" };
    let weekdays = match basis.weekdays {
        Weekdays::Alike => "too few to tell weekdays apart",
        Weekdays::TwoKinds => "enough to tell working days from weekends",
        Weekdays::Each => "enough to tell each weekday",
    };
    let trend = if basis.has_trend {
        "; spend is growing or shrinking, and that is carried on"
    } else {
        ""
    };
    format!(
        " The forecast knows {} {days}, {weekdays}{trend}.",
        basis.days
    )
}

/// A counter in words.
struct About {
    /// `search-month`, or `per-user of ada`.
    name: String,
    whose: String,
    used: String,
    amount: String,
    period: String,
    end: String,
}

impl About {
    fn of(counter: &Counter<'_>) -> Self {
        let (budget, span) = (&counter.keyed.budget, counter.span);
        let (currency, zone) = (budget.currency, &budget.calendar.time_zone);
        let name = match counter.named_key() {
            Some(key) => format!("{} of {key}", counter.keyed.name),
            None => counter.keyed.name.to_string(),
        };
        let scope = counter.keyed.keyed.limit.scope.to_string();
        Self {
            whose: match counter.named_key() {
                Some(key) => format!("{key} ({scope})"),
                None => scope,
            },
            name,
            used: money(counter.used, currency),
            amount: money(counter.amount, currency),
            period: words::period(counter.period(), span, zone),
            end: words::moment(span.end, zone),
        }
    }

    /// As exact as the period makes sense.
    fn when(&self, counter: &Counter<'_>, at: Wall) -> String {
        let zone = &counter.keyed.budget.calendar.time_zone;
        match counter.period() {
            Period::Hour | Period::Day => words::moment(at, zone),
            Period::Week | Period::Month | Period::Quarter | Period::Year => words::day(at, zone),
        }
    }

    fn ending(&self, counter: &Counter<'_>, now: Wall) -> String {
        if counter.is_over {
            return " That period is over.".to_owned();
        }
        let left = words::length(counter.span.end.since(now));
        format!(" The period ends on {}, in {left}.", self.end)
    }

    fn consequence(&self, counter: &Counter<'_>, is_full: bool) -> String {
        if counter.is_over {
            return "A new period has begun at zero.".to_owned();
        }
        let once = if is_full {
            "Now"
        } else {
            "Once it is used up,"
        };
        let until = &self.end;
        match &counter.keyed.budget.on_exceeded {
            OnExceeded::Alert => "Calls go on: this budget only tells.".to_owned(),
            OnExceeded::Refuse => {
                format!("{once} calls are refused (403 budget_exceeded) until {until}.")
            }
            OnExceeded::Downgrade(model) => {
                format!("{once} calls are answered by {model} until {until}.")
            }
            OnExceeded::Throttle { tokens_per_minute } => format!(
                "{once} calls are slowed down to {} tokens a minute until {until}.",
                words::thousands(*tokens_per_minute)
            ),
        }
    }

    fn to_do(&self, counter: &Counter<'_>) -> String {
        let name = &counter.keyed.name;
        format!(
            "`tollgate usage --by subscription,application,model --since 7d` shows what it went to; `tollgate budgets raise {name} --by AMOUNT --until DATE --reason TEXT` gives more for a while."
        )
    }

    fn facts(&self, message: Message, counter: &Counter<'_>) -> Message {
        let budget = &counter.keyed.budget;
        let zone: &TimeZone = &budget.calendar.time_zone;
        let left = Nanos((counter.amount.0 - counter.used.0).max(0));
        let currency: Currency = budget.currency;
        message
            .fact("Budget", &self.name)
            .fact("Spent", &self.used)
            .fact("Amount", &self.amount)
            .fact("Left", &money(left, currency))
            .fact("Period", &self.period)
            .fact(
                "Ends",
                &format!("{} ({})", self.end, words::zone_name(zone)),
            )
            .detail("budget", &*counter.keyed.name)
            .detail("key", counter.named_key().map_or(Value::Null, Value::from))
            .detail("currency", currency.as_str())
            .detail("spent", counter.used.to_string())
            .detail("amount", counter.amount.to_string())
            .detail("period_start", words::rfc3339(counter.span.start))
            .detail("period_end", words::rfc3339(counter.span.end))
    }
}
