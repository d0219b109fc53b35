//! Made by `cargo run --release -p likeness --example weigh -- --write`, on the development pairs: not edited
//! by hand. In thousandths; a feature that is not named weighs nothing.

use crate::compare::evidence::Feature;

/// Fitted on 4024 paraphrases and 2173 different questions that no veto tells apart.
pub const BIAS: i32 = -638;

pub const WEIGHTS: &[(Feature, i32)] = &[
    (Feature::Similarity, 53),
    (Feature::SubstitutedInFrame, -3213),
    (Feature::AddedInFrame, -2834),
    (Feature::WordForWord, -751),
    (Feature::Derived, 134),
    (Feature::CompoundedInFrame, -199),
    (Feature::NamesLeft, -437),
    (Feature::NamesShared, 158),
    (Feature::FactsShared, 544),
    (Feature::UnitOneSided, -1198),
    (Feature::FactsTurned, -1658),
    (Feature::NamesTurned, -84),
    (Feature::TurnedAmongShared, -358),
    (Feature::InvertedAmongShared, -562),
    (Feature::SameWordsInverted, -1764),
    (Feature::FromMore, -37),
    (Feature::VoiceDiffers, -116),
    (Feature::PersonsAmongShared, -2007),
    (Feature::ModalsExchanged, -1489),
    (Feature::ModalsAdded, -38),
    (Feature::DenialDiffers, -363),
    (Feature::ImplicitDenialDiffers, -33),
    (Feature::WhenOneSided, -607),
    (Feature::WhyOneSided, -379),
    (Feature::AmountOneSided, -309),
    (Feature::MannerOneSided, -367),
    (Feature::ComparesOne, -996),
    (Feature::LengthRatio, 1148),
    (Feature::Length, 222),
    (Feature::German, -80),
    (Feature::French, -28),
];
