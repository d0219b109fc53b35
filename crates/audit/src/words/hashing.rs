//! Words as filters know them: hashes, of texts that are not taken apart.
//!
//! Pure. Gives what hashing each of `Words` gives, in some order. Most of what indexing costs is here:
//! 64 bytes are told at once, and where words begin and end is noted first, so that hashing them is one
//! loop that never guesses wrong.

use wide::i8x16;

use super::{WORD_BYTES_MAX, Words, is_json};

/// Of a text, between two looks at what was noted.
const NOTED_MAX: usize = 1_024;
/// What 64 bytes add at most, and what is written blindly behind it.
const ROOM: usize = 64 + 8;

/// Keeps its memory between texts.
#[derive(Debug, Default)]
pub(crate) struct Hashing {
    hashes: Vec<u64>,
    spans: Spans,
}

/// Where words stand: letters and digits, and what is beyond ASCII.
#[derive(Debug)]
struct Spans {
    /// Where one begins, where it ends, where the next one begins. An odd number while a word goes on.
    edges: Box<[u32; NOTED_MAX + ROOM]>,
    noted: usize,
    /// Bytes beyond ASCII.
    wide: Vec<u32>,
}

impl Default for Spans {
    fn default() -> Self {
        Self {
            edges: Box::new([0; NOTED_MAX + ROOM]),
            noted: 0,
            wide: Vec::new(),
        }
    }
}

impl Hashing {
    pub(crate) fn clear(&mut self) {
        self.hashes.clear();
    }

    pub(crate) fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// Of each of the text's words. Places have 32 bits: no content is longer.
    pub(crate) fn add(&mut self, text: &[u8]) {
        // No two words without something between them.
        self.hashes.reserve(text.len() / 2 + 1);
        let Self { hashes, spans } = self;
        spans.forget();
        let is_json = is_json(text);
        let (mut at, mut is_in_word, mut is_escaped) = (0, false, false);
        while at < text.len() {
            let mut block = Block::read(text, at);
            if block.wide | block.backslashes | u64::from(is_escaped) != 0 {
                let skipped = usize::from(is_escaped);
                match block.without_escapes(text, at, is_json, is_escaped) {
                    Some(goes_on) => is_escaped = goes_on,
                    None => {
                        // By its number: what it stands for may belong to a word.
                        let mut words = Words::new(text);
                        words.at = spans.take_back(is_in_word).unwrap_or(at + skipped);
                        while words.at < at + Block::BYTES
                            && let Some(word) = words.next()
                        {
                            hashes.push(hash(word));
                        }
                        (at, is_in_word, is_escaped) = (words.at, false, false);
                        continue;
                    }
                }
                spans.note_wide(at, block.wide);
            }
            is_in_word = spans.note(at, block.letters, is_in_word);
            at += Block::BYTES;
            if spans.noted > NOTED_MAX {
                spans.hash(text, hashes);
            }
        }
        if is_in_word {
            spans.end(text.len());
        }
        spans.hash(text, hashes);
    }
}

impl Spans {
    fn forget(&mut self) {
        self.noted = 0;
        self.wide.clear();
    }

    /// What begins and ends in 64 bytes. True if a word goes on behind them.
    #[inline]
    fn note(&mut self, at: usize, letters: u64, is_in_word: bool) -> bool {
        let edges = letters ^ (letters << 1 | u64::from(is_in_word));
        let room = self.edges.get_mut(self.noted..);
        if let Some(room) = room.and_then(<[u32]>::first_chunk_mut::<ROOM>) {
            let mut filled = 0;
            for (number, bits) in edges.to_le_bytes().into_iter().enumerate() {
                let (places, count) = &PLACES[usize::from(bits)];
                let base = (at + 8 * number) as u32;
                // Eight blindly, so that nothing depends on how many there are.
                if let Some(room) = room.get_mut(filled..filled + 8) {
                    for (room, place) in room.iter_mut().zip(places) {
                        *room = base + *place;
                    }
                }
                filled += *count;
            }
            self.noted += filled;
        }
        letters >> (Block::BYTES - 1) == 1
    }

    fn end(&mut self, at: usize) {
        if let Some(end) = self.edges.get_mut(self.noted) {
            *end = at as u32;
            self.noted += 1;
        }
    }

    fn note_wide(&mut self, at: usize, mut wide: u64) {
        while wide != 0 {
            self.wide.push(pop(&mut wide, at));
        }
    }

    /// Where the word began that goes on, which is forgotten.
    fn take_back(&mut self, is_in_word: bool) -> Option<usize> {
        if !is_in_word {
            return None;
        }
        self.noted = self.noted.saturating_sub(1);
        self.edges.get(self.noted).map(|start| *start as usize)
    }

    /// Those that have ended.
    fn hash(&mut self, text: &[u8], hashes: &mut Vec<u64>) {
        let noted = &self.edges[..self.noted.min(NOTED_MAX + ROOM)];
        let (spans, going_on) = noted.as_chunks::<2>();
        if self.wide.is_empty() {
            hashes.extend(spans.iter().map(|span| hash_ascii(text, *span)));
        } else {
            let mut wide = self.wide.iter().copied().peekable();
            for &[start, end] in spans {
                while wide.next_if(|at| *at < start).is_some() {}
                if wide.peek().is_some_and(|at| *at < end) {
                    let mut words = Words::of_text(&text[start as usize..end as usize]);
                    while let Some(word) = words.next() {
                        hashes.push(hash(word));
                    }
                } else {
                    hashes.push(hash_ascii(text, [start, end]));
                }
            }
        }
        let going_on = going_on.first().copied();
        self.wide
            .retain(|at| going_on.is_some_and(|start| *at >= start));
        self.noted = usize::from(going_on.is_some());
        self.edges[0] = going_on.unwrap_or(0);
    }
}

/// Where bits are set in a byte, and how many.
static PLACES: [([u32; 8], usize); 256] = {
    let mut table = [([0; 8], 0); 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut bit, mut count) = (0, 0);
        while bit < 8 {
            if byte >> bit & 1 == 1 {
                table[byte].0[count] = bit as u32;
                count += 1;
            }
            bit += 1;
        }
        table[byte].1 = count;
        byte += 1;
    }
    table
};

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

/// As `hash` of the word in lower case, for one of ASCII letters and digits: the bit that makes a letter
/// small is set in digits too.
#[inline]
fn hash_ascii(text: &[u8], [start, end]: [u32; 2]) -> u64 {
    const SMALL: u64 = 0x2020_2020_2020_2020;
    let end = end.min(start + WORD_BYTES_MAX as u32);
    let len = (end - start) as usize;
    // What stands before the word goes out at the lower end.
    let others = 8 * (8 - len.min(8));
    mix((before(text, end as usize) | SMALL) >> others, len)
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

/// One multiplication: most words are told and hashed in as long as it takes to read them.
#[inline]
fn mix(end: u64, len: usize) -> u64 {
    let word = end ^ (len as u64) << 56 ^ 0x243F_6A88_85A3_08D3;
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
    fn read(text: &[u8], at: usize) -> Self {
        let mut last = [0; Self::BYTES];
        let rest = &text[at..];
        let bytes = rest.first_chunk::<{ Self::BYTES }>().unwrap_or_else(|| {
            last[..rest.len()].copy_from_slice(rest);
            &last
        });
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

/// Takes the lowest bit out and says where it was.
#[inline]
fn pop(bits: &mut u64, at: usize) -> u32 {
    let bit = bits.trailing_zeros();
    *bits &= bits.wrapping_sub(1);
    at as u32 + bit
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
    fn more_words_than_are_noted_at_once_are_hashed() {
        let mut hashing = Hashing::default();
        for text in [
            "a ".repeat(3 * NOTED_MAX),
            "ab é ".repeat(2 * NOTED_MAX),
            "long".repeat(2 * NOTED_MAX),
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
