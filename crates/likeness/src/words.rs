//! A text as folded words with their places. Knows apostrophes, grouped digits and identifiers; knows no
//! meaning.

use std::ops::Range;

use crate::lexicon;

/// A word in lower case without accents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    pub span: Range<usize>,
    /// Written with a capital where no sentence begins.
    pub named: bool,
    /// Counts sentences; a colon ends one too.
    pub sentence: u16,
}

/// Splits a text; what lies within `hidden` (quotes, code) is left out.
pub fn split(text: &str, hidden: &[Range<usize>]) -> Vec<Word> {
    let mut words = Vec::new();
    let mut sentence = 0;
    let mut opens = true;
    let mut hidden = hidden.iter().peekable();
    let mut at = 0;
    while at < text.len() {
        while hidden.next_if(|range| range.end <= at).is_some() {}
        if let Some(range) = hidden.peek().filter(|range| range.start <= at) {
            at = range.end;
            opens = false;
            continue;
        }
        let end = end_of_word(text, at);
        if end > at {
            push(&mut words, text, at..end, Place { sentence, opens });
            opens = false;
            at = end;
            continue;
        }
        let Some(sign) = text[at..].chars().next() else {
            break;
        };
        let next = at + sign.len_utf8();
        if sign == ',' && closes_address(&words, sentence) {
            sentence += 1;
            opens = true;
        }
        if matches!(sign, '.' | '!' | '?' | ':' | ';' | '\n') {
            // The point of an ordinal (`3. Stock`) ends no sentence.
            if sign == '.' && abbreviates(&words, at) {
                // The sentence goes on.
            } else if !(sign == '.' && text[..at].ends_with(|c: char| c.is_ascii_digit())) {
                sentence += u16::from(!opens);
                opens = true;
            } else if let Some(number) = words
                .last_mut()
                .filter(|word| word.span.end == at && is_short_number(&word.text))
            {
                number.text.push_str("te");
            }
        } else if sign == '>' && text[..at].ends_with(['-', '=']) || sign == '→' {
            words.push(Word {
                text: "->".to_owned(),
                span: at..next,
                named: false,
                sentence,
            });
        } else if matches!(sign, '€' | '$' | '£' | '%' | '°' | '<' | '>' | '¥') {
            words.push(Word {
                text: sign.to_string(),
                span: at..next,
                named: false,
                sentence,
            });
        }
        at = next;
    }
    words
}

/// `Dear support,` and `Sehr geehrte Damen und Herren,` are sentences by themselves.
fn closes_address(words: &[Word], sentence: u16) -> bool {
    let begins = words
        .iter()
        .rposition(|word| word.sentence != sentence)
        .map_or(0, |before| before + 1);
    let address = &words[begins..];
    address.len() <= ADDRESS_MAX
        && address
            .first()
            .is_some_and(|word| lexicon::addresses(&word.text))
}

/// The most words with which somebody is addressed.
const ADDRESS_MAX: usize = 5;

/// A point that ends a word and no sentence.
fn abbreviates(words: &[Word], at: usize) -> bool {
    const SHORT: &str = "jan feb mar apr jun jul aug sep sept oct okt nov dec dez janv fevr avr juil mr mrs ms dr st nr         no approx ca bzw usw vs incl inkl zzgl ggf etc e g i z b d h m mme tel art abs ext ing prof";
    words
        .last()
        .is_some_and(|word| word.span.end == at && SHORT.split(' ').any(|short| short == word.text))
}

/// `3.` is an ordinal in German, and ends a sentence too rarely to matter.
fn is_short_number(text: &str) -> bool {
    text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit())
}

#[derive(Clone, Copy)]
struct Place {
    sentence: u16,
    opens: bool,
}

fn end_of_word(text: &str, start: usize) -> usize {
    let rest = &text[start..];
    let chunk = &rest[..rest.find(char::is_whitespace).unwrap_or(rest.len())];
    if chunk.starts_with(char::is_alphanumeric) && (chunk.contains('@') || chunk.contains("://")) {
        return start + chunk.trim_end_matches(|c: char| !c.is_alphanumeric()).len();
    }
    let mut end = start;
    let mut before = ' ';
    let mut signs = rest.char_indices().peekable();
    while let Some((at, sign)) = signs.next() {
        let after = signs.peek().map_or(' ', |(_, sign)| *sign);
        let digits = before.is_ascii_digit() && after.is_ascii_digit();
        let joins = match sign {
            '.' | ',' | ':' | '/' | '\'' => digits,
            // `3 000`, with whichever space; and dates, and `A-1822`.
            ' ' | '\u{a0}' | '\u{202f}' => {
                digits && groups(&rest[..at], &rest[at + sign.len_utf8()..])
            }
            '-' => {
                after.is_ascii_digit() && (is_code(&rest[..at]) || digits && rest[..at].len() >= 4)
            }
            '_' => before.is_alphanumeric() && after.is_alphanumeric(),
            _ => sign.is_alphanumeric(),
        };
        if !joins {
            break;
        }
        end = start + at + sign.len_utf8();
        before = sign;
    }
    end
}

/// One to three digits, then a space, then exactly three.
fn groups(left: &str, right: &str) -> bool {
    let head = left
        .split([' ', '\u{a0}', '\u{202f}'])
        .next()
        .unwrap_or(left);
    let digits = right.bytes().take_while(u8::is_ascii_digit).count();
    (1..=3).contains(&head.len()) && head.bytes().all(|b| b.is_ascii_digit()) && digits == 3
}

/// A few capitals, as they stand before the number of an order.
fn is_code(left: &str) -> bool {
    (1..=4).contains(&left.len()) && left.bytes().all(|b| b.is_ascii_uppercase())
}

fn push(words: &mut Vec<Word>, text: &str, span: Range<usize>, place: Place) {
    let raw = &text[span.clone()];
    let mut folded = fold(raw);
    let joined = text[..span.start].ends_with(['\'', '’']);
    if joined && folded == "t" && words.last().is_some_and(|word| word.text.ends_with('n')) {
        if let Some(verb) = words.last_mut() {
            verb.text.pop();
            match verb.text.as_str() {
                "ca" => verb.text.push('n'),
                "wo" => verb.text = "will".to_owned(),
                _ => {}
            }
        }
        folded = "not".to_owned();
    } else if joined && folded == "ll" {
        folded = "will".to_owned();
    }
    let upper = raw.chars().next().is_some_and(char::is_uppercase);
    let inner = raw.chars().skip(1).any(char::is_uppercase);
    words.push(Word {
        text: folded,
        named: inner || upper && !place.opens && raw != "I",
        span,
        sentence: place.sentence,
    });
}

/// Lower case, umlauts spelled out, accents gone.
pub fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    for sign in text.chars().flat_map(char::to_lowercase) {
        match sign {
            'ä' | 'æ' => out.push_str("ae"),
            'ö' | 'œ' => out.push_str("oe"),
            'ü' => out.push_str("ue"),
            'ß' => out.push_str("ss"),
            'à' | 'â' | 'á' | 'ã' | 'å' => out.push('a'),
            'é' | 'è' | 'ê' | 'ë' => out.push('e'),
            'î' | 'ï' | 'í' | 'ì' => out.push('i'),
            'ô' | 'ó' | 'ò' | 'õ' => out.push('o'),
            'û' | 'ù' | 'ú' => out.push('u'),
            'ç' => out.push('c'),
            'ñ' => out.push('n'),
            // Combining accents, as decomposed text has them.
            '\u{300}'..='\u{36f}' => {}
            other => out.push(other),
        }
    }
    out
}

/// A folded word as who has no umlauts on the keyboard writes it: `mueller` as `muller`.
pub fn without_umlauts(text: &str) -> String {
    text.replace("ae", "a")
        .replace("oe", "o")
        .replace("ue", "u")
}

/// What is left of a word without the endings that three languages inflect with. Crude on purpose: it only
/// has to bring forms together, and what it brings together too much the lexicon keeps apart.
pub fn stem(word: &str) -> &str {
    let mut stem = word;
    for ending in ["ings", "ing"] {
        if let Some(rest) = stem.strip_suffix(ending)
            && rest.len() >= 4
        {
            stem = rest;
            break;
        }
    }
    while stem.len() > 4 && stem.ends_with(['e', 'n', 's', 'r', 't', 'd', 'z', 'x']) {
        stem = &stem[..stem.len() - 1];
    }
    stem
}

/// Two letters the wrong way round, as fingers do it.
pub fn is_typo(a: &str, b: &str) -> bool {
    // Swapped digits are another number.
    if a.len() != b.len() || a.len() < 5 || a.contains(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let mut apart = a
        .bytes()
        .zip(b.bytes())
        .enumerate()
        .filter(|(_, (x, y))| x != y);
    let (Some((i, (a1, b1))), Some((j, (a2, b2))), None) =
        (apart.next(), apart.next(), apart.next())
    else {
        return false;
    };
    j == i + 1 && a1 == b2 && a2 == b1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        split(text, &[]).into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn words_are_folded_and_contractions_opened() {
        assert_eq!(
            texts("Können wir's? I can't, won't."),
            ["koennen", "wir", "s", "i", "can", "not", "will", "not"]
        );
    }

    #[test]
    fn grouped_digits_dates_and_order_numbers_stay_whole() {
        assert_eq!(
            texts("3 000 or 3,000 of A-1822 on 2011-03-11 at 9:00"),
            [
                "3 000",
                "or",
                "3,000",
                "of",
                "a-1822",
                "on",
                "2011-03-11",
                "at",
                "9:00"
            ]
        );
    }

    #[test]
    fn a_capital_names_only_within_a_sentence() {
        let words = split("Ask Anna. Then iPhone", &[]);
        assert_eq!(
            words.iter().map(|word| word.named).collect::<Vec<_>>(),
            [false, true, false, true]
        );
    }

    #[test]
    fn swapped_letters_are_a_typo_and_other_letters_are_not() {
        assert!(is_typo("tickets", "ticekts"));
        assert!(!is_typo("10234", "10243x"));
        assert!(!is_typo("enable", "unable"));
    }
}
