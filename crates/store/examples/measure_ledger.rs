//! Measures the ledger on this machine, through the path that calls take:
//! `cargo run --release -p store --example measure_ledger -- COMMAND`.
//!
//! - `fill DIR CALLS DAYS`: writes calls of that many days into an empty directory, flat out
//! - `pace DIR CALLS BURST`: a thousand calls a second of the ledger's time, each burst of them in the
//!   database before the next begins, as on a gateway that is not busy; count its instructions
//! - `roll DIR DAYS`: lets an idle ledger sum up the days of a full one, as one that is not flat out does
//!   as it goes
//! - `report DIR`: reports over what is there

use std::path::Path;
use std::time::{Duration, Instant};

use domain::record::{
    AttemptRecord, CacheOutcome, CallRecord, Charge, ChargeUnit, Cost, Opening, OpeningPrice,
    Outcome, Who,
};
use domain::{CallId, Currency, Metered, Mono, Nanos, Now, Usage, Wall};
use store::Ledger;
use store::ledger::{UsageBy, UsageQuery, usage};

/// 2026-11-22 12:00 UTC.
const START: Wall = Wall(1_795_348_800_000);
/// Made ahead, so that making them is not measured.
const BURST: u64 = 100_000;
const BEHIND_BYTES_MAX: u64 = 256 * 1024 * 1024;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().expect("a number");
    match arguments[..] {
        ["fill", dir, calls, days] => fill(Path::new(dir), number(calls), number(days)),
        ["pace", dir, calls, burst] => pace(Path::new(dir), number(calls), number(burst)),
        ["roll", dir, days] => roll(Path::new(dir), number(days)),
        ["report", dir] => report(Path::new(dir)),
        _ => say(
            "usage: measure_ledger fill DIR CALLS DAYS | pace DIR CALLS BURST | roll DIR DAYS | report DIR",
        ),
    }
}

fn fill(dir: &Path, calls: u64, days: u64) {
    let ledger = open(dir, START);
    let step = Duration::from_nanos(
        u64::try_from(u128::from(days) * 86_400_000_000_000 / u128::from(calls)).unwrap_or(0),
    );
    let mut in_calls = Took::default();
    let all = timed(|| {
        for first in (0..calls).step_by(BURST as usize) {
            in_calls += write(&ledger, first..calls.min(first + BURST), step);
            // Past the journal's bound, calls would lose their detail.
            while ledger.health().behind_bytes > BEHIND_BYTES_MAX {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        ledger.close();
    });
    say(&format!(
        "begin + append: {} a call",
        in_calls.micros_each(calls)
    ));
    say(&format!(
        "through to the database: {:.0} calls/s",
        calls as f64 / all.wall.as_secs_f64()
    ));

    let ledger = open(dir, START);
    let record = call(calls, step);
    let entry = ledger.begin(&record.opening);
    let progress = timed(|| (0..100_000).for_each(|tokens| ledger.progress(&entry, tokens)));
    say(&format!("progress: {}", progress.micros_each(100_000)));
    ledger.append(Some(entry), record);
    ledger.close();
}

fn pace(dir: &Path, calls: u64, burst: u64) {
    let ledger = open(dir, START);
    for first in (0..calls).step_by(burst as usize) {
        write(
            &ledger,
            first..calls.min(first + burst),
            Duration::from_millis(1),
        );
        while ledger.health().behind_bytes > 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    ledger.close();
}

fn report(dir: &Path) {
    let teams = vec![UsageBy::Subscription, UsageBy::Model, UsageBy::Day];
    let all = vec![
        UsageBy::Subscription,
        UsageBy::Application,
        UsageBy::Model,
        UsageBy::Backend,
        UsageBy::Day,
    ];
    for (zone, by) in [
        ("UTC", vec![]),
        ("UTC", teams.clone()),
        ("UTC", all),
        ("UTC", vec![UsageBy::User, UsageBy::Model]),
        ("Europe/Berlin", teams.clone()),
        ("Asia/Kolkata", teams),
    ] {
        for since in [None, Some(START + Duration::from_secs(12_345))] {
            let time_zone = jiff::tz::TimeZone::get(zone).expect("a zone of the bundled database");
            let query = UsageQuery {
                by: by.clone(),
                only: vec![],
                since,
                until: None,
                time_zone,
            };
            let mut rows = 0;
            let took = timed(|| rows = usage(dir, &query).expect("a ledger").len());
            let window = if since.is_some() { " from 15:25" } else { "" };
            say(&format!(
                "by {by:?} in {zone}{window}: {rows} rows in {:.0?} CPU, {:.0?} wall",
                took.cpu, took.wall
            ));
        }
    }
}

fn roll(dir: &Path, days: u64) {
    let end = START + Duration::from_secs(days * 86_400);
    let took = timed(|| {
        let ledger = open(dir, end + Duration::from_secs(86_400));
        let database = rusqlite::Connection::open(dir.join("ledger.sqlite")).expect("a ledger");
        let until =
            || database.query_row("SELECT until FROM rollup", [], |row| row.get::<_, i64>(0));
        while until().is_ok_and(|until| until < end.0) {
            std::thread::sleep(Duration::from_millis(50));
        }
        ledger.close();
    });
    say(&format!("summed up by day in {:.0?} wall", took.wall));
}

fn open(dir: &Path, wall: Wall) -> Ledger {
    let now = Now {
        mono: Mono::from_secs(86_400),
        wall,
    };
    Ledger::open(dir, now).expect("a directory of its own").0
}

fn write(ledger: &Ledger, numbers: std::ops::Range<u64>, step: Duration) -> Took {
    let records: Vec<CallRecord> = numbers.map(|number| call(number, step)).collect();
    timed(|| {
        for record in records {
            let entry = ledger.begin(&record.opening);
            ledger.append(Some(entry), record);
        }
    })
}

/// 25 teams of four applications and 40 people each, six models, three backends.
fn call(number: u64, step: Duration) -> CallRecord {
    let since = u128::from(number) * step.as_nanos() / 1_000_000;
    let at = START + Duration::from_millis(since as u64);
    // Spread as by a hash, so that combinations meet.
    let chance = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 24;
    let team = chance % 25;
    let subscription = format!("team-{team}");
    let usage = Usage {
        prompt: 100 + chance % 900,
        completion: chance % 400,
        ..Usage::default()
    };
    let price = OpeningPrice {
        id: "3f9a6c1b2e4d5a70".into(),
        currency: Currency::USD,
        prompt_per_million: Nanos(2_500_000_000),
        completion_per_million: Nanos(10_000_000_000),
    };
    let cost: Cost = price.cost(usage.prompt, usage.completion);
    let charge = |limit: &str, unit| Charge {
        limit: limit.into(),
        key: subscription.as_str().into(),
        unit,
    };
    let backend = format!("openai-region-{}", chance / 25 % 3);
    CallRecord {
        opening: Opening {
            id: CallId::new(at, u128::from(chance) << 32 | u128::from(number)),
            at,
            who: Who {
                subscription: subscription.as_str().into(),
                product: "standard".into(),
                application: Some(format!("application-{}", chance / 75 % 4).as_str().into()),
                caller: "abcdefghijkl".into(),
                user: Some(
                    format!("person-{}@example.com", team * 40 + chance / 1_800 % 40).into(),
                ),
            },
            model: format!("gpt-{}", chance / 300 % 6).as_str().into(),
            asked_model: None,
            stream: chance & 1 == 0,
            revision: 1,
            prompt_tokens: usage.prompt,
            charges: vec![
                charge("product/standard/team-tpm", ChargeUnit::TokensPerMinute),
                charge(
                    "product/standard/team-month",
                    ChargeUnit::Quota {
                        period_start: START,
                    },
                ),
                charge(
                    "team-month-money",
                    ChargeUnit::Budget {
                        period_start: START,
                    },
                ),
            ],
            price: Some(price),
        },
        outcome: if chance % 50 == 7 {
            Outcome::HungUp
        } else {
            Outcome::Ok
        },
        status: 200,
        rule: None,
        backend: Some(backend.as_str().into()),
        cache: CacheOutcome::Off,
        metered: Metered::Reported(usage),
        cost: cost.clone(),
        saved: Nanos::ZERO,
        saved_tokens: 0,
        similarity: None,
        latency: Duration::from_millis(chance % 3000),
        first_byte: Some(Duration::from_millis(chance % 500)),
        verdicts: Vec::new(),
        attempts: vec![AttemptRecord {
            backend: backend.as_str().into(),
            status: 200,
            failure: None,
            metered: Metered::Reported(usage),
            cost,
            latency: Duration::from_millis(chance % 3000),
        }],
    }
}

/// What some work took of the clock on the wall, and of this thread's CPU.
#[derive(Clone, Copy, Default)]
struct Took {
    wall: Duration,
    cpu: Duration,
}

impl Took {
    fn micros_each(self, count: u64) -> String {
        let each = |took: Duration| took.as_secs_f64() * 1e6 / count as f64;
        format!(
            "{:.2} µs CPU, {:.2} µs wall",
            each(self.cpu),
            each(self.wall)
        )
    }
}

impl std::ops::AddAssign for Took {
    fn add_assign(&mut self, other: Self) {
        self.wall += other.wall;
        self.cpu += other.cpu;
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn timed(work: impl FnOnce()) -> Took {
    let (start, cpu) = (Instant::now(), thread_cpu());
    work();
    Took {
        wall: start.elapsed(),
        cpu: thread_cpu().saturating_sub(cpu),
    }
}

/// Zero where the system does not say.
fn thread_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = stat.split(' ').next().and_then(|ns| ns.parse().ok());
    Duration::from_nanos(ns.unwrap_or(0))
}

#[expect(clippy::print_stdout, reason = "a measurement is for reading")]
fn say(line: &str) {
    println!("{line}");
}
