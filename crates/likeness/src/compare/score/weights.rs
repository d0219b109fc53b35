//! Made by `cargo run --release -p likeness --example weigh -- --write`, on the development pairs: not edited
//! by hand. A feature that is not named weighs nothing.

use crate::compare::evidence::Feature;

/// Fitted on 3851 paraphrases and 361 near misses that no veto tells apart.
pub const BIAS: f64 = 1.341;

pub const WEIGHTS: &[(Feature, f64)] = &[
    (Feature::SubstitutedInFrame, -8.377),
    (Feature::AddedInFrame, -7.574),
    (Feature::SubstitutedAmongShared, -0.053),
    (Feature::WordForWord, -0.672),
    (Feature::Derived, 0.184),
    (Feature::NamesLeft, -0.008),
    (Feature::NamesShared, 0.277),
    (Feature::FactsShared, 0.867),
    (Feature::RelationsTurned, -0.019),
    (Feature::TurnedAmongShared, -0.622),
    (Feature::InvertedAmongShared, -1.597),
    (Feature::SameWordsInverted, -3.540),
    (Feature::FromMore, -0.083),
    (Feature::PersonsAmongShared, -4.208),
    (Feature::ModalsExchanged, -1.012),
    (Feature::ModalsAdded, -0.197),
    (Feature::DenialDiffers, -0.741),
    (Feature::ImplicitDenialDiffers, -0.313),
    (Feature::FocusOne, -0.173),
    (Feature::FocusOther, -0.254),
    (Feature::ComparesOne, -2.575),
    (Feature::LengthRatio, 1.323),
    (Feature::Length, 0.020),
    (Feature::German, 0.389),
    (Feature::French, 0.178),
];
