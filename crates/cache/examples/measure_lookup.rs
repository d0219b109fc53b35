//! What a lookup by meaning costs in all, and what a restart does: 100,000 questions in one partition, with
//! the local model (`make model`): `cargo run --release -p cache --example measure_lookup`.
//!
//! Times are processor time of this process, so a busy machine changes them little.

#![expect(clippy::print_stdout, reason = "printing figures is what it is for")]
#![expect(
    clippy::disallowed_methods,
    reason = "how long a start takes is one of them"
)]

use std::error::Error;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use ::audit::{AuditLog, Kek, Keys};
use bytes::Bytes;
use cache::{Cache, DiskSettings, Key, Near, NewEntry, Owner, Partition, Question, Settings};
use domain::{Usage, Wall};
use embed::{Lane, Model};
use likeness::choice::{self, Candidate, Choice, NearEnough, Rule};
use likeness::comparer::{self, Reading};
use likeness::verified::Observations;

const ENTRIES: u64 = 100_000;
const LOOKUPS: u64 = 200;
const CANDIDATES_MAX: usize = 8;
const MIN_SIMILARITY: f64 = choice::SAFE;
const PARTITION: Partition = Partition([1; 32]);
const NOW: Wall = Wall(1_795_348_800_000);
const MEMORY_BYTES: u64 = 2 << 30;
const DISK_BYTES: u64 = 2 << 30;

/// What is asked; all that is kept is near one of these, so that there are candidates to compare.
const QUESTIONS: [&str; 5] = [
    "how many days after the delivery may a customer of ours return a product that was opened and who has to pay \
     for sending it back to you then",
    "how do i reset the password of my account if i no longer have access to the address that i once signed up \
     with and the phone is lost",
    "can an order that was paid by invoice still be cancelled when the parcel has already left your warehouse and \
     how long does the money take",
    "which documents does a new supplier from outside of the union have to send to the purchasing team before the \
     first order can be placed there",
    "why is the total on my invoice of last month higher than the price that the shop showed me when i ordered and \
     whom do i ask",
];

/// A question as the model reads it.
struct Asked {
    text: &'static str,
    embedding: Box<[f32]>,
    reading: Option<Reading>,
}

impl Asked {
    fn read((model, lane): (&Model, &Lane), text: &'static str) -> Result<Self, Box<dyn Error>> {
        let read = model.read(&[text], lane)?.remove(0);
        Ok(Self {
            text,
            reading: Reading::of(&read.pieces, &read.states),
            embedding: read.vector,
        })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let model = model()?;
    let lane = Lane::default();
    let rule = Rule {
        near_enough: NearEnough::AtLeast(MIN_SIMILARITY),
        guard: true,
        shadow: false,
    };
    let mut asked = Vec::new();
    for question in QUESTIONS {
        println!("{} pieces: {question}", embed::count_pieces(question));
        asked.push(Asked::read((&model, &lane), question)?);
    }
    let folder = tempfile::tempdir()?;
    let place = Place::new(folder.path())?;
    let cache = place.open()?;
    fill(&cache, &asked);
    lookup("embedding, index and guard", |number| {
        let question = Asked::read((&model, &lane), QUESTIONS[number % QUESTIONS.len()])?;
        let near = cache.nearest(
            &PARTITION,
            &question.embedding,
            MIN_SIMILARITY as f32,
            CANDIDATES_MAX,
            NOW,
        );
        let given = guard(&rule, &question, &near);
        assert!(
            near.len() == CANDIDATES_MAX,
            "or the guard has nothing to do"
        );
        black_box(given);
        Ok(())
    })?;
    lookup("  embedding", |number| {
        black_box(model.read(&[QUESTIONS[number % QUESTIONS.len()]], &lane)?);
        Ok(())
    })?;
    lookup("  index", |number| {
        let question = &asked[number % QUESTIONS.len()];
        black_box(cache.nearest(
            &PARTITION,
            &question.embedding,
            MIN_SIMILARITY as f32,
            CANDIDATES_MAX,
            NOW,
        ));
        Ok(())
    })?;
    let near: Vec<Vec<Near>> = asked
        .iter()
        .map(|question| {
            cache.nearest(
                &PARTITION,
                &question.embedding,
                MIN_SIMILARITY as f32,
                CANDIDATES_MAX,
                NOW,
            )
        })
        .collect();
    lookup("  guard", |number| {
        let place = number % QUESTIONS.len();
        black_box(guard(&rule, &asked[place], &near[place]));
        Ok(())
    })?;
    // What the words do not tell apart: one or two of a lookup.
    lookup("  the comparer, of one", |number| {
        let (one, other) = (
            &asked[number % QUESTIONS.len()],
            &asked[(number + 1) % QUESTIONS.len()],
        );
        let read = one.reading.as_ref().zip(other.reading.as_ref());
        let (one, other) = read.ok_or("a question is too long for the comparer")?;
        black_box(comparer::say(one, other, 0.8));
        Ok(())
    })?;
    drop(cache);
    place.restart()
}

fn guard(rule: &Rule, question: &Asked, near: &[Near]) -> Choice {
    let nothing_seen = Observations::default();
    let candidates: Vec<Candidate<'_>> = near
        .iter()
        .map(|near| Candidate {
            similarity: f64::from(near.similarity),
            text: near.entry.text().map_or("", |text| text),
            reading: near.entry.reading(),
            observations: &nothing_seen,
        })
        .collect();
    let asked = choice::Asked {
        text: question.text,
        reading: question.reading.as_ref(),
    };
    choice::choose(rule, asked, &candidates, 0.5).choice
}

fn lookup(
    name: &str,
    mut run: impl FnMut(usize) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    for number in 0..QUESTIONS.len() {
        run(number)?;
    }
    let mut each_us: Vec<f64> = Vec::new();
    for _ in 0..5 {
        let started = cpu_ns();
        for number in 0..LOOKUPS as usize {
            run(number)?;
        }
        each_us.push((cpu_ns() - started) as f64 / LOOKUPS as f64 / 1e3);
    }
    each_us.sort_by(f64::total_cmp);
    println!(
        "{name}: {:.3} ms, {:.3} to {:.3} in five rounds of {LOOKUPS}",
        each_us[2] / 1e3,
        each_us[0] / 1e3,
        each_us[4] / 1e3
    );
    Ok(())
}

/// Kept under the keys of an audit log, as a gateway does.
struct Place {
    dir: PathBuf,
    log: AuditLog,
}

impl Place {
    fn new(dir: &Path) -> Result<Self, Box<dyn Error>> {
        let keys = Keys {
            dir: dir.join("keys"),
            current: Kek::Local {
                id: "kek".to_owned(),
                key: [7; 32],
            },
            previous: Vec::new(),
        };
        let log = AuditLog::open(::audit::Settings::new(dir.join("audit"), "eu"), keys, NOW)?;
        Ok(Self {
            dir: dir.join("cache"),
            log,
        })
    }

    fn open(&self) -> Result<Cache, cache::CacheError> {
        let disk = DiskSettings {
            dir: self.dir.clone(),
            bytes_max: DISK_BYTES,
            sealer: self.log.sealer(),
        };
        let settings = Settings {
            memory_bytes: MEMORY_BYTES,
            disk: Some(disk),
        };
        Cache::open(settings, NOW)
    }

    fn restart(&self) -> Result<(), Box<dyn Error>> {
        let (started, clock) = (cpu_ns(), Instant::now());
        let cache = self.open()?;
        let ready = clock.elapsed();
        cache.catch_up();
        println!(
            "restart: open after {:.1} ms, {} entries back after {:.2} s ({:.2} s of processor time)",
            ready.as_secs_f64() * 1e3,
            cache.levels().entries,
            clock.elapsed().as_secs_f64(),
            (cpu_ns() - started) as f64 / 1e9
        );
        Ok(())
    }
}

/// Crowds around the questions and around what is like none of them.
fn fill(cache: &Cache, asked: &[Asked]) {
    let mut dice = Dice(2);
    for number in 0..ENTRIES {
        let Asked {
            text: question,
            embedding: near,
            reading,
        } = &asked[number as usize % asked.len()];
        let cosine = match number % 50 {
            0..5 => 0.8 + 0.19 * dice.roll(),
            _ => 0.5 * dice.roll(),
        };
        let embedding = dice.near(near, cosine);
        let mut key = [7; 32];
        key[8..16].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        cache.put(NewEntry {
            key: Key(key),
            question: Some(Question {
                partition: PARTITION,
                embedder: embed::NAME.into(),
                text: Arc::from(format!("{question}, order {number}?")),
                embedding,
                reading: reading.clone(),
            }),
            owner: Owner {
                subscription: "acme".into(),
                product: "standard".into(),
                user: None,
                caller: "key-1".into(),
            },
            model: "small".into(),
            answer: Bytes::from(vec![b'a'; 400]),
            usage: Usage::default(),
            stored_at: NOW,
            expires_at: Wall(NOW.0 + 3_600_000),
        });
        // Or the disk's queue is full, and what finds no room in it is gone with the restart.
        if number % 512 == 511 {
            cache.catch_up();
        }
    }
    cache.catch_up();
}

fn model() -> Result<Model, Box<dyn Error>> {
    let named = std::env::var_os("TOLLGATE_MODELS").map(PathBuf::from);
    let cache = embed::user_cache(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"));
    let folders: Vec<PathBuf> = named.into_iter().chain(cache).collect();
    Ok(Model::open(&embed::find(&folders)?)?)
}

/// The same numbers on every machine.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn roll(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// At about this cosine to `of`.
    fn near(&mut self, of: &[f32], cosine: f32) -> Box<[f32]> {
        let mut other: Vec<f32> = of.iter().map(|_| self.roll() + self.roll() - 1.0).collect();
        let length = length(&other);
        let sine = (1.0 - cosine * cosine).sqrt();
        for (other, of) in other.iter_mut().zip(of) {
            *other = cosine * of + sine * *other / length;
        }
        other.into()
    }
}

fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|x| x * x).sum::<f32>().sqrt()
}

/// Of all threads; zero where the system does not say.
fn cpu_ns() -> u64 {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else {
        return 0;
    };
    let of_thread = |thread: std::fs::DirEntry| -> Option<u64> {
        let told = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        told.split(' ').next()?.parse().ok()
    };
    threads.flatten().filter_map(of_thread).sum()
}
