//! Words as filters know them: hashes, of texts that are not taken apart.
//!
//! Pure. Gives what hashing each of `Words` gives, in some order. Most of what indexing costs is here:
//! 64 bytes are told at once, and words are hashed from where their bits begin and end.

use std::num::NonZeroU64;
use std::ops::Range;

use wide::i8x16;

use super::{WORD_BYTES_MAX, Words, is_json};

/// Keeps its memory between texts.
#[derive(Debug, Default)]
pub(crate) struct Hashing {
    /// Of which the first `len` count: behind them is room for more.
    hashes: Vec<u64>,
    len: usize,
}

/// Of 64 bytes: each word that ends has something behind it.
const WORDS_MAX: usize = Block::BYTES / 2;

/// The word that goes on where 64 bytes end: letters and digits, and what is beyond ASCII.
#[derive(Clone, Copy, Debug, Default)]
struct Going {
    is_on: bool,
    start: usize,
    /// It has bytes beyond ASCII.
    is_wide: bool,
}

impl Hashing {
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    pub(crate) fn hashes(&self) -> &[u64] {
        self.hashes.get(..self.len).unwrap_or_default()
    }

    /// Of each of the text's words.
    pub(crate) fn add(&mut self, text: &[u8]) {
        // No two words without something between them.
        let room = self.len + text.len() / 2 + 1 + WORDS_MAX;
        if self.hashes.len() < room {
            self.hashes.resize(room, 0);
        }
        let is_json = is_json(text);
        let (mut at, mut going, mut is_escaped) = (0, Going::default(), false);
        while at < text.len() {
            let mut padded = [0; Window::BYTES];
            let window = Window::of(text, at, &mut padded);
            let mut block = Block::read(window);
            if block.wide | block.backslashes | u64::from(is_escaped) != 0 {
                match block.without_escapes(text, at, is_json, is_escaped) {
                    Some(goes_on) => is_escaped = goes_on,
                    None => {
                        // By its number: what it stands for may belong to a word.
                        let first = at + usize::from(is_escaped);
                        let first = if going.is_on { going.start } else { first };
                        at = self.read(text, first..at + Block::BYTES);
                        (going, is_escaped) = (Going::default(), false);
                        continue;
                    }
                }
            }
            if block.wide != 0 || going.is_wide {
                self.hash_wide(text, at, &block, &mut going);
            } else {
                self.hash_ascii(text, at, window, &block, &mut going);
            }
            at += Block::BYTES;
        }
        if going.is_on {
            self.hash(text, going.start..text.len(), going.is_wide);
        }
    }

    /// The words that end in a block, all of ASCII.
    #[inline]
    fn hash_ascii(
        &mut self,
        text: &[u8],
        at: usize,
        window: &[u8; Window::BYTES],
        block: &Block,
        going: &mut Going,
    ) {
        let room = self.hashes.get_mut(self.len..);
        let Some(room) = room.and_then(<[u64]>::first_chunk_mut::<WORDS_MAX>) else {
            return;
        };
        let (mut starts, mut ends) = block.edges(going.is_on);
        // From the block's beginning, before which it may be.
        let mut start = if going.is_on {
            going.start.wrapping_sub(at)
        } else {
            pop(&mut starts).unwrap_or_default()
        };
        let mut count = 0;
        while let Some(end) = pop(&mut ends) {
            let hash = match FORMS.get(end.wrapping_sub(start)) {
                Some(form) => form.hash(Window::before(window, end)),
                None => hash_ascii(text, at.wrapping_add(start)..at + end),
            };
            if let Some(room) = room.get_mut(count) {
                *room = hash;
            }
            count += 1;
            start = pop_any(&mut starts);
        }
        self.len += count;
        going.start = at.wrapping_add(start);
        going.is_on = block.goes_on();
    }

    /// The words that end in a block, some of them beyond ASCII.
    fn hash_wide(&mut self, text: &[u8], at: usize, block: &Block, going: &mut Going) {
        let (mut starts, mut ends) = block.edges(going.is_on);
        loop {
            if !going.is_on {
                let Some(start) = pop(&mut starts) else {
                    return;
                };
                going.is_on = true;
                going.start = at + start;
            }
            let start = going.start.saturating_sub(at);
            let end = pop(&mut ends);
            going.is_wide |= block.has_wide(start..end.unwrap_or(Block::BYTES));
            let Some(end) = end else {
                return;
            };
            self.hash(text, going.start..at + end, going.is_wide);
            *going = Going::default();
        }
    }

    fn hash(&mut self, text: &[u8], word: Range<usize>, is_wide: bool) {
        if !is_wide {
            self.put(hash_ascii(text, word));
            return;
        }
        let mut words = Words::of_text(&text[word]);
        while let Some(word) = words.next() {
            self.put(hash(word));
        }
    }

    /// One by one, those that begin here. Returns where the next one may begin.
    fn read(&mut self, text: &[u8], here: Range<usize>) -> usize {
        let mut words = Words::new(text);
        words.at = here.start;
        while words.at < here.end
            && let Some(word) = words.next()
        {
            self.put(hash(word));
        }
        words.at
    }

    fn put(&mut self, hash: u64) {
        match self.hashes.get_mut(self.len) {
            Some(room) => *room = hash,
            None => self.hashes.push(hash),
        }
        self.len += 1;
    }
}

/// A block's bytes and the eight before them: all that hashing a word of it takes.
struct Window;

impl Window {
    const BEFORE: usize = 8;
    const BYTES: usize = Self::BEFORE + Block::BYTES;

    /// Zeros stand for what is no text.
    #[inline]
    fn of<'t>(
        text: &'t [u8],
        at: usize,
        padded: &'t mut [u8; Self::BYTES],
    ) -> &'t [u8; Self::BYTES] {
        let whole = text.get(at.wrapping_sub(Self::BEFORE)..);
        if let Some(whole) = whole.and_then(<[u8]>::first_chunk) {
            return whole;
        }
        let start = at.saturating_sub(Self::BEFORE);
        let there = &text[start..text.len().min(at + Block::BYTES)];
        let missing = start + Self::BEFORE - at;
        padded[missing..missing + there.len()].copy_from_slice(there);
        padded
    }

    /// The eight bytes before this one of the block.
    #[inline]
    fn before(window: &[u8; Self::BYTES], at: usize) -> u64 {
        let bytes = window[at..at + Self::BEFORE].first_chunk();
        u64::from_le_bytes(*bytes.unwrap_or(&[0; Self::BEFORE]))
    }
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
    mix(u64::from_le_bytes(end) ^ tag(word.len()))
}

/// As `hash` of the word in lower case, for one of ASCII letters and digits.
fn hash_ascii(text: &[u8], word: Range<usize>) -> u64 {
    let Range { start, end } = word;
    let end = end.min(start + WORD_BYTES_MAX);
    let mut padded = [0; Window::BYTES];
    let window = Window::of(text, end, &mut padded);
    let form = FORMS.get(end - start).copied().unwrap_or(Form::of(0));
    form.hash(Window::before(window, 0))
}

/// What a word's length says of its hash.
#[derive(Clone, Copy)]
struct Form {
    /// Bits of the eight bytes before its end that stand before it.
    others: u32,
    tag: u64,
}

/// By length: looked up faster than worked out.
static FORMS: [Form; WORD_BYTES_MAX + 1] = {
    let mut forms = [Form::of(0); WORD_BYTES_MAX + 1];
    let mut len = 0;
    while len < forms.len() {
        forms[len] = Form::of(len);
        len += 1;
    }
    forms
};

impl Form {
    const fn of(len: usize) -> Self {
        let known = if len < 8 { len as u32 } else { 8 };
        Self {
            // No word is empty: 64 bits cannot be shifted out.
            others: 64 - 8 * if known == 0 { 8 } else { known },
            tag: tag(len),
        }
    }

    /// The bit that makes a letter small is set in digits too. What stands before the word goes out at
    /// the lower end.
    #[inline]
    fn hash(&self, end: u64) -> u64 {
        const SMALL: u64 = 0x2020_2020_2020_2020;
        mix((end | SMALL) >> (self.others & 63) ^ self.tag)
    }
}

const fn tag(len: usize) -> u64 {
    (len as u64) << 56 ^ 0x243F_6A88_85A3_08D3
}

/// One multiplication: most words are told and hashed in as long as it takes to read them.
#[inline]
fn mix(word: u64) -> u64 {
    let product = u128::from(word) * 0x9E37_79B9_7F4A_7C15;
    (product as u64) ^ (product >> 64) as u64
}

/// What 64 bytes are, a bit for each; past the text's end, nothing.
struct Block {
    /// ASCII letters and digits.
    letters: u64,
    /// Beyond ASCII.
    wide: u64,
    backslashes: u64,
}

impl Block {
    const BYTES: usize = 64;

    #[inline]
    fn read(window: &[u8; Window::BYTES]) -> Self {
        let bytes = window.last_chunk::<{ Self::BYTES }>();
        let bytes = bytes.unwrap_or(&[0; Self::BYTES]);
        let mut block = Self {
            letters: 0,
            wide: 0,
            backslashes: 0,
        };
        let mut special = i8x16::splat(0);
        for (number, piece) in bytes.as_chunks::<16>().0.iter().enumerate() {
            let piece = i8x16::new(piece.map(u8::cast_signed));
            // Moved to where the range ends at the largest number there is: what stands behind it comes
            // to be negative, and so does or stays small what is beyond ASCII.
            let within = |bytes: i8x16, last: u8, count: i8| {
                let moved = bytes + i8x16::splat(i8::MAX - last.cast_signed());
                moved.simd_gt(i8x16::splat(i8::MAX - count))
            };
            let small = piece | i8x16::splat(0x20);
            let letters = within(small, b'z', 26) | within(piece, b'9', 10);
            block.letters |= bits(letters) << (16 * number);
            // What is beyond ASCII has the bit that a mask is made of.
            special = special | piece | piece.simd_eq(i8x16::splat(b'\\'.cast_signed()));
        }
        if bits(special) != 0 {
            block.tell_special(bytes);
        }
        block
    }

    /// Where words begin and where they end; `is_in_word` if one goes on from before.
    #[inline]
    fn edges(&self, is_in_word: bool) -> (u64, u64) {
        let before = self.letters << 1 | u64::from(is_in_word);
        (self.letters & !before, before & !self.letters)
    }

    /// A word goes on behind it.
    #[inline]
    fn goes_on(&self) -> bool {
        self.letters >> (Self::BYTES - 1) == 1
    }

    fn has_wide(&self, bytes: Range<usize>) -> bool {
        let below = |bit: usize| {
            1_u64
                .checked_shl(bit as u32)
                .unwrap_or_default()
                .wrapping_sub(1)
        };
        self.wide & below(bytes.end) & !below(bytes.start) != 0
    }

    fn tell_special(&mut self, bytes: &[u8; Self::BYTES]) {
        for (number, piece) in bytes.as_chunks::<16>().0.iter().enumerate() {
            let piece = i8x16::new(piece.map(u8::cast_signed));
            let backslashes = piece.simd_eq(i8x16::splat(b'\\'.cast_signed()));
            self.wide |= bits(piece) << (16 * number);
            self.backslashes |= bits(backslashes) << (16 * number);
        }
        // A word may hold it: which, its bytes say when it is hashed.
        self.letters |= self.wide;
    }

    /// Takes out what is escaped, which parts words. True if the escape goes on behind; `None` if one
    /// gives a character by its number.
    fn without_escapes(
        &mut self,
        text: &[u8],
        at: usize,
        is_json: bool,
        is_escaped: bool,
    ) -> Option<bool> {
        let mut taken = u64::from(is_escaped);
        let mut goes_on = false;
        let mut backslashes = if is_json {
            self.backslashes & !taken
        } else {
            0
        };
        while backslashes != 0 {
            let bit = backslashes.trailing_zeros();
            if text.get(at + bit as usize + 1) == Some(&b'u') {
                return None;
            }
            let both = 3 << bit;
            taken |= both;
            backslashes &= !both;
            goes_on = bit == 63;
        }
        self.letters &= !taken;
        self.wide &= !taken;
        Some(goes_on)
    }
}

fn bits(mask: i8x16) -> u64 {
    u64::from(mask.to_bitmask() as u16)
}

/// Takes the lowest bit out and says which it was.
#[inline]
fn pop(bits: &mut u64) -> Option<usize> {
    let bit = NonZeroU64::new(*bits)?.trailing_zeros();
    *bits &= bits.wrapping_sub(1);
    Some(bit as usize)
}

/// As `pop`; of no bits, any number, and without asking whether there are some.
#[inline]
fn pop_any(bits: &mut u64) -> usize {
    let bit = (*bits | 1 << 63).trailing_zeros();
    *bits &= bits.wrapping_sub(1);
    bit as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_word_hashes_the_same_in_every_version() {
        assert_eq!(hash(b"tollgate"), HASH_OF_TOLLGATE);
        assert_ne!(hash(b"a"), hash(b"a\0"));
    }

    /// As filters on disk have it.
    const HASH_OF_TOLLGATE: u64 = 451_683_406_516_106_556;

    fn assert_hashed_as_read(hashing: &mut Hashing, text: &[u8]) {
        let mut read = Vec::new();
        let mut words = Words::new(text);
        while let Some(word) = words.next() {
            read.push(hash(word));
        }
        hashing.clear();
        hashing.add(text);
        let mut hashed = hashing.hashes().to_vec();
        read.sort_unstable();
        hashed.sort_unstable();
        assert_eq!(hashed, read, "{:?}", String::from_utf8_lossy(text));
    }

    #[test]
    fn words_and_escapes_are_told_wherever_64_bytes_part_them() {
        let mut hashing = Hashing::default();
        let pieces = [
            r"gr\u00fcn",
            r"\n",
            r"a\nb",
            r"\\n",
            r#"\""#,
            "é",
            "a東b",
            "“x”",
            "\\é",
            "x\\",
        ];
        for before in ["", "{", "{ word", "[\""] {
            for piece in pieces {
                for far in 50..70 {
                    let text = format!("{before}{}{piece}end {piece}", " ".repeat(far));
                    assert_hashed_as_read(&mut hashing, text.as_bytes());
                    let text = format!("{before}{}{piece}{piece} end", "y".repeat(far));
                    assert_hashed_as_read(&mut hashing, text.as_bytes());
                }
            }
        }
    }

    #[test]
    fn however_many_words_there_are_all_are_hashed() {
        const MANY: usize = 1_024;
        let mut hashing = Hashing::default();
        for text in [
            "a ".repeat(3 * MANY),
            "ab é ".repeat(2 * MANY),
            "long".repeat(2 * MANY),
        ] {
            assert_hashed_as_read(&mut hashing, text.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn words_are_hashed_as_they_are_read(before in "[a-z ]{0,140}", text in "[a-cA-Zéß東 ._\"\\\\u0041n{]{0,80}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut hashing = Hashing::default();
            let long = "x".repeat(100) + &text;
            let far = format!("{before}{text}{before}{text}");
            let json = format!("{{\"{before}{text}{before}{text}");
            for text in [text.as_bytes(), long.as_bytes(), far.as_bytes(), json.as_bytes(), &bytes] {
                assert_hashed_as_read(&mut hashing, text);
            }
        }
    }
}
