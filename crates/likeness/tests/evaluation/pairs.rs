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
    pub told_apart: bool,
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
    let text =
        std::fs::read_to_string(path("cosines.tsv")).expect("the cosines are in the repository");
    let line = |line: &str| {
        let (id, cosine) = line.split_once('\t').expect("two columns");
        (id.to_owned(), cosine.parse().expect("a cosine"))
    };
    text.lines().skip(1).map(line).collect()
});

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
    let pair = |line: &str| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [id, _, kind, what, a, b] = columns.try_into().expect("six columns");
        // Without one the test of the ids fails, and says so.
        let cosine = COSINES.get(id).copied().unwrap_or(0.0);
        Pair {
            id: id.to_owned(),
            kind: Kind::named(kind).expect("a kind that is known"),
            what: what.to_owned(),
            a: a.to_owned(),
            b: b.to_owned(),
            cosine,
            told_apart: likeness::compare_similar(a, b, cosine).is_some(),
        }
    };
    text.lines().skip(1).map(pair).collect()
}
