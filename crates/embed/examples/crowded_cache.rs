//! What a cache answers in which many questions lie close together:
//!
//!   python3 tools/evaluation/make.py --questions development > questions.tsv
//!   cargo run --release -p embed --example crowded_cache -- questions.tsv
//!
//! The first wording of each question is in the cache, every other one is asked: with its own question among those
//! cached, then without it. Each question stands beside those of its subject, which were written to be taken for it, so
//! no company's cache is as bad. Prints sums only, so that it may read questions that nobody reads who writes rules.

use std::collections::HashSet;
use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;

use embed::{Lane, Model};

use likeness::choice::{self, Asked, Candidate, Choice, NearEnough, Rule};
use likeness::comparer::Reading;
use likeness::verified::Observations;

const TEXTS_AT_ONCE: usize = 64;
/// As the gateway looks at them.
const CANDIDATES_MAX: usize = 8;
const THRESHOLDS: [f64; 9] = [0.60, 0.65, 0.68, 0.70, 0.75, 0.78, 0.82, 0.85, 0.91];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let by_words = arguments.iter().any(|argument| argument == "--by-words");
    arguments.retain(|argument| argument != "--by-words");
    let [file] = &arguments[..] else {
        return Err("usage: crowded_cache [--by-words] QUESTIONS.tsv".into());
    };
    let table = std::fs::read_to_string(file)?;
    let wordings = read(&table, by_words)?;
    let (cached, asked) = parted(&wordings);
    let mut out = io::stdout().lock();
    let lookups: Vec<Lookup<'_>> = asked.iter().map(|asked| look_up(asked, &cached)).collect();
    writeln!(
        out,
        "{} questions, {} other wordings",
        cached.len(),
        asked.len()
    )?;
    writeln!(
        out,
        "| | right | wrong | own question absent: wrong |\n|---|---|---|---|"
    )?;
    for least in THRESHOLDS {
        let [mut right, mut wrong, mut wrong_absent] = [0_usize; 3];
        for lookup in &lookups {
            match lookup.answer(least, |_| true) {
                Some(given) if given.question == lookup.asked.question => right += 1,
                Some(_) => wrong += 1,
                None => {}
            }
            let is_another = |near: &Wording<'_>| near.question != lookup.asked.question;
            wrong_absent += usize::from(lookup.answer(least, is_another).is_some());
        }
        let share = 100.0 * wrong_absent as f64 / asked.len() as f64;
        writeln!(
            out,
            "| {least:.2} | {right} | {wrong} | {wrong_absent} ({share:.1}%) |"
        )?;
    }
    Ok(())
}

struct Wording<'t> {
    question: &'t str,
    text: &'t str,
    vector: Box<[f32]>,
    reading: Option<Reading>,
}

fn read(table: &str, by_words: bool) -> Result<Vec<Wording<'_>>, Box<dyn Error>> {
    let mut lines = table.lines();
    if lines.next() != Some("question\twording") {
        return Err("the first line must name the columns question and wording".into());
    }
    let rows: Vec<(&str, &str)> = lines
        .map(|line| line.split_once('\t').ok_or("a line has not two columns"))
        .collect::<Result<_, _>>()?;
    let named = std::env::var_os("TOLLGATE_MODELS").map(PathBuf::from);
    let cache = embed::user_cache(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"));
    let folders: Vec<PathBuf> = named.into_iter().chain(cache).collect();
    let model = Model::open(&embed::find(&folders)?)?;
    let lane = Lane::default();
    let mut wordings = Vec::with_capacity(rows.len());
    for rows in rows.chunks(TEXTS_AT_ONCE) {
        let texts: Vec<&str> = rows.iter().map(|(_, text)| *text).collect();
        for ((question, text), read) in rows.iter().zip(model.read(&texts, &lane)?) {
            let reading = Reading::of(&read.pieces, &read.states).filter(|_| !by_words);
            wordings.push(Wording {
                question,
                text,
                vector: read.vector,
                reading,
            });
        }
    }
    Ok(wordings)
}

/// The first of each question, and the others.
fn parted<'w, 't>(wordings: &'w [Wording<'t>]) -> (Vec<&'w Wording<'t>>, Vec<&'w Wording<'t>>) {
    let mut seen = HashSet::new();
    wordings
        .iter()
        .partition(|wording| seen.insert(wording.question))
}

/// A question, and what is cached near it, the nearest first: one more than is looked at, for when its own is absent.
struct Lookup<'w> {
    asked: &'w Wording<'w>,
    near: Vec<(f64, &'w Wording<'w>)>,
}

fn look_up<'w>(asked: &'w Wording<'w>, cached: &[&'w Wording<'w>]) -> Lookup<'w> {
    let mut near: Vec<(f64, &Wording<'_>)> = cached
        .iter()
        .map(|cached| (cosine(asked, cached), *cached))
        .filter(|(similarity, _)| *similarity >= THRESHOLDS[0])
        .collect();
    near.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    near.truncate(CANDIDATES_MAX + 1);
    Lookup { asked, near }
}

impl Lookup<'_> {
    /// What is given of those that `is_there`.
    fn answer(&self, least: f64, is_there: impl Fn(&Wording<'_>) -> bool) -> Option<&Wording<'_>> {
        let near: Vec<_> = self
            .near
            .iter()
            .filter(|(similarity, wording)| *similarity >= least && is_there(wording))
            .take(CANDIDATES_MAX)
            .collect();
        let untried = Observations::default();
        let candidates: Vec<Candidate<'_>> = near
            .iter()
            .map(|(similarity, wording)| Candidate {
                similarity: *similarity,
                text: wording.text,
                reading: wording.reading.as_ref(),
                observations: &untried,
            })
            .collect();
        let rule = Rule {
            near_enough: NearEnough::AtLeast(least),
            guard: true,
            shadow: false,
        };
        let asked = Asked {
            text: self.asked.text,
            reading: self.asked.reading.as_ref(),
        };
        match choice::choose(&rule, asked, &candidates, 0.0).choice {
            Choice::Give(place) => Some(near[place].1),
            _ => None,
        }
    }
}

/// Both are of unit length.
fn cosine(one: &Wording<'_>, other: &Wording<'_>) -> f64 {
    let both = one.vector.iter().zip(&other.vector);
    f64::from(both.map(|(a, b)| a * b).sum::<f32>())
}
