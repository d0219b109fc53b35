//! Precision and recall, by kind and by language.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use content::{Detector, Kind};

use super::texts::{Language, Text, corpus};

#[derive(Clone, Copy, Default)]
struct Tally {
    /// Found where they stand, with their kind.
    right: u32,
    missed: u32,
    /// Found where there is none, or as what it is not.
    wrong: u32,
}

impl Tally {
    fn precision(self) -> f64 {
        f64::from(self.right) / f64::from((self.right + self.wrong).max(1))
    }

    fn recall(self) -> f64 {
        f64::from(self.right) / f64::from((self.right + self.missed).max(1))
    }
}

const PER_KIND_AND_LANGUAGE: usize = 40;

struct Figures {
    texts: usize,
    by_kind: BTreeMap<Kind, Tally>,
    by_language: BTreeMap<&'static str, Tally>,
    mistakes: Vec<String>,
}

fn measure(seed: u64) -> Figures {
    let corpus = corpus(seed, PER_KIND_AND_LANGUAGE);
    let mut figures = Figures {
        texts: corpus.len(),
        by_kind: BTreeMap::new(),
        by_language: BTreeMap::new(),
        mistakes: Vec::new(),
    };
    for (language, text) in &corpus {
        figures.add(*language, text);
    }
    figures
}

impl Figures {
    fn add(&mut self, language: Language, text: &Text) {
        let mut found = Detector::default().find(&text.text);
        for (kind, range) in &text.values {
            let right = found
                .iter()
                .position(|finding| is_right(*kind, finding.kind) && finding.range == *range);
            if let Some(at) = right {
                found.remove(at);
                self.count(language, *kind, |tally| tally.right += 1);
            } else {
                self.count(language, *kind, |tally| tally.missed += 1);
                self.mistakes
                    .push(format!("missed {}: {:?}", kind.as_str(), text.text));
            }
        }
        for finding in found {
            self.count(language, finding.kind, |tally| tally.wrong += 1);
            let value = &text.text[finding.range];
            self.mistakes.push(format!(
                "wrong {} {value:?}: {:?}",
                finding.kind.as_str(),
                text.text
            ));
        }
    }

    fn count(&mut self, language: Language, kind: Kind, add: fn(&mut Tally)) {
        add(self.by_kind.entry(kind).or_default());
        add(self.by_language.entry(language.name).or_default());
    }

    fn table(&self) -> String {
        let mut table = String::from("| Kind | Values | Recall | Precision |\n|---|--:|--:|--:|\n");
        for kind in Kind::ALL {
            let tally = self.by_kind.get(&kind).copied().unwrap_or_default();
            let _ = writeln!(
                table,
                "| `{}` | {} | {:.3} | {:.3} |",
                kind.as_str(),
                tally.right + tally.missed,
                tally.recall(),
                tally.precision()
            );
        }
        table.push_str("\n| Language | Values | Recall | Precision |\n|---|--:|--:|--:|\n");
        for (language, tally) in &self.by_language {
            let _ = writeln!(
                table,
                "| {language} | {} | {:.3} | {:.3} |",
                tally.right + tally.missed,
                tally.recall(),
                tally.precision()
            );
        }
        table
    }
}

/// Some numbers fit the rules of two countries: either will do.
fn is_right(expected: Kind, found: Kind) -> bool {
    expected == found || is_national(expected) && is_national(found)
}

fn is_national(kind: Kind) -> bool {
    Kind::DeTaxId <= kind && kind <= Kind::UkNhsNumber
}

const BEGIN: &str = "<!-- detection: written by the tests -->\n";
const END: &str = "<!-- end of detection -->\n";

/// `TOLLGATE_WRITE_DOCS=1 cargo test -p content` writes the tables.
fn compare_with_page(figures: &Figures) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guards.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let (texts, table) = (figures.texts, figures.table());
    let wanted = format!("{before}{BEGIN}\nOf {texts} texts:\n\n{table}\n{END}{after}");
    if std::env::var_os("TOLLGATE_WRITE_DOCS").is_some() {
        std::fs::write(path, wanted).unwrap();
        return;
    }
    assert!(
        page == wanted,
        "docs/guards.md is out of date: run `TOLLGATE_WRITE_DOCS=1 cargo test -p content`"
    );
}

#[test]
fn detection_is_as_good_as_the_documentation_says() {
    let figures = measure(20_270_101);
    assert!(figures.texts >= 5_000, "{}", figures.texts);
    if std::env::var_os("SHOW").is_some() {
        eprintln!("{}", figures.table());
        for mistake in figures.mistakes.iter().take(80) {
            eprintln!("{mistake}");
        }
    }
    compare_with_page(&figures);
    for (kind, tally) in &figures.by_kind {
        let (recall, precision) = (tally.recall(), tally.precision());
        let (recall_min, precision_min) = if kind.is_checksummed() {
            (0.99, 0.98)
        } else {
            (0.95, 0.95)
        };
        assert!(
            recall >= recall_min,
            "{}: recall {recall:.3}",
            kind.as_str()
        );
        assert!(
            precision >= precision_min,
            "{}: precision {precision:.3}",
            kind.as_str()
        );
    }
}
