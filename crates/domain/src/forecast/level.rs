//! How much a mean day costs now, where that is going, and how far days stray from it.

use super::median;
use super::season::{Day, Season};

/// A day's weight halves with each this many days, where there is no trend.
const HALF_LIFE_DAYS: f64 = 7.0;
/// And for the trend, which needs longer to be seen.
const TREND_HALF_LIFE_DAYS: f64 = 14.0;
/// Days before a trend is looked for.
const TREND_DAYS_MIN: usize = 14;
/// Of a slope, in its own errors squared: what is shrunk to nothing because it may be chance.
const CHANCE: f64 = 1.0;
/// A slope this many times its own error is told as a trend.
const TREND_CERTAINTY: f64 = 2.5;
/// Of the level a day, either way, where no trend is seen: spend does not stand still.
const DRIFT: f64 = 0.0025;
/// The same while too few days are known for a trend to be looked for.
const UNSEEN_DRIFT: f64 = 0.015;
/// Of the slope, from day to day: growth does not go on for ever.
const DAMPING: f64 = 0.985;
/// Of the slope: whether growth goes on is another question than whether there was any.
const DOUBT: f64 = 0.5;
/// A day's growth, either way: what doubles within two weeks is a new level, not a trend.
const GROWTH_MAX: f64 = 0.05;
/// A day of long ago counts at most so many times what it strayed, however little was spent then.
const STRAY_MAX: f64 = 5.0;
/// A day this many errors off counts as that far: one batch run is no new level.
const OUTLIER: f64 = 4.0;

#[derive(Clone, Debug)]
pub(super) struct Level {
    /// A mean day at `last_day`.
    pub value: f64,
    /// A day's, as a share of the level.
    growth: f64,
    pub has_trend: bool,
    pub last_day: i32,
    pub days: u32,
    /// Standard deviations: of a single day of weight 1, of the level, of the slope.
    pub day_error: f64,
    pub level_error: f64,
    pub trend_error: f64,
    /// From few days errors are guessed too small.
    pub caution: f64,
}

impl Level {
    pub fn of(days: &[Day], season: &Season) -> Self {
        let mut points: Vec<Point> = days
            .iter()
            .map(|day| Point::of(day, days, season))
            .collect();
        let mut line = Line::middle(&points);
        for _ in 0..2 {
            let error = line.usual_error(&points);
            for (point, day) in points.iter_mut().zip(days) {
                let (usual, far) = (line.at(point), OUTLIER * error * point.factor);
                point.total = day.total.clamp(usual - far, usual + far);
            }
            line = Line::through(&points);
        }
        let count = days.len() as f64;
        let mean = days.iter().map(|day| day.total).sum::<f64>() / count.max(1.0);
        // Days that are alike to the cent, or only one of them, are no promise.
        let least = if days.len() < 7 { 0.25 } else { 0.03 };
        let day_error = line.day_error(&points).max(least * line.value.max(mean));
        let persistence = line.persistence(&points);
        let known = line.known_days.max(1.0);
        let last_day = days.last().map_or(0, |day| day.day);
        Self {
            value: line.value,
            growth: line.growth(),
            has_trend: line.has_trend,
            last_day,
            days: u32::try_from(days.len()).unwrap_or(u32::MAX),
            day_error: day_error * persistence,
            level_error: (day_error * persistence / known.sqrt()).hypot(line.value_doubt),
            trend_error: line.slope_error,
            caution: 1.0 + 2.0 / (count + 1.0),
        }
    }

    /// How many times the last known day's level it is so many days later.
    pub fn grown(&self, days_ahead: i32) -> f64 {
        let ahead = f64::from(days_ahead.max(0));
        // The sum of a geometric series.
        let damped = DAMPING * (1.0 - DAMPING.powf(ahead)) / (1.0 - DAMPING);
        (self.growth * damped).exp()
    }
}

/// How far a growing day is from the last, in days of the last one's growth.
fn bent(x: f64, growth: f64) -> f64 {
    if growth.abs() < 1e-6 {
        return x;
    }
    (growth * x).exp_m1() / growth
}

struct Point {
    /// In days before the last: 0, -1, -2.
    x: f64,
    factor: f64,
    total: f64,
}

impl Point {
    fn of(day: &Day, days: &[Day], season: &Season) -> Self {
        let last = days.last().map_or(day.day, |last| last.day);
        Self {
            x: f64::from(day.day - last),
            factor: season.factors[day.weekday],
            total: day.total,
        }
    }
}

/// `total = factor × (value + slope × x)`, fitted to the days with more weight on recent ones. Growth
/// is a share of what is there, so `x` is bent by it.
struct Line {
    value: f64,
    /// At `x` = 0.
    slope: f64,
    bend: f64,
    slope_error: f64,
    /// How far the value may be off because the slope was not believed.
    value_doubt: f64,
    has_trend: bool,
    /// How many days of equal weight would tell as much.
    known_days: f64,
}

impl Line {
    /// Where half of the days lie above and half below: a start that no batch run moves.
    fn middle(points: &[Point]) -> Self {
        let mut levels: Vec<f64> = points
            .iter()
            .filter(|point| point.factor > 0.05)
            .map(|point| point.total / point.factor)
            .collect();
        Self {
            value: median(&mut levels),
            slope: 0.0,
            bend: 0.0,
            slope_error: 0.0,
            value_doubt: 0.0,
            has_trend: false,
            known_days: points.len() as f64,
        }
    }

    fn through(points: &[Point]) -> Self {
        let flat = Self::flat(points);
        if points.len() < TREND_DAYS_MIN {
            return flat;
        }
        let Some(straight) = Self::sloped(points, 0.0) else {
            return flat;
        };
        let Some(sloped) = Self::sloped(points, straight.growth()) else {
            return flat;
        };
        // A slope is believed as far as it is more than chance.
        let slope_error = sloped.slope_error * sloped.persistence(points);
        let certainty = (sloped.slope / slope_error.max(f64::MIN_POSITIVE)).abs();
        let share = 1.0 - CHANCE / (certainty * certainty).max(CHANCE);
        let between = |flat: f64, sloped: f64| flat + share * (sloped - flat);
        Self {
            value: between(flat.value, sloped.value).max(0.0),
            slope: share * sloped.slope,
            bend: sloped.bend,
            slope_error: slope_error
                .hypot((1.0 - share) * sloped.slope)
                .hypot(DOUBT * sloped.slope)
                .max(DRIFT * flat.value),
            value_doubt: (1.0 - share) * (sloped.value - flat.value).abs(),
            has_trend: certainty > TREND_CERTAINTY,
            known_days: between(flat.known_days, sloped.known_days),
        }
    }

    /// Weighted spend over weighted factors: days whose factor is next to nothing do no harm.
    fn flat(points: &[Point]) -> Self {
        let (mut spent, mut days, mut squares, mut weights) = (0.0, 0.0, 0.0, 0.0);
        for point in points {
            let weight = 0.5_f64.powf(-point.x / HALF_LIFE_DAYS);
            spent += weight * point.total;
            days += weight * point.factor;
            weights += weight;
            squares += weight * weight;
        }
        let value = if days > 0.0 { spent / days } else { 0.0 };
        Self {
            value,
            slope: 0.0,
            bend: 0.0,
            slope_error: UNSEEN_DRIFT * value,
            value_doubt: 0.0,
            has_trend: false,
            known_days: if squares > 0.0 {
                weights * weights / squares
            } else {
                0.0
            },
        }
    }

    /// With a slope, whether or not it is more than chance.
    fn sloped(points: &[Point], bend: f64) -> Option<Self> {
        // Normal equations of weighted least squares in two unknowns.
        let (mut s0, mut s1, mut s2, mut t0, mut t1) = (0.0, 0.0, 0.0, 0.0, 0.0);
        let (mut weights, mut squares) = (0.0, 0.0);
        for point in points {
            let weight = 0.5_f64.powf(-point.x / TREND_HALF_LIFE_DAYS);
            let (x, of_factor) = (bent(point.x, bend), weight * point.factor * point.factor);
            s0 += of_factor;
            s1 += of_factor * x;
            s2 += of_factor * x * x;
            t0 += weight * point.factor * point.total;
            t1 += weight * point.factor * point.total * x;
            weights += weight;
            squares += weight * weight;
        }
        let determinant = s0 * s2 - s1 * s1;
        if determinant <= 0.0 {
            return None;
        }
        let value = (s2 * t0 - s1 * t1) / determinant;
        let slope = (s0 * t1 - s1 * t0) / determinant;
        let mut line = Self {
            value,
            slope,
            bend,
            slope_error: 0.0,
            value_doubt: 0.0,
            has_trend: true,
            // The value stands at the line's end, where it is known least: a quarter as well.
            known_days: weights * weights / squares / 4.0,
        };
        line.slope_error = line.day_error(points) * (s0 / determinant).sqrt();
        Some(line)
    }

    fn at(&self, point: &Point) -> f64 {
        point.factor * (self.value + self.slope * bent(point.x, self.bend)).max(0.0)
    }

    fn growth(&self) -> f64 {
        if self.value <= 0.0 {
            return 0.0;
        }
        (self.slope / self.value).clamp(-GROWTH_MAX, GROWTH_MAX)
    }

    /// How far a day strays, if it were one of the last: days stray by a share of what is usual then.
    fn stray(&self, point: &Point) -> f64 {
        let level = self.value + self.slope * bent(point.x, self.bend);
        let grown = self.value / level.max(self.value / STRAY_MAX).max(f64::MIN_POSITIVE);
        (point.total - self.at(point)) * grown
    }

    /// Standard deviation of a day of weight 1.
    fn day_error(&self, points: &[Point]) -> f64 {
        let (mut errors, mut factors) = (0.0, 0.0);
        for point in points {
            errors += self.stray(point).powi(2);
            factors += point.factor * point.factor;
        }
        let unknowns = if self.has_trend { 2.0 } else { 1.0 };
        let count = points.len() as f64;
        if count <= unknowns || factors <= 0.0 {
            return 0.0;
        }
        (errors / factors * count / (count - unknowns)).sqrt()
    }

    /// The same by the middle one of the errors, which a few wild days do not move.
    fn usual_error(&self, points: &[Point]) -> f64 {
        let mut errors: Vec<f64> = points
            .iter()
            .filter(|point| point.factor > 0.05)
            .map(|point| (point.total - self.at(point)).abs() / point.factor)
            .collect();
        1.4826 * median(&mut errors)
    }

    /// How much further sums stray because a dear day is followed by another: 1 if it is not.
    fn persistence(&self, points: &[Point]) -> f64 {
        let errors: Vec<f64> = points
            .iter()
            .filter(|point| point.factor > 0.05)
            .map(|point| self.stray(point) / point.factor)
            .collect();
        let squares: f64 = errors.iter().map(|error| error * error).sum();
        if errors.len() < 7 || squares <= 0.0 {
            return 1.0;
        }
        let products: f64 = errors.windows(2).map(|pair| pair[0] * pair[1]).sum();
        let seen = products / squares;
        // What a line was fitted to looks less alike than it is (Kendall's correction).
        let correlation = (seen + (1.0 + 4.0 * seen) / errors.len() as f64).clamp(0.0, 0.7);
        ((1.0 + correlation) / (1.0 - correlation)).sqrt()
    }
}
