//! The learned threshold on these pairs: entries that are asked a few families' questions over and over.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use likeness::verified::{Decision, Observation, Observations, decide};

use super::pairs::{DEVELOPMENT, HELD_OUT, Kind, Pair};

const ENTRIES: usize = 30;
const FAMILIES_OF_ENTRY: usize = 8;
const CALLS_OF_ENTRY: usize = 120;
const RUNS: u64 = 20;
/// What is farther is never looked at.
const COSINE_MIN: f64 = 0.70;

/// What came out of the runs at one bound.
pub struct Learned {
    pub max_error_rate: f64,
    pub guarded: bool,
    /// The worst of all runs.
    pub worst_error_rate: f64,
    /// The mean of all runs.
    pub error_rate: f64,
    pub hit_rate: f64,
}

/// Without and with the guard, from the strictest bound on.
pub static FIGURES: LazyLock<Vec<Learned>> = LazyLock::new(|| {
    let mut figures = Vec::new();
    for max_error_rate in [0.01, 0.02, 0.05] {
        for guarded in [false, true] {
            let runs: Vec<Outcome> = (1..=RUNS)
                .map(|seed| run(guarded, seed, max_error_rate))
                .collect();
            let mean = |of: fn(&Outcome) -> f64| runs.iter().map(of).sum::<f64>() / RUNS as f64;
            figures.push(Learned {
                max_error_rate,
                guarded,
                worst_error_rate: runs.iter().map(|run| run.error_rate).fold(0.0, f64::max),
                error_rate: mean(|run| run.error_rate),
                hit_rate: mean(|run| run.hit_rate),
            });
        }
    }
    figures
});

struct Outcome {
    error_rate: f64,
    hit_rate: f64,
}

/// Chance for simulations: the same numbers on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn one_of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let at = (self.roll() * choices.len() as f64) as usize;
        &choices[at.min(choices.len() - 1)]
    }
}

/// Calls that the guard stops reach no entry.
fn run(guarded: bool, seed: u64, max_error_rate: f64) -> Outcome {
    let pairs = DEVELOPMENT.iter().chain(HELD_OUT.iter());
    let mut families = BTreeMap::<&str, Vec<&Pair>>::new();
    let reaches = |pair: &&Pair| pair.cosine >= COSINE_MIN && !(guarded && pair.told_apart);
    for pair in pairs.filter(reaches) {
        families.entry(pair.family()).or_default().push(pair);
    }
    let families: Vec<Vec<&Pair>> = families.into_values().collect();
    let mut dice = Dice(seed);
    let (mut calls, mut hits, mut wrong) = (0usize, 0usize, 0usize);
    for _ in 0..ENTRIES {
        let asked: Vec<&Pair> = (0..FAMILIES_OF_ENTRY)
            .flat_map(|_| dice.one_of(&families).clone())
            .collect();
        let mut observations = Observations::default();
        for _ in 0..CALLS_OF_ENTRY {
            let pair = *dice.one_of(&asked);
            let right = pair.kind == Kind::Paraphrase;
            calls += 1;
            match decide(&observations, pair.cosine, max_error_rate, dice.roll()) {
                Decision::Explore => observations.add(Observation {
                    similarity: pair.cosine,
                    right,
                }),
                Decision::Exploit => {
                    hits += 1;
                    wrong += usize::from(!right);
                }
            }
        }
    }
    let of_calls = |count: usize| count as f64 / calls as f64;
    Outcome {
        error_rate: of_calls(wrong),
        hit_rate: of_calls(hits),
    }
}
