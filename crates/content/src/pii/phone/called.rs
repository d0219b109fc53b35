//! Whether the words before a number call it a phone's.

use super::super::context::Context;

/// What is said of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Nothing,
    /// Phones or calls were spoken of.
    Mentioned,
    /// Right before it stands the name of what it is.
    Named,
}

pub(super) fn said_before(bytes: &[u8], start: usize, context: &Context) -> Said {
    let Some(word) = context.phone_word(start) else {
        return if has_letter(bytes, start) || is_own_number(bytes, start) {
            Said::Mentioned
        } else {
            Said::Nothing
        };
    };
    let between = &bytes[word.end..start];
    // `Mobile: `, `call us on `, but not `call `.
    let is_name = !word.is_verb
        || between.contains(&b':')
        || between.contains(&b'=')
        || words(between).next().is_some();
    if is_name && is_one_name(between) {
        return Said::Named;
    }
    if word.is_verb && is_argument(bytes, start) {
        return Said::Nothing;
    }
    Said::Mentioned
}

/// Between a name and its number: `Tel. (office) no.: `.
const JOINING: &[&str] = &[
    "no",
    "nr",
    "number",
    "numbers",
    "nummer",
    "numéro",
    "número",
    "numero",
    "is",
    "ist",
    "est",
    "es",
    "è",
    "at",
    "me",
    "us",
    "on",
    "under",
    "unter",
    "am",
    "au",
    "al",
    "home",
    "work",
    "office",
    "mobile",
    "voice",
    "private",
    "privat",
    "büro",
    "zentrale",
    "dienstlich",
    "and",
    "und",
    "et",
    "or",
    "oder",
];

/// Whether the name goes on up to its number, or other numbers of that name stand between them.
fn is_one_name(between: &[u8]) -> bool {
    words(between).all(|word| is_one_of(word, JOINING) || is_number(word))
}

fn is_number(word: &[u8]) -> bool {
    word.len() >= 6 && word.iter().all(u8::is_ascii_digit)
}

const NUMBERS: &[&str] = &["number", "nummer", "numéro", "número", "numero"];
const OWNERS: &[&str] = &[
    "my", "your", "his", "her", "our", "their", "meine", "deine", "seine", "ihre", "unsere", "mon",
    "son", "votre", "notre", "mi", "tu", "su", "mio", "tuo", "suo",
];
/// Longer than an owner, a number's word and a verb.
const OWN_NUMBER_BYTES_MAX: usize = 32;

/// `my number is `, `mon numéro : `.
#[cold]
fn is_own_number(bytes: &[u8], start: usize) -> bool {
    let near = &bytes[start.saturating_sub(OWN_NUMBER_BYTES_MAX)..start];
    let mut before = words_backwards(near);
    let mut word = before.next();
    if word.is_some_and(|word| is_one_of(word, &["is", "ist", "est", "es", "è"])) {
        word = before.next();
    }
    word.is_some_and(|word| is_one_of(word, NUMBERS))
        && before.next().is_some_and(|word| is_one_of(word, OWNERS))
}

/// `M: `, `T: ` of a signature.
fn has_letter(bytes: &[u8], start: usize) -> bool {
    match bytes[..start].trim_ascii_end() {
        [rest @ .., b'T' | b'M' | b'F' | b'P' | b'C', b':'] => rest
            .last()
            .is_none_or(|byte| byte.is_ascii_whitespace() || b"|,;>(".contains(byte)),
        _ => false,
    }
}

/// `call foo(4155552671)`.
fn is_argument(bytes: &[u8], start: usize) -> bool {
    matches!(&bytes[..start], [.., name, b'('] if name.is_ascii_alphanumeric() || *name == b'_')
}

fn is_one_of(word: &[u8], known: &[&str]) -> bool {
    known
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
}

fn is_gap(byte: &u8) -> bool {
    !byte.is_ascii_alphanumeric() && *byte < 0x80
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(is_gap).filter(|word| !word.is_empty())
}

fn words_backwards(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.rsplit(is_gap).filter(|word| !word.is_empty())
}
