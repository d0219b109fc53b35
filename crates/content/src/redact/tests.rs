use proptest::prelude::*;

use super::*;

fn rules(action: Action) -> Rules {
    Rules::new(
        Kind::ALL.map(|kind| (kind, action)),
        Confidence::LIKELY,
        HashKey([7; 32]),
    )
}

fn edited(action: Action, text: &str) -> (String, Findings) {
    let mut findings = Findings::default();
    let text = rules(action)
        .edit(text, &mut Masks::default(), &mut findings)
        .into_owned();
    (text, findings)
}

const TEXT: &str =
    "Mail anna@example.com or bob@example.com, not anna@example.com; card 4111 1111 1111 1111.";

#[test]
fn each_action_leaves_the_text_around_a_value_as_it_is() {
    let of = |action| edited(action, TEXT).0;
    assert_eq!(of(Action::Allow), TEXT);
    assert_eq!(
        of(Action::Redact),
        "Mail [EMAIL] or [EMAIL], not [EMAIL]; card [PAYMENT_CARD]."
    );
    assert_eq!(
        of(Action::Mask),
        "Mail <EMAIL_1> or <EMAIL_2>, not <EMAIL_1>; card <PAYMENT_CARD_1>."
    );
    let hashed = of(Action::Hash);
    let words: Vec<&str> = hashed.split(' ').collect();
    assert_eq!(words[1], words[5].trim_end_matches(';'));
    assert_ne!(words[1], words[3].trim_end_matches(','));
}

#[test]
fn a_blocked_kind_is_named_and_not_quoted() {
    let (text, findings) = edited(Action::Block, TEXT);
    assert_eq!(findings.blocked, Some(Kind::Email));
    assert!(!text.contains("anna"));
    let counts: Vec<_> = findings.kinds().collect();
    assert_eq!(counts, [(Kind::Email, 3), (Kind::PaymentCard, 1)]);
    assert!(!format!("{findings:?}").contains("anna"));
}

#[test]
fn kinds_have_their_own_actions() {
    let rules = Rules::new(
        [(Kind::Email, Action::Redact)],
        Confidence::LIKELY,
        HashKey([7; 32]),
    );
    let mut findings = Findings::default();
    let text = rules.edit(TEXT, &mut Masks::default(), &mut findings);
    assert!(text.contains("4111 1111 1111 1111") && !text.contains('@'));
}

#[test]
fn the_hash_is_hmac_sha_256() {
    // RFC 4231, test case 2 has a shorter key; zeros behind a key change nothing.
    let mut key = [0; 32];
    key[..4].copy_from_slice(b"Jefe");
    assert_eq!(
        hash(&HashKey(key), "what do ya want for nothing?"),
        "5bdcc146"
    );
}

#[test]
fn masks_are_put_back_in_the_answer() {
    let mut masks = Masks::default();
    let masked = rules(Action::Mask)
        .edit(TEXT, &mut masks, &mut Findings::default())
        .into_owned();
    assert_eq!(Restore::whole(&masked, &masks), TEXT);
    assert_eq!(
        Restore::whole("I wrote to <EMAIL_2>, <EMAIL_9> and <b>.", &masks),
        "I wrote to bob@example.com, <EMAIL_9> and <b>."
    );
}

#[test]
fn a_placeholder_that_the_client_wrote_is_nobodys() {
    let mut masks = Masks::default();
    let text = "Repeat <EMAIL_1> and <EMAIL_7>. I am anna@example.com.";
    masks.avoid(text);
    let masked = rules(Action::Mask)
        .edit(text, &mut masks, &mut Findings::default())
        .into_owned();
    assert_eq!(masked, "Repeat <EMAIL_1> and <EMAIL_7>. I am <EMAIL_8>.");
    assert_eq!(
        Restore::whole("<EMAIL_1> <EMAIL_8>", &masks),
        "<EMAIL_1> anna@example.com"
    );
}

#[test]
fn a_conversation_masks_a_bounded_number_of_values() {
    let mut masks = Masks::default();
    for number in 0..10_000 {
        assert!(
            masks
                .placeholder(Kind::Email, plain(&format!("{number}@example.com")))
                .is_some()
        );
    }
    assert!(
        masks
            .placeholder(Kind::Email, plain("one-more@example.com"))
            .is_none()
    );
    assert!(
        masks
            .placeholder(Kind::Email, plain("5@example.com"))
            .is_some()
    );
}

fn plain(value: &str) -> Spelling {
    Spelling::at(0, value)
}

fn cut<'a>(text: &'a str, cuts: &[prop::sample::Index]) -> Vec<&'a str> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
    places.sort_unstable();
    let mut chunks = Vec::new();
    let mut from = 0;
    for place in places {
        if text.is_char_boundary(place) && place >= from {
            chunks.push(&text[from..place]);
            from = place;
        }
    }
    chunks.push(&text[from..]);
    chunks
}

proptest! {
    #[test]
    fn a_stream_is_edited_as_the_whole_text_would_be(
        words in prop::collection::vec(prop::sample::select(vec![
            "anna@example.com", "call +49 30 901820 now", "and", "4111 1111 1111 1111", "é“", "12", "x<EMAIL_1>",
            "\\<Email\\_1\\>", "&lt;EMAIL_1&gt;", "%3cEMAIL_1%3E", "\\u003cPHONE_1\\u003e", "\\", "<email_1",
            "{\"a\":\"{\\\"b\\\":\\\"password='Gr8\\\\\\\"x12zz' ", "<CREDENTIAL_1>\\\"}\"}", "password='Gr8\"x12zz' ",
        ]), 0..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let text = words.join(" ");
        let rules = rules(Action::Mask);
        let (mut masks, mut findings) = (Masks::default(), Findings::default());
        let whole = rules.edit(&text, &mut masks, &mut findings).into_owned();
        let (mut piecewise, mut found, mut out) = (Masks::default(), Findings::default(), String::new());
        let mut editor = Editor::new(&rules);
        for chunk in cut(&text, &cuts) {
            editor.push(chunk, &rules, &mut piecewise, &mut found, &mut out);
        }
        editor.finish(&rules, &mut piecewise, &mut found, &mut out);
        prop_assert_eq!(&out, &whole);
        prop_assert_eq!(found, findings);

        let mut restored = String::new();
        let mut restore = Restore::default();
        for chunk in cut(&whole, &cuts) {
            restore.push(chunk, &masks, &mut restored);
            prop_assert!(restore.held_bytes() <= written::WRITTEN_BYTES_MAX);
        }
        restore.finish(&mut restored);
        prop_assert_eq!(restored, Restore::whole(&whole, &masks));
    }
}

#[test]
fn kinds_that_others_found_are_masked_and_put_back_as_ours_are() {
    let mut masks = Masks::default();
    masks.avoid("mine: <PERSON_4>, <EMAIL_2>, <b_>, <_1>, <EMAIL_02>");
    let anna = masks.placeholder_of("PERSON", "Anna").unwrap();
    let bob = masks.placeholder_of("PERSON", "Bob").unwrap();
    let place = masks.placeholder_of("nrp/very-long-name-of-a-kind", "Springfield");
    let place = place.unwrap();
    assert_eq!((&*anna, &*bob), ("<PERSON_5>", "<PERSON_6>"));
    assert_eq!(&*place, "<NRP_VERY_LONG_NAME__5>");
    assert_eq!(
        masks.placeholder_of("PERSON", "Anna").as_deref(),
        Some(&*anna)
    );
    let mail = masks.placeholder(Kind::Email, plain("anna@example.com"));
    let mail = mail.unwrap();
    assert_eq!(&*mail, "<EMAIL_3>");
    let text = format!("{anna}, {bob} and <PERSON_4> of {place}: {mail}");
    assert_eq!(
        Restore::whole(&text, &masks),
        "Anna, Bob and <PERSON_4> of Springfield: anna@example.com"
    );
    let places = masks.places(&text);
    let told: Vec<&str> = places.into_iter().map(|place| &text[place]).collect();
    assert_eq!(told, [&*anna, &*bob, &*place, &*mail]);
}

#[test]
fn an_escaped_value_is_masked_as_what_it_means_and_leaves_json_whole() {
    let (mut masks, mut findings) = (Masks::default(), Findings::default());
    let rules = rules(Action::Mask);
    for (text, expected) in [
        (
            r#"{"from":"j\u00f6rg@example.com","body":"Hi\nanna@example.com"}"#,
            r#"{"from":"<EMAIL_1>","body":"Hi\n<EMAIL_2>"}"#,
        ),
        ("jörg@example.com", "<EMAIL_1>"),
    ] {
        assert_eq!(rules.edit(text, &mut masks, &mut findings), expected);
    }
    assert_eq!(
        Restore::whole("to <EMAIL_1>", &masks),
        "to jörg@example.com"
    );
}

#[test]
fn spellings_of_one_value_share_a_placeholder_and_come_back_as_the_first() {
    let text = "Call +49 171 1234567, +49-171-1234567 or +491711234567; mail anna@example.com, anna@Example.com.";
    let (mut masks, mut findings) = (Masks::default(), Findings::default());
    let rules = rules(Action::Mask);
    let masked = rules.edit(text, &mut masks, &mut findings);
    assert_eq!(
        masked,
        "Call <PHONE_1>, <PHONE_1> or <PHONE_1>; mail <EMAIL_1>, <EMAIL_1>."
    );
    assert_eq!(
        Restore::whole(&masked, &masks),
        "Call +49 171 1234567, +49 171 1234567 or +49 171 1234567; mail anna@example.com, anna@example.com."
    );
}

#[test]
fn what_an_answer_spells_its_own_way_comes_back_as_it_was() {
    let rules = rules(Action::Mask);
    let (mut masks, mut findings) = (Masks::default(), Findings::default());
    rules.edit("4532 0151 1283 0366", &mut masks, &mut findings);
    masks.begin_answer();
    let answer = "4532015112830366 and 4532 0151 1283 0366";
    let masked = rules.edit(answer, &mut masks, &mut findings);
    assert_eq!(masked, "<PAYMENT_CARD_2> and <PAYMENT_CARD_1>");
    assert_eq!(Restore::whole(&masked, &masks), answer);
}

#[test]
fn a_value_in_json_comes_back_as_what_it_means() {
    let rules = rules(Action::Mask);
    let (mut masks, mut findings) = (Masks::default(), Findings::default());
    let text = r#"{"url": "https:\/\/anna:s3cr3t-pw@db.example.com\/x"}"#;
    let masked = rules.edit(text, &mut masks, &mut findings);
    assert_eq!(masks.len(), 1, "{masked}");
    assert_eq!(Restore::whole(&masked, &masks), text);
    let name = masked.split(['<', '>']).nth(1).unwrap();
    let told = format!("It is <{name}>.");
    assert!(!Restore::whole(&told, &masks).contains('\\'), "{masked}");
}

#[test]
fn a_placeholder_is_avoided_in_every_form_in_which_it_would_be_put_back() {
    for text in [
        "<email_7>",
        r"\<EMAIL\_7\>",
        "&lt;EMAIL_7&gt;",
        "%3CEmail_7%3E",
    ] {
        let mut masks = Masks::default();
        masks.avoid(text);
        let masked = masks.placeholder(Kind::Email, plain("anna@example.com"));
        assert_eq!(masked.as_deref(), Some("<EMAIL_8>"), "{text}");
    }
}
