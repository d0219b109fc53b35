//! Made by `cargo run --release -p likeness --example weigh -- --write`, on the development pairs: not edited
//! by hand. A feature that is not named weighs nothing.

use crate::compare::evidence::Feature;

/// Fitted on 3895 paraphrases and 371 near misses that no veto tells apart.
pub const BIAS: f64 = 0.318;

pub const WEIGHTS: &[(Feature, f64)] = &[
    (Feature::SubstitutedInFrame, -7.404),
    (Feature::AddedInFrame, -6.704),
    (Feature::WordForWord, -0.759),
    (Feature::Derived, 0.305),
    (Feature::NamesShared, 0.280),
    (Feature::FactsShared, 0.747),
    (Feature::TurnedAmongShared, -0.543),
    (Feature::InvertedAmongShared, -1.351),
    (Feature::SameWordsInverted, -3.326),
    (Feature::FromMore, -0.092),
    (Feature::PersonsAmongShared, -3.948),
    (Feature::ModalsExchanged, -0.953),
    (Feature::ModalsAdded, -0.191),
    (Feature::DenialDiffers, -0.842),
    (Feature::ImplicitDenialDiffers, -0.242),
    (Feature::FocusOne, -0.089),
    (Feature::FocusOther, -0.320),
    (Feature::ComparesOne, -2.461),
    (Feature::LengthRatio, 1.492),
    (Feature::Length, 0.291),
    (Feature::German, 0.343),
    (Feature::French, 0.138),
];
