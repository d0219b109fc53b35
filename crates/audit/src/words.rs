//! What a word is, for the index and for searches alike: letters and digits, in lower case.
//!
//! Pure. Scripts that do not part words with spaces are read character by character, so that a search
//! for two of them finds them as a phrase. In JSON, escapes are what they stand for. No stemming and no
//! normalisation: "é" written as two characters is another word than "é" written as one.

/// A longer word is known by its beginning.
const WORD_BYTES_MAX: usize = 64;

/// Walks over the words of a text. Bytes that are no UTF-8 part words.
#[derive(Debug)]
pub(crate) struct Words<'a> {
    bytes: &'a [u8],
    at: usize,
    is_json: bool,
    word: [u8; WORD_BYTES_MAX],
    len: usize,
}

const OTHER: u8 = 0;
const WIDE: u8 = 1;
const ESCAPE: u8 = 2;

/// The lower case of a letter or digit, or what else an ASCII byte begins.
static CLASS: [u8; 256] = {
    let mut class = [OTHER; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = match byte as u8 {
            b'A'..=b'Z' => byte as u8 + 32,
            b'a'..=b'z' | b'0'..=b'9' => byte as u8,
            b'\\' => ESCAPE,
            0x80.. => WIDE,
            _ => OTHER,
        };
        byte += 1;
    }
    class
};

impl<'a> Words<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        Self {
            bytes,
            at: 0,
            is_json: matches!(first, Some(b'{' | b'[' | b'"')),
            word: [0; WORD_BYTES_MAX],
            len: 0,
        }
    }

    /// The next word's bytes, which are valid until the one after.
    pub(crate) fn next(&mut self) -> Option<&[u8]> {
        self.len = 0;
        let mut is_in_word = false;
        while let Some(&byte) = self.bytes.get(self.at) {
            match CLASS[usize::from(byte)] {
                OTHER => {
                    self.at += 1;
                    if is_in_word {
                        break;
                    }
                }
                WIDE | ESCAPE => {
                    let (character, len) = self.character();
                    match character.map(kind) {
                        Some(Kind::Letter(character)) => {
                            character
                                .to_lowercase()
                                .for_each(|lower| self.push_char(lower));
                            is_in_word = true;
                        }
                        Some(Kind::Word(_)) if is_in_word => break,
                        Some(Kind::Word(character)) => {
                            self.push_char(character);
                            self.at += len;
                            is_in_word = true;
                            break;
                        }
                        Some(Kind::Other) | None if is_in_word => {
                            self.at += len;
                            break;
                        }
                        Some(Kind::Other) | None => {}
                    }
                    self.at += len;
                }
                lower => {
                    if self.len < WORD_BYTES_MAX {
                        self.word[self.len] = lower;
                        self.len += 1;
                    }
                    is_in_word = true;
                    self.at += 1;
                }
            }
        }
        is_in_word.then_some(&self.word[..self.len])
    }

    fn push_char(&mut self, character: char) {
        let mut bytes = [0; 4];
        let bytes = character.encode_utf8(&mut bytes).as_bytes();
        if let Some(room) = self.word.get_mut(self.len..self.len + bytes.len()) {
            room.copy_from_slice(bytes);
            self.len += bytes.len();
        }
    }

    /// What stands here, and how many bytes it takes. `None` parts words.
    fn character(&self) -> (Option<char>, usize) {
        let rest = &self.bytes[self.at..];
        if rest[0] != b'\\' {
            let len = match rest[0] {
                0xC0..0xE0 => 2,
                0xE0..0xF0 => 3,
                0xF0.. => 4,
                _ => return (None, 1),
            };
            let character = rest
                .get(..len)
                .and_then(|bytes| std::str::from_utf8(bytes).ok());
            return match character.and_then(|text| text.chars().next()) {
                Some(character) => (Some(character), len),
                None => (None, 1),
            };
        }
        match rest.get(1) {
            _ if !self.is_json => (None, 1),
            Some(b'u') => match (unit(rest), rest.get(6..).and_then(unit)) {
                (Some(high @ 0xD800..0xDC00), Some(low @ 0xDC00..0xE000)) => {
                    let code = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                    (char::from_u32(code), 12)
                }
                (Some(code), _) => (char::from_u32(code), 6),
                (None, _) => (None, 2),
            },
            Some(_) => (None, 2),
            None => (None, 1),
        }
    }
}

enum Kind {
    Letter(char),
    /// A word of its own.
    Word(char),
    Other,
}

fn kind(character: char) -> Kind {
    if !character.is_alphanumeric() {
        return Kind::Other;
    }
    match u32::from(character) {
        // Thai and Lao, Myanmar, Khmer, kana, Han with its extensions.
        0x0E00..=0x0EFF
        | 0x1000..=0x109F
        | 0x1780..=0x17FF
        | 0x3040..=0x30FF
        | 0x31F0..=0x31FF
        | 0x3400..=0x4DBF
        | 0x4E00..=0x9FFF
        | 0xF900..=0xFAFF
        | 0x2_0000..=0x3_FFFF => Kind::Word(character),
        _ => Kind::Letter(character),
    }
}

/// Of `\uXXXX`.
fn unit(rest: &[u8]) -> Option<u32> {
    let digits = rest.strip_prefix(b"\\u")?.get(..4)?;
    let mut code = 0;
    for digit in digits {
        code = code << 4 | char::from(*digit).to_digit(16)?;
    }
    Some(code)
}

/// The same for the same word on every machine and in every version: it stands in filters.
pub(crate) fn hash(word: &[u8]) -> u64 {
    let mut state = 0x243F_6A88_85A3_08D3_u64 ^ word.len() as u64;
    let (chunks, rest) = word.as_chunks::<8>();
    for chunk in chunks {
        state = mix(state ^ u64::from_le_bytes(*chunk));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(mix(state ^ u64::from_le_bytes(last)))
}

fn mix(number: u64) -> u64 {
    let product = u128::from(number) * 0x9E37_79B9_7F4A_7C15;
    (product as u64) ^ (product >> 64) as u64 ^ number.rotate_left(23)
}

/// What a search looks for: all of the clauses, each a word or words that follow one another.
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
    let mut words = Words::new(text.as_bytes());
    words.is_json = false;
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

    fn read(text: &str) -> Vec<String> {
        let mut words = Words::new(text.as_bytes());
        let mut list = Vec::new();
        while let Some(word) = words.next() {
            list.push(String::from_utf8(word.to_vec()).unwrap());
        }
        list
    }

    #[test]
    fn words_are_letters_and_digits_in_lower_case() {
        assert_eq!(
            read("Hello, WORLD-2 x_y"),
            ["hello", "world", "2", "x", "y"]
        );
        assert_eq!(read("ÄRGER im Straßencafé"), ["ärger", "im", "straßencafé"]);
        assert_eq!(
            read("東京へ行く now"),
            ["東", "京", "へ", "行", "く", "now"]
        );
        assert_eq!(read("a東b"), ["a", "東", "b"]);
        assert_eq!(read(r"C:\new\temp"), ["c", "new", "temp"]);
    }

    #[test]
    fn escapes_in_json_are_what_they_stand_for() {
        let json = r#"{"content":"one\ntwo \u00dcber\u00DF gr\u00fcn \"three\" \ud83d\ude00four"}"#;
        assert_eq!(
            read(json),
            ["content", "one", "two", "überß", "grün", "three", "four"]
        );
    }

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

    #[test]
    fn a_word_hashes_the_same_in_every_version() {
        assert_eq!(hash(b"tollgate"), HASH_OF_TOLLGATE);
        assert_ne!(hash(b"a"), hash(b"a\0"));
    }

    /// As filters on disk have it.
    const HASH_OF_TOLLGATE: u64 = 1_196_837_507_012_544_413;

    proptest! {
        #[test]
        fn any_bytes_have_bounded_words(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut words = Words::new(&bytes);
            let mut count = 0;
            while let Some(word) = words.next() {
                prop_assert!(!word.is_empty() && word.len() <= WORD_BYTES_MAX);
                prop_assert!(std::str::from_utf8(word).is_ok());
                count += 1;
            }
            prop_assert!(count <= bytes.len());
        }

        #[test]
        fn each_word_of_a_text_is_found_in_it(text in "[a-zéß東 .\"]{1,80}") {
            for word in read(&text) {
                prop_assert!(Wanted::parse(&word).unwrap().is_in(&[text.as_bytes()]));
            }
        }
    }
}
