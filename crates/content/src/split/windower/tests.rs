use proptest::prelude::*;

use super::*;

/// Streams `text` in pieces of `piece` characters through a judge: `None` blocks.
fn given(
    text: &str,
    piece: usize,
    bounds: Bounds,
    judge: impl Fn(&str) -> Option<String>,
) -> (String, bool) {
    given_hurried(text, piece, bounds, |_| false, judge)
}

/// As `given`, hurried behind some pieces.
fn given_hurried(
    text: &str,
    piece: usize,
    bounds: Bounds,
    hurries: impl Fn(usize) -> bool,
    judge: impl Fn(&str) -> Option<String>,
) -> (String, bool) {
    let mut windower = Windower::new(bounds);
    let (mut out, mut at) = (String::new(), 0);
    let chars: Vec<char> = text.chars().collect();
    let pieces = chars.chunks(piece).map(Some).chain([None]);
    for (number, piece) in pieces.enumerate() {
        match piece {
            Some(piece) => windower.push(&piece.iter().collect::<String>()),
            None => windower.end(),
        }
        if hurries(number)
            && let Some(given) = windower.hurry()
        {
            out.push_str(&text[at..at + given.of_bytes]);
            at += given.of_bytes;
        }
        while let Some(window) = windower.window() {
            assert!(window.chars().count() <= bounds.chars_max());
            let Some(edited) = judge(window) else {
                return (out, true);
            };
            let given = windower.replace(&edited);
            let source = &text[at..at + given.of_bytes];
            out.push_str(given.edited.as_deref().unwrap_or(source));
            at += given.of_bytes;
        }
    }
    assert_eq!((windower.held_bytes(), at), (0, text.len()));
    (out, false)
}

/// The windows of a text that passes: each step brings so many characters, may be hurried, and may
/// have its windows answered only once more came.
fn windows_hurried(
    text: &str,
    steps: &[(usize, bool, bool)],
    bounds: Bounds,
) -> Vec<std::ops::Range<usize>> {
    let mut windower = Windower::new(bounds);
    let (mut windows, mut told) = (Vec::new(), 0);
    let mut rest = text.chars();
    for &(piece, is_hurried, is_late) in steps.iter().cycle() {
        let more: String = rest.by_ref().take(piece).collect();
        if more.is_empty() {
            windower.end();
        }
        windower.push(&more);
        if is_hurried && let Some(given) = windower.hurry() {
            told += given.of_bytes;
        }
        while let Some(window) = windower.window() {
            let length = window.len();
            let from = told - windower.shown_bytes();
            windows.push(from..from + length);
            if is_late {
                windower.push(&rest.by_ref().take(piece).collect::<String>());
            }
            told += windower.pass().of_bytes;
        }
        if more.is_empty() {
            break;
        }
    }
    assert_eq!((windower.held_bytes(), told), (0, text.len()));
    windows
}

#[test]
fn a_phrase_that_begins_in_what_was_told_and_crosses_the_next_cut_is_seen_whole() {
    let mut windower = Windower::new(Bounds::new(32, 16));
    windower.push("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    windower.hurry();
    windower.window().unwrap();
    windower.pass();
    // Sixteen characters of the next window are told, and it ends nine behind them.
    windower.push("bbbbbbbb. cccccccccccccccccccccc");
    let window = windower.window().unwrap().to_owned();
    assert_eq!(window, format!("{}bbbbbbbb.", "a".repeat(16)));
    assert_eq!(windower.pass().of_bytes, 0);
    let window = windower.window().unwrap();
    assert!(window.starts_with("aaaaaaabbbbbbbb. c"), "{window}");
    assert_eq!(windower.shown_bytes(), 7);
}

fn blocks(bad: &str) -> impl Fn(&str) -> Option<String> {
    move |window| (!window.contains(bad)).then(|| window.to_owned())
}

#[test]
fn nothing_is_given_out_before_a_window_is_full() {
    let mut windower = Windower::new(Bounds::new(20, 4));
    windower.push("twenty characters ok");
    assert!(windower.window().is_none());
    windower.push("!");
    assert_eq!(windower.window(), Some("twenty characters "));
    assert_eq!(windower.pass().of_bytes, "twenty charact".len());
}

#[test]
fn who_is_hurried_waits_for_no_full_window_and_gives_all_out_in_the_end() {
    let mut windower = Windower::new(Bounds::new(100, 4));
    windower.push("short and sweet");
    assert_eq!(windower.hurry(), None);
    assert_eq!(windower.window(), Some("short and sweet"));
    assert_eq!(windower.pass().of_bytes, "short and sweet".len());
    assert_eq!(windower.hurry(), None);
    assert!(windower.window().is_none());
    // What follows is seen with what was told before.
    windower.push("ness");
    windower.end();
    assert_eq!(windower.window(), Some("sweetness"));
    assert_eq!(windower.pass().of_bytes, "ness".len());
    assert!(windower.window().is_none());
    assert_eq!(windower.held_bytes(), 0);
}

#[test]
fn the_end_of_a_window_that_passed_leaves_at_once_when_hurried() {
    let mut windower = Windower::new(Bounds::new(20, 4));
    windower.push("twenty characters ok!");
    assert_eq!(windower.window(), Some("twenty characters "));
    let settled = "twenty charact".len();
    assert_eq!(windower.pass().of_bytes, settled);
    // Its rest was not judged yet, so it is asked about with what was.
    assert_eq!(windower.hurry(), None);
    assert_eq!(windower.window(), Some("ers ok!"));
    assert_eq!(windower.pass().of_bytes, "ers ok!".len());

    let mut windower = Windower::new(Bounds::new(16, 4));
    windower.push("some words here");
    windower.hurry();
    windower.window().unwrap();
    windower.push(" and");
    // What came meanwhile is none of it.
    assert_eq!(windower.pass().of_bytes, "some words here".len());
    assert_eq!(windower.held_bytes(), " and".len());
}

#[test]
fn what_was_told_is_not_told_again_when_its_judge_edits_it_later() {
    let mut windower = Windower::new(Bounds::new(100, 50));
    let mut out = String::new();
    let mut hurried = |text: &str, edited: &str| {
        windower.push(text);
        windower.hurry();
        let window = windower.window().unwrap().to_owned();
        let given = windower.replace(edited);
        assert_eq!(given.of_bytes, text.len());
        out.push_str(given.edited.as_deref().unwrap_or(text));
        window
    };
    assert_eq!(hurried("I am Anna", "I am [NAME]"), "I am Anna");
    // The judge sees what the client does, with what follows.
    assert_eq!(hurried(" and", "I am [NAME] and"), "I am [NAME] and");
    assert_eq!(hurried(" E", "I am [NAME] and E"), "I am [NAME] and E");
    let window = hurried("va.", "I am [NAME] and [NAME].");
    assert_eq!(window, "I am [NAME] and Eva.");
    assert_eq!(out, "I am [NAME] and E[NAME].");
}

#[test]
fn an_edit_of_what_was_told_neither_repeats_it_nor_loses_what_follows() {
    let second = |told: &str, text: &str, edited: &str| {
        let mut windower = Windower::new(Bounds::new(200, 90));
        windower.push(told);
        windower.hurry();
        windower.window().unwrap();
        windower.pass();
        windower.push(text);
        windower.hurry();
        assert_eq!(windower.window(), Some(&*format!("{told}{text}")));
        let given = windower.replace(edited);
        assert_eq!(given.of_bytes, text.len());
        given.edited
    };
    let told = "Anna said hello. ";
    // What was told stays, and the rest is as it came.
    let edited = "[PERSON] said hello. How are you";
    assert_eq!(second(told, "How are you", edited), None);
    let edited = "[PERSON] said hello. How is [PERSON]?";
    let given = second(told, "How is Bert?", edited);
    assert_eq!(given.as_deref(), Some("How is [PERSON]?"));
    let given = second("Anna ", "Bert", "[PERSON] [PERSON]");
    assert_eq!(given.as_deref(), Some("[PERSON]"));
    let given = second("Anna met Be", "rt.", "[PERSON] met [PERSON].");
    assert_eq!(given.as_deref(), Some("[PERSON]."));
    let given = second("安娜说你好。", "你好，贝特。", "[人]说你好。你好，[人]。");
    assert_eq!(given.as_deref(), Some("你好，[人]。"));
    let given = second("Anna said ", "hello", "another text");
    assert_eq!(given.as_deref(), Some("text"));
}

#[test]
fn an_edited_window_is_given_out_as_it_was_edited() {
    let redact = |window: &str| Some(window.replace("secret", "[X]"));
    let text = "the secret is 42. No secret is 43.";
    let (out, _) = given(text, 5, Bounds::new(16, 8), redact);
    assert_eq!(out, "the [X] is 42. No [X] is 43.");
}

proptest! {
    #[test]
    fn a_clean_text_comes_out_as_it_went_in(
        text in "([a-z .\n]|ä|😀|。){0,300}",
        piece in 1usize..50,
        (chars_max, overlap) in (16usize..60, 0usize..40),
    ) {
        let (out, blocked) = given(&text, piece, Bounds::new(chars_max, overlap), blocks("#"));
        prop_assert_eq!(out, text);
        prop_assert!(!blocked);
    }

    #[test]
    fn nothing_of_a_bad_phrase_ever_comes_out(
        before in "[a-z .\n]{0,200}",
        after in "[a-z .\n]{0,200}",
        piece in 1usize..50,
        chars_max in 24usize..60,
    ) {
        let text = format!("{before}#BAD PHRASE#{after}");
        let bounds = Bounds::new(chars_max, 12);
        let (out, blocked) = given(&text, piece, bounds, blocks("#BAD PHRASE#"));
        prop_assert!(blocked && !out.contains('#'), "{out}");
    }

    #[test]
    fn an_edited_stream_is_the_edited_text(
        words in prop::collection::vec("(secret|a|of|it|is|[a-z]{1,6})", 0..60),
        piece in 1usize..50,
        chars_max in 16usize..60,
    ) {
        let text = words.join(" ");
        let redact = |window: &str| Some(window.replace("secret", "[X]"));
        let (out, _) = given(&text, piece, Bounds::new(chars_max, 8), redact);
        prop_assert_eq!(out, text.replace("secret", "[X]"));
    }

    #[test]
    fn hurried_behind_any_piece_a_clean_text_comes_out_and_nothing_waits(
        text in "([a-z .\n]|ä|😀|。){1,200}",
        piece in 1usize..50,
        (chars_max, overlap) in (16usize..60, 0usize..40),
        every in 1usize..5,
    ) {
        let bounds = Bounds::new(chars_max, overlap);
        let hurries = |number: usize| number.is_multiple_of(every);
        let (out, blocked) = given_hurried(&text, piece, bounds, hurries, blocks("#"));
        prop_assert_eq!(&out, &text);
        prop_assert!(!blocked);
        let mut windower = Windower::new(bounds);
        windower.push(&text);
        while windower.window().is_some() {
            windower.pass();
        }
        if windower.hurry().is_none() {
            while windower.window().is_some() {
                windower.pass();
            }
        }
        prop_assert_eq!(windower.held_bytes(), 0);
    }

    #[test]
    fn a_bad_phrase_blocks_wherever_its_text_is_hurried_and_never_comes_out_whole(
        before in "[a-z .\n]{0,100}",
        after in "[a-z .\n]{0,100}",
        piece in 1usize..20,
        chars_max in 30usize..60,
        every in 1usize..5,
    ) {
        let text = format!("{before}#BAD PHRASE#{after}");
        let bounds = Bounds::new(chars_max, 12);
        let hurries = |number: usize| number.is_multiple_of(every);
        let (out, blocked) =
            given_hurried(&text, piece, bounds, hurries, blocks("#BAD PHRASE#"));
        prop_assert!(blocked && !out.contains("#BAD PHRASE#"), "{out}");
    }

    #[test]
    fn whatever_is_no_longer_than_the_overlap_is_in_one_window_whole_however_hurried(
        text in "([a-z .\n]|ä|😀|。){1,300}",
        steps in prop::collection::vec((1usize..25, any::<bool>(), any::<bool>()), 1..40),
        (chars_max, overlap) in (16usize..60, 0usize..40),
    ) {
        let bounds = Bounds::new(chars_max, overlap);
        let windows = windows_hurried(&text, &steps, bounds);
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let length = bounds.overlap().clamp(1, places.len() - 1);
        for phrase in places.windows(length + 1) {
            let (from, until) = (phrase[0], phrase[length]);
            let is_seen = windows.iter().any(|window| window.start <= from && until <= window.end);
            prop_assert!(is_seen, "{from}..{until} is in none of {windows:?}");
        }
    }

    #[test]
    fn an_edited_word_never_comes_out_whole_wherever_its_text_is_hurried(
        words in prop::collection::vec("(secret|of|it|is|[a-b]{1,6})", 0..40),
        piece in 1usize..20,
        chars_max in 16usize..60,
        every in 1usize..5,
    ) {
        let text = words.join(" ");
        let redact = |window: &str| Some(window.replace("secret", "[X]"));
        let hurries = |number: usize| number.is_multiple_of(every);
        let (out, _) = given_hurried(&text, piece, Bounds::new(chars_max, 8), hurries, redact);
        prop_assert!(!out.contains("secret"), "{out}");
        // Beginnings that were told stay; nothing else is lost or said twice.
        let told = out.replace("[X]", "");
        let rest = text.replace("secret", "");
        let is_part = |letter: &char| !"secret".contains(*letter);
        let of = |text: &str| text.chars().filter(is_part).collect::<String>();
        prop_assert_eq!(of(&told), of(&rest));
    }

    #[test]
    fn what_a_judge_edits_only_once_more_follows_is_neither_repeated_nor_lost(
        words in prop::collection::vec("(Anna|Bert|of|it|is|[a-m]{1,6}[.]?)", 1..40),
        piece in 1usize..30,
        (chars_max, overlap) in (16usize..80, 0usize..40),
        every in 1usize..5,
    ) {
        let words: Vec<String> =
            words.iter().enumerate().map(|(at, word)| format!("{word}{at}")).collect();
        let text = words.join(" ");
        // A name alone at the end is not one yet: it takes context to see it.
        let redact = |window: &str| {
            let words = window.split(' ').collect::<Vec<_>>();
            let last = words.len() - 1;
            let is_name = |word: &str| word.starts_with("Anna") || word.starts_with("Bert");
            let edited = words.iter().enumerate().map(|(at, word)| {
                let is_known = is_name(word) && at + 2 < last;
                if is_known { "[X]" } else { *word }
            });
            Some(edited.collect::<Vec<_>>().join(" "))
        };
        let hurries = |number: usize| number.is_multiple_of(every);
        let (out, _) = given_hurried(&text, piece, Bounds::new(chars_max, overlap), hurries, redact);
        // But for names, which are told or taken out, each word is there once and in its place.
        let plain = |text: &str| {
            let names = ["Anna", "Bert", "[X]"];
            let words = text.split(' ').filter(|word| !names.iter().any(|name| word.contains(name)));
            words.map(str::to_owned).collect::<Vec<_>>()
        };
        prop_assert_eq!(plain(&out), plain(&text));
        // No name is told twice.
        for word in &words {
            prop_assert!(out.matches(&format!("{word} ")).count() <= 1, "{out}");
        }
    }
}
