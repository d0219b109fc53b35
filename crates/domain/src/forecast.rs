//! Whether a budget lasts: what a period will have cost at its end, with an interval, from the hours
//! spent so far.
//!
//! A day costs its level times the factor of its weekday; an hour costs its share of a day of its kind.
//! Level and trend lean to recent days, factors to what weeks have in common. Floats, because it is an
//! estimate: nothing is charged or refused by it.

mod level;
mod season;
#[cfg(test)]
mod tests;

use jiff::tz::TimeZone;

use self::level::Level;
use self::season::Season;
use crate::money::Nanos;
use crate::quota::Span;
use crate::time::Wall;

const HOUR_MS: i64 = 3_600_000;

/// Days that a forecast looks back at most: eight weeks.
pub const HISTORY_DAYS: usize = 56;

/// Fewer whole days say nothing of the next one.
pub const DAYS_MIN: u32 = 1;

/// Standard deviations to either side that hold four of five outcomes.
const INTERVAL: f64 = 1.2816;

/// What was spent in each whole hour, the oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// When the first hour began.
    pub start: Wall,
    pub hours: Vec<Nanos>,
}

#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Whole hours up to the running one, in this period and before it.
    pub history: &'a History,
    /// In the running period, up to now.
    pub spent: Nanos,
    pub amount: Nanos,
    pub period: Span,
    pub now: Wall,
    pub time_zone: &'a TimeZone,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Forecast {
    TooEarly(TooEarly),
    Known(Outlook),
}

/// Why nothing can be said yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooEarly {
    /// Nothing was ever spent.
    NoSpend,
    /// Less than a whole calendar day is known.
    Days { known: u32, needed: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    /// Of the whole period, at its end.
    pub expected: Nanos,
    /// Four of five periods like this one end between these two.
    pub low: Nanos,
    pub high: Nanos,
    /// From 0 to 1, that the period ends above the amount.
    pub chance_of_passing: f64,
    /// When the amount is used up if spend goes as expected; `None`: not in this period.
    pub used_up: Option<Wall>,
    /// The same for spend at the upper and the lower end of the interval.
    pub earliest: Option<Wall>,
    pub latest: Option<Wall>,
    pub basis: Basis,
}

/// What a forecast rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Basis {
    /// Whole calendar days, the latest of them.
    pub days: u32,
    pub weekdays: Weekdays,
    /// Spend grows or shrinks from week to week, beyond chance.
    pub has_trend: bool,
}

/// How far days of the week are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weekdays {
    /// Too few days are known.
    Alike,
    /// Working days and weekends.
    TwoKinds,
    /// Each of the seven.
    Each,
}

pub fn forecast(question: &Question<'_>) -> Forecast {
    let Question {
        history, time_zone, ..
    } = *question;
    if history.hours.iter().all(|spent| spent.0 <= 0) {
        return Forecast::TooEarly(TooEarly::NoSpend);
    }
    let days = season::days(history, time_zone);
    let known = u32::try_from(days.len()).unwrap_or(u32::MAX);
    if known < DAYS_MIN {
        let needed = DAYS_MIN;
        return Forecast::TooEarly(TooEarly::Days { known, needed });
    }
    let season = Season::of(&days);
    let level = Level::of(&days, &season);
    Forecast::Known(outlook(question, &season, &level))
}

/// Walks from now to the period's end, an hour at a time.
fn outlook(question: &Question<'_>, season: &Season, level: &Level) -> Outlook {
    let Question {
        spent,
        amount,
        period,
        now,
        time_zone,
        ..
    } = *question;
    let (spent, amount) = (spent.0 as f64, amount.0 as f64);
    let mut path = Path::new(season, level);
    let passed_already = (spent >= amount).then_some(now);
    let (mut used_up, mut earliest, mut latest) = (passed_already, passed_already, passed_already);
    let mut at = now;
    // A year has 8,784 hours; a period without an end has no forecast beyond one.
    for _ in 0..9_000 {
        if at >= period.end {
            break;
        }
        let end = Wall(hour_after(at)).min(period.end);
        let share = (end.0 - at.0) as f64 / HOUR_MS as f64;
        path.walk(at, share, time_zone);
        let (expected, spread) = path.so_far();
        for (found, ahead) in [
            (&mut used_up, expected),
            (&mut earliest, expected + INTERVAL * spread),
            (&mut latest, expected - INTERVAL * spread),
        ] {
            if found.is_none() && spent + ahead >= amount {
                *found = Some(end);
            }
        }
        at = end;
    }
    let (expected, spread) = path.so_far();
    let money = |amount: f64| Nanos(amount.round() as i64);
    Outlook {
        expected: money(spent + expected),
        // What is spent stays spent.
        low: money(spent + (expected - INTERVAL * spread).max(0.0)),
        high: money(spent + expected + INTERVAL * spread),
        chance_of_passing: chance_above(amount, spent + expected, spread),
        used_up,
        earliest,
        latest,
        basis: Basis {
            days: level.days,
            weekdays: season.weekdays,
            has_trend: level.has_trend,
        },
    }
}

fn hour_after(at: Wall) -> i64 {
    (at.0.div_euclid(HOUR_MS) + 1) * HOUR_MS
}

/// What is spent from now on, and how far that may be wrong.
struct Path<'a> {
    season: &'a Season,
    level: &'a Level,
    expected: f64,
    /// Weights of the days ahead, in days of the level.
    weight: f64,
    /// By weekday: an error in its factor repeats each week.
    by_weekday: [f64; 7],
    /// Of each day the square of its weight, for errors of single days.
    day_squares: f64,
    /// The day that is being walked: its date's number and weight.
    day: (i32, f64),
}

impl<'a> Path<'a> {
    fn new(season: &'a Season, level: &'a Level) -> Self {
        Self {
            season,
            level,
            expected: 0.0,
            weight: 0.0,
            by_weekday: [0.0; 7],
            day_squares: 0.0,
            day: (i32::MIN, 0.0),
        }
    }

    /// One hour, or the `share` of it that is left.
    fn walk(&mut self, at: Wall, share: f64, time_zone: &TimeZone) {
        let hour = season::hour(at, time_zone);
        let ahead = hour.day - self.level.last_day;
        // Errors grow with what is spent.
        let weight = share * self.season.weight(hour) * self.level.grown(ahead);
        self.expected += weight * self.level.value;
        self.weight += weight;
        self.by_weekday[hour.weekday] += weight;
        if self.day.0 == hour.day {
            self.day_squares -= self.day.1 * self.day.1;
            self.day.1 += weight;
        } else {
            self.day = (hour.day, weight);
        }
        self.day_squares += self.day.1 * self.day.1;
    }

    /// Expected spend and its standard deviation.
    fn so_far(&self) -> (f64, f64) {
        let level = self.level;
        let days = level.day_error.powi(2) * self.day_squares;
        let level_error = level.level_error.powi(2) * self.weight.powi(2);
        let factors: f64 = self
            .by_weekday
            .iter()
            .zip(self.season.factor_errors)
            .map(|(weight, error)| (weight * error * level.value).powi(2))
            .sum();
        // The trend's error grows with the distance: half of the way is its average.
        let ahead = f64::from((self.day.0.max(level.last_day)) - level.last_day);
        let trend = (level.trend_error * ahead / 2.0 * self.weight).powi(2);
        let spread = (days + level_error + factors + trend).sqrt();
        (self.expected, spread * level.caution)
    }
}

/// That a normal outcome lies above `amount`.
fn chance_above(amount: f64, expected: f64, spread: f64) -> f64 {
    if spread <= 0.0 {
        return if expected >= amount { 1.0 } else { 0.0 };
    }
    let z = (amount - expected) / spread;
    1.0 - normal_below(z)
}

/// The normal distribution, to seven digits (Abramowitz and Stegun 26.2.17).
fn normal_below(z: f64) -> f64 {
    const B: [f64; 5] = [
        0.319_381_530,
        -0.356_563_782,
        1.781_477_937,
        -1.821_255_978,
        1.330_274_429,
    ];
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let polynomial = B.iter().rev().fold(0.0, |sum, b| (sum + b) * t);
    let tail = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * polynomial;
    if z >= 0.0 { 1.0 - tail } else { tail }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle.wrapping_sub(1)), values.get(middle)) {
        (Some(below), Some(above)) if values.len().is_multiple_of(2) => (below + above) / 2.0,
        (_, Some(middle)) => *middle,
        _ => 0.0,
    }
}
