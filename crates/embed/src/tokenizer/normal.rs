//! A text as BERT's uncased models see it: lower case, no accents, no controls, signs on their own.

use icu_normalizer::DecomposingNormalizerBorrowed;
use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Goes on with the word before it.
    Letter(char),
    /// A word by itself: punctuation, an ideograph.
    Alone(char),
    Space,
}

/// What is left of a text, sign by sign and no further than it is asked for.
pub fn parts(text: &str) -> impl Iterator<Item = Part> {
    const CATEGORIES: icu_properties::CodePointMapDataBorrowed<'static, GeneralCategory> =
        CodePointMapData::<GeneralCategory>::new();
    const DECOMPOSE: DecomposingNormalizerBorrowed<'static> =
        DecomposingNormalizerBorrowed::new_nfd();

    // Not those that stand for nothing yet: the next version of Unicode may give them a meaning.
    const INVISIBLE: GeneralCategoryGroup =
        GeneralCategoryGroup::Other.intersection(GeneralCategoryGroup::Unassigned.complement());

    let is = |letter: char, group: GeneralCategoryGroup| group.contains(CATEGORIES.get(letter));
    let clean = text.chars().filter_map(move |letter| match letter {
        '\t' | '\n' | '\r' => Some(' '),
        '\0' | char::REPLACEMENT_CHARACTER => None,
        _ if letter.is_ascii() => (!letter.is_ascii_control()).then_some(letter),
        _ if is(letter, INVISIBLE) => None,
        _ if letter.is_whitespace() => Some(' '),
        _ => Some(letter),
    });
    DECOMPOSE
        .normalize_iter(clean)
        .filter(move |letter| {
            letter.is_ascii() || CATEGORIES.get(*letter) != GeneralCategory::NonspacingMark
        })
        .flat_map(char::to_lowercase)
        .map(move |letter| match letter {
            _ if letter.is_whitespace() => Part::Space,
            _ if letter.is_ascii_alphanumeric() => Part::Letter(letter),
            _ if letter.is_ascii_punctuation() || is_ideograph(letter) => Part::Alone(letter),
            _ if is(letter, GeneralCategoryGroup::Punctuation) => Part::Alone(letter),
            _ => Part::Letter(letter),
        })
}

/// The blocks that the model's makers took for Chinese. Neither kana nor hangul is among them.
fn is_ideograph(letter: char) -> bool {
    matches!(
        letter,
        '\u{3400}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{2a6df}'
            | '\u{2a700}'..='\u{2b81f}'
            | '\u{2b820}'..='\u{2ceaf}'
            | '\u{2f800}'..='\u{2fa1f}'
    )
}
