//! Payment card numbers: ISO/IEC 7812-1 issuer ranges and Luhn digit.

use super::context::{Context, Topic};
use super::digits::{Digits, Number, luhn};
use super::scan::Match;
use super::text::{Joined, Separator, Word, ends_at};
use super::{Confidence, Kind};

pub(super) fn find(word: &Word<'_>, digits: &Digits, context: &Context) -> Option<Match> {
    const LENS: u32 = 0b111_1111 << 13;
    if word.joined == Joined::ToMore {
        return None;
    }
    let mut lens = digits.group_ends() & LENS;
    // The longest first.
    while let Some(len) = lens.checked_ilog2() {
        lens &= !(1 << len);
        let Some(number) = digits.take(len as usize) else {
            continue;
        };
        let is_card = has_card_groups(&number)
            && is_issued(&number)
            && luhn(number.digits)
            && ends_at(word.bytes(), number.end());
        if is_card {
            return Some(Match {
                kind: Kind::PaymentCard,
                end: number.end(),
                confidence: confidence(word, &number, context),
            });
        }
    }
    None
}

fn confidence(word: &Word<'_>, number: &Number<'_>, context: &Context) -> Confidence {
    let base = Confidence(if number.is_bare() { 75 } else { 92 });
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
    let lens: &[&[usize]] = match number.digits.len() {
        14 => &[&[4, 6, 4], &[4, 4, 4, 2]],
        15 => &[&[4, 6, 5], &[4, 4, 4, 3]],
        16 => &[&[4, 4, 4, 4]],
        19 => &[&[4, 4, 4, 4, 3], &[6, 13]],
        _ => &[],
    };
    [Separator::Space, Separator::Dash, Separator::Dot]
        .into_iter()
        .any(|separator| lens.iter().any(|lens| number.is_grouped(lens, separator)))
}

/// Ranges that the schemes publish: Visa, Mastercard, American Express, Discover, Diners, JCB,
/// UnionPay, Maestro.
fn is_issued(number: &Number<'_>) -> bool {
    let (two, three, four, six) = (
        number.value(0, 2),
        number.value(0, 3),
        number.value(0, 4),
        number.value(0, 6),
    );
    match number.digits.len() {
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
        ] {
            assert_eq!(cards(&format!("Pay with {card}, please 12/27")), [card]);
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
