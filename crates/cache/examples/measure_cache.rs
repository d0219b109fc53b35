//! What the cache costs here: `cargo run --release -p cache --example measure_cache`.
//!
//! Times are CPU time of one thread where the system tells it, so a busy machine changes them little.

#![expect(clippy::print_stdout, reason = "printing figures is what it is for")]

use std::sync::Arc;

use bytes::Bytes;
use cache::{Cache, Key, NewEntry, Owner, Partition, Question, Settings};
use domain::{Usage, Wall};

const DIMENSIONS: usize = 384;
const NOW: Wall = Wall(1);
const PARTITION: Partition = Partition([1; 32]);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    exact()?;
    a_million_puts()?;
    for count in [10_000, 100_000, 1_000_000] {
        by_meaning(count)?;
    }
    Ok(())
}

fn exact() -> Result<(), Box<dyn std::error::Error>> {
    let cache = open()?;
    for number in 0..100_000 {
        cache.put(entry(number, None));
    }
    let mut dice = Dice(1);
    let rounds = 1_000_000;
    let started = cpu_ns();
    let mut found = 0;
    for _ in 0..rounds {
        found += u32::from(cache.get(&key(dice.next() % 100_000), NOW).is_some());
    }
    let each = (cpu_ns() - started) / rounds;
    println!("exact get, of 100,000 entries: {each} ns ({found} found)");
    Ok(())
}

/// A million answers into the default memory: it holds its bound by our count and by the system's.
fn a_million_puts() -> Result<(), Box<dyn std::error::Error>> {
    let memory_bytes = 256 << 20;
    let settings = Settings {
        memory_bytes,
        disk: None,
    };
    let (before, cache) = (resident_bytes(), Cache::open(settings, Wall(0))?);
    let mut dice = Dice(3);
    let (mut most, rounds) = (0, 1_000_000);
    let started = cpu_ns();
    for number in 0..rounds {
        let answer = Bytes::from(vec![b'a'; 100 + (dice.next() % 2_000) as usize]);
        let new = entry(number, None);
        cache.put(NewEntry { answer, ..new });
        most = most.max(cache.levels().memory_bytes);
    }
    let each = (cpu_ns() - started) / rounds;
    let levels = cache.levels();
    assert!(most <= memory_bytes, "{most} of {memory_bytes}");
    assert_eq!(levels.stored, levels.entries + levels.evicted);
    println!(
        "a million puts into 256 MiB: {each} ns each; {} MiB counted at most, {} MiB by the system; {} entries, {} evicted",
        most >> 20,
        resident_bytes().saturating_sub(before) >> 20,
        levels.entries,
        levels.evicted
    );
    Ok(())
}

/// Questions crowd around subjects; lookups are near one that is there.
fn by_meaning(count: u64) -> Result<(), Box<dyn std::error::Error>> {
    let cache = open()?;
    let mut dice = Dice(2);
    let everything = dice.direction();
    let mut kept: Vec<Box<[f32]>> = Vec::new();
    let before = resident_bytes();
    let mut subject = Box::default();
    for number in 0..count {
        if number % 50 == 0 {
            subject = dice.near(&everything, 0.4);
        }
        let cosine = 0.6 + 0.35 * dice.roll();
        let embedding = dice.near(&subject, cosine);
        if number % (count / 100) == 0 {
            kept.push(embedding.clone());
        }
        cache.put(entry(number, Some(embedding)));
    }
    let levels = cache.levels();
    println!(
        "{count} questions: {} bytes each by our count, {} by the system's",
        levels.memory_bytes / levels.entries,
        resident_bytes().saturating_sub(before) / levels.entries,
    );
    let asked: Vec<Box<[f32]>> = kept.iter().map(|kept| dice.near(kept, 0.9)).collect();
    let started = cpu_ns();
    for asked in &asked {
        cache.nearest(&PARTITION, asked, 0.8, 8, NOW);
    }
    let each = (cpu_ns() - started) as f64 / asked.len() as f64 / 1e6;
    // The same questions once more, each compared in full.
    let (mut wanted, mut found) = (0, 0);
    let mut dice = Dice(2);
    let _ = dice.direction();
    let mut subject = Box::default();
    let mut best: Vec<Vec<(f32, u64)>> = vec![Vec::new(); asked.len()];
    for number in 0..count {
        if number % 50 == 0 {
            subject = dice.near(&everything, 0.4);
        }
        let cosine = 0.6 + 0.35 * dice.roll();
        let embedding = dice.near(&subject, cosine);
        for (asked, best) in asked.iter().zip(&mut best) {
            let cosine: f32 = embedding
                .iter()
                .zip(asked)
                .map(|(one, other)| one * other)
                .sum();
            if cosine >= 0.8 {
                best.push((cosine, number));
            }
        }
    }
    for (asked, best) in asked.iter().zip(&mut best) {
        best.sort_unstable_by(|one, other| other.0.total_cmp(&one.0));
        let near = cache.nearest(&PARTITION, asked, 0.79, 12, NOW);
        for (_, number) in best.iter().take(8) {
            wanted += 1;
            found += u32::from(near.iter().any(|near| near.entry.key == key(*number)));
        }
    }
    println!("  nearest 8 of at least 0.8: {each:.2} ms, recall {found} of {wanted}");
    Ok(())
}

fn open() -> Result<Cache, cache::CacheError> {
    let memory_bytes = 8 << 30;
    let disk = None;
    Cache::open(Settings { memory_bytes, disk }, Wall(0))
}

fn key(number: u64) -> Key {
    let mut key = [7; 32];
    key[8..16].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    Key(key)
}

fn entry(number: u64, embedding: Option<Box<[f32]>>) -> NewEntry {
    NewEntry {
        key: key(number),
        question: embedding.map(|embedding| Question {
            embedder: "measured".into(),
            partition: PARTITION,
            text: Arc::from(format!("how do I reset the password of account {number}?")),
            embedding,
            reading: None,
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
        stored_at: Wall(0),
        expires_at: Wall::from_secs(3_600),
    }
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

    /// About normal: the sum of four parts of one draw.
    fn normal(&mut self) -> f32 {
        let draw = self.next();
        (0..4)
            .map(|part| ((draw >> (16 * part)) & 0xffff) as f32 / 65_536.0 - 0.5)
            .sum()
    }

    fn direction(&mut self) -> Box<[f32]> {
        unit((0..DIMENSIONS).map(|_| self.normal()).collect())
    }

    fn near(&mut self, of: &[f32], cosine: f32) -> Box<[f32]> {
        let other = self.direction();
        let sine = (1.0 - cosine * cosine).sqrt();
        let near = of.iter().zip(&other);
        unit(near.map(|(of, other)| cosine * of + sine * other).collect())
    }
}

fn unit(vector: Vec<f32>) -> Box<[f32]> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.into_iter().map(|x| x / length).collect()
}

/// Of this thread; zero where the system does not say.
fn cpu_ns() -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = told.split(' ').next().and_then(|ns| ns.parse().ok());
    first.unwrap_or(0)
}

fn resident_bytes() -> u64 {
    let told = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Option<u64> = told.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0) * 4096
}
