//! What days and hours have in common: factors of weekdays, shares of hours.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{HISTORY_DAYS, HOUR_MS, History, Weekdays, median};
use crate::time::Wall;

/// A calendar day of the time zone that is known from its first hour to its last.
#[derive(Clone, Debug)]
pub(super) struct Day {
    /// Its date's number: the next day has the next one.
    pub day: i32,
    /// From Monday, 0.
    pub weekday: usize,
    pub total: f64,
    /// By the clock's hour; a repeated one holds both.
    pub hours: [f64; 24],
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Hour {
    pub day: i32,
    pub weekday: usize,
    pub hour: usize,
}

pub(super) fn hour(at: Wall, time_zone: &TimeZone) -> Hour {
    let timestamp = Timestamp::from_millisecond(at.0).unwrap_or_default();
    let local = time_zone.to_datetime(timestamp);
    let date = local.date();
    let epoch = jiff::civil::Date::constant(1970, 1, 1);
    Hour {
        // A date's distance from 1970 fits 22 bits.
        day: i32::try_from(date.duration_since(epoch).as_hours() / 24).unwrap_or(0),
        weekday: usize::from(local.weekday().to_monday_zero_offset().unsigned_abs()),
        hour: usize::from(local.hour().unsigned_abs()),
    }
}

/// The whole days of the last eight weeks. The first and the last day are cut off unless they are
/// whole.
pub(super) fn days(history: &History, time_zone: &TimeZone) -> Vec<Day> {
    let mut days: Vec<Day> = Vec::new();
    let kept = (HISTORY_DAYS + 1) * 25;
    let skipped = history.hours.len().saturating_sub(kept);
    let mut first_is_whole = true;
    let mut last = None;
    for (index, spent) in history.hours.iter().enumerate().skip(skipped) {
        let at = Wall(history.start.0 + index as i64 * HOUR_MS);
        let Hour { day, weekday, hour } = hour(at, time_zone);
        if days.last().is_none_or(|known| known.day != day) {
            first_is_whole &= !days.is_empty() || hour == 0;
            days.push(Day {
                day,
                weekday,
                total: 0.0,
                hours: [0.0; 24],
            });
        }
        if let Some(known) = days.last_mut() {
            let spent = spent.0.max(0) as f64;
            known.total += spent;
            known.hours[hour] += spent;
        }
        last = Some(hour);
    }
    if last != Some(23) {
        days.pop();
    }
    if !first_is_whole && !days.is_empty() {
        days.remove(0);
    }
    let surplus = days.len().saturating_sub(HISTORY_DAYS);
    days.drain(..surplus);
    days
}

#[derive(Clone, Debug)]
pub(super) struct Season {
    /// By weekday: how a day compares with the mean of a week.
    pub factors: [f64; 7],
    /// Their standard errors, as shares of the level.
    pub factor_errors: [f64; 7],
    /// Of a working day and of a weekend's, by hour; each sums to 1.
    shares: [[f64; 24]; 2],
    pub weekdays: Weekdays,
}

fn is_weekend(weekday: usize) -> bool {
    weekday >= 5
}

impl Season {
    pub fn of(days: &[Day]) -> Self {
        let shares = [
            shares(days, |day| !is_weekend(day.weekday)),
            shares(days, |day| is_weekend(day.weekday)),
        ];
        let whole = |shares: [Option<[f64; 24]>; 2]| match shares {
            [Some(working), Some(weekend)] => [working, weekend],
            [Some(known), None] | [None, Some(known)] => [known, known],
            [None, None] => [[1.0 / 24.0; 24]; 2],
        };
        let (factors, factor_errors, weekdays) = factors(days);
        Self {
            factors,
            factor_errors,
            shares: whole(shares),
            weekdays,
        }
    }

    /// Of one hour, in days of the level.
    pub fn weight(&self, at: Hour) -> f64 {
        let kind = usize::from(is_weekend(at.weekday));
        self.factors[at.weekday] * self.shares[kind][at.hour]
    }
}

/// Half a day of even spend is added, so that hours in which nothing was ever spent keep a little.
fn shares(days: &[Day], of_kind: impl Fn(&Day) -> bool) -> Option<[f64; 24]> {
    let mut sums = [0.0; 24];
    let mut count = 0.0;
    for day in days.iter().filter(|day| of_kind(day)) {
        count += 1.0;
        for (sum, spent) in sums.iter_mut().zip(day.hours) {
            *sum += spent;
        }
    }
    let total: f64 = sums.iter().sum();
    if total <= 0.0 {
        return None;
    }
    let even = total / count / 48.0;
    let all = total + 24.0 * even;
    Some(sums.map(|sum| (sum + even) / all))
}

/// Factors, their errors, and how far days are told apart.
fn factors(days: &[Day]) -> ([f64; 7], [f64; 7], Weekdays) {
    let ratios = ratios(days);
    let group = |weekend: bool| {
        let of_group: Vec<f64> = ratios
            .iter()
            .filter(|(weekday, _)| is_weekend(*weekday) == weekend)
            .map(|(_, ratio)| *ratio)
            .collect();
        (!of_group.is_empty()).then(|| middle(of_group))
    };
    let (Some(working), Some(weekend)) = (group(false), group(true)) else {
        // A kind of day that was never seen may be anything between nothing and the usual.
        let seen_weekend = ratios.iter().any(|(weekday, _)| is_weekend(*weekday));
        let error = |weekday| {
            if is_weekend(weekday) == seen_weekend {
                0.1
            } else {
                0.5
            }
        };
        return ([1.0; 7], std::array::from_fn(error), Weekdays::Alike);
    };
    let mut factors = [0.0; 7];
    let mut errors = [0.0; 7];
    let noise = ratio_noise(&ratios);
    for weekday in 0..7 {
        let own: Vec<f64> = ratios
            .iter()
            .filter(|(of, _)| *of == weekday)
            .map(|(_, ratio)| *ratio)
            .collect();
        let kind = if is_weekend(weekday) {
            weekend
        } else {
            working
        };
        // One week says little of a Tuesday that other working days do not; five weeks do.
        let count = own.len() as f64;
        let own = if own.is_empty() { kind } else { middle(own) };
        factors[weekday] = (count * own + kind) / (count + 1.0);
        errors[weekday] = noise / (count + 1.0).sqrt();
    }
    let scale = mean(&factors);
    if scale > 0.0 {
        factors = factors.map(|factor| factor / scale);
    }
    let weekdays = if days.len() >= 14 {
        Weekdays::Each
    } else {
        Weekdays::TwoKinds
    };
    (factors, errors, weekdays)
}

/// Each day against the mean of the seven days around it, so that growth is no season. With less
/// than a week: against the mean of all.
fn ratios(days: &[Day]) -> Vec<(usize, f64)> {
    let width = days.len().min(7);
    let mut ratios = Vec::with_capacity(days.len());
    for (index, day) in days.iter().enumerate() {
        let from = index.saturating_sub(width / 2).min(days.len() - width);
        let around: Vec<f64> = days[from..from + width]
            .iter()
            .map(|day| day.total)
            .collect();
        let mean = mean(&around);
        if mean > 0.0 {
            ratios.push((day.weekday, day.total / mean));
        }
    }
    ratios
}

/// How far ratios of one weekday lie from each other. A tenth where no weekday was seen twice.
fn ratio_noise(ratios: &[(usize, f64)]) -> f64 {
    let mut strays = Vec::with_capacity(ratios.len());
    for weekday in 0..7 {
        let own: Vec<f64> = ratios
            .iter()
            .filter(|(of, _)| *of == weekday)
            .map(|(_, ratio)| *ratio)
            .collect();
        let count = own.len() as f64;
        if own.len() >= 2 {
            let middle = middle(own.clone());
            // Of few, the middle lies nearer to each than the truth does.
            let scale = (count / (count - 1.0)).sqrt();
            strays.extend(own.iter().map(|ratio| (ratio - middle).abs() * scale));
        }
    }
    if strays.is_empty() {
        0.1
    } else {
        1.4826 * median(&mut strays)
    }
}

/// The mean of one or two, the median of more: one batch run makes no weekday dear.
fn middle(mut values: Vec<f64>) -> f64 {
    if values.len() <= 2 {
        return mean(&values);
    }
    median(&mut values)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
