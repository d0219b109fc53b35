//! The texts of one document as questions to a service: long ones in windows, short ones together.
//!
//! Texts of different voices are never in one question, and only short ones share one, so that no
//! benign text hides a bad one by its length.

use std::collections::HashSet;

use super::Bounds;

/// Texts up to this long share questions.
const SHORT_CHARS_MAX: usize = 200;

/// Up to this long: a sentence still weighs something in it.
const SHARED_CHARS_MAX: usize = 1_000;

/// Each text is in one question at least, none twice. Nothing that is only white space.
pub fn questions<'t, V: Copy + Eq>(
    texts: impl IntoIterator<Item = (V, &'t str)>,
    bounds: Bounds,
) -> Vec<(V, String)> {
    let mut questions: Vec<(V, String)> = Vec::new();
    // By voice: the question that short texts are added to, and how many characters it has.
    let mut open: Vec<(V, usize, usize)> = Vec::new();
    let mut seen: Vec<(V, HashSet<&'t str>)> = Vec::new();
    for (voice, text) in texts {
        if text.trim().is_empty() || !is_new(&mut seen, voice, text) {
            continue;
        }
        let chars = text.chars().take(SHORT_CHARS_MAX + 1).count();
        let shared_max = SHARED_CHARS_MAX.min(bounds.chars_max());
        if chars > SHORT_CHARS_MAX.min(shared_max) {
            let windows = bounds.windows(text).into_iter();
            questions.extend(windows.map(|window| (voice, text[window].to_owned())));
            continue;
        }
        let shared = open.iter_mut().find(|(of, _, _)| *of == voice);
        match shared {
            Some((_, at, length)) if *length + 1 + chars <= shared_max => {
                let question = &mut questions[*at].1;
                question.push('\n');
                question.push_str(text);
                *length += 1 + chars;
            }
            full => {
                let new = (voice, questions.len(), chars);
                match full {
                    Some(full) => *full = new,
                    None => open.push(new),
                }
                questions.push((voice, text.to_owned()));
            }
        }
    }
    questions
}

fn is_new<'t, V: Copy + Eq>(
    seen: &mut Vec<(V, HashSet<&'t str>)>,
    voice: V,
    text: &'t str,
) -> bool {
    match seen.iter_mut().find(|(of, _)| *of == voice) {
        Some((_, texts)) => texts.insert(text),
        None => {
            seen.push((voice, HashSet::from([text])));
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked(texts: &[(char, &str)]) -> Vec<(char, String)> {
        questions(texts.iter().copied(), Bounds::new(10_000, 100))
    }

    #[test]
    fn short_texts_of_one_voice_share_a_question_and_other_voices_do_not() {
        let texts = [
            ('s', "be nice"),
            ('u', "hi"),
            ('u', " "),
            ('a', "yes?"),
            ('u', "more"),
            ('u', "hi"),
        ];
        let asked = asked(&texts);
        let expected = [('s', "be nice"), ('u', "hi\nmore"), ('a', "yes?")];
        assert_eq!(
            asked,
            expected.map(|(voice, text)| (voice, text.to_owned()))
        );
    }

    #[test]
    fn a_long_text_is_asked_about_alone() {
        let long = "long ".repeat(100);
        let asked = asked(&[('u', "short"), ('u', &long), ('u', "too")]);
        assert_eq!(asked.len(), 2);
        assert_eq!(asked[0].1, "short\ntoo");
    }

    proptest! {
        /// The issue's own: a long prompt with the bad sentence at any boundary.
        #[test]
        fn the_bad_sentence_is_found_wherever_a_long_prompt_is_cut(
            at in 0usize..100_000,
            word in "[a-z]{1,12}",
            (window, overlap) in (500usize..10_000, 60usize..100),
        ) {
            let bad = " HERE IS THE BAD SENTENCE THAT MUST BE FOUND. ";
            let mut text = format!("{word} ").repeat(100_000 / (word.len() + 1));
            text.insert_str(at.min(text.len()), bad);
            let asked = questions([((), text.as_str())], Bounds::new(window, overlap));
            prop_assert!(asked.iter().any(|(_, question)| question.contains(bad)));
            prop_assert!(asked.iter().all(|(_, question)| question.chars().count() <= window));
        }

        #[test]
        fn every_text_is_asked_about(texts in prop::collection::vec((0u8..3, "[a-z ]{0,300}"), 0..40)) {
            let bounds = Bounds::new(100, 20);
            let asked = questions(texts.iter().map(|(voice, text)| (*voice, text.as_str())), bounds);
            for (voice, text) in &texts {
                for window in bounds.windows(text).into_iter().map(|window| &text[window]) {
                    let is_asked = asked.iter().any(|(of, question)| of == voice && question.contains(window));
                    prop_assert!(is_asked || text.trim().is_empty(), "{text}");
                }
            }
            prop_assert!(asked.iter().all(|(_, question)| question.chars().count() <= 100));
        }
    }
}
