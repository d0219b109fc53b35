//! Sudden changes of pace: an hour against the same hours of earlier days.
//!
//! Compared as logarithms, because busy hours stray further than quiet ones, and by medians, because
//! one batch run must not hide the next.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::time::Wall;

const HOUR_MS: i64 = 3_600_000;

/// How far back is looked: four weeks.
pub const DAYS: i64 = 28;

/// Fewer days with the same hour say nothing.
const DAYS_MIN: usize = 5;

/// Of an hour's logarithm, standard deviations that chance does not reach.
const DEVIATIONS: f64 = 5.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    Usual,
    /// More than the usual in an hour, which need not be over.
    Faster,
    /// Less than the usual in an hour that is over.
    Slower,
}

/// One hour, from its start.
#[derive(Clone, Copy, Debug)]
pub struct Hour {
    pub amount: u64,
    pub is_over: bool,
}

/// The hours that `hour` is compared with: of days of its kind (working day or weekend) within four
/// weeks, the same hour of the clock and its neighbours. Start times in UTC, a group for each day.
pub fn same_hours(hour: Wall, time_zone: &TimeZone) -> Vec<[Wall; 3]> {
    let local = |at: i64| {
        let timestamp = Timestamp::from_millisecond(at).unwrap_or_default();
        time_zone.to_datetime(timestamp)
    };
    let today = local(hour.0);
    let is_weekend = |at: i64| local(at).weekday().to_monday_zero_offset() >= 5;
    let kind = is_weekend(hour.0);
    let mut groups = Vec::new();
    for days in 1..=DAYS {
        let same = hour.0 - days * 24 * HOUR_MS;
        // Clocks may have been moved by an hour since.
        let shift = i64::from(local(same).hour() - today.hour());
        let shift = match shift {
            23 => -1,
            -23 => 1,
            shift => shift,
        };
        let same = same - shift * HOUR_MS;
        if is_weekend(same) == kind {
            groups.push([Wall(same - HOUR_MS), Wall(same), Wall(same + HOUR_MS)]);
        }
    }
    groups
}

/// What an hour is compared with, of one subject.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usual {
    /// Of logarithms, with the minimum added to every amount: below it, differences do not matter, and
    /// quiet hours look alike.
    middle: f64,
    deviation: f64,
    minimum: u64,
    least: u64,
    most: u64,
}

impl Usual {
    /// `days`: what was spent in the [`same_hours`], the latest day first. Days before the first spend
    /// are not counted. `None`: too few are known.
    pub fn of(days: &[[u64; 3]], minimum: u64) -> Option<Self> {
        let known = days
            .iter()
            .rposition(|day| day.iter().any(|amount| *amount > 0))?;
        let days = &days[..=known];
        if days.len() < DAYS_MIN {
            return None;
        }
        let mut scaled: Vec<f64> = days
            .iter()
            .flatten()
            .map(|amount| scaled(*amount, minimum))
            .collect();
        let middle = median(&mut scaled);
        let mut strays: Vec<f64> = scaled.iter().map(|value| (value - middle).abs()).collect();
        let extremes =
            |(least, most): (u64, u64), amount: &u64| (least.min(*amount), most.max(*amount));
        let (least, most) = days.iter().flatten().fold((u64::MAX, 0), extremes);
        Some(Self {
            middle,
            deviation: 1.4826 * median(&mut strays),
            minimum,
            least,
            most,
        })
    }

    /// The middle one of the amounts.
    pub fn amount(&self) -> u64 {
        (self.middle.exp() - self.minimum.max(1) as f64).round() as u64
    }

    /// `factor`: how many times the usual, or which part of it, at least.
    pub fn compare(&self, hour: Hour, factor: f64) -> Pace {
        let now = scaled(hour.amount, self.minimum);
        let far = (DEVIATIONS * self.deviation).max(factor.ln());
        let (amount, usual) = (hour.amount as f64, self.amount() as f64);
        let is_high = hour.amount >= self.minimum && hour.amount > self.most;
        if is_high && amount >= factor * usual && now > self.middle + far {
            return Pace::Faster;
        }
        let is_low = usual >= self.minimum as f64 && hour.amount < self.least;
        if hour.is_over && is_low && amount * factor <= usual && now < self.middle - far {
            return Pace::Slower;
        }
        Pace::Usual
    }
}

fn scaled(amount: u64, minimum: u64) -> f64 {
    (amount as f64 + minimum.max(1) as f64).ln()
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

#[cfg(test)]
mod tests;
