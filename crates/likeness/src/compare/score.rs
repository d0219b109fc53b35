//! The second stage: what no veto tells apart is weighed. A logistic regression over a handful of features; its
//! weights are fitted by `examples/weigh` on the development pairs and stand in a table.

mod weights;

use super::evidence::Evidence;
use super::{Alignment, Pair};
use crate::difference::{Difference, Kind};
use weights::{BIAS, WEIGHTS};

/// What weighs most against the likeness, if more speaks against it than for it at this similarity.
pub fn difference(pair: &Pair<'_>, alignment: &Alignment, similarity: f64) -> Option<Difference> {
    let evidence = Evidence::of(pair, alignment, similarity);
    let weighed = WEIGHTS
        .iter()
        .map(|(feature, weight)| (*feature, weight * evidence.get(*feature)));
    let score: f64 = BIAS + weighed.clone().map(|(_, weight)| weight).sum::<f64>();
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
