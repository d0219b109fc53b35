//! What speaks for two questions being one and what against it, as numbers that a score can weigh. A veto
//! says no by itself; here nothing does, and much of a little is enough.

mod grammar;
mod sense;
mod wording;

use super::{Alignment, Pair, signs};
use crate::difference::Kind;

/// What was found, by feature.
pub struct Evidence {
    found: [f64; Feature::ALL.len()],
}

impl Evidence {
    /// `said` is the comparer's word, where it has read both.
    pub(super) fn of(
        pair: &Pair<'_>,
        alignment: &Alignment,
        similarity: f64,
        said: Option<f64>,
    ) -> Self {
        let mut evidence = Self {
            found: [0.0; Feature::ALL.len()],
        };
        evidence.set(Feature::Similarity, similarity.clamp(0.0, 1.0) * 10.0);
        evidence.hear(said);
        wording::find(pair, alignment, &mut evidence);
        grammar::find(pair, alignment, &mut evidence);
        sense::find(pair, alignment, &mut evidence);
        let differs = evidence.any(&DIFFERENCES_OF_THE_SAME_WORDS);
        evidence.flag(
            Feature::NothingLeft,
            wording::nothing_left(pair, alignment) && !differs && !signs::one_sided(pair),
        );
        evidence
    }

    /// The comparer's word, where it has read both.
    pub(super) fn hear(&mut self, said: Option<f64>) {
        self.set(Feature::Comparer, said.unwrap_or_default());
    }

    /// Whether nothing was found that could make them two questions: then there is nothing to weigh.
    pub fn nothing_left(&self) -> bool {
        self.any(&[Feature::NothingLeft])
    }

    fn any(&self, features: &[Feature]) -> bool {
        features.iter().any(|feature| self.get(*feature) > 0.0)
    }

    pub fn get(&self, feature: Feature) -> f64 {
        self.found[feature as usize]
    }

    fn set(&mut self, feature: Feature, value: f64) {
        self.found[feature as usize] = value;
    }

    fn flag(&mut self, feature: Feature, holds: bool) {
        self.set(feature, f64::from(u8::from(holds)));
    }

    fn count(&mut self, feature: Feature, count: usize) {
        self.set(feature, count.min(COUNT_MAX) as f64);
    }
}

/// What questions of the same words may differ in.
const DIFFERENCES_OF_THE_SAME_WORDS: [Feature; 12] = [
    Feature::Compounded,
    Feature::FactsOneSided,
    Feature::Inverted,
    Feature::RelationsTurned,
    Feature::RolesMoved,
    Feature::ModalsExchanged,
    Feature::PersonsExchanged,
    Feature::PersonsAdded,
    Feature::PastDiffers,
    Feature::FocusOther,
    Feature::WhoOneSided,
    Feature::WhereOneSided,
];

/// More of the same says no more.
const COUNT_MAX: usize = 4;

/// Which way a feature may tell. What is a difference never speaks for a likeness, however the pairs fall that
/// the weights are fitted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tells {
    For,
    Against,
    /// Says nothing of likeness by itself: how long the questions are, in which language.
    Either,
}

macro_rules! features {
    ($($(#[$doc:meta])* $feature:ident $name:literal $tells:ident $kind:ident,)*) => {
        /// What is looked at.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Feature { $($(#[$doc])* $feature,)* }

        impl Feature {
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$feature),*];

            /// As the table of weights has it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$feature => $name,)* }
            }

            pub fn tells(self) -> Tells {
                match self { $(Self::$feature => Tells::$tells,)* }
            }

            /// Told to an operator where this feature weighs most.
            pub fn kind(self) -> Kind {
                match self { $(Self::$feature => Kind::$kind,)* }
            }
        }
    };
}

features! {
    /// The cosine, in tenths.
    Similarity "similarity" For Word,
    /// What a network over the model's reading of both says.
    Comparer "comparer" For Word,
    /// Content words of both sides without their like.
    Substituted "substituted" Against Word,
    /// Content words that one side has more of.
    Added "added" Against Word,
    /// Words of asking without their like.
    AsksOtherwise "asks otherwise" Against Word,
    /// The share of content words in common.
    Share "share" For Word,
    /// The share of both that stands in both in its order.
    Frame "frame" For Word,
    /// Words stand for others in the same frame: the closer, the more it tells.
    SubstitutedInFrame "substituted in frame" Against Word,
    AddedInFrame "added in frame" Against Word,
    SubstitutedAmongShared "substituted among shared" Against Word,
    /// What would have been a veto.
    WordForWord "word for word" Against Word,
    /// No content word without its like.
    SameWords "same words" For Word,
    /// Nor a little word that tells, nor is anything turned about: `How do I` or `How can I`.
    NothingLeft "nothing left" For Word,
    /// Forms of one root among the words left over.
    Derived "derived" For Word,
    /// One word is the end of the other: `Rente`, `Witwenrente`.
    Compounded "compounded" Against Word,
    /// And nothing else differs much: `Lauch` or `Knoblauch` in the same sentence.
    CompoundedInFrame "compounded in frame" Against Word,
    LongLeft "long words left" Against Word,
    LittleBoth "little words exchanged" Against Word,
    LittleOne "little words added" Against Word,
    LittleInFrame "little words in frame" Against Word,
    NamesLeft "names left" Against Entity,
    NamesShared "names shared" For Word,
    FactsShared "facts shared" For Word,
    FactsOneSided "facts one-sided" Against Number,
    /// A unit that the other side does not know: it asks for a conversion.
    UnitOneSided "unit one-sided" Against Unit,
    /// Facts of one kind, or names, stand in another order: Saturday for Friday, Friday for Saturday.
    FactsTurned "facts turned" Against Direction,
    NamesTurned "names turned" Against Direction,
    SameOpening "same opening" For Word,
    /// Relations between nouns that are the same, that are turned about, that cannot be told.
    RelationsKept "relations kept" For Word,
    RelationsTurned "relations turned" Against Direction,
    TurnedAmongShared "turned among shared" Against Direction,
    RelationsUnknown "relations unknown" Against Direction,
    RolesMoved "roles moved" Against Direction,
    Inverted "inverted" Against Direction,
    InvertedAmongShared "inverted among shared" Against Direction,
    SameWordsInverted "same words inverted" Against Direction,
    FromMore "from more" Against Direction,
    ToMore "to more" Against Direction,
    VoiceDiffers "voice differs" Against Direction,
    PersonsExchanged "persons exchanged" Against Scope,
    PersonsAdded "persons added" Against Scope,
    PersonsAmongShared "persons among shared" Against Scope,
    PastDiffers "past differs" Against Time,
    FutureDiffers "future differs" Against Time,
    ModalsExchanged "modals exchanged" Against Modality,
    ModalsAdded "modals added" Against Modality,
    DenialDiffers "denial differs" Against Negation,
    DenialAny "denial anywhere" Against Negation,
    ImplicitDenialDiffers "implicit denial differs" Against Negation,
    DirectionOneSided "direction one-sided" Against Direction,
    QuantityOneSided "quantity one-sided" Against Quantifier,
    PoleOneSided "pole one-sided" Against Word,
    WeakPoleOneSided "weak pole one-sided" Against Word,
    FocusSame "focus same" For Word,
    FocusOne "focus on one side" Against Question,
    FocusOther "focus other" Against Question,
    /// The closer the frame is, the more a focus on one side tells: `Where can I park`, `Can I park`.
    FocusOneInFrame "focus on one side in frame" Against Question,
    /// One side asks when, or why, or how much, and the other for something else, or for yes or no.
    WhenOneSided "when on one side" Against Question,
    WhyOneSided "why on one side" Against Question,
    AmountOneSided "amount on one side" Against Question,
    MannerOneSided "manner on one side" Against Question,
    WhoOneSided "who on one side" Against Question,
    WhereOneSided "where on one side" Against Question,
    /// `A vs B` on one side.
    ComparesOne "compares on one side" Against Question,
    /// Keywords are another wording of a sentence.
    LengthRatio "length ratio" For Word,
    Length "length" Either Word,
    SentencesMore "sentences more" Against Word,
    German "German" Either Word,
    French "French" Either Word,
    Languages "languages differ" Against Language,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_stands_at_its_own_place_and_has_its_own_name() {
        for (at, feature) in Feature::ALL.iter().enumerate() {
            assert_eq!(*feature as usize, at);
            let again = Feature::ALL[..at]
                .iter()
                .any(|o| o.name() == feature.name());
            assert!(!again, "{}", feature.name());
        }
    }
}
