//! The second stage: what no veto tells apart is weighed. A logistic regression over a handful of features; its
//! weights are fitted by `examples/weigh` on the development pairs and stand in two tables: with the word of the
//! [comparer](crate::comparer) among them, and for questions that it has not read.
//!
//! The similarity is weighed too, if the table has it: of pairs near enough to be compared at all the words tell
//! so much more that the fit gave it next to nothing.

mod weights;

use super::evidence::{Evidence, Feature};
use super::{Alignment, Pair};
use crate::difference::{Difference, Kind};
use weights::{BY_WORDS, WITH_COMPARER};

/// In thousandths; a feature that is not named weighs nothing.
pub struct Table {
    pub bias: i32,
    pub weights: &'static [(Feature, i32)],
}

/// What weighs most against the likeness, if more speaks against it than for it at this similarity.
pub fn difference(
    pair: &Pair<'_>,
    alignment: &Alignment,
    similarity: f64,
    said: impl FnOnce() -> Option<f64>,
) -> Option<Difference> {
    let mut evidence = Evidence::of(pair, alignment, similarity, None);
    if evidence.nothing_left() && !similarity.is_nan() {
        return None;
    }
    let said = said();
    evidence.hear(said);
    let table = said.map_or(&BY_WORDS, |_| &WITH_COMPARER);
    let weighed = table
        .weights
        .iter()
        .map(|(feature, weight)| (*feature, of_thousandths(*weight) * evidence.get(*feature)));
    let score: f64 =
        of_thousandths(table.bias) + weighed.clone().map(|(_, weight)| weight).sum::<f64>();
    // Written so that what is no number is a difference.
    if score > 0.0 {
        return None;
    }
    let strongest = weighed
        .filter(|(_, weight)| *weight < 0.0)
        .min_by(|(_, one), (_, other)| one.total_cmp(other));
    let kind = strongest.map_or(Kind::Word, |(feature, _)| feature.kind());
    // Of words there are places to show; the order of a sentence is nowhere.
    let (cached, asked) = match kind {
        Kind::Word => (
            alignment.left_cached(pair).next(),
            alignment.left_asked(pair).next(),
        ),
        _ => (None, None),
    };
    let span = |item: Option<&crate::read::Item>| item.map(|item| item.span.clone());
    Some(pair.differ(kind, span(cached), span(asked)))
}

fn of_thousandths(weight: i32) -> f64 {
    f64::from(weight) / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::evidence::Tells;
    use crate::{compare, compare_similar};

    #[test]
    fn no_difference_speaks_for_a_likeness() {
        for (feature, weight) in BY_WORDS.weights.iter().chain(WITH_COMPARER.weights) {
            let fair = match feature.tells() {
                Tells::For => *weight > 0,
                Tells::Against => *weight < 0,
                Tells::Either => true,
            };
            assert!(fair, "{}: {weight}", feature.name());
        }
    }

    #[test]
    fn each_feature_is_weighed_once_and_the_comparer_only_where_it_has_read() {
        for table in [&BY_WORDS, &WITH_COMPARER] {
            for (at, (feature, _)) in table.weights.iter().enumerate() {
                let again = table.weights[..at]
                    .iter()
                    .any(|(other, _)| other == feature);
                assert!(!again, "{}", feature.name());
            }
        }
        let hears = |table: &Table| table.weights.iter().any(|(of, _)| *of == Feature::Comparer);
        assert!(hears(&WITH_COMPARER) && !hears(&BY_WORDS));
    }

    #[test]
    fn the_comparer_decides_where_the_words_leave_it_open() {
        let (cached, asked) = (
            "How much do you charge for shipping?",
            "What are the shipping costs?",
        );
        let told = |said| compare_similar(cached, asked, 0.85, || said).is_some();
        assert!(!told(Some(6.0)));
        assert!(told(Some(-6.0)));
        assert!(told(Some(f64::NAN)));
        // A veto is not overruled, and the comparer not even asked.
        let never = || unreachable!("a veto has told them apart");
        assert!(
            compare_similar(
                "Is it due in 30 days?",
                "Is it due in 60 days?",
                0.95,
                never
            )
            .is_some()
        );
    }

    #[test]
    fn much_of_a_little_is_a_difference_that_no_veto_sees() {
        let (cached, asked) = (
            "Who reads the feedback that I give about my manager?",
            "Who reads the feedback that my manager gives about me?",
        );
        assert_eq!(compare(cached, asked), None);
        let found = compare_similar(cached, asked, 0.9, || None).map(|difference| difference.kind);
        assert!(found.is_some());
    }

    #[test]
    fn the_same_in_other_words_passes() {
        let same =
            |a: &str, b: &str| assert_eq!(compare_similar(a, b, 0.85, || None), None, "{a} / {b}");
        same(
            "How long does a refund to PayPal take?",
            "paypal refund duration",
        );
        same(
            "Wie lange gilt ein sechsstelliger Code?",
            "Wie lange gilt ein 6-stelliger Code?",
        );
        same("Which fees are due?", "Hello, which fees are due? Thanks!");
        same(
            "How do I renew my library card?",
            "How can I renew my library card?",
        );
    }

    #[test]
    fn what_is_no_number_is_no_similarity() {
        // A similarity that is no number must not make a hit of whatever it stands beside.
        let (cached, asked) = (
            "Which fees are due?",
            "Which fees are due today, and where?",
        );
        let found = compare_similar(cached, asked, f64::NAN, || None);
        assert!(found.is_some());
    }
}
