//! Payment card numbers: ISO/IEC 7812-1 issuer ranges and Luhn digit.

use super::context::{Context, Topic};
use super::digits::{Digits, Number, luhn, value};
use super::scan::Match;
use super::text::{Joined, Separator, Word, ends_at, gap_at};
use super::{Confidence, Kind};

/// How many digits a card has, as bits.
const LENS: u32 = 0b111_1111 << 13;

#[inline]
pub(super) fn find(word: &Word<'_>, digits: &Digits, context: &Context) -> Option<Match> {
    let has_len = digits.has_group_end(LENS);
    if word.joined == Joined::ToMore || !has_len && word.end - word.start != FIRST_LEN {
        return None;
    }
    in_groups(word, digits, context).or_else(|| apart(word, context))
}

fn in_groups(word: &Word<'_>, digits: &Digits, context: &Context) -> Option<Match> {
    let mut lens = digits.group_ends() & LENS;
    // The longest first.
    while let Some(len) = lens.checked_ilog2() {
        lens &= !(1 << len);
        let Some(number) = digits.take(len as usize) else {
            continue;
        };
        let is_card = has_card_groups(&number)
            && is_issued(number.digits)
            && luhn(number.digits)
            && ends_at(word.bytes(), number.end());
        if is_card {
            let base = Confidence(if number.is_bare() { 75 } else { 92 });
            return Some(found(word, number.end(), base, context));
        }
    }
    None
}

/// In groups that no other number has: `4111_1111_1111_1111`, `4111 - 1111 - …`. Where a word speaks of a
/// card, with any one gap between them: two spaces, a tab; and with two groups in one.
fn apart(word: &Word<'_>, context: &Context) -> Option<Match> {
    let bytes = word.rest();
    let len = word.end - word.start;
    if len != FIRST_LEN || !matches!(bytes[0], b'3'..=b'6') {
        return None;
    }
    let gap = &bytes[len..len + gap_at(bytes, len)?];
    let is_named = context.is_near(Topic::Card, word.start);
    if !is_named && !OF_CARDS.contains(&gap) || gap.contains(&b'\n') {
        return None;
    }
    let mut digits = [0; LEN_MAX];
    let mut lens = [0; GROUPS_MAX];
    let (mut count, mut at) = (0, 0);
    let mut longest = None;
    for group in 0..GROUPS_MAX {
        let len = read_group(&bytes[at..], &mut digits[count..]);
        if len == 0 {
            break;
        }
        (count, at, lens[group]) = (count + len, at + len, len);
        let lens = &lens[..=group];
        let end = word.start + at;
        let is_grouped = is_printed(count, lens) || is_named && is_of_fours(count, lens);
        if is_grouped
            && is_issued(&digits[..count])
            && luhn(&digits[..count])
            && ends_at(word.bytes(), end)
        {
            longest = Some(found(word, end, Confidence(92), context));
        }
        if !bytes[at..].starts_with(gap) {
            break;
        }
        at += gap.len();
    }
    longest
}

/// Digits of the first group.
const FIRST_LEN: usize = 4;
const LEN_MAX: usize = 19;
const GROUPS_MAX: usize = 5;
/// What stands between a card's groups and not between numbers. Spaces, dashes and dots are read with all
/// other numbers.
const OF_CARDS: [&[u8]; 3] = [b" - ", b"_", b"/"];

/// How many digits it has; 0 if more than there is room for.
fn read_group(bytes: &[u8], into: &mut [u8]) -> usize {
    let len = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let Some(into) = into.get_mut(..len) else {
        return 0;
    };
    for (digit, byte) in into.iter_mut().zip(bytes) {
        *digit = byte - b'0';
    }
    len
}

fn found(word: &Word<'_>, end: usize, base: Confidence, context: &Context) -> Match {
    Match {
        kind: Kind::PaymentCard,
        end,
        confidence: confidence(word, base, context),
    }
}

fn confidence(word: &Word<'_>, base: Confidence, context: &Context) -> Confidence {
    if context.is_near(Topic::Card, word.start) && !context.is_nearer(Topic::Reference, Topic::Card)
    {
        return base.raised(20);
    }
    let is_reference = context.is_reference(word.bytes(), word.start, Topic::Card)
        || word.joined == Joined::ToReference;
    if is_reference { base.lowered(45) } else { base }
}

fn has_card_groups(number: &Number<'_>) -> bool {
    if number.is_bare() {
        return true;
    }
    let printed = printed(number.digits.len());
    [Separator::Space, Separator::Dash, Separator::Dot]
        .into_iter()
        .any(|separator| {
            printed
                .iter()
                .any(|lens| number.is_grouped(lens, separator))
        })
}

/// The groups of so many digits on a card.
fn printed(count: usize) -> &'static [&'static [usize]] {
    match count {
        14 => &[&[4, 6, 4], &[4, 4, 4, 2]],
        15 => &[&[4, 6, 5], &[4, 4, 4, 3]],
        16 => &[&[4, 4, 4, 4]],
        19 => &[&[4, 4, 4, 4, 3], &[6, 13]],
        _ => &[],
    }
}

fn is_printed(count: usize, lens: &[usize]) -> bool {
    printed(count).contains(&lens)
}

fn is_of_fours(count: usize, lens: &[usize]) -> bool {
    count == 16 && lens.iter().all(|len| len.is_multiple_of(4))
}

/// Ranges that the schemes publish: Visa, Mastercard, American Express, Discover, Diners, JCB,
/// UnionPay, Maestro.
fn is_issued(digits: &[u8]) -> bool {
    let (two, three, four, six) = (
        value(&digits[..2]),
        value(&digits[..3]),
        value(&digits[..4]),
        value(&digits[..6]),
    );
    match digits.len() {
        13 => two / 10 == 4,
        14 => matches!(three, 300..=305 | 309) || matches!(two, 36 | 38 | 39),
        15 => matches!(two, 34 | 37),
        16 => {
            two / 10 == 4
                || matches!(two, 51..=55 | 62 | 65)
                || matches!(four, 2221..=2720 | 3528..=3589 | 6011 | 6304 | 6759 | 6761..=6763)
                || matches!(three, 644..=649)
                || matches!(six, 500_000..=509_999)
        }
        17 | 18 => two == 62 || matches!(four, 6304 | 6759 | 6761..=6763),
        19 => two / 10 == 4 || two == 62 || matches!(four, 6304 | 6759 | 6761..=6763),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Detector, Kind};

    fn cards(text: &str) -> Vec<&str> {
        let found = Detector::default().find(text);
        let cards = found
            .into_iter()
            .filter(|finding| finding.kind == Kind::PaymentCard);
        cards.map(|finding| &text[finding.range]).collect()
    }

    #[test]
    fn cards_are_found_in_the_groups_that_are_printed_on_them() {
        for card in [
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "4111111111111111",
            "5500 0000 0000 0004",
            "3782 822463 10005",
            "6011000990139424",
            "3530111333300000",
            "4111\u{a0}1111\u{a0}1111\u{a0}1111",
            "4111\u{2009}1111\u{2009}1111\u{2009}1111",
            "4111/1111/1111/1111",
            "4111_1111_1111_1111",
            "4111 - 1111 - 1111 - 1111",
        ] {
            assert_eq!(cards(&format!("Pay with {card}, please 12/27")), [card]);
        }
    }

    #[test]
    fn where_a_card_is_spoken_of_its_groups_may_be_written_in_other_ways() {
        for card in [
            "4111 11111111 1111",
            "4111  1111  1111  1111",
            "4111\t1111\t1111\t1111",
            "3782   822463   10005",
        ] {
            assert_eq!(cards(&format!("card {card}  12/27")), [card]);
            assert_eq!(cards(&format!("a row {card}")), [""; 0], "{card}");
        }
    }

    #[test]
    fn what_fails_a_check_or_is_called_something_else_is_none() {
        for text in [
            "4111 1111 1111 1112",
            "order 4111111111111111",
            "1111 1111 1111 1117",
            "41111111111111110000",
            "4111 11111111 1111",
            "4111111111111111.50",
            "4111_1111_1111_1112",
            "4111_1111_1111_1111_1",
            "4111/1111/1111/1111/2024",
            "build_4111_1111_1111_1111",
            "cards: 4111\n1111\n1111\n1111",
            "card 4111 111111 111111",
        ] {
            assert_eq!(cards(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn an_order_that_is_paid_by_card_still_shows_the_card() {
        assert_eq!(
            cards("order 17, card 4111111111111111"),
            ["4111111111111111"]
        );
    }
}
