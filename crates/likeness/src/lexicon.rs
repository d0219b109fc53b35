//! The closed classes of three languages: words that carry grammar, politeness, negation, and poles.
//!
//! Words that carry content are compared by alignment, not listed, but where two of them exclude each other.

mod function;
mod little;
mod poles;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use crate::difference::Kind;
use crate::words::stem;

/// Where a word stands in an opposition: two words of one group at different poles exclude each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pole {
    pub group: u16,
    pub at: u8,
    pub kind: Kind,
    /// Common words: an opposition of them counts only where the rest is the same.
    pub weak: bool,
}

static FUNCTION: LazyLock<HashSet<&str>> =
    LazyLock::new(|| function::FUNCTION.split_whitespace().collect());
static POLITE: LazyLock<HashSet<&str>> =
    LazyLock::new(|| function::POLITE.split_whitespace().collect());
static ADDRESS: LazyLock<HashSet<&str>> =
    LazyLock::new(|| function::ADDRESS.split_whitespace().collect());
static PARTING: LazyLock<HashSet<&str>> =
    LazyLock::new(|| function::PARTING.split_whitespace().collect());
static ABOUT_ASKING: LazyLock<HashSet<&str>> =
    LazyLock::new(|| function::ABOUT_ASKING.split_whitespace().collect());
static ASKING: LazyLock<HashSet<&str>> =
    LazyLock::new(|| function::ASKING.split_whitespace().map(stem).collect());
static IMPLICIT: LazyLock<HashSet<&str>> =
    LazyLock::new(|| function::IMPLICIT.split_whitespace().map(stem).collect());
static SYNONYMS: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    let sets = function::SYNONYMS
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    sets.flat_map(|set| {
        set.clone()
            .into_iter()
            .map(move |word| (stem(word), stem(set[0])))
    })
    .collect()
});
static ARTICLES: LazyLock<HashSet<&str>> =
    LazyLock::new(|| little::ARTICLES.split_whitespace().collect());
static SOFT: LazyLock<HashSet<&str>> = LazyLock::new(|| little::SOFT.split_whitespace().collect());
static NARROWING: LazyLock<HashSet<&str>> =
    LazyLock::new(|| little::NARROWING.split_whitespace().collect());
/// The lines a little word stands in.
static LIKE: LazyLock<HashMap<&str, Vec<usize>>> = LazyLock::new(|| {
    let mut lines = HashMap::<_, Vec<_>>::new();
    for (at, line) in little::LIKE.lines().enumerate() {
        for word in line.split_whitespace() {
            lines.entry(word).or_default().push(at);
        }
    }
    lines
});
static POLES: LazyLock<Table> = LazyLock::new(Table::read);

struct Table {
    exact: HashMap<&'static str, Vec<Pole>>,
    stems: HashMap<&'static str, Vec<Pole>>,
}

impl Table {
    fn read() -> Self {
        let (mut exact, mut stems) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        for (group, line) in (0..).zip(poles::POLES.lines().filter(|line| !line.trim().is_empty()))
        {
            let Some((kind, poles)) = line.split_once(':') else {
                continue;
            };
            let weak = kind.trim_start().starts_with('?');
            let Some(kind) = Kind::named(kind.trim_matches(['?', ' '])) else {
                continue;
            };
            for (at, words) in (0..).zip(poles.split('|')) {
                for word in words.split_whitespace() {
                    let pole = Pole {
                        group,
                        at,
                        kind,
                        weak,
                    };
                    // `=` keeps a word from being met by its stem.
                    let (word, by_stem) = word
                        .strip_prefix('=')
                        .map_or((word, true), |word| (word, false));
                    exact.entry(word).or_default().push(pole);
                    if by_stem {
                        let poles = stems.entry(stem(word)).or_default();
                        if !poles.contains(&pole) {
                            poles.push(pole);
                        }
                    }
                }
            }
        }
        Self { exact, stems }
    }
}

/// Its poles: as it stands, else by its stem.
pub fn poles(word: &str) -> &'static [Pole] {
    let exact = POLES.exact.get(word);
    exact
        .or_else(|| POLES.stems.get(stem(word)))
        .map_or(&[], Vec::as_slice)
}

pub fn is_function(word: &str) -> bool {
    FUNCTION.contains(word)
}

pub fn is_polite(word: &str) -> bool {
    POLITE.contains(word)
}

/// Begins an address: `Dear`, `Hallo`, `Madame`.
pub fn addresses(word: &str) -> bool {
    ADDRESS.contains(word)
}

/// Thanks and greets: a short sentence that has it asks nothing.
pub fn parts(word: &str) -> bool {
    PARTING.contains(word)
}

/// Marks a sentence as one about the asking: `I am new here`, `I found nothing in the manual`.
pub fn is_about_asking(word: &str) -> bool {
    is_polite(word) || ABOUT_ASKING.contains(word)
}

/// A verb or noun that only asks: `write`, `explain`, `the reason`.
pub fn asks(word: &str) -> bool {
    ASKING.contains(stem(word))
}

/// Whether both stand at one pole of an opposition: then they mean much the same.
pub fn stand_together(a: &str, b: &str) -> bool {
    let here = |pole: &Pole| {
        poles(b)
            .iter()
            .any(|other| other.group == pole.group && other.at == pole.at)
    };
    poles(a).iter().any(here)
}

pub fn is_article(word: &str) -> bool {
    ARTICLES.contains(word)
}

/// Says nothing by itself, even where all the rest is the same.
pub fn is_soft(word: &str) -> bool {
    SOFT.contains(word)
}

/// Makes a question another one by being there.
pub fn narrows(word: &str) -> bool {
    NARROWING.contains(word)
}

/// Two little words of which one may stand for the other.
pub fn little_alike(a: &str, b: &str) -> bool {
    let lines = |word: &str| LIKE.get(word).map_or(&[][..], Vec::as_slice);
    lines(a).iter().any(|line| lines(b).contains(line)) || stand_together(a, b)
}

/// `Which` and `what`: says nothing of what is asked for.
pub fn asks_openly(word: &str) -> bool {
    little::OPEN.split_whitespace().any(|entry| entry == word)
}

/// A word that makes a sentence a question.
pub fn asks_by_word(word: &str) -> bool {
    asks_openly(word) || little::ASKING.split_whitespace().any(|entry| entry == word)
}

/// In what two questions differ where this little word has no like.
pub fn kind_of_little(word: &str) -> Option<Kind> {
    if asks_by_word(word) {
        return Some(Kind::Question);
    }
    let turns = little::TURNING
        .split_whitespace()
        .any(|entry| entry == word);
    let pole = poles(word).first().map(|pole| pole.kind);
    pole.or(turns.then_some(Kind::Direction))
}

/// One spelling for the two of English.
pub fn respelled(word: &str) -> Cow<'_, str> {
    let endings = [
        ("isation", "ization"),
        ("ising", "izing"),
        ("ised", "ized"),
        ("ise", "ize"),
        ("ours", "ors"),
        ("our", "or"),
    ];
    for (british, american) in endings {
        if let Some(root) = word.strip_suffix(british).filter(|root| root.len() >= 3) {
            return Cow::Owned(format!("{root}{american}"));
        }
    }
    Cow::Borrowed(word)
}

/// Says no without a word for it: `impossible`, `stop`, `fehlt`.
pub fn denies_implicitly(word: &str) -> bool {
    IMPLICIT.contains(stem(word))
}

/// One form for words that mean one thing in questions to a company.
pub fn canonical(stem: &str) -> &str {
    SYNONYMS.get(stem).copied().unwrap_or(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        for line in poles::POLES.lines().filter(|line| !line.trim().is_empty()) {
            let (kind, poles) = line.split_once(':').expect("a line has a kind");
            assert!(
                Kind::named(kind.trim_matches(['?', ' '])).is_some(),
                "{line}"
            );
            assert!(poles.contains('|'), "an opposition has two poles: {line}");
        }
    }

    #[test]
    fn no_word_stands_at_two_poles_of_one_group() {
        for (word, found) in &POLES.exact {
            for (number, pole) in found.iter().enumerate() {
                let again = found[..number]
                    .iter()
                    .any(|other| other.group == pole.group && other.at != pole.at);
                assert!(!again, "{word}");
            }
        }
    }

    #[test]
    fn the_lists_are_folded_as_texts_are() {
        let lists = [
            function::FUNCTION,
            function::POLITE,
            function::IMPLICIT,
            function::SYNONYMS,
        ];
        for word in lists.into_iter().flat_map(str::split_whitespace) {
            assert_eq!(word, crate::words::fold(word));
        }
        for word in POLES.exact.keys() {
            assert_eq!(*word, crate::words::fold(word));
        }
    }
}
