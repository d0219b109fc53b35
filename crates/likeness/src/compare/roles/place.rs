//! How a word is tied to the rest of its sentence: by the preposition or the German case before it.

use crate::language::Language;
use crate::read::{Is, Item};

/// How a word is tied to the rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    From,
    To,
    By,
    At,
    About,
    For,
    Than,
    Under,
    Beside,
    /// German tells the object by its article.
    Dative,
    Accusative,
    Bare,
}

/// The preposition before a word, past articles and what else belongs to it; `A and B` stand at one place.
pub fn place(items: &[Item], at: usize, language: Language) -> Place {
    if items.get(at + 1).is_some_and(|next| next.text == "->") {
        return Place::From;
    }
    let mut steps = 0;
    for back in (0..at).rev() {
        if items[back].sentence != items[at].sentence || steps >= STEPS_MAX {
            break;
        }
        let word = items[back].text.as_str();
        steps += usize::from(!binds(word));
        if let Some(place) = preposition(word, language) {
            return place;
        }
        match (&items[back].is, word) {
            (_, "dem" | "einem" | "meinem" | "unserem" | "seinem" | "ihrem" | "diesem") => {
                // Behind a preposition it is the preposition that tells.
                let before = back
                    .checked_sub(1)
                    .and_then(|b| preposition(&items[b].text, language));
                return before.unwrap_or(Place::Dative);
            }
            (
                _,
                "den" | "einen" | "meinen" | "unseren" | "seinen" | "ihren" | "diesen" | "keinen",
            ) => {
                let before = back
                    .checked_sub(1)
                    .and_then(|b| preposition(&items[b].text, language));
                return before.unwrap_or(Place::Accusative);
            }
            (Is::Date(_), _) if steps > 1 || back + 1 == at => return Place::Bare,
            (Is::Function, word) if binds(word) => {}
            (Is::Function, _) => return Place::Bare,
            // What stands directly before, as part of a name or behind `and`.
            (_, _) => {}
        }
    }
    Place::Bare
}

/// How far back a word's preposition is looked for.
const STEPS_MAX: usize = 3;

pub fn preposition(word: &str, language: Language) -> Option<Place> {
    if word == "->" {
        return Some(Place::To);
    }
    match language {
        Language::English => english(word),
        Language::German => german(word),
        Language::French => french(word),
    }
}

/// What is had and what is wanted instead is an exchange as from and to are.
fn english(word: &str) -> Option<Place> {
    Some(match word {
        "from" | "of" | "off" | "leaving" | "leaves" | "leave" | "left" | "departing" | "have"
        | "has" | "got" | "ve" => Place::From,
        "to" | "into" | "onto" | "towards" | "toward" | "want" | "need" | "like" => Place::To,
        "by" | "with" | "via" | "through" | "using" => Place::By,
        "in" | "at" | "on" | "inside" | "within" => Place::At,
        "about" | "concerning" | "regarding" => Place::About,
        "for" | "against" => Place::For,
        "than" => Place::Than,
        "under" | "behind" | "below" | "over" | "above" => Place::Under,
        "before" | "after" | "beside" => Place::Beside,
        _ => return None,
    })
}

fn german(word: &str) -> Option<Place> {
    Some(match word {
        "von" | "vom" | "ab" | "aus" | "verlaesst" | "verlassen" | "des" | "habe" | "hab"
        | "haben" => Place::From,
        "nach" | "zu" | "zum" | "zur" | "ins" | "brauche" | "will" | "moechte" => Place::To,
        "durch" | "mit" | "per" => Place::By,
        "in" | "im" | "bei" | "beim" | "am" | "an" | "auf" => Place::At,
        "ueber" => Place::About,
        "fuer" | "gegen" => Place::For,
        "als" => Place::Than,
        "unter" | "hinter" => Place::Under,
        "vor" | "neben" => Place::Beside,
        _ => return None,
    })
}

fn french(word: &str) -> Option<Place> {
    Some(match word {
        "de" | "d" | "du" | "des" | "depuis" | "quitte" | "quitter" | "ai" => Place::From,
        "a" | "au" | "aux" | "vers" | "veux" | "voudrais" => Place::To,
        "par" | "avec" | "via" => Place::By,
        "dans" | "en" | "sur" | "chez" => Place::At,
        "pour" | "contre" => Place::For,
        "que" | "qu" => Place::Than,
        "sous" | "derriere" => Place::Under,
        "avant" | "apres" => Place::Beside,
        _ => return None,
    })
}

/// Stands between a preposition and its word.
pub fn binds(word: &str) -> bool {
    matches!(
        word,
        "the"
            | "a"
            | "an"
            | "my"
            | "our"
            | "your"
            | "his"
            | "her"
            | "their"
            | "this"
            | "that"
            | "and"
            | "or"
            | "s"
            | "its"
            | "der"
            | "die"
            | "das"
            | "ein"
            | "eine"
            | "einer"
            | "eines"
            | "mein"
            | "meine"
            | "meiner"
            | "unser"
            | "unsere"
            | "unserer"
            | "und"
            | "oder"
            | "diese"
            | "dieser"
            | "dieses"
            | "les"
            | "la"
            | "le"
            | "l"
            | "un"
            | "une"
            | "mon"
            | "ma"
            | "mes"
            | "notre"
            | "nos"
            | "votre"
            | "vos"
            | "son"
            | "sa"
            | "ses"
            | "et"
            | "ou"
            | "ce"
            | "cet"
            | "cette"
            | "ces"
            | "leur"
            | "leurs"
            | "ihr"
            | "ihre"
            | "sein"
            | "seine"
    )
}
