//! How near the two questions of each pair are to the local model:
//!
//!   cargo run --release -p embed --example embed_pairs -- crates/likeness/evaluation/development.tsv
//!
//! prints `id<TAB>cosine` for each pair, and with `--comparer` what the comparer says of each instead. `--counts` prints only how many pairs of each language and kind
//! are at or above each threshold: what may be known of pairs that nobody reads who writes rules.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;

use embed::{Embedding, Lane, Model};
use likeness::comparer::{self, Reading};

const TEXTS_AT_ONCE: usize = 64;

struct Pair {
    id: String,
    language: String,
    kind: String,
    a: String,
    b: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let counts_only = arguments.iter().any(|argument| argument == "--counts");
    let comparer = arguments.iter().any(|argument| argument == "--comparer");
    arguments.retain(|argument| !argument.starts_with("--"));
    let [file] = &arguments[..] else {
        return Err("usage: embed_pairs [--counts | --comparer] PAIRS.tsv".into());
    };
    let pairs = read(&std::fs::read_to_string(file)?)?;
    let read = read_pairs(&pairs)?;
    let cosines: Vec<f32> = read.iter().map(|(one, other)| cosine(one, other)).collect();
    let mut out = io::stdout().lock();
    if counts_only {
        return write_counts(&pairs, &cosines, &mut out);
    }
    for ((pair, cosine), (one, other)) in pairs.iter().zip(&cosines).zip(&read) {
        if !comparer {
            writeln!(out, "{}\t{cosine:.6}", pair.id)?;
            continue;
        }
        let reading = |read: &Embedding| Reading::of(&read.pieces, &read.states);
        let readings = reading(one).zip(reading(other));
        let (one, other) = readings.ok_or("a question is too long for the comparer")?;
        let said = comparer::say(&one, &other, f64::from(*cosine));
        writeln!(out, "{}\t{said:.3}", pair.id)?;
    }
    Ok(())
}

/// Both are of unit length.
fn cosine(one: &Embedding, other: &Embedding) -> f32 {
    let both = one.vector.iter().zip(&other.vector);
    both.map(|(a, b)| a * b).sum()
}

fn read(table: &str) -> Result<Vec<Pair>, String> {
    let mut lines = table.lines();
    if lines.next() != Some("id\tlanguage\tkind\twhat\ta\tb") {
        return Err("the first line must name the columns id, language, kind, what, a, b".into());
    }
    let mut pairs = Vec::new();
    for (line, number) in lines.zip(2..) {
        let [id, language, kind, _what, a, b] = line.split('\t').collect::<Vec<_>>()[..] else {
            return Err(format!("line {number} has not six columns"));
        };
        pairs.push(Pair {
            id: id.into(),
            language: language.into(),
            kind: kind.into(),
            a: a.into(),
            b: b.into(),
        });
    }
    Ok(pairs)
}

fn read_pairs(pairs: &[Pair]) -> Result<Vec<(Embedding, Embedding)>, Box<dyn Error>> {
    let named = std::env::var_os("TOLLGATE_MODELS").map(PathBuf::from);
    let cache = embed::user_cache(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"));
    let folders: Vec<PathBuf> = named.into_iter().chain(cache).collect();
    let model = Model::open(&embed::find(&folders)?)?;
    let lane = Lane::default();
    let mut read = Vec::with_capacity(pairs.len());
    for some in pairs.chunks(TEXTS_AT_ONCE / 2) {
        let texts: Vec<&str> = some.iter().flat_map(|pair| [&*pair.a, &*pair.b]).collect();
        let mut texts = model.read(&texts, &lane)?.into_iter();
        while let (Some(one), Some(other)) = (texts.next(), texts.next()) {
            read.push((one, other));
        }
    }
    Ok(read)
}

fn write_counts(
    pairs: &[Pair],
    cosines: &[f32],
    out: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    let mut groups: BTreeMap<(&str, &str), Vec<f32>> = BTreeMap::new();
    for (pair, cosine) in pairs.iter().zip(cosines) {
        groups
            .entry((&pair.language, &pair.kind))
            .or_default()
            .push(*cosine);
    }
    writeln!(out, "language\tkind\tthreshold\tat_or_above\tof")?;
    for ((language, kind), cosines) in groups {
        for hundredths in (60..=99).map(|hundredths: u8| f32::from(hundredths)) {
            let threshold = hundredths / 100.0;
            let near = cosines
                .iter()
                .filter(|cosine| **cosine >= threshold)
                .count();
            let of = cosines.len();
            writeln!(out, "{language}\t{kind}\t{threshold:.2}\t{near}\t{of}")?;
        }
    }
    Ok(())
}
