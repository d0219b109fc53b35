//! What is asked for, and words of an opposition that only one side has.

use super::{Evidence, Feature};
use crate::compare::focus::{Focus, focus};
use crate::compare::oppositions::poles_of;
use crate::compare::{Alignment, Pair, roles};
use crate::difference::Kind;
use crate::read::Item;

pub fn find(pair: &Pair<'_>, alignment: &Alignment, evidence: &mut Evidence) {
    let of = |question| focus(question).map(|(focus, _)| focus);
    let (one, other) = (of(&pair.cached), of(&pair.asked));
    evidence.flag(Feature::FocusOne, one.is_some() != other.is_some());
    if one.is_some() != other.is_some() {
        evidence.set(Feature::FocusOneInFrame, alignment.frame().share());
    }
    let on_one_side = |focuses: &[Focus]| {
        let asks = |focus: Option<Focus>| focus.is_some_and(|focus| focuses.contains(&focus));
        asks(one) != asks(other)
    };
    evidence.flag(
        Feature::WhenOneSided,
        on_one_side(&[Focus::Time, Focus::Duration]),
    );
    evidence.flag(Feature::WhyOneSided, on_one_side(&[Focus::Reason]));
    evidence.flag(Feature::AmountOneSided, on_one_side(&[Focus::Amount]));
    evidence.flag(Feature::MannerOneSided, on_one_side(&[Focus::Manner]));
    evidence.flag(Feature::WhoOneSided, on_one_side(&[Focus::Person]));
    evidence.flag(Feature::WhereOneSided, on_one_side(&[Focus::Place]));
    if let (Some(one), Some(other)) = (one, other) {
        evidence.flag(Feature::FocusOther, one != other);
        evidence.flag(Feature::FocusSame, one == other && one != Focus::Open);
    }
    let compares = |items: &[Item]| roles::compares(items);
    let one_compares = compares(&pair.cached.items) != compares(&pair.asked.items);
    evidence.flag(Feature::ComparesOne, one_compares);
    let (cached, asked) = (poles_of(&pair.cached), poles_of(&pair.asked));
    let mut counts = [0; 4];
    for (of, others) in [(&cached, &asked), (&asked, &cached)] {
        let alone = of.iter().filter(|(group, _)| !others.contains_key(*group));
        for (pole, _) in alone.filter_map(|(_, sides)| sides.first()) {
            counts[match (pole.weak, pole.kind) {
                (true, _) => 3,
                (false, Kind::Direction) => 0,
                (false, Kind::Quantifier | Kind::Time) => 1,
                (false, _) => 2,
            }] += 1;
        }
    }
    let [direction, quantity, other, weak] = counts;
    evidence.count(Feature::DirectionOneSided, direction);
    evidence.count(Feature::QuantityOneSided, quantity);
    evidence.count(Feature::PoleOneSided, other);
    evidence.count(Feature::WeakPoleOneSided, weak);
}
