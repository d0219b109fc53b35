//! Who does what to whom, when, and must he: what the little words and the order of words say.

use super::{Evidence, Feature};
use crate::compare::participants::relations;
use crate::compare::roles::{Place, is_be, turning};
use crate::compare::tense::Tense;
use crate::compare::{Alignment, Pair, Question, negation};
use crate::lexicon;

pub fn find(pair: &Pair<'_>, alignment: &Alignment, evidence: &mut Evidence) {
    roles(pair, alignment, evidence);
    let share = alignment.share();
    let (left, other) = exchanged(pair, person);
    evidence.count(Feature::PersonsExchanged, left.min(other));
    evidence.count(Feature::PersonsAdded, left.abs_diff(other));
    evidence.set(Feature::PersonsAmongShared, left.min(other) as f64 * share);
    let (left, other) = exchanged(pair, modal);
    evidence.count(Feature::ModalsExchanged, left.min(other));
    evidence.count(Feature::ModalsAdded, left.abs_diff(other));
    let (cached, asked) = (Tense::of(&pair.cached), Tense::of(&pair.asked));
    evidence.flag(
        Feature::PastDiffers,
        cached.past.is_some() != asked.past.is_some(),
    );
    evidence.flag(
        Feature::FutureDiffers,
        cached.future.is_some() != asked.future.is_some(),
    );
    evidence.flag(Feature::DenialDiffers, negation::differs(pair));
    let denies = |question: &Question<'_>| !negation::denials(question).is_empty();
    evidence.flag(
        Feature::DenialAny,
        denies(&pair.cached) || denies(&pair.asked),
    );
    let implies = |question: &Question<'_>| {
        question
            .items
            .iter()
            .any(|item| lexicon::denies_implicitly(&item.text))
    };
    evidence.flag(
        Feature::ImplicitDenialDiffers,
        implies(&pair.cached) != implies(&pair.asked),
    );
}

fn roles(pair: &Pair<'_>, alignment: &Alignment, evidence: &mut Evidence) {
    let relations = relations(&pair.cached, &pair.asked);
    let share = alignment.share();
    evidence.count(Feature::RelationsKept, relations.kept);
    evidence.count(Feature::RelationsTurned, relations.turned);
    evidence.count(Feature::RelationsUnknown, relations.unknown);
    evidence.count(Feature::RolesMoved, relations.moved);
    evidence.count(Feature::Inverted, relations.inverted);
    if relations.turned > relations.kept {
        evidence.set(Feature::TurnedAmongShared, share);
    }
    if relations.inverted > 0 {
        evidence.set(Feature::InvertedAmongShared, share);
        let left = alignment
            .left_cached(pair)
            .chain(alignment.left_asked(pair));
        evidence.flag(Feature::SameWordsInverted, left.count() == 0);
    }
    let count = |question: &Question<'_>, wanted: Place| {
        let places = turning(&question.items, question.language);
        places.iter().filter(|(_, place)| *place == wanted).count()
    };
    let more = |wanted| count(&pair.cached, wanted).abs_diff(count(&pair.asked, wanted));
    evidence.count(Feature::FromMore, more(Place::From));
    evidence.count(Feature::ToMore, more(Place::To));
    let passive = |question: &Question<'_>| {
        let by = |word: &str| matches!(word, "by" | "von" | "vom" | "par");
        question.items.iter().any(is_be) && question.items.iter().any(|item| by(&item.text))
    };
    evidence.flag(
        Feature::VoiceDiffers,
        passive(&pair.cached) != passive(&pair.asked),
    );
}

/// How many classes of words only one side has, and only the other.
fn exchanged(pair: &Pair<'_>, class: fn(&str) -> Option<u8>) -> (usize, usize) {
    let classes = |question: &Question<'_>| {
        let found = question.items.iter().filter_map(|item| class(&item.text));
        found.fold(0_u32, |all, class| all | 1 << class)
    };
    let (cached, asked) = (classes(&pair.cached), classes(&pair.asked));
    let only = |one: u32, other: u32| (one & !other).count_ones() as usize;
    (only(cached, asked), only(asked, cached))
}

/// I, me, my, we, you, they.
fn person(word: &str) -> Option<u8> {
    Some(match word {
        "i" | "ich" | "je" | "j" => 0,
        "me" | "mich" | "mir" | "m" | "moi" => 1,
        "my" | "mine" | "mein" | "meine" | "meinen" | "meinem" | "meiner" | "mon" | "ma"
        | "mes" => 2,
        "we" | "us" | "our" | "wir" | "uns" | "unser" | "unsere" | "unseren" | "unserem"
        | "unserer" | "nous" | "notre" | "nos" => 3,
        "you" | "your" | "du" | "dich" | "dein" | "euch" | "vous" | "votre" | "vos" | "tu"
        | "ton" | "ta" => 4,
        "he" | "him" | "his" | "she" | "her" | "they" | "them" | "their" | "ihn" | "ihm"
        | "ihr" | "ihre" | "ihnen" | "sein" | "seine" | "leur" | "leurs" | "lui" => 5,
        _ => return None,
    })
}

/// Must, may or can (who asks whether he can do a thing asks whether he may), should.
fn modal(word: &str) -> Option<u8> {
    Some(match word {
        "must" | "have" | "need" | "needs" | "obliged" | "required" | "mandatory"
        | "obligation" | "compulsory" | "muss" | "muessen" | "verpflichtet" | "pflicht"
        | "dois" | "doit" | "devons" | "faut" | "obligatoire" | "oblige" => 0,
        "may" | "ok" | "okay" | "allowed" | "permitted" | "darf" | "duerfen" | "erlaubt"
        | "gestattet" | "permis" | "autorise" | "can" | "could" | "able" | "possible" | "kann"
        | "kannst" | "koennen" | "moeglich" | "puis" | "peut" | "peux" | "pouvons" => 1,
        "should" | "ought" | "soll" | "sollte" | "sollen" | "devrais" | "devrait" => 2,
        _ => return None,
    })
}
