//! The pairs, their cosines, and what the guard says of each.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::LazyLock;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Paraphrase,
    NearMiss,
    /// Different questions in wordings that share little.
    Apart,
}

impl Kind {
    fn named(name: &str) -> Option<Self> {
        match name {
            "paraphrase" => Some(Self::Paraphrase),
            "near_miss" => Some(Self::NearMiss),
            "apart" => Some(Self::Apart),
            _ => None,
        }
    }
}

pub struct Pair {
    pub id: String,
    pub kind: Kind,
    pub what: String,
    pub a: String,
    pub b: String,
    pub cosine: f64,
    /// The comparer's word: of a development pair, by one that was trained without its subject. None of what is too long
    /// for it.
    pub said: Option<f64>,
    pub told_apart: bool,
    /// As where the local model has not read the questions.
    pub told_apart_by_words: bool,
}

impl Pair {
    /// Related pairs have one family: the id without its last number.
    pub fn family(&self) -> &str {
        self.id.rsplit_once('-').map_or("", |(family, _)| family)
    }
}

pub static DEVELOPMENT: LazyLock<Vec<Pair>> = LazyLock::new(|| read("development"));
pub static HELD_OUT: LazyLock<Vec<Pair>> = LazyLock::new(|| read("held_out"));

static COSINES: LazyLock<HashMap<String, f64>> = LazyLock::new(|| {
    let cosines = by_id("cosines.tsv").into_iter();
    cosines
        .map(|(id, cosine)| (id, cosine.expect("a cosine of each pair")))
        .collect()
});

/// Of what has none there is a dash.
fn by_id(name: &str) -> HashMap<String, Option<f64>> {
    let text = std::fs::read_to_string(path(name)).expect("the table is in the repository");
    let line = |line: &str| {
        let (id, number) = line.split_once('\t').expect("two columns");
        let number = (number != "-").then(|| number.parse().expect("a number"));
        (id.to_owned(), number)
    };
    text.lines().skip(1).map(line).collect()
}

/// Whether the guard tells them apart.
pub fn compared(a: &str, b: &str, cosine: f64, said: Option<f64>) -> bool {
    likeness::compare_similar(a, b, cosine, || said).is_some()
}

pub fn cosines() -> &'static HashMap<String, f64> {
    &COSINES
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("evaluation")
        .join(name)
}

fn read(half: &str) -> Vec<Pair> {
    let text = std::fs::read_to_string(path(&format!("{half}.tsv")))
        .expect("the evaluation pairs are in the repository");
    let said = by_id(&format!("comparer.{half}.tsv"));
    let pair = |line: &str| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [id, _, kind, what, a, b] = columns.try_into().expect("six columns");
        // Without one the test of the ids fails, and says so.
        let cosine = COSINES.get(id).copied().unwrap_or(0.0);
        let said = *said
            .get(id)
            .expect("the comparer was asked about each pair");
        Pair {
            id: id.to_owned(),
            kind: Kind::named(kind).expect("a kind that is known"),
            what: what.to_owned(),
            a: a.to_owned(),
            b: b.to_owned(),
            cosine,
            said,
            told_apart: compared(a, b, cosine, said),
            told_apart_by_words: compared(a, b, cosine, None),
        }
    };
    text.lines().skip(1).map(pair).collect()
}
