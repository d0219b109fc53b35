//! Who does it, and to whom it is done: `Who invited Anna?` asks for the one who acts, `Who did Anna invite?`
//! for the one who is acted on, in the same words. English only: German tells the two by case.

use super::alignment::same;
use super::{Pair, Question, bears};
use crate::difference::{Difference, Kind};
use crate::language::Language;
use crate::lexicon;
use crate::read::{Is, Item};
use crate::words::stem;

/// How far the verb may stand from the word that asks, and the actor from the auxiliary.
const REACH_MAX: usize = 6;

/// One side asks who acts on somebody, the other on whom he acts.
pub fn difference(pair: &Pair<'_>) -> Option<Difference> {
    let english = |question: &Question<'_>| question.language == Language::English;
    if !english(&pair.cached) || !english(&pair.asked) {
        return None;
    }
    let (cached, asked) = (asking(&pair.cached.items)?, asking(&pair.asked.items)?);
    let found = turned(&cached, &asked)
        .or_else(|| turned(&asked, &cached).map(|(object, subject)| (subject, object)))?;
    Some(pair.differ(
        Kind::Direction,
        Some(found.0.span.clone()),
        Some(found.1.span.clone()),
    ))
}

/// A sentence that opens with `who`, `whom`, `what` or `which`.
struct Asking<'a> {
    /// What stands before the word that asks: `to whom`.
    before: &'a [Item],
    after: &'a [Item],
}

fn asking(items: &[Item]) -> Option<Asking<'_>> {
    let asks = |item: &Item| matches!(item.text.as_str(), "who" | "whom" | "what" | "which");
    let at = items.iter().position(asks)?;
    let sentence = items[at].sentence;
    let begins = items.iter().position(|item| item.sentence == sentence)?;
    let before = &items[begins..at];
    let after = &items[at + 1..];
    let ends = after.iter().position(|item| item.sentence != sentence);
    before.iter().all(|item| !bears(item)).then(|| Asking {
        before,
        after: &after[..ends.unwrap_or(after.len())],
    })
}

/// The verb on both sides, where `object` asks for the one acted on by whoever `subject` lets be acted on.
fn turned<'a>(object: &Asking<'a>, subject: &Asking<'a>) -> Option<(&'a Item, &'a Item)> {
    let auxiliary = object
        .after
        .iter()
        .take(REACH_MAX)
        .position(|item| !bears(item) && !belongs(item))
        .filter(|at| supports(&object.after[*at]) || helps(&object.after[*at]))?;
    let clause = &object.after[auxiliary + 1..];
    for (at, verb) in subject.after.iter().enumerate().take(REACH_MAX) {
        if carries(verb)
            && let Some(place) = clause
                .iter()
                .take(REACH_MAX)
                .position(|item| one_verb(item, verb))
            && fits(&object.after[auxiliary], &clause[place])
            && acts(subject, at, verb)
        {
            let behind = &clause[place + 1..];
            let is_acted_on =
                |actor: &Item| acted_on(actor, &subject.after[at + 1..], object.before, behind);
            let actors: Vec<&Item> = clause[..place]
                .iter()
                .filter(|item| !belongs(item))
                .collect();
            if !actors.is_empty() && actors.into_iter().all(is_acted_on) {
                return Some((&clause[place], verb));
            }
        }
    }
    None
}

/// Between the word that asks and its verb stand a noun and auxiliaries: nobody else acts.
fn acts(subject: &Asking<'_>, at: usize, verb: &Item) -> bool {
    subject.after[..at]
        .iter()
        .all(|item| bears(item) || belongs(item) || helps(item) && fits(item, verb))
}

/// The same one behind the verb, tied to it as on the other side: `reports to Bob`, `does Bob report to`.
fn acted_on(actor: &Item, behind: &[Item], before: &[Item], stranded: &[Item]) -> bool {
    let meets = |at: &usize| {
        let item = &behind[*at];
        let possessive =
            item.text == "her" && behind.get(at + 1).is_some_and(bears) && !bears(item);
        !possessive && (pronoun(&actor.text, &item.text) || bears(actor) && same(actor, item))
    };
    let Some(at) = (0..behind.len()).find(meets) else {
        return false;
    };
    let ties = behind[..at].iter().rev().take_while(|item| !bears(item));
    let mut ties = ties.filter(|item| !belongs(item));
    // `Who works with Anna` are those with whom Anna works.
    ties.all(|tie| {
        tie.text != "with"
            && before
                .iter()
                .chain(stranded)
                .any(|item| item.text == tie.text)
    })
}

fn pronoun(actor: &str, acted_on: &str) -> bool {
    matches!(
        (actor, acted_on),
        ("i", "me")
            | ("you", "you")
            | ("he", "him")
            | ("she", "her")
            | ("we", "us")
            | ("they", "them")
            | ("it", "it")
    )
}

/// Part of what is named: articles, possessives, `of`.
fn belongs(item: &Item) -> bool {
    lexicon::is_article(&item.text)
        || matches!(
            item.text.as_str(),
            "of" | "and"
                | "my"
                | "our"
                | "your"
                | "his"
                | "its"
                | "their"
                | "this"
                | "that"
                | "these"
                | "those"
        )
}

fn supports(item: &Item) -> bool {
    matches!(item.text.as_str(), "do" | "does" | "did")
}

fn helps(item: &Item) -> bool {
    is_be(item)
        || matches!(
            item.text.as_str(),
            "will"
                | "would"
                | "can"
                | "could"
                | "may"
                | "might"
                | "must"
                | "should"
                | "shall"
                | "has"
                | "have"
                | "had"
        )
}

fn is_be(item: &Item) -> bool {
    matches!(item.text.as_str(), "is" | "are" | "was" | "were")
}

/// With a form of be all but `-ing` is a passive, which turns the two about.
fn fits(auxiliary: &Item, verb: &Item) -> bool {
    !is_be(auxiliary) || verb.text.ends_with("ing")
}

/// A word that can be the verb, and one that makes a difference: who marries her is whom she marries, and
/// `what means that` is asked by those who mean `what does that mean`.
fn carries(item: &Item) -> bool {
    const EITHER_WAY: [&str; 13] = [
        "marry", "meet", "equal", "match", "resemble", "border", "divorce", "mean", "cost",
        "happen", "play", "weigh", "call",
    ];
    let gives = matches!(item.text.as_str(), "give" | "gives" | "tell" | "tells");
    let either = |verb: &&str| stem(verb) == stem(base(&item.text));
    (gives || matches!(item.is, Is::Content(_))) && !EITHER_WAY.iter().any(either)
}

fn one_verb(a: &Item, b: &Item) -> bool {
    stem(base(&a.text)) == stem(base(&b.text))
        || matches!((&a.is, &b.is), (Is::Content(_), Is::Content(_))) && same(a, b)
}

/// An irregular verb as the auxiliary leaves it.
fn base(verb: &str) -> &str {
    const IRREGULAR: &str = "
bite bit bitten | break broke broken | bring brought | build built | buy bought | catch caught | choose chose chosen
draw drew drawn | drive drove driven | eat ate eaten | feed fed | fight fought | find found | forget forgot forgotten
give gave given | hear heard | hide hid hidden | hold held | keep kept | know knew known | lead led | leave left
lend lent | lose lost | marry married marries | meet met | mean meant | overtake overtook overtaken | pay paid
see saw seen | seek sought | sell sold | send sent | shoot shot | speak spoke spoken | steal stole stolen
strike struck | take took taken | teach taught | tell told | throw threw thrown | win won | write wrote written";
    IRREGULAR
        .split(['|', '\n'])
        .find_map(|forms| {
            let mut forms = forms.split_whitespace();
            let base = forms.next()?;
            forms.any(|form| form == verb).then_some(base)
        })
        .unwrap_or_else(|| {
            // `Pays` is too short for a stem.
            let short = verb.strip_suffix('s').filter(|root| root.len() >= 3);
            short.filter(|root| !root.ends_with('s')).unwrap_or(verb)
        })
}

#[cfg(test)]
mod tests {
    use crate::compare::{Pair, compare};
    use crate::difference::Kind;

    fn kind(a: &str, b: &str) -> Option<Kind> {
        compare(a, b).map(|found| found.kind)
    }

    fn alike(a: &str, b: &str) {
        for (a, b) in [(a, b), (b, a)] {
            assert_eq!(super::difference(&Pair::read(a, b)), None, "{a} / {b}");
        }
    }

    #[test]
    fn who_acts_is_not_who_is_acted_on() {
        for (a, b) in [
            ("Who did Anna invite?", "Who invited Anna?"),
            (
                "Which company did Google buy?",
                "Which company bought Google?",
            ),
            ("Which team did Bayern beat?", "Which team beat Bayern?"),
            ("Which dog did the cat chase?", "Which dog chased the cat?"),
            ("Who pays the tenant?", "Whom does the tenant pay?"),
            ("Who manages Alice?", "Who does Alice manage?"),
            (
                "Which tool replaced Jenkins?",
                "Which tool did Jenkins replace?",
            ),
            ("What causes rust?", "What does rust cause?"),
            ("Who reports to Bob?", "Who does Bob report to?"),
            ("Who reports to Bob?", "To whom does Bob report?"),
            ("Who will invite Anna?", "Who will Anna invite?"),
            ("Who is inviting Anna?", "Who is Anna inviting?"),
            ("Who has invited Anna?", "Who has Anna invited?"),
            ("Who pays me?", "Whom do I pay?"),
            (
                "Which customers did the sales team contact?",
                "Which customers contacted the sales team?",
            ),
        ] {
            assert_eq!(kind(a, b), Some(Kind::Direction), "{a} / {b}");
            assert_eq!(kind(b, a), Some(Kind::Direction), "{b} / {a}");
        }
    }

    #[test]
    fn one_question_asked_otherwise_stays_one() {
        for (a, b) in [
            ("What does a cabin cost?", "What is the price of a cabin?"),
            ("Which plan do I need?", "Which plan is needed?"),
            ("Who did Anna marry?", "Who married Anna?"),
            ("Who does Anna work with?", "Who works with Anna?"),
            ("What does version 2 change?", "What changed in version 2?"),
            ("What does this error mean?", "What means this error?"),
            ("Who did Anna invite?", "Whom has Anna invited?"),
            ("What causes rust?", "What can cause rust?"),
            (
                "Which company did Google buy?",
                "Which company was bought by Google?",
            ),
        ] {
            alike(a, b);
        }
        // What no other rule holds against them is answered.
        let (a, b) = ("Who did Anna invite?", "Whom has Anna invited?");
        assert_eq!(kind(a, b), None);
    }
}
