//! How near the two questions of each pair are to the local model:
//!
//!   cargo run --release -p embed --example embed_pairs -- crates/likeness/evaluation/development.tsv
//!
//! prints `id<TAB>cosine` for each pair, and with `--comparer` what the comparer says of each instead: `-` of what is
//! too long for it. `--counts` prints only how many pairs of each language and kind
//! are at or above each threshold: what may be known of pairs that nobody reads who writes rules.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;

use embed::{Lane, Model};
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
    let texts = read_texts(&pairs)?;
    let read = |pair: &Pair| (&texts[&*pair.a], &texts[&*pair.b]);
    let cosines: Vec<f32> = pairs.iter().map(|pair| cosine(read(pair))).collect();
    let mut out = io::stdout().lock();
    if counts_only {
        return write_counts(&pairs, &cosines, &mut out);
    }
    for (pair, cosine) in pairs.iter().zip(&cosines) {
        if !comparer {
            writeln!(out, "{}\t{cosine:.6}", pair.id)?;
            continue;
        }
        let (one, other) = read(pair);
        let readings = one.reading.as_ref().zip(other.reading.as_ref());
        match readings.map(|(one, other)| comparer::say(one, other, f64::from(*cosine))) {
            Some(said) => writeln!(out, "{}\t{said:.3}", pair.id)?,
            None => writeln!(out, "{}\t-", pair.id)?,
        }
    }
    Ok(())
}

/// Both are of unit length.
fn cosine((one, other): (&Read, &Read)) -> f32 {
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

/// What is needed of a text, which stands in several pairs.
struct Read {
    vector: Box<[f32]>,
    reading: Option<Reading>,
}

fn read_texts(pairs: &[Pair]) -> Result<HashMap<&str, Read>, Box<dyn Error>> {
    let named = std::env::var_os("TOLLGATE_MODELS").map(PathBuf::from);
    let cache = embed::user_cache(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"));
    let folders: Vec<PathBuf> = named.into_iter().chain(cache).collect();
    let model = Model::open(&embed::find(&folders)?)?;
    let lane = Lane::default();
    let texts = pairs.iter().flat_map(|pair| [&*pair.a, &*pair.b]);
    let texts: Vec<&str> = texts.collect::<BTreeSet<_>>().into_iter().collect();
    let mut all = HashMap::with_capacity(texts.len());
    for some in texts.chunks(TEXTS_AT_ONCE) {
        for (text, read) in some.iter().zip(model.read(some, &lane)?) {
            let reading = Reading::of(&read.pieces, &read.states);
            let vector = read.vector;
            all.insert(*text, Read { vector, reading });
        }
    }
    Ok(all)
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
