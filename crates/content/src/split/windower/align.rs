//! Where in an edited text stands what a place of the unedited one was before.

/// Of what follows the place, so many characters say where it went. More would cost and say no more.
const LOOKED_AT_BEHIND: usize = 256;

/// Runs of so many characters that two texts have in common are no accident. Shorter ones are where
/// they are whole words, or what stands between words.
const RUN_CHARS_MIN: usize = 3;

/// The place of `edited` at which begins what took the place of `text[at..]`. Inside an edit, it is the
/// edit's beginning: what a judge put in is never cut.
pub fn place(text: &str, at: usize, edited: &str) -> usize {
    let start = common_start(text, edited);
    if start >= at {
        return at;
    }
    let end = common_end(&text[at..], &edited[start..]);
    if end == text.len() - at {
        return edited.len() - end;
    }
    // What is before and behind all edits is out of the way: what is left is small, as a rule.
    let end = common_end(&text[start..], &edited[start..]);
    let chars_before = text[start..at].chars().count();
    let looked_at = |text: &str, max: usize| text.chars().take(max).collect::<Vec<char>>();
    let one = looked_at(
        &text[start..text.len() - end],
        chars_before + LOOKED_AT_BEHIND,
    );
    let other = looked_at(
        &edited[start..edited.len() - end],
        2 * (chars_before + LOOKED_AT_BEHIND),
    );
    let chars = place_of(&one, chars_before, &other);
    let bytes: usize = other[..chars].iter().map(|char| char.len_utf8()).sum();
    start + bytes
}

/// By the longest run in common, then the longest between that and the place, and so on.
fn place_of(one: &[char], at: usize, other: &[char]) -> usize {
    let (mut from, mut until) = ((0, 0), (one.len(), other.len()));
    while let Some(run) = longest_run(one, from.0..until.0, other, from.1..until.1) {
        if run.one > at {
            until = (run.one, run.other);
        } else if run.one + run.length < at {
            from = (run.one + run.length, run.other + run.length);
        } else {
            return run.other + (at - run.one);
        }
    }
    from.1
}

struct Run {
    one: usize,
    other: usize,
    length: usize,
}

fn longest_run(
    one: &[char],
    of_one: std::ops::Range<usize>,
    other: &[char],
    of_other: std::ops::Range<usize>,
) -> Option<Run> {
    let mut longest: Option<Run> = None;
    // How long the run is that ends with this character of `one` and each of `other`.
    let mut above = vec![0; of_other.len() + 1];
    let mut row = above.clone();
    for end_of_one in of_one {
        for (column, end_of_other) in of_other.clone().enumerate() {
            let is_same = one[end_of_one] == other[end_of_other];
            row[column + 1] = if is_same { above[column] + 1 } else { 0 };
            let length = row[column + 1];
            if length <= longest.as_ref().map_or(0, |run| run.length) {
                continue;
            }
            let run = Run {
                one: end_of_one + 1 - length,
                other: end_of_other + 1 - length,
                length,
            };
            let is_whole = || is_whole(one, run.one, length) && is_whole(other, run.other, length);
            if length >= RUN_CHARS_MIN || is_whole() {
                longest = Some(run);
            }
        }
        std::mem::swap(&mut above, &mut row);
    }
    longest
}

/// Whether no word goes on before or behind these characters.
fn is_whole(text: &[char], start: usize, length: usize) -> bool {
    let is_in_word = |at: usize| {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        let is_letter = |char: Option<&char>| char.is_some_and(|char| char.is_alphanumeric());
        is_letter(before) && is_letter(text.get(at))
    };
    !is_in_word(start) && !is_in_word(start + length)
}

/// How many bytes two texts have in common at their beginning: whole characters.
fn common_start(one: &str, other: &str) -> usize {
    let pairs = one.chars().zip(other.chars());
    let same = pairs.take_while(|(one, other)| one == other);
    same.map(|(char, _)| char.len_utf8()).sum()
}

/// How many bytes two texts have in common at their end: whole characters.
pub fn common_end(one: &str, other: &str) -> usize {
    let pairs = one.chars().rev().zip(other.chars().rev());
    let same = pairs.take_while(|(one, other)| one == other);
    same.map(|(char, _)| char.len_utf8()).sum()
}
