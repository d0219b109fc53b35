//! Made by `cargo run --release -p likeness --example weigh -- --write`, on the development pairs: not edited
//! by hand. In thousandths; a feature that is not named weighs nothing.

use crate::compare::evidence::Feature;

/// Fitted on 3895 paraphrases and 371 near misses that no veto tells apart.
pub const BIAS: i32 = 318;

pub const WEIGHTS: &[(Feature, i32)] = &[
    (Feature::SubstitutedInFrame, -7404),
    (Feature::AddedInFrame, -6704),
    (Feature::WordForWord, -759),
    (Feature::Derived, 305),
    (Feature::NamesShared, 280),
    (Feature::FactsShared, 747),
    (Feature::TurnedAmongShared, -543),
    (Feature::InvertedAmongShared, -1351),
    (Feature::SameWordsInverted, -3326),
    (Feature::FromMore, -92),
    (Feature::PersonsAmongShared, -3948),
    (Feature::ModalsExchanged, -953),
    (Feature::ModalsAdded, -191),
    (Feature::DenialDiffers, -842),
    (Feature::ImplicitDenialDiffers, -242),
    (Feature::FocusOne, -89),
    (Feature::FocusOther, -320),
    (Feature::ComparesOne, -2461),
    (Feature::LengthRatio, 1492),
    (Feature::Length, 291),
    (Feature::German, 343),
    (Feature::French, 138),
];
