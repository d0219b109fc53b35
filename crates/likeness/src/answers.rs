//! Do two answers say the same? For finding out whether a cached answer would have been right.
//!
//! In doubt they do not: a cache then looks worse than it is, never better.

use crate::compare;

/// Answers in other words are the same only if their vectors are this near. Chosen, not measured: high enough
/// that what is left to the comparison of facts is about one thing.
pub const ANSWER_SIMILARITY_MIN: f64 = 0.9;

/// Whether they are the same words, whatever their case, spaces and signs.
pub fn same_words(cached: &str, fresh: &str) -> bool {
    letters(cached).eq(letters(fresh))
}

/// Whether answers in different words, of this similarity, say the same: near, and no fact differs.
pub fn agree(cached: &str, fresh: &str, similarity: f64) -> bool {
    similarity >= ANSWER_SIMILARITY_MIN && compare(cached, fresh).is_none()
}

/// Letters and digits, and what stands between digits: `1.5` is not `15`.
fn letters(text: &str) -> impl Iterator<Item = char> + '_ {
    let mut before = ' ';
    text.chars()
        .filter(move |letter| {
            let kept = letter.is_alphanumeric()
                || (before.is_ascii_digit() && matches!(letter, '.' | ',' | ':' | '/' | '-' | '%'))
                || matches!(letter, '-' | '+' | '<' | '>' | '=' | '$' | '€' | '£');
            before = *letter;
            kept
        })
        .flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_case_and_signs_do_not_matter() {
        assert!(same_words(
            "Yes: within **30 days**.",
            "yes, within 30 days"
        ));
        assert!(!same_words("It costs 1.5 EUR", "It costs 15 EUR"));
        assert!(!same_words("It is -5 degrees", "It is 5 degrees"));
        assert!(!same_words("Yes", "No"));
    }

    #[test]
    fn near_answers_with_another_fact_do_not_agree() {
        let cached = "You can return the item within 30 days.";
        assert!(agree(
            cached,
            "The item can be returned within 30 days.",
            0.95
        ));
        assert!(!agree(
            cached,
            "You can return the item within 60 days.",
            0.98
        ));
        assert!(!agree(
            cached,
            "The item can be returned within 30 days.",
            0.7
        ));
        assert!(!agree(cached, cached, f64::NAN));
    }
}
