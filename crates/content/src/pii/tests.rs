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

#[test]
fn values_are_found_however_they_are_escaped_and_spaced() {
    for (text, expected) in [
        (r#"{"log":"user\n4111111111111111"}"#, "4111111111111111"),
        (r"\n+49 171 1234567", "+49 171 1234567"),
        (r"a\r\nDE89370400440532013000\n", "DE89370400440532013000"),
        (r"a\\n192.168.1.5", "192.168.1.5"),
        (
            r"a\tghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        ),
        (r"a\npassword: Sup3rS3cretPa55", "Sup3rS3cretPa55"),
        (r"n\u00e9 le 12 mars 1985", "12 mars 1985"),
        (r#"{"body": "Hallo\nanna@example.com"}"#, "anna@example.com"),
        (
            r#"{"from": "j\u00f6rg@example.com"}"#,
            r"j\u00f6rg@example.com",
        ),
        (r"Anna \u003canna@example.com\u003e", "anna@example.com"),
        (r"born 12\/03\/1985", r"12\/03\/1985"),
        ("Geburts\u{ad}datum: 12.03.1985", "12.03.1985"),
        (
            "536\u{200b}-90-4399 is my SSN, SSN 536\u{200b}-90-4399",
            "536\u{200b}-90-4399",
        ),
        (
            "４１１１１１１１１１１１１１１１",
            "４１１１１１１１１１１１１１１１",
        ),
        ("joe&#64;example.com", "joe&#64;example.com"),
    ] {
        let found = values(text);
        assert_eq!(found.last(), Some(&expected), "{text}: {found:?}");
    }
}

#[test]
fn values_are_found_in_rows_without_spaces() {
    for (text, expected) in [
        ("7,4111111111111111,x", vec!["4111111111111111"]),
        ("Anna,4111111111111111,12/27", vec!["4111111111111111"]),
        (
            "2024-03-12,DE89370400440532013000,12.50",
            vec!["DE89370400440532013000"],
        ),
        ("7,536-90-4399,x SSN,536-90-4399,7", vec!["536-90-4399"; 2]),
        ("7,192.168.1.5,x", vec!["192.168.1.5"]),
        (
            "203.0.113.7,203.0.113.8",
            vec!["203.0.113.7", "203.0.113.8"],
        ),
        ("7,AKIAIOSFODNN7EXAMPLE,7", vec!["AKIAIOSFODNN7EXAMPLE"]),
        ("x,RSSMRA85T10A562S,7", vec!["RSSMRA85T10A562S"]),
        ("7,12345678Z,x", vec!["12345678Z"]),
        (
            "INSERT INTO c VALUES (7,4111111111111111,'x');",
            vec!["4111111111111111"],
        ),
        (
            "[4111111111111111,4242424242424242]",
            vec!["4111111111111111", "4242424242424242"],
        ),
        (
            "1,anna@example.com,203.0.113.7",
            vec!["anna@example.com", "203.0.113.7"],
        ),
        ("1,234,567 and 0,0612345678 and 12,345.678", vec![]),
    ] {
        assert_eq!(values(text), expected, "{text}");
    }
}

/// Names as documents have them, a value each, and what it is by its name alone.
const CALLED: [(&str, &str, Option<&str>); 22] = [
    ("password", "hunter2", Some("credential")),
    ("dbPassword", "correct horse battery", Some("credential")),
    ("client_secret", "it's\"quoted", Some("credential")),
    (
        "awsSecretAccessKey",
        "wJalrXUtnFEMIbPxRfiCY",
        Some("credential"),
    ),
    ("authUserPassword", "0000", Some("credential")),
    ("dateOfBirth", "1984-03-12", Some("date_of_birth")),
    ("date-of-birth", "12.03.1984", Some("date_of_birth")),
    ("geburtsdatum", "12.03.1984", Some("date_of_birth")),
    ("passportNumber", "C01X00T47", Some("passport")),
    ("DRIVERS_LICENSE", "D1234567", Some("driving_licence")),
    ("phoneNumber", "0301234567", Some("phone")),
    ("ssn", "536904399", Some("us_ssn")),
    ("orderNumber", "4111111111111111", None),
    ("passwordHash", "9f8e7d6c5b4a", None),
    ("passwordResetAt", "2026-11-22", None),
    ("password", "${DB_PASSWORD}", None),
    ("created", "1984-03-12", None),
    ("note", "hunter2", None),
    ("title", "C01X00T47", None),
    ("secretary", "hunter2", None),
    ("", "hunter2", None),
    ("phone", "ask for it", None),
];

#[test]
fn what_a_value_is_called_says_what_it_is() {
    for (name, value, expected) in CALLED {
        let found = Detector::default().find_called(name, value);
        let kinds: Vec<&str> = found.iter().map(|one| one.kind.as_str()).collect();
        assert_eq!(kinds, Vec::from_iter(expected), "{name}: {value}");
        for one in found {
            assert_eq!(one.range, 0..value.len(), "{name}: {value}");
        }
        // In one text with it too.
        if !value.contains('"') && !name.is_empty() {
            let text = format!("{{\"{name}\": \"{value}\"}}");
            let kinds: Vec<&str> = named(&text).iter().map(|(kind, _)| *kind).collect();
            assert_eq!(kinds, Vec::from_iter(expected), "{text}");
        }
    }
    // A name is a text of its own.
    let found = Detector::default().find_called("phone of anna@example.com", "030 901820");
    let found: Vec<_> = found.into_iter().map(|one| (one.kind, one.range)).collect();
    assert_eq!(found, [(Kind::Phone, 0..10)]);
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
    fn any_text_is_read(name in any::<String>(), text in any::<String>()) {
        let _ = Detector::default().find(&text);
        let _ = Detector::default().find_called(&name, &text);
        for finding in Detector::default().find_called(&format!("{name}password"), &text) {
            prop_assert!(text.get(finding.range).is_some());
        }
    }
}
