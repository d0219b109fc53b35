//! Figures on the evaluation pairs, held as floors. Of the held-out half nothing but sums leaves this file.

#![expect(
    clippy::print_stderr,
    reason = "the figures are what this test is run for"
)]

use std::collections::BTreeMap;

struct Line {
    language: String,
    near_miss: bool,
    what: String,
    a: String,
    b: String,
}

fn lines(half: &str) -> Vec<Line> {
    let path = format!("{}/evaluation/{half}.tsv", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("the evaluation pairs are in the repository");
    let line = |line: &str| {
        let mut fields = line.split('\t').skip(1).map(str::to_owned);
        let mut field = || fields.next().expect("six fields");
        Line {
            language: field(),
            near_miss: field() == "near_miss",
            what: field(),
            a: field(),
            b: field(),
        }
    };
    text.lines().skip(1).map(line).collect()
}

#[derive(Default)]
struct Figures {
    told_apart: usize,
    all: usize,
}

impl Figures {
    fn share(&self) -> f64 {
        self.told_apart as f64 / self.all as f64
    }
}

/// Near misses told apart and paraphrases told apart, in total; by language and by `what` to standard error.
fn measure(half: &str) -> (Figures, Figures) {
    let (mut near, mut paraphrases) = (Figures::default(), Figures::default());
    let mut parts: BTreeMap<(bool, String), Figures> = BTreeMap::new();
    for line in lines(half) {
        let told = usize::from(likeness::compare(&line.a, &line.b).is_some());
        let total = if line.near_miss {
            &mut near
        } else {
            &mut paraphrases
        };
        total.told_apart += told;
        total.all += 1;
        for part in [line.language, line.what] {
            let part = parts.entry((line.near_miss, part)).or_default();
            part.told_apart += told;
            part.all += 1;
        }
    }
    for ((near_miss, part), figures) in &parts {
        let kind = if *near_miss {
            "near miss"
        } else {
            "paraphrase"
        };
        eprintln!(
            "{half} {kind} {part}: {} of {} told apart",
            figures.told_apart, figures.all
        );
    }
    eprintln!(
        "{half}: near misses told apart {:.3}, paraphrases let through {:.3}",
        near.share(),
        1.0 - paraphrases.share()
    );
    (near, paraphrases)
}

#[test]
fn on_the_development_half_near_misses_are_told_apart_and_paraphrases_let_through() {
    let (near, paraphrases) = measure("development");
    assert!(near.share() >= 0.97, "{}", near.share());
    assert!(
        1.0 - paraphrases.share() >= 0.89,
        "{}",
        1.0 - paraphrases.share()
    );
}

/// Sums only: see `evaluation/README.md` for why nobody looks closer.
#[test]
fn on_the_held_out_half_the_figures_hold() {
    let (near, paraphrases) = measure("held_out");
    assert!(near.share() >= 0.96, "{}", near.share());
    assert!(
        1.0 - paraphrases.share() >= 0.86,
        "{}",
        1.0 - paraphrases.share()
    );
}

#[test]
fn the_order_of_a_pair_does_not_matter() {
    for line in lines("development") {
        let forth = likeness::compare(&line.a, &line.b).is_some();
        let back = likeness::compare(&line.b, &line.a).is_some();
        assert_eq!(forth, back, "{} / {}", line.a, line.b);
    }
}
