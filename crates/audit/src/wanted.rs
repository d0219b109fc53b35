//! What a search looks for: words, and phrases in quotes. Pure.

use crate::words::{Words, hash};

/// All of the clauses must be there, each a word or words that follow one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    clauses: Vec<Vec<Box<[u8]>>>,
}

const CLAUSES_MAX: usize = 16;
const CLAUSE_WORDS_MAX: usize = 32;

impl Wanted {
    /// Words, and phrases in quotes. `Err` says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut clauses = Vec::new();
        for (number, piece) in text.split('"').enumerate() {
            if number % 2 == 1 {
                clauses.push(words(piece));
            } else {
                // A name such as `jean-luc` is two words that follow one another.
                clauses.extend(piece.split_whitespace().map(words));
            }
        }
        clauses.retain(|clause| !clause.is_empty());
        if clauses.is_empty() {
            return Err("the search text has no word: give letters or digits".to_owned());
        }
        if clauses.len() > CLAUSES_MAX
            || clauses.iter().any(|clause| clause.len() > CLAUSE_WORDS_MAX)
        {
            return Err(format!(
                "the search text is too long: give at most {CLAUSES_MAX} words or phrases, of at most {CLAUSE_WORDS_MAX} words each"
            ));
        }
        Ok(Self { clauses })
    }

    /// Of all words, once.
    pub(crate) fn hashes(&self) -> Vec<u64> {
        let mut hashes: Vec<u64> = self
            .clauses
            .iter()
            .flatten()
            .map(|word| hash(word))
            .collect();
        hashes.sort_unstable();
        hashes.dedup();
        hashes
    }

    /// Whether each clause stands in one of the texts.
    pub(crate) fn is_in(&self, texts: &[&[u8]]) -> bool {
        let mut missing: Vec<&[Box<[u8]>]> = self.clauses.iter().map(Vec::as_slice).collect();
        for text in texts {
            // Bit n: the clause's first n + 1 words are the last n + 1 read.
            let mut states = vec![0_u32; missing.len()];
            let mut is_there = vec![false; missing.len()];
            let mut words = Words::new(text);
            while let Some(word) = words.next() {
                for ((clause, state), is_there) in
                    missing.iter().zip(&mut states).zip(&mut is_there)
                {
                    let mut fits = 0;
                    for (at, wanted) in clause.iter().enumerate() {
                        fits |= u32::from(**wanted == *word) << at;
                    }
                    *state = (*state << 1 | 1) & fits;
                    *is_there |= *state >> (clause.len() - 1) & 1 == 1;
                }
            }
            let mut is_there = is_there.into_iter();
            missing.retain(|_| !is_there.next().unwrap_or(false));
        }
        missing.is_empty()
    }
}

fn words(text: &str) -> Vec<Box<[u8]>> {
    let mut words = Words::of_text(text.as_bytes());
    let mut list = Vec::new();
    while let Some(word) = words.next() {
        list.push(word.into());
    }
    list
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_phrase_is_words_that_follow_one_another_in_one_text() {
        let found = |wanted: &str, texts: &[&str]| {
            let texts: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
            Wanted::parse(wanted).unwrap().is_in(&texts)
        };
        let texts = ["The blue blue whale sings.", "Not a fish"];
        assert!(found("whale FISH", &texts));
        assert!(found("\"blue whale\" fish", &texts));
        assert!(!found("\"whale blue\"", &texts));
        assert!(!found("\"sings not\"", &texts));
        assert!(!found("whales", &texts));
        assert!(found("blue-whale", &texts));
    }

    #[test]
    fn a_search_without_words_or_with_too_many_says_what_to_do() {
        assert!(Wanted::parse(" \"...\" ").unwrap_err().contains("no word"));
        assert!(
            Wanted::parse(&"a ".repeat(17))
                .unwrap_err()
                .contains("at most 16")
        );
        assert!(
            Wanted::parse(&format!("\"{}\"", "a ".repeat(33)))
                .unwrap_err()
                .contains("32 words")
        );
    }

    proptest! {
        #[test]
        fn each_word_of_a_text_is_found_in_it(text in "[a-zéß東 .\"]{1,80}") {
            for word in words(&text) {
                let word = std::str::from_utf8(&word).unwrap();
                prop_assert!(Wanted::parse(word).unwrap().is_in(&[text.as_bytes()]));
            }
        }
    }
}
