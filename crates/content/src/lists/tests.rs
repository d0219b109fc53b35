use proptest::prelude::*;

use super::*;

fn lists(words: &[&str], patterns: &[&str], action: Action) -> Lists {
    let owned = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
    Lists::new(&Spec {
        words: owned(words),
        patterns: owned(patterns),
        action,
        ..Spec::default()
    })
    .unwrap()
}

fn topic(phrases: &[(&str, u32)], threshold: u32, window: usize) -> Lists {
    let phrases = phrases
        .iter()
        .map(|(phrase, weight)| ((*phrase).to_owned(), *weight));
    let topic = Topic {
        phrases: phrases.collect(),
        threshold,
        window,
    };
    Lists::new(&Spec {
        topics: [("weapons".to_owned(), topic)].into(),
        ..Spec::default()
    })
    .unwrap()
}

fn redact(lists: &Lists, text: &str) -> (String, Found) {
    let mut found = Found::default();
    let edited = lists.edit(text, &mut found).into_owned();
    (edited, found)
}

fn streamed(lists: &Lists, text: &str, piece: usize) -> (String, Found) {
    let (mut stream, mut found, mut out) = (Stream::default(), Found::default(), String::new());
    let chars: Vec<char> = text.chars().collect();
    for piece in chars.chunks(piece) {
        stream.push(
            &piece.iter().collect::<String>(),
            lists,
            &mut found,
            &mut out,
        );
    }
    stream.finish(lists, &mut found, &mut out);
    (out, found)
}

#[test]
fn words_are_found_whole_in_any_case_and_spelling() {
    let lists = lists(
        &["Falcon", "project x", "straße", "機密"],
        &[],
        Action::Redact,
    );
    for (text, edited) in [
        ("the falcon flies", "the [REDACTED] flies"),
        ("FALCON.", "[REDACTED]."),
        (
            "falconry and peregrinefalcon",
            "falconry and peregrinefalcon",
        ),
        ("f\u{200b}al\u{ad}con", "[REDACTED]"),
        ("ｆａｌｃｏｎ", "[REDACTED]"),
        ("Project\n  X!", "[REDACTED]!"),
        ("in der STRASSE 5", "in der [REDACTED] 5"),
        ("これは機密です", "これは[REDACTED]です"),
        ("falcon falcon", "[REDACTED] [REDACTED]"),
    ] {
        assert_eq!(redact(&lists, text).0, edited, "{text}");
    }
    assert_eq!(
        redact(&lists, "falcon falcon").1.kinds(),
        [("word".to_owned(), 2)]
    );
}

#[test]
fn a_list_that_blocks_blocks_and_one_that_redacts_does_not() {
    let found = redact(&lists(&["falcon"], &[], Action::Block), "a falcon").1;
    assert!(found.is_blocked && found.words == 1);
    let found = redact(&lists(&["falcon"], &[], Action::Redact), "a falcon").1;
    assert!(!found.is_blocked && found.words == 1);
    assert!(
        redact(&lists(&["falcon"], &[], Action::Block), "a hawk")
            .1
            .is_empty()
    );
}

#[test]
fn patterns_see_through_odd_spelling_and_say_themselves_what_they_want() {
    let lists = lists(&[], &[r"PRJ-\d{4}", r"(?i)\bcode\s+red\b"], Action::Redact);
    for (text, edited) in [
        ("see PRJ-1234.", "see [REDACTED]."),
        ("see prj-1234.", "see prj-1234."),
        ("see ＰＲＪ-\u{200b}１２３４", "see [REDACTED]"),
        ("Code   Red now", "[REDACTED] now"),
    ] {
        assert_eq!(redact(&lists, text).0, edited, "{text}");
    }
}

#[test]
fn a_topic_is_there_when_enough_of_it_stands_together() {
    let lists = topic(&[("trigger", 1), ("barrel", 1), ("silencer", 3)], 4, 60);
    let score = |text: &str| redact(&lists, text).1.topics.get("weapons").copied();
    assert_eq!(score("the silencer fits the barrel"), Some(4));
    assert_eq!(score("trigger, barrel, trigger, barrel, trigger"), None);
    assert_eq!(
        score(&format!("silencer {} barrel", "far ".repeat(20))),
        None
    );
    assert_eq!(score("the Silencer, the BARREL and the trigger"), Some(5));
    assert!(redact(&lists, "silencer barrel").1.is_blocked);
}

#[test]
fn items_that_cannot_be_looked_for_are_all_told() {
    let spec = Spec {
        words: vec!["ok".to_owned(), " \u{200b}".to_owned(), "x".repeat(201)],
        patterns: vec![
            "(".to_owned(),
            "a*".to_owned(),
            r"\w{1000}{1000}".to_owned(),
        ],
        topics: [(
            "t".to_owned(),
            Topic {
                phrases: [(String::new(), 1)].into(),
                threshold: 9,
                window: 100,
            },
        )]
        .into(),
        action: Action::Block,
    };
    let errors = Lists::new(&spec).unwrap_err();
    let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 7, "{told:#?}");
    assert!(
        told.iter().any(|line| line == "unclosed group"),
        "{told:#?}"
    );
    assert!(
        told.iter()
            .any(|line| line.contains("can never be reached")),
        "{told:#?}"
    );
}

#[test]
fn a_streams_text_is_held_back_no_longer_than_its_longest_word_needs() {
    let lists = lists(&["falcon"], &[], Action::Redact);
    let (mut stream, mut found, mut out) = (Stream::default(), Found::default(), String::new());
    stream.push("a perfectly harmless text", &lists, &mut found, &mut out);
    assert!(stream.held_bytes() <= 7, "{}", stream.held_bytes());
    assert_eq!(out, "a perfectly harmle");
}

proptest! {
    #[test]
    fn a_stream_is_edited_as_its_whole_is(
        words in prop::collection::vec("(falcon|project|x|hawk|ＦＡＬＣＯＮ|f\u{200b}alcon|falconry|PRJ-[0-9]{3,5}|ä)", 0..20),
        piece in 1usize..20,
    ) {
        let lists = lists(&["falcon", "project x"], &[r"\bPRJ-\d{4}\b"], Action::Redact);
        let text = words.join(" ");
        let (whole, found) = redact(&lists, &text);
        let (out, found_in_pieces) = streamed(&lists, &text, piece);
        prop_assert_eq!(&out, &whole);
        prop_assert_eq!(found_in_pieces, found);
    }

    #[test]
    fn a_topic_is_found_in_a_stream_as_in_its_whole(
        words in prop::collection::vec("(silencer|barrel|trigger|and|the)", 0..40),
        piece in 1usize..20,
    ) {
        let lists = topic(&[("trigger", 1), ("barrel", 1), ("silencer", 3)], 5, 30);
        let text = words.join("  ");
        prop_assert_eq!(streamed(&lists, &text, piece).1, redact(&lists, &text).1);
    }

    #[test]
    fn no_text_breaks_us(text in "\\PC{0,80}", piece in 1usize..8) {
        let lists = lists(&["a", "ß", "e\u{301}"], &[r"\p{L}{2}\d"], Action::Redact);
        let (whole, _) = redact(&lists, &text);
        let (out, _) = streamed(&lists, &text, piece);
        prop_assert!(!out.is_empty() || whole.is_empty());
    }
}
