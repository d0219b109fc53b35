//! What a model with an English vocabulary cannot read: other scripts, signs, endless words. It takes one for the
//! other, so that they must be the same to the letter.

use std::ops::Range;

use super::Pair;
use crate::difference::{Difference, Kind};

/// A longer word is read as none.
const WORD_MAX: usize = 40;

pub fn difference(pair: &Pair<'_>) -> Option<Difference> {
    let (cached, asked) = (pair.cached.text, pair.asked.text);
    let written = if is_foreign(cached) || is_foreign(asked) {
        letters
    } else {
        signs
    };
    apart(pair, &written(cached), &written(asked))
        .or_else(|| apart(pair, &endless(cached), &endless(asked)))
}

/// The first place where one has something else than the other.
fn apart<T: PartialEq>(
    pair: &Pair<'_>,
    cached: &[(T, Range<usize>)],
    asked: &[(T, Range<usize>)],
) -> Option<Difference> {
    let longest = cached.len().max(asked.len());
    let at = (0..longest).find(|at| {
        cached.get(*at).map(|(written, _)| written) != asked.get(*at).map(|(written, _)| written)
    })?;
    let span = |of: &[(T, Range<usize>)]| of.get(at).map(|(_, span)| span.clone());
    Some(pair.differ(Kind::Word, span(cached), span(asked)))
}

/// Most of its letters are of another script: nothing else in it can be understood either.
fn is_foreign(text: &str) -> bool {
    let letters = || text.chars().filter(|c| c.is_alphabetic());
    letters().filter(|c| !is_latin(*c)).count() * 2 > letters().count()
}

type Written = Vec<(char, Range<usize>)>;

/// Every letter and figure, and every sign that is not read.
fn letters(text: &str) -> Written {
    written(text, |sign, follows| {
        sign.is_alphanumeric() || is_unread(sign, follows)
    })
}

/// What is not read, in its order.
fn signs(text: &str) -> Written {
    written(text, is_unread)
}

fn written(text: &str, counts: fn(char, bool) -> bool) -> Written {
    let mut found = Vec::new();
    let mut follows = false;
    for (at, sign) in text.char_indices() {
        let span = at..at + sign.len_utf8();
        follows = is_unread(sign, follows);
        if counts(sign, follows) {
            found.extend(sign.to_lowercase().map(|small| (small, span.clone())));
        }
    }
    found
}

/// Neither Latin nor punctuation. An accent is part of the letter that it `follows`.
fn is_unread(sign: char, follows: bool) -> bool {
    match sign {
        '\u{300}'..='\u{36f}' => follows,
        _ => !is_latin(sign) && !is_punctuation(sign) && !sign.is_whitespace(),
    }
}

fn is_latin(sign: char) -> bool {
    match sign {
        // `m²` is not `m³`.
        '²' | '³' | '¹' | '¼'..='¾' | '×' | '÷' | '¬' | '±' | '¢' | '¤' => false,
        _ => {
            matches!(sign, '\0'..='\u{2ff}' | '\u{1d00}'..='\u{1dbf}' | '\u{1e00}'..='\u{1eff}' | '\u{2c60}'..='\u{2c7f}' | '\u{a720}'..='\u{a7ff}' | '\u{ab30}'..='\u{ab6f}' | '\u{fb00}'..='\u{fb06}')
        }
    }
}

/// Says nothing, or is read by [`words`](crate::words) (`€`, `→`).
fn is_punctuation(sign: char) -> bool {
    match sign {
        '‰' | '‱' | '′'..='‷' | '⁄' | '⁒' => false,
        '〇' | '々' | '〆' => false,
        _ => matches!(
            sign,
            '\u{2000}'..='\u{206f}'
                | '\u{3000}'..='\u{303f}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{fe10}'..='\u{fe1f}'
                | '\u{fe30}'..='\u{fe58}'
                | '\u{feff}'
                | '€' | '→' | '−' | '™' | '▪' | '◦' | '❛'..='❞'
                | '！' | '＂' | '＇' | '（' | '）' | '，' | '－' | '．' | '：' | '；' | '？' | '［' | '］' | '～'
                | '｡'..='･' | '・'
                | '؟' | '،' | '؛' | '־' | '׳' | '״' | '।' | '॥' | '\u{37e}' | '\u{387}'
                | '\u{55a}'..='\u{55f}' | '\u{589}' | '\u{1361}'..='\u{1368}' | '\u{17d4}'..='\u{17d6}'
        ),
    }
}

/// Words past what can be read, as they are written.
fn endless(text: &str) -> Vec<(&str, Range<usize>)> {
    let joins = |sign: char| sign.is_alphanumeric() || matches!(sign, '+' | '/' | '=' | '_' | '-');
    let mut found = Vec::new();
    let mut at = 0;
    for word in text.split_inclusive(|sign| !joins(sign)) {
        let trimmed = word.trim_matches(|sign: char| !sign.is_alphanumeric());
        if trimmed.chars().nth(WORD_MAX).is_some() {
            found.push((trimmed, at..at + word.trim_end().len()));
        }
        at += word.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::compare;

    fn differ(a: &str, b: &str) {
        assert!(compare(a, b).is_some(), "{a} / {b}");
    }

    fn same(a: &str, b: &str) {
        assert_eq!(compare(a, b), None, "{a} / {b}");
    }

    #[test]
    fn a_question_in_another_script_equals_only_itself() {
        differ("怎么重置密码？", "怎么删除密码？");
        differ("怎么开户？", "怎么销户？");
        differ("월요일에 열어요?", "일요일에 열어요?");
        differ("口座を開くには？", "口座を閉じるには？");
        differ("เปิดบัญชีอย่างไร", "ปิดบัญชีอย่างไร");
        differ("ข่าววันนี้", "ข้าววันนี้");
        differ("خاتا كيف أفتح؟", "خاتا كيف أغلق؟");
        differ("Как включить звук?", "Как выключить звук?");
        differ("从 Berlin 到 Paris 的票吗", "从 Paris 到 Berlin 的票吗");
        same("怎么重置密码？", "怎么重置密码");
        same("怎么重置密码？", "怎么重置 密码?");
        same("Как включить звук?", "как включить звук");
    }

    #[test]
    fn a_word_in_another_script_is_that_word() {
        differ("How do you say 猫 aloud?", "How do you say 狗 aloud?");
        differ("What is the angle α here?", "What is the angle β here?");
        same("How do you say 猫 aloud?", "how do you say 猫 aloud");
    }

    #[test]
    fn signs_that_mean_something_are_the_same_to_the_letter() {
        for (a, b) in [
            ("👍", "👎"),
            ("Is 👍 rude?", "Is 👎 rude?"),
            ("Is it the flag of 🇩🇪?", "Is it the flag of 🇫🇷?"),
            ("is a ≠ b", "is a = b"),
            ("is 3 ≤ x", "is 3 ≥ x"),
            ("Is it in ₹ here?", "Is it in ₺ here?"),
            ("Please reply with ✅", "Please reply with ❌"),
            ("does A → B hold", "does A ← B hold"),
            ("what is 6 × 3", "what is 6 ÷ 3"),
            ("what is x² at 3", "what is x³ at 3"),
            ("Is 5 ‰ much?", "Is 5 % much?"),
        ] {
            differ(a, b);
        }
    }

    #[test]
    fn punctuation_and_accents_mean_nothing() {
        same(
            "Is „Nord“ – the ship – here… now?",
            "Is \"Nord\" - the ship - here, now?",
        );
        same("Is it\u{a0}open • today?", "Is it open today?");
        same("¿Es el ‘hotel’ nuevo?", "es el hotel nuevo");
        same("Do you like ❤️ here?", "Do you like ❤ here?");
    }

    #[test]
    fn an_endless_word_is_the_same_to_the_letter() {
        let decode = |last: &str| format!("Decode {}{last} for me", "QkzjXb".repeat(20));
        differ(&decode("a"), &decode("b"));
        differ(&decode("a"), &decode("A"));
        same(&decode("a"), &format!("{}, please", decode("a")));
    }
}
