//! Fits the weights of the guard's score on the development pairs, and says by cross-validation what they are
//! worth:
//!
//!   cargo run --release -p likeness --example weigh             # figures only
//!   cargo run --release -p likeness --example weigh -- --write  # writes src/compare/score/weights.rs too
//!
//! A logistic regression with a penalty on large weights, each of which may only point the way its feature
//! tells. The same pairs give the same weights on every machine. Held-out pairs are not read.

mod regression;
mod subjects;

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use likeness::Feature;
use regression::{Model, Sample};
use subjects::{FOLDS, Pair};

/// Pairs that are farther are not fitted: they are never looked at.
const SIMILARITY_MIN: f64 = 0.6;
/// From here on questions are compared, so that the cut is made for pairs from here on.
const SIMILARITY_FLOOR: f64 = 0.70;
/// The share of near misses that may pass in the cross-validation. Below the goal of 1%: unseen subjects have
/// words and turns that no fold has.
const FALSE_HITS_AIM: f64 = 0.005;
/// Kept hits are counted against those of the cosine alone from here on.
const SIMILARITY_ALONE: f64 = 0.80;

fn main() -> Result<(), Box<dyn Error>> {
    let write = std::env::args().any(|argument| argument == "--write");
    let evaluation = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("evaluation");
    let pairs = subjects::read(&evaluation)?;
    let samples: Vec<Sample> = pairs.iter().filter_map(Pair::sample).collect();
    let unseen = cross_validated(&pairs);
    let mut report = String::new();
    for language in ["", "en", "de", "fr", "subjects"] {
        figures(&mut report, &pairs, &unseen, language)?;
    }
    let model = Model::fit(&samples);
    let seen: Vec<Option<f64>> = pairs
        .iter()
        .map(|pair| pair.sample().map(|sample| model.score(&sample.values)))
        .collect();
    report.push_str("fitted on all, for comparison:\n");
    figures(&mut report, &pairs, &seen, "")?;
    let cut = cut(&pairs, &unseen, FALSE_HITS_AIM);
    for language in ["en", "de", "fr", "subjects"] {
        at_cut(&mut report, &pairs, &unseen, cut, language)?;
    }
    at_cut(&mut report, &pairs, &unseen, cut, "")?;
    by_what(&mut report, &pairs, &unseen, cut)?;
    let mut out = io::stdout().lock();
    out.write_all(report.as_bytes())?;
    let table = table(&model, cut, &samples)?;
    if write {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/compare/score/weights.rs");
        std::fs::write(path, table)?;
    } else {
        out.write_all(table.as_bytes())?;
    }
    Ok(())
}

/// The score of each pair by a model that was fitted without its subject.
fn cross_validated(pairs: &[Pair]) -> Vec<Option<f64>> {
    let models: Vec<Model> = (0..FOLDS)
        .map(|fold| {
            let others = pairs.iter().filter(|pair| pair.fold != fold);
            Model::fit(&others.filter_map(Pair::sample).collect::<Vec<_>>())
        })
        .collect();
    let score = |pair: &Pair| {
        let sample = pair.sample()?;
        Some(models[pair.fold].score(&sample.values))
    };
    pairs.iter().map(score).collect()
}

/// The score above which only this share of near misses lies.
fn cut(pairs: &[Pair], scores: &[Option<f64>], share: f64) -> f64 {
    let mut near: Vec<f64> = compared(pairs, scores)
        .filter(|(pair, _)| pair.near_miss)
        .map(|(_, score)| score)
        .collect();
    near.sort_by(|a, b| b.total_cmp(a));
    let all = pairs.iter().filter(|pair| pair.near_miss).count();
    near.get((share * all as f64) as usize)
        .copied()
        .unwrap_or(f64::NEG_INFINITY)
}

fn compared<'a>(
    pairs: &'a [Pair],
    scores: &'a [Option<f64>],
) -> impl Iterator<Item = (&'a Pair, f64)> {
    pairs
        .iter()
        .zip(scores)
        .filter(|(pair, _)| pair.similarity >= SIMILARITY_FLOOR)
        .filter_map(|(pair, score)| Some((pair, (*score)?)))
}

fn figures(
    out: &mut String,
    pairs: &[Pair],
    scores: &[Option<f64>],
    language: &str,
) -> Result<(), std::fmt::Error> {
    let of = |pair: &&Pair| pair.is_of(language);
    let alone = pairs
        .iter()
        .filter(of)
        .filter(|pair| !pair.near_miss && pair.similarity >= SIMILARITY_ALONE);
    let alone = alone.count().max(1);
    let near = pairs
        .iter()
        .filter(of)
        .filter(|pair| pair.near_miss)
        .count()
        .max(1);
    let vetoed_only = compared(pairs, scores).filter(|(pair, _)| of(pair));
    let (hits, wrong) = vetoed_only.fold((0, 0), |(hits, wrong), (pair, _)| {
        (
            hits + usize::from(!pair.near_miss),
            wrong + usize::from(pair.near_miss),
        )
    });
    write!(
        out,
        "{:8} vetoes alone: {:.1}% false, {:.1}% kept; score:",
        if language.is_empty() { "all" } else { language },
        100.0 * wrong as f64 / near as f64,
        100.0 * hits as f64 / alone as f64,
    )?;
    for share in [0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02] {
        let mut falses: Vec<f64> = compared(pairs, scores)
            .filter(|(pair, _)| of(pair) && pair.near_miss)
            .map(|(_, score)| score)
            .collect();
        falses.sort_by(|a, b| b.total_cmp(a));
        let cut = falses
            .get((share * near as f64) as usize)
            .copied()
            .unwrap_or(f64::NEG_INFINITY);
        let hits = compared(pairs, scores)
            .filter(|(pair, score)| of(pair) && !pair.near_miss && *score > cut)
            .count();
        write!(
            out,
            " {:.2}%:{:.1}%",
            share * 100.0,
            100.0 * hits as f64 / alone as f64
        )?;
    }
    writeln!(out)
}

fn at_cut(
    out: &mut String,
    pairs: &[Pair],
    scores: &[Option<f64>],
    cut: f64,
    language: &str,
) -> Result<(), std::fmt::Error> {
    let of = |pair: &&Pair| pair.is_of(language);
    let alone = pairs
        .iter()
        .filter(of)
        .filter(|pair| !pair.near_miss && pair.similarity >= SIMILARITY_ALONE)
        .count();
    let near = pairs
        .iter()
        .filter(of)
        .filter(|pair| pair.near_miss)
        .count();
    let passed = || compared(pairs, scores).filter(|(pair, score)| of(pair) && *score > cut);
    let wrong = passed().filter(|(pair, _)| pair.near_miss).count();
    let hits = passed().filter(|(pair, _)| !pair.near_miss).count();
    writeln!(
        out,
        "at the cut, {:8} {wrong} of {near} false ({:.2}%), {hits} hits, {:.1}% of cosine {SIMILARITY_ALONE}",
        if language.is_empty() { "all" } else { language },
        100.0 * wrong as f64 / near.max(1) as f64,
        100.0 * hits as f64 / alone.max(1) as f64,
    )
}

fn by_what(
    out: &mut String,
    pairs: &[Pair],
    scores: &[Option<f64>],
    cut: f64,
) -> Result<(), std::fmt::Error> {
    let mut counts = std::collections::BTreeMap::<&str, [usize; 3]>::new();
    for pair in pairs {
        counts.entry(&pair.what).or_default()[0] += 1;
    }
    for (pair, score) in compared(pairs, scores) {
        let of = counts.entry(&pair.what).or_default();
        of[1] += 1;
        of[2] += usize::from(score > cut);
    }
    for (what, [all, unvetoed, passed]) in counts {
        writeln!(
            out,
            "  {what:12} {all:5} pairs, {unvetoed:4} pass the vetoes, {passed:4} the score"
        )?;
    }
    Ok(())
}

fn thousandths(weight: f64) -> i32 {
    (weight * 1_000.0).round() as i32
}

/// Rust source.
fn table(model: &Model, cut: f64, samples: &[Sample]) -> Result<String, std::fmt::Error> {
    let mut out = String::from(
        "//! Made by `cargo run --release -p likeness --example weigh -- --write`, on the development pairs: not edited\n\
         //! by hand. In thousandths; a feature that is not named weighs nothing.\n\n\
         use crate::compare::evidence::Feature;\n\n",
    );
    let paraphrases = samples.iter().filter(|sample| sample.same).count();
    writeln!(
        out,
        "/// Fitted on {paraphrases} paraphrases and {} near misses that no veto tells apart.",
        samples.len() - paraphrases
    )?;
    writeln!(
        out,
        "pub const BIAS: i32 = {};\n",
        thousandths(model.bias - cut)
    )?;
    writeln!(out, "pub const WEIGHTS: &[(Feature, i32)] = &[")?;
    for (feature, weight) in Feature::ALL.into_iter().zip(&model.weights) {
        let weight = thousandths(*weight);
        if weight != 0 {
            writeln!(out, "    (Feature::{feature:?}, {weight}),")?;
        }
    }
    out.push_str("];\n");
    Ok(out)
}
