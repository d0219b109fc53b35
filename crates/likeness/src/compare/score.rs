//! The second stage: what no veto tells apart is weighed. A logistic regression over a handful of features; its
//! weights are fitted by `examples/weigh` on the development pairs and stand in a table.
//!
//! The similarity is weighed too, if the table has it: of pairs near enough to be compared at all the words tell
//! so much more that the fit gave it nothing.

mod weights;

use super::evidence::Evidence;
use super::{Alignment, Pair};
use crate::difference::{Difference, Kind};
use weights::{BIAS, WEIGHTS};

/// What weighs most against the likeness, if more speaks against it than for it at this similarity.
pub fn difference(pair: &Pair<'_>, alignment: &Alignment, similarity: f64) -> Option<Difference> {
    let evidence = Evidence::of(pair, alignment, similarity);
    if evidence.nothing_left() && !similarity.is_nan() {
        return None;
    }
    let weighed = WEIGHTS
        .iter()
        .map(|(feature, weight)| (*feature, of_thousandths(*weight) * evidence.get(*feature)));
    let score: f64 = of_thousandths(BIAS) + weighed.clone().map(|(_, weight)| weight).sum::<f64>();
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
        for (feature, weight) in WEIGHTS {
            let fair = match feature.tells() {
                Tells::For => *weight > 0,
                Tells::Against => *weight < 0,
                Tells::Either => true,
            };
            assert!(fair, "{}: {weight}", feature.name());
        }
    }

    #[test]
    fn each_feature_is_weighed_once() {
        for (at, (feature, _)) in WEIGHTS.iter().enumerate() {
            let again = WEIGHTS[..at].iter().any(|(other, _)| other == feature);
            assert!(!again, "{}", feature.name());
        }
    }

    #[test]
    fn much_of_a_little_is_a_difference_that_no_veto_sees() {
        let (cached, asked) = (
            "Who reads the feedback that I give about my manager?",
            "Who reads the feedback that my manager gives about me?",
        );
        assert_eq!(compare(cached, asked), None);
        let found = compare_similar(cached, asked, 0.9).map(|difference| difference.kind);
        assert!(found.is_some());
    }

    #[test]
    fn the_same_in_other_words_passes() {
        let same = |a: &str, b: &str| assert_eq!(compare_similar(a, b, 0.85), None, "{a} / {b}");
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
        let found = compare_similar(cached, asked, f64::NAN);
        assert!(found.is_some());
    }
}
