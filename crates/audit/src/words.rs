//! What a word is, for the index and for searches alike: letters and digits, in lower case.
//!
//! Pure. Scripts that do not part words with spaces are read character by character, so that a search
//! for two of them finds them as a phrase. In JSON, escapes are what they stand for. No stemming and no
//! normalisation: "é" written as two characters is another word than "é" written as one.

use wide::u8x16;

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

/// The same for the same word on every machine and in every version: it stands in filters. Of a word of
/// more than 8 bytes its length and its end count: two that agree in these make a search open a record
/// more, and the record says which word it has.
pub(crate) fn hash(word: &[u8]) -> u64 {
    let end = word.last_chunk::<8>().copied();
    let end = end.unwrap_or_else(|| {
        let mut end = [0; 8];
        end[..word.len()].copy_from_slice(word);
        end
    });
    mix(u64::from_le_bytes(end), word.len())
}

/// As `hash` of the word in lower case, for one of ASCII letters and digits at `text[from..to]`: the
/// bit that makes a letter small is set in digits too.
#[inline]
fn hash_ascii(text: &[u8], from: usize, to: usize) -> u64 {
    const SMALL: u64 = 0x2020_2020_2020_2020;
    let len = to - from;
    // What stands before the word goes out at the lower end.
    let others = 8 * 8_usize.saturating_sub(len);
    mix((before(text, to) | SMALL) >> others, len)
}

/// The eight bytes that end here, as far as there are so many.
#[inline]
fn before(text: &[u8], end: usize) -> u64 {
    match text.get(end.wrapping_sub(8)..end) {
        Some(&[a, b, c, d, e, f, g, h]) => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => at_start(text, end),
    }
}

#[cold]
fn at_start(text: &[u8], end: usize) -> u64 {
    let mut bytes = [0; 8];
    let start = text.get(..end).unwrap_or_default();
    bytes[8 - start.len()..].copy_from_slice(start);
    u64::from_le_bytes(bytes)
}

/// Of each word. As `hash` of what `Words` gives; where a text is ASCII, words are told 64 bytes at once
/// and are not taken apart: this is most of what indexing costs.
pub(crate) fn each_hash(text: &[u8], mut found: impl FnMut(u64)) {
    let mut words = Words::new(text);
    let (mut at, mut start, mut is_in_word) = (0, 0, false);
    while at < text.len() {
        let block = Block::read(text, at);
        if block.special != 0 {
            // What is here takes more than a table. A word that goes on from before is read anew.
            words.at = if is_in_word { start } else { at };
            while words.at < at + Block::BYTES {
                let Some(word) = words.next() else { return };
                found(hash(word));
            }
            (at, is_in_word) = (words.at, false);
            continue;
        }
        let before = block.letters << 1 | u64::from(is_in_word);
        let (mut starts, mut ends) = (block.letters & !before, before & !block.letters);
        if !is_in_word {
            start = at + pop(&mut starts);
        }
        while ends != 0 {
            let end = at + pop(&mut ends);
            found(hash_ascii(text, start, end.min(start + WORD_BYTES_MAX)));
            start = at + pop(&mut starts);
        }
        is_in_word = block.letters >> (Block::BYTES - 1) == 1;
        at += Block::BYTES;
    }
    if is_in_word {
        found(hash_ascii(
            text,
            start,
            text.len().min(start + WORD_BYTES_MAX),
        ));
    }
}

/// What 64 bytes are, a bit for each; past the text's end, nothing.
struct Block {
    /// ASCII letters and digits.
    letters: u64,
    /// Beyond ASCII, or a backslash.
    special: u64,
}

impl Block {
    const BYTES: usize = 64;

    fn read(text: &[u8], at: usize) -> Self {
        let mut last = [0; Self::BYTES];
        let rest = &text[at..];
        let bytes = rest.first_chunk::<{ Self::BYTES }>().unwrap_or_else(|| {
            last[..rest.len()].copy_from_slice(rest);
            &last
        });
        let mut block = Self {
            letters: 0,
            special: 0,
        };
        for (number, piece) in bytes.as_chunks::<16>().0.iter().enumerate() {
            let piece = u8x16::new(*piece);
            let small = piece | u8x16::splat(0x20);
            // Below `first`, the difference wraps round and is large.
            let within = |bytes: u8x16, first: u8, count: u8| {
                let from = bytes - u8x16::splat(first);
                from.min(u8x16::splat(count - 1)).simd_eq(from)
            };
            let letters = within(small, b'a', 26) | within(piece, b'0', 10);
            // What is beyond ASCII has the bit that a mask is made of.
            let special = piece | piece.simd_eq(u8x16::splat(b'\\'));
            block.letters |= u64::from(letters.to_bitmask()) << (16 * number);
            block.special |= u64::from(special.to_bitmask()) << (16 * number);
        }
        block
    }
}

/// Takes the lowest bit out and says where it was; 64 if there is none.
fn pop(bits: &mut u64) -> usize {
    let at = bits.trailing_zeros() as usize;
    *bits &= bits.wrapping_sub(1);
    at
}

/// One multiplication: most words are told and hashed in as long as it takes to read them.
#[inline]
fn mix(end: u64, len: usize) -> u64 {
    let word = end ^ (len as u64) << 56 ^ 0x243F_6A88_85A3_08D3;
    let product = u128::from(word) * 0x9E37_79B9_7F4A_7C15;
    (product as u64) ^ (product >> 64) as u64
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
    fn a_word_hashes_the_same_in_every_version() {
        assert_eq!(hash(b"tollgate"), HASH_OF_TOLLGATE);
        assert_ne!(hash(b"a"), hash(b"a\0"));
    }

    /// As filters on disk have it.
    const HASH_OF_TOLLGATE: u64 = 451_683_406_516_106_556;

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
        fn words_are_hashed_as_they_are_read(before in "[a-z ]{0,140}", text in "[a-cA-Zéß東 ._\"\\\\u0041n{]{0,80}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let long = "x".repeat(100) + &text;
            let far = format!("{before}{text}{before}{text}");
            for text in [text.as_bytes(), long.as_bytes(), far.as_bytes(), &bytes] {
                let mut read = Vec::new();
                let mut words = Words::new(text);
                while let Some(word) = words.next() {
                    read.push(hash(word));
                }
                let mut hashed = Vec::new();
                each_hash(text, |hash| hashed.push(hash));
                prop_assert_eq!(hashed, read);
            }
        }
    }
}
