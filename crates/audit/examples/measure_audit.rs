//! What the audit log costs, and how fast it is searched. Release builds only.
//!
//! - `fill DIR RECORDS`: appends as fast as it can, waits for the chain and the index
//! - `pace DIR RECORDS`: appends as calls come at a busy gateway, and tells what each thread takes
//! - `search DIR`: searches what is there
//! - `verify DIR`: verifies it

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use audit::{Actor, Archive, AuditLog, Draft, Kek, Keys, Options, Query, Scope, Settings};
use domain::record::Outcome;
use domain::{CallId, SubscriptionId, Wall};

/// 2026-11-01 00:00 UTC.
const START: Wall = Wall(1_793_491_200_000);
/// Between calls: a million of them take 20 days.
const STEP_US: u64 = 1_728_000;
/// Made ahead, so that making them is not measured.
const BURST: u64 = 20_000;
const BEHIND_BYTES_MAX: u64 = 256 * 1024 * 1024;
const CONTENT_BYTES: usize = 1_024;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["fill", dir, records] => fill(Path::new(dir), records.parse().expect("a number")),
        ["pace", dir, records] => pace(Path::new(dir), records.parse().expect("a number")),
        ["search", dir] => search(Path::new(dir)),
        ["verify", dir] => verify(Path::new(dir)),
        _ => say("usage: measure_audit fill|pace DIR RECORDS | search DIR | verify DIR"),
    }
}

fn settings(dir: &Path) -> Settings {
    Settings::new(dir.join("store"), "eu")
}

fn keys(dir: &Path) -> Keys {
    Keys {
        dir: dir.join("keys"),
        current: Kek::Local {
            id: "measured".to_owned(),
            key: [7; 32],
        },
        previous: Vec::new(),
    }
}

fn fill(dir: &Path, records: u64) {
    let log = AuditLog::open(settings(dir), keys(dir), START).expect("a directory of its own");
    let (mut in_calls, mut making, before) = (Took::default(), Took::default(), process_cpu());
    for first in (0..records).step_by(BURST as usize) {
        let mut calls = Vec::new();
        making += timed(|| {
            calls = (first..records.min(first + BURST))
                .map(|number| Call::new(number, STEP_US))
                .collect();
        });
        in_calls += timed(|| {
            for call in &calls {
                log.append(&call.draft(), call.at).expect("room");
            }
        });
        while log.levels().behind_bytes > BEHIND_BYTES_MAX {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    log.close(START + Duration::from_secs(20 * 86_400));
    let all = process_cpu()
        .saturating_sub(before)
        .saturating_sub(making.cpu);
    let each = |took: Duration| took.as_secs_f64() * 1e6 / records as f64;
    say(&format!(
        "append: {:.2} µs CPU, {:.2} µs wall a record; with writer and index {:.2} µs CPU",
        each(in_calls.cpu),
        each(in_calls.wall),
        each(all)
    ));
    let bytes = |path: &str| {
        let path = dir.join(path);
        std::fs::metadata(path).map_or(0, |metadata| metadata.len())
    };
    say(&format!(
        "database: {} B a record; keys: {} B in all",
        bytes("store/audit.sqlite") / records,
        bytes("keys/keys.tgk")
    ));
}

/// A millisecond's calls at a gateway that saturates a core.
const TICK_CALLS: usize = 20;

fn pace(dir: &Path, records: u64) {
    let log = AuditLog::open(settings(dir), keys(dir), START).expect("a directory of its own");
    let calls: Vec<Call> = (0..records)
        .map(|number| Call::new(number, 1_000 / TICK_CALLS as u64))
        .collect();
    let before = threads();
    let mut in_calls = Took::default();
    for tick in calls.chunks(TICK_CALLS) {
        in_calls += timed(|| {
            for call in tick {
                log.append(&call.draft(), call.at).expect("room");
            }
        });
        std::thread::sleep(Duration::from_millis(1));
    }
    while log.levels().behind_bytes > 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let each = |took: Duration| took.as_secs_f64() * 1e6 / records as f64;
    let mut told = format!("append {:.2}", each(in_calls.cpu));
    for (thread, cpu) in threads() {
        if thread.starts_with("audit-") {
            let cpu = cpu.saturating_sub(before.get(&thread).copied().unwrap_or_default());
            told += &format!(", {thread} {:.2}", each(cpu));
        }
    }
    say(&format!("{told} µs CPU a record"));
    log.close(START + Duration::from_secs(20 * 86_400));
}

fn search(dir: &Path) {
    let mut archive =
        Archive::open(settings(dir), keys(dir), START).expect("what `fill` has written");
    let actor = Actor {
        by: "measure".to_owned(),
        role: "auditor".to_owned(),
        reason: "to measure".to_owned(),
    };
    let scope = Scope::Subscriptions(["team-3".into(), "team-4".into()].into());
    let text = |text: &str| Query {
        text: Some(text.to_owned()),
        ..Query::default()
    };
    let common = word(3);
    let rare = word(19_990);
    let questions = [
        ("newest 100", Query::default(), Scope::All),
        ("a word in each record", text(&common), Scope::All),
        ("a rare word", text(&rare), Scope::All),
        ("a word that nobody wrote", text("xylophone"), Scope::All),
        (
            "a phrase of common words",
            text(&format!("\"{} {}\"", word(5), word(40))),
            Scope::All,
        ),
        ("a rare word in two teams", text(&rare), scope),
        (
            "a rare word of one person",
            Query {
                person: Some("person-3-7".to_owned()),
                ..text(&rare)
            },
            Scope::All,
        ),
        (
            "one person",
            Query {
                person: Some("person-3-7".to_owned()),
                ..Query::default()
            },
            Scope::All,
        ),
        (
            "no such outcome",
            Query {
                outcome: Some(Outcome::GatewayError),
                ..Query::default()
            },
            Scope::All,
        ),
        (
            "one call",
            Query {
                call: Some(Call::new(7_777, STEP_US).id),
                ..Query::default()
            },
            Scope::All,
        ),
    ];
    for round in ["first", "again"] {
        for (name, query, scope) in &questions {
            let mut told = (0, 0);
            let took = timed(|| {
                let page = archive.search(query, scope, &actor, START).expect("a log");
                told = (page.found.len(), page.opened);
            });
            say(&format!(
                "{round}: {name}: {} found, {} opened, {:.0?} CPU, {:.0?} wall",
                told.0, told.1, took.cpu, took.wall
            ));
        }
    }
}

fn verify(dir: &Path) {
    for open in [false, true] {
        let mut archive =
            Archive::open(settings(dir), keys(dir), START).expect("what `fill` has written");
        let options = Options {
            open,
            ..Options::default()
        };
        let mut report = None;
        let took = timed(|| report = archive.verify(&options).ok());
        let report = report.expect("a log");
        say(&format!(
            "verified {} entries, {} problems, {:.2?} CPU, {:.2?} wall, opened: {open}",
            report.entries,
            report.problems.len(),
            took.cpu,
            took.wall
        ));
    }
}

struct Call {
    id: CallId,
    at: Wall,
    subscription: SubscriptionId,
    user: String,
    prompt: String,
    answer: String,
}

impl Call {
    /// 25 teams of 40 people each.
    fn new(number: u64, step_us: u64) -> Self {
        let at = START + Duration::from_micros(number * step_us);
        let mut chance = Chance(number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let team = chance.next() % 25;
        Self {
            id: CallId::new(at, u128::from(number)),
            at,
            subscription: format!("team-{team}").as_str().into(),
            user: format!("person-{team}-{}", chance.next() % 40),
            prompt: chance.text(),
            answer: chance.text(),
        }
    }

    fn draft(&self) -> Draft<'_> {
        Draft {
            call: self.id,
            at: self.at,
            subscription: &self.subscription,
            product: "standard",
            application: Some("chat-ui"),
            user: Some(&self.user),
            caller: "abcdefghijkl",
            model: "gpt-4o",
            backend: Some("openai-region-1"),
            outcome: Outcome::Ok,
            status: 200,
            hit: None,
            rule: None,
            prompt_tokens: 250,
            completion_tokens: 250,
            cost: "0.001234 EUR",
            verdicts: "",
            prompt: Some(self.prompt.as_bytes()),
            answer: Some(self.answer.as_bytes()),
            retention_days: 90,
            required: false,
        }
    }
}

struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    /// Of 20,000 words, few of them often, as people write.
    fn text(&mut self) -> String {
        let mut text = String::with_capacity(CONTENT_BYTES + 16);
        while text.len() < CONTENT_BYTES {
            let share = (self.next() % 1_000_000) as f64 / 1e6;
            text.push_str(&word((20_000_f64.powf(share)) as u64));
            text.push(' ');
        }
        text
    }
}

/// Three to eleven letters.
fn word(number: u64) -> String {
    let mut chance = Chance(number * 7_919 + 13);
    let len = 3 + chance.next() % 9;
    (0..len)
        .map(|_| char::from(b'a' + (chance.next() % 26) as u8))
        .collect()
}

/// What some work took of the clock on the wall, and of this thread's CPU.
#[derive(Clone, Copy, Default)]
struct Took {
    wall: Duration,
    cpu: Duration,
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

fn thread_cpu() -> Duration {
    cpu_of(Path::new("/proc/thread-self"))
}

/// Zero where the system does not say.
fn cpu_of(thread: &Path) -> Duration {
    let stat = std::fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
    let ns = stat.split(' ').next().and_then(|ns| ns.parse().ok());
    Duration::from_nanos(ns.unwrap_or(0))
}

/// Of this process, by name.
fn threads() -> BTreeMap<String, Duration> {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    threads
        .flatten()
        .map(|thread| {
            let name = std::fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
            (name.trim().to_owned(), cpu_of(&thread.path()))
        })
        .collect()
}

/// Of all threads, ended ones too, to a hundredth of a second.
fn process_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: u64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

#[expect(clippy::print_stdout, reason = "a measurement is for reading")]
fn say(line: &str) {
    println!("{line}");
}
