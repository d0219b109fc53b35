//! `Wie kündige ich mein Abo?` asks `Wie kann ich mein Abo kündigen?`: German puts the verb at the end behind `kann`.
//! Rewrites the first beside the second, which has the same verb there.

use crate::lexicon;
use crate::read::{Is, Item};
use crate::words::stem;

/// Moves the verb of a question to its end, where the other has it.
pub fn move_verb(items: &mut Vec<Item>, other: &[Item]) {
    let ([first, verb, who, ..], [asks, can, other_who, ..]) = (&items[..], other) else {
        return;
    };
    let as_other = matches!(first.text.as_str(), "wie" | "wo" | "wann" | "womit")
        && first.text == asks.text
        && can.text == "kann"
        && who.text == other_who.text
        && matches!(who.text.as_str(), "ich" | "man");
    let end = |items: &[Item]| {
        let sentence = items[0].sentence;
        let behind = items.iter().position(|item| item.sentence != sentence);
        behind.unwrap_or(items.len())
    };
    let (behind, last) = (end(items), &other[end(other) - 1]);
    // `Setze … zurück` is `zurücksetzen`.
    let part = last.text.strip_prefix(items[behind - 1].text.as_str());
    let parted = part.is_some_and(|part| behind > 3 && stem(part) == stem(&verb.text));
    let plain = verb.is == last.is && !lexicon::is_function(&items[behind - 1].text);
    let is_verb = matches!(verb.is, Is::Content(_)) && last.text.ends_with('n');
    if as_other && is_verb && (parted || plain) {
        let can = Item {
            span: verb.span.clone(),
            ..can.clone()
        };
        let mut verb = std::mem::replace(&mut items[1], can);
        verb.text.clone_from(&last.text);
        verb.is.clone_from(&last.is);
        if parted {
            items[behind - 1] = verb;
        } else {
            items.insert(behind, verb);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::compare_similar;

    #[test]
    fn german_asks_how_with_can_and_without() {
        for (a, b) in [
            (
                "Wie kündige ich mein Abo?",
                "Wie kann ich mein Abo kündigen?",
            ),
            (
                "Wo finde ich meine Rechnung?",
                "Wo kann ich meine Rechnung finden?",
            ),
            (
                "Wie erreiche ich den Kundendienst?",
                "Wie kann ich den Kundendienst erreichen?",
            ),
            (
                "Wie setze ich mein Passwort zurück?",
                "Wie kann ich mein Passwort zurücksetzen?",
            ),
            (
                "Wie ändere ich meine Adresse?",
                "Wie kann ich meine Adresse ändern?",
            ),
        ] {
            assert_eq!(compare_similar(a, b, 0.9, || None), None, "{a} / {b}");
        }
    }

    #[test]
    fn another_verb_stays_another() {
        for (a, b) in [
            (
                "Wie kündige ich mein Abo?",
                "Wie kann ich mein Abo verlängern?",
            ),
            (
                "Wie kündige ich mein Abo?",
                "Wie kann ich mein Konto kündigen?",
            ),
            (
                "Wie melde ich mein Gerät an?",
                "Wie kann ich mein Gerät abmelden?",
            ),
            (
                "Wie kündige ich mein Abo?",
                "Wann kann ich mein Abo kündigen?",
            ),
        ] {
            assert!(compare_similar(a, b, 0.9, || None).is_some(), "{a} / {b}");
        }
    }
}
