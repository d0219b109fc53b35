//! Two words a letter or two apart that are no two forms of one: `Schmidt` and `Schmitt`, `niger` and `nigeria`. A
//! tolerance for typing errors must not join names, whether they have a capital or not.

use super::{Alignment, Pair};
use crate::difference::{Difference, Kind};
use crate::language::Language;
use crate::lexicon;
use crate::read::{Is, Item};
use crate::words::{is_typo, without_umlauts};

/// Shorter words are too often near by chance.
const LENGTH_MIN: usize = 4;
/// From this length on two letters may differ.
const LONG_MIN: usize = 5;

pub fn difference(pair: &Pair<'_>, alignment: &Alignment) -> Option<Difference> {
    if !alignment.is_small() {
        return None;
    }
    let (cached, asked) = (&pair.cached.items, &pair.asked.items);
    let languages = [pair.cached.language, pair.asked.language];
    let (lone, others) = (
        alone(cached, asked, languages),
        alone(asked, cached, languages),
    );
    let (one, other) = lone.into_iter().find_map(|item| {
        let like = others
            .iter()
            .find(|other| look_alike(&item.text, &other.text))?;
        Some((item, *like))
    })?;
    Some(pair.differ(
        Kind::Entity,
        Some(one.span.clone()),
        Some(other.span.clone()),
    ))
}

/// The words of which the other side has no form.
fn alone<'a>(items: &'a [Item], other: &[Item], languages: [Language; 2]) -> Vec<&'a Item> {
    let stands = |item: &Item| {
        other.iter().any(|o| o.text == item.text)
            || other.iter().any(|o| are_forms(item, o, languages))
    };
    let content = items
        .iter()
        .filter(|item| matches!(item.is, Is::Content(_)));
    content.filter(|item| !stands(item)).collect()
}

/// At most a letter or two to change, add or leave out.
fn look_alike(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let shorter = a.len().min(b.len());
    let longer = a.len().max(b.len());
    let changes_max = if shorter < LONG_MIN { 1 } else { 2 };
    shorter >= LENGTH_MIN
        && longer <= LENGTH_MAX
        && longer - shorter <= changes_max
        && a[0] == b[0]
        && distance(&a, &b) <= changes_max
}

/// No name is longer, and comparing by letters is dear.
const LENGTH_MAX: usize = 40;

/// Levenshtein's.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

/// One word: mistyped, without its accents, in the spelling of another country, or inflected.
fn are_forms(a: &Item, b: &Item, languages: [Language; 2]) -> bool {
    // Most words are none, and need no closer look.
    if a.text.chars().next() != b.text.chars().next() {
        return false;
    }
    let (x, y) = (without_umlauts(&a.text), without_umlauts(&b.text));
    if x == y || is_typo(&a.text, &b.text) || is_typo(&x, &y) {
        return true;
    }
    // German writes every noun with a capital.
    let named = a.named && b.named && !languages.contains(&Language::German);
    if named {
        return x.strip_prefix(y.as_str()).or(y.strip_prefix(x.as_str())) == Some("s")
            || is_of_country(&x, &y)
            || is_of_country(&y, &x);
    }
    let meant = |text: &str| lexicon::respelled(text).into_owned();
    meant(&a.text) == meant(&b.text)
        || x.replace("zu", "") == y.replace("zu", "")
        || is_inflected(&x, &y, languages)
}

/// `Bavaria` and `Bavarian`, `Germany` and `German`; `Julia` and `Julian` are two.
fn is_of_country(name: &str, of: &str) -> bool {
    let people = ["ia", "e"].iter().any(|end| name.ends_with(end)) && of.len() >= PEOPLE_MIN;
    let ending = of.strip_prefix(name);
    people && matches!(ending, Some("n" | "an"))
        || name.len() >= LAND_MIN && name.strip_prefix(of) == Some("y")
}

const PEOPLE_MIN: usize = 8;
const LAND_MIN: usize = 7;

/// What is behind their common beginning are two endings of one language.
fn is_inflected(a: &str, b: &str, languages: [Language; 2]) -> bool {
    let common: usize = a
        .chars()
        .zip(b.chars())
        .take_while(|(x, y)| x == y)
        .map(|(x, _)| x.len_utf8())
        .sum();
    let tables = languages.map(|language| match language {
        Language::English => ENGLISH,
        Language::German => GERMAN,
        Language::French => FRENCH,
    });
    let inflects = |table: &&str, at: usize| {
        let is_ending = |ending: &str| ending.is_empty() || table.split(' ').any(|e| e == ending);
        let (one, other) = (&a[at..], &b[at..]);
        // A doubled letter is no ending: `Bergman`, `Bergmann`.
        let doubles =
            |ending: &str| ending.len() == 1 && ending != "e" && a[..at].ends_with(ending);
        // `E` alone makes another name (`Michel`, `Michele`), and changes for another ending in English.
        let adds_e =
            *table == ENGLISH && one.len() + other.len() == 1 && (one == "e" || other == "e");
        is_ending(one) && is_ending(other) && !doubles(one) && !doubles(other) && !adds_e
    };
    // The common part may take letters of both endings with it (`kauft`, `kauften`).
    let ends_at = |at: &usize| a.is_char_boundary(*at) && b.is_char_boundary(*at);
    (common.saturating_sub(2)..=common)
        .filter(ends_at)
        .any(|at| at >= 3 && tables.iter().any(|table| inflects(table, at)))
}

const ENGLISH: &str = "s es e ed d ing er est ers r rs y ies ied ly al";
const GERMAN: &str =
    "e n en em er ern es s r t te ten ter tes tem st et est ete eten end ende enden ung in";
const FRENCH: &str =
    "e s es x ee ees r er ez ent ant ait aient a ai ons ions i ie is ies it re al aux ale ales um";

#[cfg(test)]
mod tests {
    use crate::compare::compare;

    #[test]
    fn a_letter_or_two_make_another_name() {
        for (a, b) in [
            (
                "Who is the manager of Anna Schmidt?",
                "Who is the manager of Anna Schmitt?",
            ),
            (
                "who is the manager of anna schmidt",
                "who is the manager of anna schmitt",
            ),
            (
                "Show the payslip of Petersen",
                "Show the payslip of Peterson",
            ),
            (
                "Show the payslip of Anderson",
                "Show the payslip of Andersen",
            ),
            (
                "Show the payslip of Christina",
                "Show the payslip of Christine",
            ),
            (
                "Show the contract of Bergmann",
                "Show the contract of Bergman",
            ),
            (
                "Where does Mr Schwartz live?",
                "Where does Mr Schwarz live?",
            ),
            ("Who is Philipp Lahm?", "Who is Philip Lahm?"),
            ("Wer ist Frau Groß?", "Wer ist Frau Gros?"),
            (
                "Quel est le poste de Marc Durand ?",
                "Quel est le poste de Marc Durant ?",
            ),
            (
                "Quel est le salaire de M. Dupont ?",
                "Quel est le salaire de M. Dupond ?",
            ),
            (
                "what is the capital of niger",
                "what is the capital of nigeria",
            ),
            ("dose of prednisone", "dose of prednisolone"),
            ("dose of methylprednisolone", "dose of methylprednisone"),
            ("status of build main", "status of build maint"),
        ] {
            assert!(compare(a, b).is_some(), "{a} / {b}");
        }
    }

    #[test]
    fn forms_of_a_word_and_slips_of_the_finger_are_one() {
        for (a, b) in [
            (
                "Who is the manager of Anna Schmidt?",
                "Who is the manager of Anna Scmhidt?",
            ),
            (
                "Wer ist der Chef von Frau Müller?",
                "wer ist der chef von frau mueller",
            ),
            (
                "Wer ist der Chef von Frau Groß?",
                "wer ist der chef von frau gross",
            ),
            (
                "Where do I find the tickets here?",
                "Where do I find the ticekts here?",
            ),
        ] {
            assert_eq!(compare(a, b), None, "{a} / {b}");
        }
    }
}
