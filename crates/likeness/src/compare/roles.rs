//! Who does what to whom, and from where to where: the place of each word in its sentence, by the
//! preposition or case before it, by the verb's voice, and by order where neither tells.

use super::alignment::same;
use super::{Alignment, Pair};
use crate::difference::{Difference, Kind};
use crate::language::Language;
use crate::read::{Is, Item};

/// Past this many items a question is not searched for roles: each word is held against each.
const ITEMS_MAX: usize = 96;

pub fn difference(pair: &Pair<'_>, alignment: &Alignment) -> Option<Difference> {
    let (cached, asked) = (&pair.cached.items, &pair.asked.items);
    if cached.len().max(asked.len()) > ITEMS_MAX {
        return None;
    }
    let shared = shared(pair);
    let found = exchanged(&shared, alignment)
        .or_else(|| turned_about(cached, asked, &shared))
        .or_else(|| voiced(pair, &shared))
        .or_else(|| suffered(pair, alignment))
        .or_else(|| {
            let framed = alignment.frame().share() >= 0.5;
            framed.then(|| around_verb(cached, asked, &shared)).flatten()
        })?;
    Some(pair.differ(
        Kind::Direction,
        Some(cached[found.0].span.clone()),
        Some(asked[found.1].span.clone()),
    ))
}

/// A word that both sides have once, and its place in each.
#[derive(Clone, Copy)]
struct Shared {
    cached: usize,
    asked: usize,
    place: Place,
    other: Place,
}

/// How a word is tied to the rest.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
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

fn shared(pair: &Pair<'_>) -> Vec<Shared> {
    let (cached, asked) = (&pair.cached.items, &pair.asked.items);
    let bears = |item: &Item| !matches!(item.is, Is::Function | Is::Unit(_));
    let mut found: Vec<Shared> = Vec::new();
    for (at, item) in cached.iter().enumerate().filter(|(_, item)| bears(item)) {
        let mut likes = (0..asked.len()).filter(|other| bears(&asked[*other]) && same(item, &asked[*other]));
        let (Some(other), None) = (likes.next(), likes.next()) else {
            continue;
        };
        if found.iter().any(|shared| shared.asked == other) {
            continue;
        }
        found.push(Shared {
            cached: at,
            asked: other,
            place: place(cached, at, pair.cached.language),
            other: place(asked, other, pair.asked.language),
        });
    }
    found
}

/// The preposition before a word, past articles and what else belongs to it; `A and B` stand at one place.
fn place(items: &[Item], at: usize, language: Language) -> Place {
    let mut steps = 0;
    for back in (0..at).rev() {
        if items[back].sentence != items[at].sentence || steps >= STEPS_MAX {
            break;
        }
        steps += 1;
        let word = items[back].text.as_str();
        if let Some(place) = preposition(word, language) {
            return place;
        }
        match (&items[back].is, word) {
            (_, "dem" | "einem" | "meinem" | "unserem" | "seinem" | "ihrem" | "diesem") => {
                // Behind a preposition it is the preposition that tells.
                let before = back.checked_sub(1).and_then(|b| preposition(&items[b].text, language));
                return before.unwrap_or(Place::Dative);
            }
            (_, "den" | "einen" | "meinen" | "unseren" | "seinen" | "ihren" | "diesen" | "keinen") => {
                let before = back.checked_sub(1).and_then(|b| preposition(&items[b].text, language));
                return before.unwrap_or(Place::Accusative);
            }
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

fn preposition(word: &str, language: Language) -> Option<Place> {
    match language {
        Language::English => english(word),
        Language::German => german(word),
        Language::French => french(word),
    }
}

/// What is had and what is wanted instead is an exchange as from and to are.
fn english(word: &str) -> Option<Place> {
    Some(match word {
        "from" | "of" | "off" | "leaving" | "departing" | "have" | "has" | "got" => Place::From,
        "to" | "into" | "onto" | "towards" | "toward" | "want" | "need" => Place::To,
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
        "von" | "vom" | "ab" | "aus" | "des" | "habe" | "hab" | "haben" => Place::From,
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
        "de" | "d" | "du" | "des" | "depuis" | "ai" => Place::From,
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
fn binds(word: &str) -> bool {
    matches!(
        word,
        "the" | "a" | "an" | "my" | "our" | "your" | "his" | "her" | "their" | "this" | "that" | "and" | "or" | "s" | "its"
            | "der" | "die" | "das" | "ein" | "eine" | "einer" | "eines" | "mein" | "meine" | "meiner" | "unser"
            | "unsere" | "unserer" | "und" | "oder" | "diese" | "dieser" | "dieses" | "les" | "la" | "le" | "l"
            | "un" | "une" | "mon" | "ma" | "mes" | "notre" | "nos" | "votre" | "vos" | "son" | "sa" | "ses" | "et"
            | "ou" | "ce" | "cet" | "cette" | "ces" | "leur" | "leurs" | "ihr" | "ihre" | "sein" | "seine"
    )
}

/// Two words each of which stands where the other stood. Standing bare is a place only where little else
/// differs.
fn exchanged(shared: &[Shared], alignment: &Alignment) -> Option<(usize, usize)> {
    let close = alignment.share() >= BARE_SHARE_MIN || alignment.is_framed();
    for (n, one) in shared.iter().enumerate() {
        if one.place == one.other {
            continue;
        }
        for two in &shared[n + 1..] {
            let bare = one.place == Place::Bare || one.other == Place::Bare;
            if one.place == two.other && one.other == two.place && (close || !bare) {
                return Some((one.cached, one.asked));
            }
        }
    }
    None
}

const BARE_SHARE_MIN: f64 = 0.65;

/// One word that goes from where the other side goes to.
fn turned_about(cached: &[Item], asked: &[Item], shared: &[Shared]) -> Option<(usize, usize)> {
    // `of`, `de` and `zu` say too many other things; what is had or wanted is an exchange only with its pair.
    let sure = |items: &[Item], at: usize| {
        let before = (at.saturating_sub(2)..at).rev();
        let mut found = None;
        for back in before {
            let word = items[back].text.as_str();
            if matches!(word, "from" | "von" | "vom" | "aus" | "depuis" | "leaving") {
                found = Some(Place::From);
                break;
            }
            if matches!(word, "to" | "into" | "nach" | "vers" | "towards") {
                found = Some(Place::To);
                break;
            }
            if !binds(word) && !matches!(word, "dem" | "den" | "einem" | "einen" | "a") {
                break;
            }
        }
        found
    };
    shared
        .iter()
        .filter(|word| cached[word.cached].named || asked[word.asked].named || word.place != word.other)
        .find(|word| {
            matches!(
                (sure(cached, word.cached), sure(asked, word.asked)),
                (Some(Place::From), Some(Place::To)) | (Some(Place::To), Some(Place::From))
            )
        })
        .map(|word| (word.cached, word.asked))
}

/// Who acts and who is acted on, by the nearest word on either side of a verb and by its voice.
fn voiced(pair: &Pair<'_>, shared: &[Shared]) -> Option<(usize, usize)> {
    let (cached, asked) = (&pair.cached.items, &pair.asked.items);
    let language = pair.cached.language;
    // German puts its verbs last, so that order tells less.
    if language == Language::German || language != pair.asked.language {
        return None;
    }
    for verb in shared {
        let (a, b) = (is_passive(cached, verb.cached), is_passive(asked, verb.asked));
        if a == b {
            continue;
        }
        let (passive, active) = if a {
            ((cached, verb.cached), (asked, verb.asked))
        } else {
            ((asked, verb.asked), (cached, verb.cached))
        };
        let in_passive = |word: &Shared| if a { word.cached } else { word.asked };
        let in_active = |word: &Shared| if a { word.asked } else { word.cached };
        // The one acted on stands before a passive verb; before an active one stands the actor.
        let acted_on = shared
            .iter()
            .filter(|word| in_passive(word) + 4 > passive.1 && in_passive(word) < passive.1)
            .filter(|word| place(passive.0, in_passive(word), language) != Place::By)
            .max_by_key(|word| in_passive(word));
        let Some(word) = acted_on else { continue };
        let by = passive.0.iter().enumerate().any(|(at, item)| {
            at > 0 && item.sentence == passive.0[passive.1].sentence
                && matches!(item.text.as_str(), "by" | "von" | "vom" | "par")
        });
        let acts = in_active(word) < active.1
            && in_active(word) + 3 > active.1
            && active.0[in_active(word)].sentence == active.0[active.1].sentence
            && active.0[in_active(word) + 1..active.1]
                .iter()
                .all(|item| matches!(item.is, Is::Function) && preposition(&item.text, language).is_none());
        let bare = matches!(place(active.0, in_active(word), language), Place::Bare);
        if acts && bare && by {
            return Some((word.cached, word.asked));
        }
    }
    None
}

/// `The party that sued` and `the party that was sued`: a form of be before the same verb and nothing else.
fn suffered(pair: &Pair<'_>, alignment: &Alignment) -> Option<(usize, usize)> {
    let (cached, asked) = alignment.frame().gaps(pair);
    let one_more = match (cached.as_slice(), asked.as_slice()) {
        ([one], []) => (*one, &pair.cached.items),
        ([], [one]) => (*one, &pair.asked.items),
        _ => return None,
    };
    let (one, items) = one_more;
    let at = items.iter().position(|item| item.span == one.span)?;
    let verb = items.get(at + 1)?;
    let relative = at.checked_sub(1).is_some_and(|before| {
        matches!(
            items[before].text.as_str(),
            "who" | "that" | "which" | "wer" | "der" | "die" | "das" | "qui"
        )
    });
    let participle = matches!(verb.is, Is::Content(_)) || verb.text.ends_with("ed");
    (is_be(one) && relative && participle).then(|| {
        // The frame holds all else, so that both sides have the verb.
        let place = |items: &[Item]| items.iter().position(|item| item.text == verb.text).unwrap_or(0);
        (place(&pair.cached.items), place(&pair.asked.items))
    })
}

/// A form of be or become shortly before.
fn is_passive(items: &[Item], verb: usize) -> bool {
    let text = items[verb].text.as_str();
    let participle = text.ends_with("ed") || text.ends_with("en") || text.ends_with('t') || text.ends_with('e')
        || text.ends_with("es") || text.ends_with("ees") || text.ends_with('d') || text.ends_with('i') || text.ends_with('n');
    let before = verb.saturating_sub(4)..verb;
    participle
        && (items[before].iter().any(is_be) || items.get(verb + 1).is_some_and(is_be))
}

fn is_be(item: &Item) -> bool {
    matches!(
        item.text.as_str(),
        "is" | "are" | "was" | "were" | "be" | "been" | "being" | "wird" | "werden" | "wurde" | "wurden" | "worden"
            | "est" | "sont" | "ete" | "etait" | "fut" | "etre"
    )
}

/// `A pays B` and `B pays A`, where nothing but order tells.
fn around_verb(cached: &[Item], asked: &[Item], shared: &[Shared]) -> Option<(usize, usize)> {
    let bare = |word: &&Shared| word.place == Place::Bare && word.other == Place::Bare;
    for one in shared.iter().filter(bare) {
        for two in shared.iter().filter(bare).filter(|two| two.cached > one.cached && two.asked < one.asked) {
            let between = |verb: &Shared| {
                (one.cached + 1..two.cached).contains(&verb.cached)
                    && (two.asked + 1..one.asked).contains(&verb.asked)
            };
            let near = two.cached - one.cached <= REACH_MAX && one.asked - two.asked <= REACH_MAX;
            let one_sentence = cached[one.cached].sentence == cached[two.cached].sentence
                && asked[one.asked].sentence == asked[two.asked].sentence;
            if near && one_sentence && shared.iter().any(between) {
                return Some((one.cached, one.asked));
            }
        }
    }
    None
}

/// How far apart the two may stand.
const REACH_MAX: usize = 5;
