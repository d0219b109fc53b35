//! Measures the ledger on this machine, in CPU time and wall time: `cargo run --release -p store --example measure_ledger --
//! DIR CALLS`. Writes CALLS calls through the real path into DIR, which must be empty, and queries
//! them.

use std::path::Path;
use std::time::{Duration, Instant};

use domain::record::{
    AttemptRecord, CacheOutcome, CallRecord, Charge, ChargeUnit, Cost, Opening, OpeningPrice,
    Outcome, Who,
};
use domain::{CallId, Currency, Metered, Mono, Nanos, Now, Usage, Wall};
use store::Ledger;
use store::ledger::{UsageBy, UsageQuery, usage};

const START: Wall = Wall(1_795_348_800_000);
/// Calls are spread over this many days.
const DAYS: i64 = 30;
/// As on a busy gateway: the writer shares its transactions, and its lag shows.
const BURST: u64 = 100_000;

#[expect(clippy::print_stdout, reason = "a measurement is for reading")]
fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(dir), Some(calls)) = (
        arguments.next(),
        arguments.next().and_then(|calls| calls.parse::<u64>().ok()),
    ) else {
        println!("usage: measure_ledger DIR CALLS");
        return;
    };
    let dir = Path::new(&dir);
    let now = Now {
        mono: Mono::from_secs(86_400),
        wall: START,
    };
    let (ledger, _) = Ledger::open(dir, now).expect("an empty directory");

    let mut in_calls = Took::default();
    let (mut furthest_behind, mut folded) = (0, 0);
    let all = timed(|| {
        let mut number = 0;
        while number < calls {
            let records: Vec<CallRecord> = (number..calls.min(number + BURST))
                .map(|number| call(number, calls))
                .collect();
            number += records.len() as u64;
            in_calls += timed(|| {
                for record in records {
                    let entry = ledger.begin(&record.opening);
                    ledger.append(Some(entry), record);
                }
            });
            let health = ledger.health();
            furthest_behind = furthest_behind.max(health.behind_bytes);
            folded = health.folded;
        }
        ledger.close();
    });
    println!("begin + append: {} a call", in_calls.micros_each(calls));
    println!(
        "through to the database: {:.0} calls/s",
        calls as f64 / all.wall.as_secs_f64()
    );
    println!(
        "furthest behind: {} MiB; {folded} calls folded",
        furthest_behind >> 20
    );

    let (ledger, _) = Ledger::open(dir, now).expect("it was closed");
    let record = call(calls, calls);
    let entry = ledger.begin(&record.opening);
    let progress = timed(|| (0..100_000).for_each(|tokens| ledger.progress(&entry, tokens)));
    println!("progress: {}", progress.micros_each(100_000));
    ledger.append(Some(entry), record);
    ledger.close();

    for (zone, by) in [
        ("UTC", vec![]),
        ("Europe/Berlin", vec![UsageBy::Subscription, UsageBy::Day]),
        (
            "Europe/Berlin",
            vec![
                UsageBy::Subscription,
                UsageBy::Application,
                UsageBy::Model,
                UsageBy::Backend,
                UsageBy::Day,
            ],
        ),
        ("Asia/Kolkata", vec![UsageBy::Subscription, UsageBy::Day]),
    ] {
        let time_zone = jiff::tz::TimeZone::get(zone).expect("a zone of the bundled database");
        let since = Some(START + Duration::from_secs(12_345));
        let query = UsageQuery {
            by,
            since,
            until: None,
            time_zone,
        };
        let mut rows = 0;
        let took = timed(|| rows = usage(dir, &query).expect("a ledger").len());
        println!(
            "usage by {:?} in {zone}: {rows} rows in {:.0?} CPU, {:.0?} wall",
            query.by, took.cpu, took.wall
        );
    }
}

/// Five teams, four applications each, three models, three backends.
fn call(number: u64, calls: u64) -> CallRecord {
    let span_ms = u128::from(DAYS.unsigned_abs()) * 86_400_000;
    let at =
        START + Duration::from_millis((span_ms * u128::from(number) / u128::from(calls)) as u64);
    // Spread as by a hash, so that combinations meet.
    let chance = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    let subscription = format!("team-{}", chance % 5);
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
    let backend = format!("openai-region-{}", chance / 5 % 3);
    CallRecord {
        opening: Opening {
            id: CallId::new(at, u128::from(chance) << 32 | u128::from(number)),
            at,
            who: Who {
                subscription: subscription.as_str().into(),
                product: "standard".into(),
                application: Some(format!("application-{}", chance / 16 % 4).as_str().into()),
                caller: "abcdefghijkl".into(),
                user: None,
            },
            model: ["gpt-4o", "gpt-4o-mini", "text-embedding-3-small"][(chance / 64 % 3) as usize]
                .into(),
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
        latency: Duration::from_millis(chance % 3000),
        first_byte: Some(Duration::from_millis(chance % 500)),
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
