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

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PaceRule {
    /// How many times the usual, at least.
    pub factor: f64,
    /// Of an hour, in the unit that is measured: less is never told.
    pub minimum: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Too few days are known.
    TooEarly,
    Usual,
    /// More than the usual in an hour, which need not be over.
    Faster {
        usual: u64,
    },
    /// Less than the usual in an hour that is over.
    Slower {
        usual: u64,
    },
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

/// `days`: what was spent in the [`same_hours`], of those days on which the subject was known.
pub fn pace(rule: &PaceRule, days: &[[u64; 3]], hour: Hour) -> Pace {
    if days.len() < DAYS_MIN {
        return Pace::TooEarly;
    }
    // Below the minimum, differences do not matter: it is added, so that quiet hours look alike.
    let floor = rule.minimum.max(1) as f64;
    let scale = |amount: u64| (amount as f64 + floor).ln();
    let mut usual: Vec<f64> = days.iter().flatten().map(|amount| scale(*amount)).collect();
    let middle = median(&mut usual);
    let mut strays: Vec<f64> = usual.iter().map(|value| (value - middle).abs()).collect();
    let deviation = 1.4826 * median(&mut strays);
    let far = (DEVIATIONS * deviation).max(rule.factor.ln());
    let (least, most) = days
        .iter()
        .flatten()
        .fold((u64::MAX, 0), |(least, most), amount| {
            (least.min(*amount), most.max(*amount))
        });
    let is_usual = (middle.exp() - floor).max(0.0);
    let now = scale(hour.amount);
    let is_beyond = hour.amount as f64 >= rule.factor * is_usual;
    if hour.amount >= rule.minimum && hour.amount > most && is_beyond && now > middle + far {
        return Pace::Faster {
            usual: is_usual.round() as u64,
        };
    }
    let is_below = (hour.amount as f64) * rule.factor <= is_usual;
    let matters = is_usual >= rule.minimum as f64;
    if hour.is_over && matters && is_below && hour.amount < least && now < middle - far {
        return Pace::Slower {
            usual: is_usual.round() as u64,
        };
    }
    Pace::Usual
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
