//! Who does it and to whom it is done: by the verb's voice, and by order where neither voice nor case tells.

use super::Shared;
use super::place::{Place, place, preposition};
use crate::compare::{Alignment, Pair};
use crate::language::Language;
use crate::read::{Is, Item};

/// Who acts and who is acted on, by the nearest word on either side of a verb and by its voice.
pub fn voiced(pair: &Pair<'_>, shared: &[Shared]) -> Option<(usize, usize)> {
    let (cached, asked) = (&pair.cached.items, &pair.asked.items);
    let language = pair.cached.language;
    // German puts its verbs last, so that order tells less.
    if language == Language::German || language != pair.asked.language {
        return None;
    }
    for verb in shared {
        let (a, b) = (
            is_passive(cached, verb.cached),
            is_passive(asked, verb.asked),
        );
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
            at > 0
                && item.sentence == passive.0[passive.1].sentence
                && matches!(item.text.as_str(), "by" | "von" | "vom" | "par")
        });
        let acts = in_active(word) < active.1
            && in_active(word) + 3 > active.1
            && active.0[in_active(word)].sentence == active.0[active.1].sentence
            && active.0[in_active(word) + 1..active.1].iter().all(|item| {
                matches!(item.is, Is::Function) && preposition(&item.text, language).is_none()
            });
        let bare = matches!(place(active.0, in_active(word), language), Place::Bare);
        if acts && bare && by {
            return Some((word.cached, word.asked));
        }
    }
    None
}

/// `The party that sued` and `the party that was sued`: a form of be before the same verb and nothing else.
pub fn suffered(pair: &Pair<'_>, alignment: &Alignment) -> Option<(usize, usize)> {
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
        let place = |items: &[Item]| {
            items
                .iter()
                .position(|item| item.text == verb.text)
                .unwrap_or(0)
        };
        (place(&pair.cached.items), place(&pair.asked.items))
    })
}

/// A form of be or become shortly before.
fn is_passive(items: &[Item], verb: usize) -> bool {
    let text = items[verb].text.as_str();
    let participle = text.ends_with("ed")
        || text.ends_with("en")
        || text.ends_with('t')
        || text.ends_with('e')
        || text.ends_with("es")
        || text.ends_with("ees")
        || text.ends_with('d')
        || text.ends_with('i')
        || text.ends_with('n');
    let before = verb.saturating_sub(4)..verb;
    participle && (items[before].iter().any(is_be) || items.get(verb + 1).is_some_and(is_be))
}

pub fn is_be(item: &Item) -> bool {
    matches!(
        item.text.as_str(),
        "is" | "are"
            | "was"
            | "were"
            | "be"
            | "been"
            | "being"
            | "wird"
            | "werden"
            | "wurde"
            | "wurden"
            | "worden"
            | "est"
            | "sont"
            | "ete"
            | "etait"
            | "fut"
            | "etre"
    )
}

/// `A pays B` and `B pays A`, where nothing but order tells.
pub fn around_verb(cached: &[Item], asked: &[Item], shared: &[Shared]) -> Option<(usize, usize)> {
    let bare = |word: &&Shared| word.place == Place::Bare && word.other == Place::Bare;
    for one in shared.iter().filter(bare) {
        for two in shared
            .iter()
            .filter(bare)
            .filter(|two| two.cached > one.cached && two.asked < one.asked)
        {
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
