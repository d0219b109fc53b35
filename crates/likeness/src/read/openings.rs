//! The ways to begin a question that ask for one thing, each brought to one of them: `how can I` and `how to`
//! are one, and `is it possible to` is `can I`. Knows whole beginnings only: what stands within a question
//! may tell it from another.

use std::borrow::Cow;
use std::sync::LazyLock;

use crate::lexicon;
use crate::words::Word;

/// What stands for all, and the beginnings that it stands for. `a/b` is one of both, `a?` may be missing.
const OPENINGS: &str = "
how can i = how do/can/could/would i/one
how can i = how i/one can/could
how can i = how to
how can i = what is/s the best/easiest/simplest/right/correct/proper? way to
how can i = what do i need/have to do to
how can i = what must i do to
how can i = what steps do i need? to? take to
how can i = what are the steps to
can i = can/could i/one
can i = if/whether i/one can/could
can i = is it possible for? me? to
can i = would it be possible for? me? to
can i = if/whether it is possible for? me? to
can i = am i able to
can i = is there a/any way for? me? to
do i have to = do i have/need to
do i have to = if/whether i have/need to
do i have to = must i
do i have to = is it necessary for? me? to
do i have to = am i required/obliged to
where can i = where i/one can/could
where can i = where do/could/can i/one
when can i = when i/one can/could
what can i = what i/one can/could
how long does = how much time does
wie kann ich = wie kann/koennte ich/man
wie kann ich = auf welche weise/art kann/koennte ich/man
wie kann ich = auf welchem weg/wege kann/koennte ich/man
kann ich = kann/koennte ich/man
muss ich = muss ich/man
wo kann ich = wo kann/koennte ich/man
wie lange dauert = wie lange dauert/braucht
wie lange dauert = wie viel zeit braucht/kostet
wie lange dauert = wieviel zeit braucht/kostet
wie viel kostet = wie viel kostet
wie viel kostet = wieviel/was kostet
was passiert = was passiert/geschieht
comment = comment puis je
comment = comment est ce que je peux
comment = comment je peux
comment = comment peut on
comment = comment est ce qu on peut
comment = comment on peut
comment = comment faire pour
comment = comment fait on pour
comment = de quelle maniere/facon puis je
comment = de quelle maniere/facon peut on
comment = quelle est la maniere/facon/procedure de/d
comment = que faut il faire pour
comment = que dois je faire pour
puis je = est ce que je peux
puis je = si? je peux
puis je = est il possible de/d
puis je = est ce possible de/d
puis je = c est possible de/d
puis je = s il est possible de/d
puis je = peut on
puis je = si? on peut
puis je = est ce qu on peut
puis je = ai je la possibilite de/d
dois je = est ce que je dois
dois je = si je dois
dois je = faut il
dois je = s il faut
dois je = est ce qu il faut
dois je = doit on
dois je = est il necessaire/obligatoire de/d
dois je = suis je oblige/obligee/tenu/tenue de/d
ou puis je = ou est ce que je peux
ou puis je = ou je peux
ou puis je = ou peut on
ou puis je = a quel endroit puis je
combien coute = combien vaut
";

/// What only says that a question follows.
const ANNOUNCEMENTS: &str = "
can/could/would/will you tell/explain/show/describe to? me?
tell/explain/show to? me
i would/d like to know
i want/need to know
i am/m wondering
i wonder
do/does you/anyone/anybody/somebody know
koennen/koennten/kannst/koenntest sie/du mir kurz? sagen/erklaeren/zeigen/verraten
wissen/weiss/weisst sie/du/jemand
sag/sage/sagen/erklaer/erklaere/erklaeren sie? mir
ich moechte/will/wuerde gern? gerne? wissen
pouvez/pourriez/peux/pourrais vous/tu me? m? dire/expliquer/indiquer
dites/dis moi
savez/sais vous/tu
je voudrais/souhaite/souhaiterais savoir
j aimerais savoir
";

static READ: LazyLock<Vec<(Vec<Part>, Vec<&str>)>> = LazyLock::new(|| {
    let lines = OPENINGS.lines().filter_map(|line| line.split_once(" = "));
    lines
        .map(|(meant, written)| (parts(written), meant.split(' ').collect()))
        .collect()
});
static ANNOUNCED: LazyLock<Vec<Vec<Part>>> = LazyLock::new(|| {
    let lines = ANNOUNCEMENTS.lines().filter(|line| !line.is_empty());
    lines.map(parts).collect()
});

/// One word of a beginning.
struct Part {
    one_of: Vec<&'static str>,
    may_be_missing: bool,
}

fn parts(written: &'static str) -> Vec<Part> {
    let part = |word: &'static str| {
        let (words, may_be_missing) = word
            .strip_suffix('?')
            .map_or((word, false), |word| (word, true));
        Part {
            one_of: words.split('/').collect(),
            may_be_missing,
        }
    };
    written.split(' ').map(part).collect()
}

/// Brings the beginning of each sentence to the one that stands for it.
pub fn level(words: &[Word]) -> Vec<Word> {
    let mut levelled = Vec::with_capacity(words.len());
    for sentence in words.chunk_by(|one, next| one.sentence == next.sentence) {
        let sentence = &priced(&sentence[announcement(sentence)..])[..];
        let longest = READ
            .iter()
            .filter_map(|(parts, meant)| Some((taken(parts, sentence)?, meant)))
            .max_by_key(|(taken, _)| *taken);
        // Nothing follows: then the beginning is all that was asked.
        let Some((taken, meant)) = longest.filter(|(taken, _)| *taken < sentence.len()) else {
            levelled.extend_from_slice(sentence);
            continue;
        };
        let (first, last) = (&sentence[0], &sentence[taken - 1]);
        levelled.extend(meant.iter().map(|word| Word {
            text: (*word).to_owned(),
            span: first.span.start..last.span.end,
            named: false,
            sentence: first.sentence,
        }));
        levelled.extend_from_slice(&sentence[taken..]);
    }
    levelled
}

/// `What does it cost?` asks how much it costs.
fn priced(sentence: &[Word]) -> Cow<'_, [Word]> {
    let text = |at: usize| sentence.get(at).map_or("", |word| word.text.as_str());
    let costs = sentence.last().is_some_and(|last| last.text == "cost");
    if text(0) != "what" || !matches!(text(1), "does" | "do" | "did" | "will" | "would") || !costs {
        return Cow::Borrowed(sentence);
    }
    let mut words = sentence.to_vec();
    let mut much = words[0].clone();
    "how".clone_into(&mut words[0].text);
    "much".clone_into(&mut much.text);
    words.insert(1, much);
    Cow::Owned(words)
}

/// How many words say that a question follows, if one does.
fn announcement(sentence: &[Word]) -> usize {
    let longest = ANNOUNCED
        .iter()
        .filter_map(|parts| taken(parts, sentence))
        .max();
    let asks = |word: &Word| {
        lexicon::asks_by_word(&word.text)
            || matches!(word.text.as_str(), "if" | "whether" | "ob" | "si" | "s")
    };
    longest
        .filter(|taken| sentence.get(*taken).is_some_and(asks))
        .unwrap_or(0)
}

/// How many words these parts take, if the sentence begins with them.
fn taken(parts: &[Part], words: &[Word]) -> Option<usize> {
    let mut at = 0;
    for part in parts {
        let found = words
            .get(at)
            .is_some_and(|word| part.one_of.contains(&word.text.as_str()));
        match (found, part.may_be_missing) {
            (true, _) => at += 1,
            (false, true) => {}
            (false, false) => return None,
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use crate::read::items;

    fn same(a: &str, b: &str) {
        let texts = |text| {
            let items = items(text, &[]).into_iter();
            items.map(|item| item.text).collect::<Vec<_>>()
        };
        assert_eq!(texts(a), texts(b), "{a} / {b}");
    }

    #[test]
    fn a_way_is_asked_for_in_many_ways() {
        for asked in [
            "How can I renew my card?",
            "how to renew my card",
            "What's the best way to renew my card?",
            "What is the way to renew my card?",
            "Could you please tell me how to renew my card?",
            "I'd like to know how I can renew my card",
        ] {
            same("How do I renew my card?", asked);
        }
        same(
            "Wie kann ich meinen Ausweis verlängern?",
            "Auf welche Weise kann man meinen Ausweis verlängern?",
        );
        for asked in [
            "Comment est-ce que je peux renouveler ma carte ?",
            "Comment faire pour renouveler ma carte ?",
            "Pourriez-vous me dire comment renouveler ma carte ?",
        ] {
            same("Comment puis-je renouveler ma carte ?", asked);
        }
    }

    #[test]
    fn whether_it_can_be_done_is_asked_in_many_ways() {
        same(
            "Can I pay by invoice?",
            "Is it possible for me to pay by invoice?",
        );
        same(
            "Can I pay by invoice?",
            "Do you know if I can pay by invoice?",
        );
        same("Puis-je payer ?", "Est-il possible de payer ?");
        same("Muss ich zahlen?", "Muss man zahlen?");
    }

    #[test]
    fn what_it_costs_is_how_much_it_costs() {
        same("How much does shipping cost?", "What does shipping cost?");
    }

    #[test]
    fn what_is_asked_within_stays() {
        let texts = |text| {
            let items = items(text, &[]).into_iter();
            items.map(|item| item.text).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(texts("I know how to swim"), "i know how to swim");
        assert_eq!(texts("How can I?"), "how can i");
        assert_eq!(texts("Tell me a story"), "tell me a story");
        assert_ne!(texts("How do we vote?"), texts("How do I vote?"));
        assert_ne!(texts("Can I vote?"), texts("How can I vote?"));
        assert_ne!(texts("Must I vote?"), texts("May I vote?"));
    }
}
