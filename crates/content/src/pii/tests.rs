//! What holds for every text.

use proptest::prelude::*;

use super::*;

/// What is found in a text, and what it is.
pub(super) fn found(text: &str) -> Vec<(Kind, &str)> {
    let found = Detector::default().find(text);
    found
        .into_iter()
        .map(|finding| (finding.kind, &text[finding.range]))
        .collect()
}

/// The same with the kinds' names.
pub(super) fn named(text: &str) -> Vec<(&str, &str)> {
    found(text)
        .into_iter()
        .map(|(kind, value)| (kind.as_str(), value))
        .collect()
}

/// The same without their kinds.
pub(super) fn values(text: &str) -> Vec<&str> {
    found(text).into_iter().map(|(_, value)| value).collect()
}

#[test]
fn values_are_found_among_the_words_of_a_sentence() {
    let text = "Hi, I am Anna (anna@example.com, +49 30 901820). My card 4111 1111 1111 1111 \
                and IBAN DE89 3704 0044 0532 0130 00 were charged from 203.0.113.77.";
    let found = Detector::default().find(text);
    let kinds: Vec<_> = found.iter().map(|finding| finding.kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["email", "phone", "payment_card", "iban", "ip_address"]
    );
}

#[test]
fn what_is_not_looked_for_is_not_found() {
    let detector = Detector {
        kinds: KindSet::ALL.without(Kind::Email),
        ..Detector::default()
    };
    assert_eq!(detector.find("anna@example.com"), []);
    let sure = Detector {
        confidence_min: Confidence(99),
        ..Detector::default()
    };
    assert_eq!(sure.find("4111 1111 1111 1111"), []);
}

proptest! {
    #[test]
    fn findings_are_whole_characters_in_order_and_apart(text in "[ -~éß€“\u{a0}0-9@:.+-]{0,200}") {
        let mut last = 0;
        for finding in Detector::default().find(&text) {
            prop_assert!(finding.range.start >= last && finding.range.end > finding.range.start);
            prop_assert!(text.get(finding.range.clone()).is_some());
            last = finding.range.end;
        }
    }

    #[test]
    fn any_text_is_read(text in any::<String>()) {
        let _ = Detector::default().find(&text);
    }
}
