//! Behaviour of the whole cache.

use std::sync::Arc;

use bytes::Bytes;
use domain::{Usage, Wall};

use crate::{Cache, Key, NewEntry, Owner, Partition, Question, Settings};

mod like_a_model;
mod memory;
mod nearness;
mod on_disk;
mod under_pressure;

const MEBIBYTE: u64 = 1024 * 1024;

fn in_memory(memory_bytes: u64) -> Cache {
    let settings = Settings {
        memory_bytes,
        disk: None,
    };
    Cache::open(settings, Wall(0)).unwrap()
}

fn key(number: u64) -> Key {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&number.to_be_bytes());
    Key(key)
}

fn partition(number: u8) -> Partition {
    Partition([number; 32])
}

fn owner(subscription: &str) -> Owner {
    Owner {
        subscription: subscription.into(),
        product: "standard".into(),
        user: None,
        caller: "key-1".into(),
    }
}

/// Answered with `answer` at second 0, for an hour.
fn entry(number: u64, answer: &str) -> NewEntry {
    NewEntry {
        key: key(number),
        question: None,
        owner: owner("acme"),
        model: "small".into(),
        answer: Bytes::copy_from_slice(answer.as_bytes()),
        usage: Usage::default(),
        stored_at: Wall(0),
        expires_at: Wall::from_secs(3600),
    }
}

fn asked(number: u64, of: Partition, embedding: Vec<f32>) -> NewEntry {
    NewEntry {
        question: Some(Question {
            embedder: Arc::from("a test's"),
            partition: of,
            text: Arc::from(format!("question {number}")),
            embedding: embedding.into(),
            reading: None,
        }),
        ..entry(number, "an answer")
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

    /// From 0 to 1.
    fn roll(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// About as a normal distribution has it.
    fn normal(&mut self) -> f32 {
        (0..6).map(|_| self.roll()).sum::<f32>() - 3.0
    }

    fn direction(&mut self, dimensions: usize) -> Vec<f32> {
        unit((0..dimensions).map(|_| self.normal()).collect())
    }

    /// At about this cosine to `of`.
    fn near(&mut self, of: &[f32], cosine: f32) -> Vec<f32> {
        let other = self.direction(of.len());
        let sine = (1.0 - cosine * cosine).sqrt();
        unit(
            of.iter()
                .zip(&other)
                .map(|(of, other)| cosine * of + sine * other)
                .collect(),
        )
    }
}

fn unit(vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.into_iter().map(|x| x / length).collect()
}

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    one.iter()
        .zip(other)
        .map(|(one, other)| f64::from(*one) * f64::from(*other))
        .sum::<f64>() as f32
}
