//! Which of three languages a question is in, by its little words: `a`, `an`, `will` and `war` are words of
//! more than one.

use std::collections::HashMap;
use std::sync::LazyLock;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    English,
    German,
    French,
}

const ENGLISH: &str = "the what how do does did can could to of my our is are which when where who why with for and i you
has have it this that be there at from will should not your must may on by would s";
const GERMAN: &str = "der die das ist wie ich ein eine einen einem und nicht kann mit fuer zu von den dem im wer wann wir
wo welche welcher welches warum man muss darf soll gibt es sind hat auf bei zum zur vom wird werden mein meine unser
unsere nach oder ob sich fuer uns mir mich aus als hab haben";
const FRENCH: &str = "le la les est je un une de des du que qui quel quelle quels quelles pour avec dans et l d au aux on
nous vous faut il elle sont ce cette mon ma notre comment combien quand pourquoi sur par en puis peut ai ne pas y c qu
dois doit a";

static WORDS: LazyLock<HashMap<&str, [u8; 3]>> = LazyLock::new(|| {
    let mut words = HashMap::<_, [u8; 3]>::new();
    for (at, list) in [ENGLISH, GERMAN, FRENCH].into_iter().enumerate() {
        for word in list.split_whitespace() {
            words.entry(word).or_default()[at] += 1;
        }
    }
    words
});

impl Language {
    /// The language that most words are little words of; English if none is.
    pub fn of<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let mut votes = [0u32; 3];
        for found in words.filter_map(|word| WORDS.get(word)) {
            for (vote, found) in votes.iter_mut().zip(found) {
                *vote += u32::from(*found);
            }
        }
        let [english, german, french] = votes;
        if german > english && german >= french {
            Self::German
        } else if french > english {
            Self::French
        } else {
            Self::English
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_words_tell_the_language() {
        let of = |text: &str| Language::of(text.split(' '));
        assert_eq!(of("will i get a refund"), Language::English);
        assert_eq!(of("ich will an einem tag"), Language::German);
        assert_eq!(of("il a un an"), Language::French);
        assert_eq!(of("docker compose"), Language::English);
    }
}
