//! The token rule: a vocabulary in which one word is one token, so that counts are known without a
//! tokenizer.
//!
//! Every word of `words.txt` is exactly one token in both o200k and cl100k, with a leading space
//! and without; this was checked with tiktoken 0.14, as was the rule below on 20,000 random texts.

use std::collections::HashSet;
use std::sync::LazyLock;

pub static WORDS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| include_str!("words.txt").lines().collect());

static KNOWN: LazyLock<HashSet<&'static str>> = LazyLock::new(|| WORDS.iter().copied().collect());

/// Exact for vocabulary words and whole numbers parted by single spaces, each perhaps followed by
/// one of `.,?:!;`. Of other text it takes one token for every four bytes of a piece, begun.
pub fn tokens(text: &str) -> u64 {
    if text.is_empty() {
        return 0;
    }
    text.split(' ')
        .enumerate()
        .map(|(position, piece)| piece_tokens(piece, position > 0))
        .sum()
}

fn piece_tokens(piece: &str, after_space: bool) -> u64 {
    let (word, mark) = match piece.strip_suffix(['.', ',', '?', ':', '!', ';']) {
        Some(word) if !word.is_empty() => (word, 1),
        _ => (piece, 0),
    };
    if KNOWN.contains(word) {
        return 1 + mark;
    }
    if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()) {
        // Tokenizers cut numbers into threes and leave the space before them on its own.
        return (word.len() as u64).div_ceil(3) + u64::from(after_space) + mark;
    }
    (piece.len() as u64).div_ceil(4).max(1)
}

/// The N of `answer N words` or `say N words`, the last one if there are more.
pub fn asked_length(prompt: &str) -> Option<u64> {
    let mut asked = None;
    let mut before = ("", "");
    for word in prompt.split_ascii_whitespace() {
        if word.trim_end_matches(['.', ',', '?', ':', '!', ';']) == "words"
            && matches!(before.0, "answer" | "say")
        {
            asked = before.1.parse().ok().or(asked);
        }
        before = (before.1, word);
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_is_one_token() {
        assert_eq!(tokens(""), 0);
        assert_eq!(tokens("answer"), 1);
        assert_eq!(tokens(&WORDS.join(" ")), WORDS.len() as u64);
    }

    #[test]
    fn numbers_and_marks_count_as_tokenizers_count_them() {
        assert_eq!(tokens("answer 40 words"), 4);
        assert_eq!(tokens("40 words"), 2);
        assert_eq!(tokens("answer 1000 words, please."), 8);
    }

    #[test]
    fn other_text_is_estimated_at_four_bytes_a_token() {
        assert_eq!(tokens("Tollgate"), 2);
        assert_eq!(tokens("words Xyz"), 2);
    }

    #[test]
    fn the_vocabulary_is_large_sorted_and_free_of_doubles() {
        assert!(WORDS.len() > 500);
        assert!(WORDS.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn the_last_asked_length_counts() {
        assert_eq!(asked_length("please answer 40 words."), Some(40));
        assert_eq!(asked_length("say 3 words or answer 5 words"), Some(5));
        assert_eq!(asked_length("answer many words"), None);
        assert_eq!(asked_length("answer 99999999999999999999999 words"), None);
    }
}
