use std::fmt::Write as _;
use std::path::Path;

use jiff::civil::Date;

use super::*;
use crate::limit::{Calendar, Period};

const UNIT: f64 = 1e9;

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").unwrap()
}

fn midnight(date: &str) -> Wall {
    let date: Date = date.parse().unwrap();
    Wall(
        date.to_zoned(berlin())
            .unwrap()
            .timestamp()
            .as_millisecond(),
    )
}

/// Chance with a known start: SplitMix64 and Box-Muller.
struct Dice(u64);

impl Dice {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (2.0 * std::f64::consts::PI * self.uniform()).cos()
    }
}

/// What a team's spend looks like.
#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    /// Of a Saturday and a Sunday, against a working day.
    weekend: f64,
    office_hours: bool,
    /// A week's growth.
    growth: f64,
    /// Standard deviation of a day's logarithm.
    day_noise: f64,
    /// How much of it the next day keeps.
    memory: f64,
    hour_noise: f64,
}

const FLAT: Shape = Shape {
    name: "flat",
    weekend: 1.0,
    office_hours: false,
    growth: 0.0,
    day_noise: 0.15,
    memory: 0.0,
    hour_noise: 0.2,
};

const SHAPES: [Shape; 5] = [
    FLAT,
    Shape {
        name: "working days",
        weekend: 0.1,
        office_hours: true,
        ..FLAT
    },
    Shape {
        name: "working days, growing 10% a week",
        weekend: 0.1,
        office_hours: true,
        growth: 0.10,
        ..FLAT
    },
    Shape {
        name: "restless: a day's level lasts some days",
        weekend: 0.3,
        office_hours: true,
        day_noise: 0.3,
        memory: 0.5,
        ..FLAT
    },
    Shape {
        name: "shrinking 10% a week",
        growth: -0.10,
        ..FLAT
    },
];

/// Spend of every hour from `from` up to `to`.
fn series(shape: Shape, from: Wall, to: Wall, dice: &mut Dice) -> Vec<Nanos> {
    let zone = berlin();
    let (mut today, mut drift) = (i32::MIN, 0.0);
    let mut hours = Vec::new();
    let mut at = from;
    while at < to {
        let hour = season::hour(at, &zone);
        if hour.day != today {
            today = hour.day;
            drift = shape.memory * drift
                + (1.0 - shape.memory * shape.memory).sqrt() * shape.day_noise * dice.normal();
        }
        let weekend = if hour.weekday >= 5 {
            shape.weekend
        } else {
            1.0
        };
        let of_day = match hour.hour {
            8..18 if shape.office_hours => 0.08,
            _ if shape.office_hours => 0.2 / 14.0,
            _ => 1.0 / 24.0,
        };
        let days = (at.0 - from.0) as f64 / (24 * HOUR_MS) as f64;
        let level = 20.0 * (1.0 + shape.growth).powf(days / 7.0);
        let noise = (drift + shape.hour_noise * dice.normal()).exp();
        hours.push(Nanos((level * weekend * of_day * noise * UNIT) as i64));
        at = Wall(at.0 + HOUR_MS);
    }
    hours
}

fn sum(hours: &[Nanos]) -> Nanos {
    Nanos(hours.iter().map(|hour| hour.0).sum())
}

/// Knowing what was spent from `from` to `now`.
fn asked(hours: &[Nanos], from: Wall, now: Wall, amount: Nanos, period: Period) -> Forecast {
    let zone = berlin();
    let calendar = Calendar {
        period,
        time_zone: zone.clone(),
    };
    let period = calendar.span_at(now);
    let index = |at: Wall| ((at.0 - from.0) / HOUR_MS) as usize;
    let history = History {
        start: from,
        hours: hours[..index(now)].to_vec(),
    };
    let begun = index(period.start.max(from));
    forecast(&Question {
        history: &history,
        spent: sum(&hours[begun..index(now)]),
        amount,
        period,
        now,
        time_zone: &zone,
    })
}

fn known(forecast: Forecast) -> Outlook {
    match forecast {
        Forecast::Known(outlook) => outlook,
        Forecast::TooEarly(why) => panic!("{why:?}"),
    }
}

struct Score {
    /// Mean absolute error of what was still to come, as a share of the whole month.
    error: f64,
    /// Share of months that ended within the interval.
    within: f64,
    /// Mean width of the interval, as a share of the month.
    width: f64,
}

/// 200 teams, each with a pattern of weekdays, a trend and noise of its own, known for two to eight
/// weeks and asked on some day of September.
#[test]
fn four_of_five_months_end_within_the_interval() {
    const TEAMS: u64 = 200;
    let (start, end) = (midnight("2026-09-01"), midnight("2026-10-01"));
    let (mut within, mut below, mut above, mut width) = (0, 0, 0, 0.0);
    for team in 0..TEAMS {
        let mut dice = Dice(team * 104_729 + 5);
        let mut between = |low: f64, high: f64| low + (high - low) * dice.uniform();
        let shape = Shape {
            name: "of its own",
            weekend: between(0.1, 1.0),
            office_hours: between(0.0, 1.0) < 0.5,
            growth: between(-0.1, 0.15),
            day_noise: between(0.05, 0.3),
            memory: between(0.0, 0.5),
            hour_noise: 0.2,
        };
        let from = Wall(start.0 - between(2.0, 8.9) as i64 * 7 * 24 * HOUR_MS);
        let now = Wall(start.0 + between(1.0, 24.0) as i64 * 24 * HOUR_MS);
        let hours = series(shape, from, end, &mut dice);
        let begun = ((start.0 - from.0) / HOUR_MS) as usize;
        let actual = sum(&hours[begun..]);
        let told = known(asked(&hours, from, now, Nanos(i64::MAX), Period::Month));
        width += (told.high.0 - told.low.0) as f64 / actual.0 as f64;
        match actual {
            actual if actual < told.low => below += 1,
            actual if actual > told.high => above += 1,
            _ => within += 1,
        }
    }
    let seen = format!(
        "{within} of {TEAMS} within, {below} below, {above} above, mean width {:.0}%",
        width / TEAMS as f64 * 100.0
    );
    println!("{seen}");
    assert!((140..=180).contains(&within), "{seen}");
    // Nor is the middle far off to one side.
    assert!(below <= 40 && above <= 40, "{seen}");
}

/// Months of September with so many weeks known before it, asked on one day.
fn score(shape: Shape, weeks_before: i64, day: &str) -> Score {
    const RUNS: u64 = 40;
    let (start, end) = (midnight("2026-09-01"), midnight("2026-10-01"));
    let from = Wall(start.0 - weeks_before * 7 * 24 * HOUR_MS);
    let now = midnight(day);
    let (mut error, mut within, mut width) = (0.0, 0.0, 0.0);
    for run in 0..RUNS {
        let hours = series(shape, from, end, &mut Dice(run * 7919 + 11));
        let begun = ((start.0 - from.0) / HOUR_MS) as usize;
        let actual = sum(&hours[begun..]).0 as f64;
        let told = known(asked(&hours, from, now, Nanos(i64::MAX), Period::Month));
        error += (told.expected.0 as f64 - actual).abs() / actual;
        width += (told.high.0 - told.low.0) as f64 / actual;
        if (told.low.0 as f64..=told.high.0 as f64).contains(&actual) {
            within += 1.0;
        }
    }
    let runs = RUNS as f64;
    Score {
        error: error / runs,
        within: within / runs,
        width: width / runs,
    }
}

const BEGIN: &str = "<!-- forecast: written by the tests -->\n";
const END: &str = "<!-- end of forecast -->\n";

/// `TOLLGATE_WRITE_DOCS=1 cargo test -p domain` writes the table.
#[test]
fn forecasts_are_as_good_as_the_page_says() {
    let mut table = String::from(
        "| Spend | Known before the month | Asked on | Mean error | Width of the interval | Months within it |\n|---|---|---|---|---|---|\n",
    );
    let mut bounds = Vec::new();
    for shape in SHAPES {
        for (weeks, day) in [(0, 4), (0, 11), (4, 2), (4, 11), (4, 21), (8, 11)] {
            let Score {
                error,
                within,
                width,
            } = score(shape, weeks, &format!("2026-09-{day:02}"));
            let _ = writeln!(
                table,
                "| {} | {weeks} weeks | day {day} | {:.1}% | {:.0}% | {:.0}% |",
                shape.name,
                error * 100.0,
                width * 100.0,
                within * 100.0
            );
            // What the page promises.
            if weeks > 0 {
                let about = format!("{} {weeks} {day}", shape.name);
                let least = if shape.growth > 0.0 { 0.65 } else { 0.7 };
                bounds.push((about, within >= least && error <= 0.18));
            }
        }
    }
    for (about, holds) in bounds {
        assert!(holds, "{about}\n{table}");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/alerts.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let wanted = format!("{before}{BEGIN}\n{table}\n{END}{after}");
    if std::env::var_os("TOLLGATE_WRITE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
        return;
    }
    assert!(
        page == wanted,
        "docs/alerts.md is out of date: run `TOLLGATE_WRITE_DOCS=1 cargo test -p domain`"
    );
}

#[test]
fn before_a_whole_day_is_known_it_is_too_early() {
    let (from, end) = (midnight("2026-09-01"), midnight("2026-10-01"));
    let hours = series(FLAT, from, end, &mut Dice(1));
    let noon = Wall(from.0 + 12 * HOUR_MS);
    assert_eq!(
        asked(&hours, from, noon, Nanos(1), Period::Month),
        Forecast::TooEarly(TooEarly::Days {
            known: 0,
            needed: 1
        })
    );
    let nothing = vec![Nanos(0); 24 * 10];
    let later = Wall(from.0 + 200 * HOUR_MS);
    assert_eq!(
        asked(&nothing, from, later, Nanos(1), Period::Month),
        Forecast::TooEarly(TooEarly::NoSpend)
    );
}

#[test]
fn one_day_gives_a_wide_interval_and_weeks_a_narrow_one() {
    let (from, end) = (midnight("2026-08-03"), midnight("2026-10-01"));
    let hours = series(FLAT, from, end, &mut Dice(3));
    let width = |day: &str| {
        let told = known(asked(
            &hours,
            from,
            midnight(day),
            Nanos(i64::MAX),
            Period::Month,
        ));
        (told.high.0 - told.low.0) as f64 / told.expected.0 as f64
    };
    let (first, later) = (width("2026-08-04"), width("2026-09-05"));
    assert!(first > 0.5, "{first}");
    assert!(later < 0.3, "{later}");
}

/// 20 a working day, nothing at weekends, no noise: 440 in September 2026, of which 10 working days
/// are gone on the 15th.
#[test]
fn it_knows_that_weekends_cost_nothing() {
    let shape = Shape {
        weekend: 0.0,
        office_hours: true,
        day_noise: 0.0,
        hour_noise: 0.0,
        ..FLAT
    };
    let (from, end) = (midnight("2026-08-03"), midnight("2026-10-01"));
    let hours = series(shape, from, end, &mut Dice(1));
    let amount = Nanos((330.0 * UNIT) as i64);
    let now = midnight("2026-09-15");
    let told = known(asked(&hours, from, now, amount, Period::Month));
    assert!(
        (told.expected.0 as f64 / UNIT - 440.0).abs() < 6.0,
        "{told:?}"
    );
    // 200 are spent; the other 130 are used up within the seventh working day from the 15th, the 23rd.
    let used_up = told.used_up.unwrap();
    assert!(
        (midnight("2026-09-23")..midnight("2026-09-24")).contains(&used_up),
        "{used_up:?}"
    );
    assert!(told.earliest.unwrap() <= used_up);
    assert!(told.latest.is_none_or(|latest| latest >= used_up));
    assert!(told.chance_of_passing > 0.99);
    assert_eq!(told.basis.weekdays, Weekdays::Each);
    assert!(!told.basis.has_trend);
}

#[test]
fn growth_beyond_chance_is_carried_on_and_noise_is_not() {
    let growing = Shape {
        growth: 0.2,
        day_noise: 0.05,
        ..FLAT
    };
    let (from, end) = (midnight("2026-08-03"), midnight("2026-10-01"));
    let now = midnight("2026-09-11");
    let basis = |shape: Shape, seed| {
        let hours = series(shape, from, end, &mut Dice(seed));
        known(asked(&hours, from, now, Nanos(1), Period::Month)).basis
    };
    assert!(basis(growing, 5).has_trend);
    let found = (0..50).filter(|seed| basis(FLAT, *seed).has_trend).count();
    assert!(
        found <= 3,
        "{found} of 50 flat series seemed to have a trend"
    );
}

#[test]
fn on_the_last_day_it_is_nearly_known() {
    let (from, end) = (midnight("2026-08-03"), midnight("2026-10-01"));
    let hours = series(SHAPES[1], from, end, &mut Dice(9));
    let begun = ((midnight("2026-09-01").0 - from.0) / HOUR_MS) as usize;
    let actual = sum(&hours[begun..]).0 as f64;
    let now = Wall(midnight("2026-09-30").0 + 20 * HOUR_MS);
    let told = known(asked(&hours, from, now, Nanos(i64::MAX), Period::Month));
    assert!((told.expected.0 as f64 / actual - 1.0).abs() < 0.01);
    assert!((told.high.0 - told.low.0) as f64 / actual < 0.02);
    assert_eq!(told.used_up, None);
    assert!(told.chance_of_passing < 1e-6);
}

#[test]
fn what_is_used_up_already_says_now() {
    let (from, end) = (midnight("2026-08-03"), midnight("2026-10-01"));
    let hours = series(FLAT, from, end, &mut Dice(2));
    let now = midnight("2026-09-15");
    let told = known(asked(&hours, from, now, Nanos(1), Period::Month));
    assert_eq!(
        (told.used_up, told.earliest, told.latest),
        (Some(now), Some(now), Some(now))
    );
    assert!(told.low >= Nanos(1));
}

#[test]
fn one_batch_run_is_no_new_level() {
    let (from, end) = (midnight("2026-08-03"), midnight("2026-10-01"));
    let mut hours = series(FLAT, from, end, &mut Dice(4));
    let now = midnight("2026-09-11");
    let before = known(asked(&hours, from, now, Nanos(i64::MAX), Period::Month));
    let index = ((midnight("2026-09-09").0 - from.0) / HOUR_MS) as usize;
    let batch = 200.0 * UNIT;
    hours[index + 3].0 += batch as i64;
    let after = known(asked(&hours, from, now, Nanos(i64::MAX), Period::Month));
    let more = (after.expected.0 - before.expected.0) as f64;
    assert!(
        (0.9..1.6).contains(&(more / batch)),
        "the run itself is in the month, not one like it every day: {}",
        more / batch
    );
}

proptest::proptest! {
    #[test]
    fn any_history_gives_an_ordered_answer(
        hours in proptest::collection::vec(0i64..1_000_000_000_000, 0..1500),
        amount in 1i64..i64::MAX,
        offset in 0i64..3_600_000,
    ) {
        let from = midnight("2026-08-03");
        let history = History { start: from, hours: hours.into_iter().map(Nanos).collect() };
        let now = Wall(from.0 + history.hours.len() as i64 * HOUR_MS + offset);
        let zone = berlin();
        let period = Calendar { period: Period::Month, time_zone: zone.clone() }.span_at(now);
        let spent = Nanos(history.hours.last().map_or(0, |last| last.0));
        let told = forecast(&Question { history: &history, spent, amount: Nanos(amount), period, now, time_zone: &zone });
        if let Forecast::Known(told) = told {
            proptest::prop_assert!(told.low <= told.expected && told.expected <= told.high, "{told:?}");
            proptest::prop_assert!(told.low >= spent);
            proptest::prop_assert!((0.0..=1.0).contains(&told.chance_of_passing));
            if let Some(at) = told.used_up {
                proptest::prop_assert!(at >= now && at <= period.end);
                proptest::prop_assert!(told.earliest.is_some_and(|earliest| earliest <= at));
            }
        }
    }
}
