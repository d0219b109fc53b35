//! The development pairs, parted into folds by subject: what is asked in another language stays in its fold.

use std::collections::HashMap;
use std::path::Path;

use likeness::Feature;

use crate::SIMILARITY_MIN;
use crate::regression::Sample;

pub const FOLDS: usize = 5;

/// So many times as much as a pair from before them: those have steered the vetoes, so that what is left of
/// them is not what is left of questions that nobody has seen.
const SUBJECTS_COUNT: f64 = 2.0;
/// A near miss let through does more harm than a paraphrase refused.
const NEAR_MISS_COUNTS: f64 = 4.0;
/// There are as many as anybody cares to make: they say what the words alone must not be taken for.
const APART_COUNTS: f64 = 1.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Paraphrase,
    NearMiss,
    /// Different questions in wordings that share little.
    Apart,
}

pub struct Pair {
    pub id: String,
    pub language: String,
    pub kind: Kind,
    pub what: String,
    pub similarity: f64,
    pub fold: usize,
    values: Option<[f64; Feature::ALL.len()]>,
}

impl Pair {
    /// A language, `subjects` for those that were written by subject, or nothing for all.
    pub fn is_of(&self, part: &str) -> bool {
        match part {
            "subjects" => number(&self.id) >= SUBJECTS_FROM,
            language => self.language.starts_with(language),
        }
    }

    /// Whether the guard lets it through without weighing.
    pub fn nothing_left(&self) -> bool {
        self.values
            .is_some_and(|values| values[Feature::NothingLeft as usize] > 0.0)
    }

    /// `None` if a veto tells them apart, they are too far, or there is nothing to weigh.
    pub fn sample(&self) -> Option<Sample> {
        let values = self.values.filter(|_| !self.nothing_left())?;
        let of_subject = if self.is_of("subjects") {
            SUBJECTS_COUNT
        } else {
            1.0
        };
        let of_kind = match self.kind {
            Kind::Paraphrase => 1.0,
            Kind::NearMiss => NEAR_MISS_COUNTS,
            Kind::Apart => APART_COUNTS,
        };
        Some(Sample {
            values,
            same: self.kind == Kind::Paraphrase,
            counts: of_subject * of_kind,
        })
    }
}

/// With the word of the comparer, or as for questions that it has not read.
pub fn read(folder: &Path, heard: bool) -> Result<Vec<Pair>, String> {
    let open = |name: &str| {
        std::fs::read_to_string(folder.join(name)).map_err(|error| format!("{name}: {error}"))
    };
    let cosines = by_id(&open("cosines.tsv")?);
    let said = by_id(&open("comparer.development.tsv")?);
    let mut pairs = Vec::new();
    for line in open("development.tsv")?.lines().skip(1) {
        let [id, language, kind, what, a, b] = line.split('\t').collect::<Vec<_>>()[..] else {
            return Err(format!("six columns are wanted: {line}"));
        };
        let similarity = *cosines
            .get(id)
            .ok_or_else(|| format!("no cosine of {id}"))?;
        let said = *said
            .get(id)
            .ok_or_else(|| format!("the comparer has not said anything of {id}"))?;
        let evidence = likeness::evidence(a, b, similarity, heard.then_some(said))
            .filter(|_| similarity >= SIMILARITY_MIN);
        pairs.push(Pair {
            id: id.into(),
            language: language.into(),
            kind: match kind {
                "paraphrase" => Kind::Paraphrase,
                "near_miss" => Kind::NearMiss,
                "apart" => Kind::Apart,
                other => return Err(format!("a kind that is not known: {other}")),
            },
            what: what.into(),
            similarity,
            fold: fold(id),
            values: evidence.map(|evidence| Feature::ALL.map(|feature| evidence.get(feature))),
        });
    }
    Ok(pairs)
}

fn by_id(table: &str) -> HashMap<String, f64> {
    let lines = table.lines().skip(1).filter_map(|line| {
        let (id, number) = line.split_once('\t')?;
        Some((id.to_owned(), number.parse().ok()?))
    });
    lines.collect()
}

/// Subjects have one number in all languages. Before them stand families in the order they were written: those
/// that follow each other are of one field, which has about the same numbers in each language.
fn fold(id: &str) -> usize {
    let number = number(id);
    let group = if number < SUBJECTS_FROM {
        number / FAMILIES_OF_FIELD
    } else {
        number
    };
    group % FOLDS
}

fn number(id: &str) -> usize {
    let number = id.split('-').nth(2).and_then(|number| number.parse().ok());
    number.unwrap_or(0)
}

/// As `tools/evaluation/subjects.py` numbers them.
const SUBJECTS_FROM: usize = 601;
const FAMILIES_OF_FIELD: usize = 10;
