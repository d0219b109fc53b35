//! What a word is, for the index and for searches alike: letters and digits, in lower case.
//!
//! Pure. Scripts that do not part words with spaces are read character by character, so that a search
//! for two of them finds them as a phrase. In JSON, escapes are what they stand for. No stemming and no
//! normalisation: "é" written as two characters is another word than "é" written as one.

mod hashing;

pub(crate) use hashing::{Hashing, hash};

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
        Self {
            bytes,
            at: 0,
            is_json: is_json(bytes),
            word: [0; WORD_BYTES_MAX],
            len: 0,
        }
    }

    /// Whatever it looks like, it is no JSON.
    pub(crate) fn of_text(bytes: &'a [u8]) -> Self {
        Self {
            is_json: false,
            ..Self::new(bytes)
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

/// Where escapes are what they stand for.
fn is_json(bytes: &[u8]) -> bool {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(first, Some(b'{' | b'[' | b'"'))
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
    }
}
