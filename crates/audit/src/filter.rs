//! Which words a record may hold: a Bloom filter for each, of seven to fourteen bits for each different
//! word.
//!
//! Pure. One to four in a hundred records that lack a word look as if they had it: searches open those and
//! look.

use std::cell::RefCell;

use crate::bytes::{self, Malformed, Reader};
use crate::words::Hashing;

/// Of a filter before it is folded, if no word repeats: at most twice as many.
const BITS_PER_WORD: u64 = 8;
/// Of one that is folded, so that a text takes as much room as it has different words: at most twice as many.
const BITS_PER_DIFFERENT_WORD: u64 = 7;
/// A power of two, as every filter's length is. No content is long enough to reach it.
const FILTER_WORDS_MAX: u64 = 1 << 25;

/// Filters of records of one key, in the order of the chain.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    sequences: Vec<u64>,
    lens: Vec<u32>,
    words: Vec<u64>,
}

/// One record's, put behind `words`. Returns how many words of 64 bits it takes.
pub(crate) fn put_filter(words: &mut Vec<u64>, texts: &[&[u8]], hashing: &mut Hashing) -> u32 {
    hashing.clear();
    for text in texts {
        hashing.add(text);
    }
    let bits = hashing.hashes().len() as u64 * BITS_PER_WORD;
    let len = bits.div_ceil(64).next_power_of_two().min(FILTER_WORDS_MAX);
    let start = words.len();
    words.resize(start + len as usize, 0);
    let filter = &mut words[start..];
    // Some few look as if they had been there: the filter is still large.
    let mut different = 0;
    for hash in hashing.hashes() {
        let (word, bits) = probe(*hash, len);
        if let Some(word) = filter.get_mut(word) {
            different += u64::from(*word & bits != bits);
            *word |= bits;
        }
    }
    let wanted = (different * BITS_PER_DIFFERENT_WORD).div_ceil(64);
    let len = folded(filter, wanted.next_power_of_two() as usize);
    words.truncate(start + len);
    len as u32
}

/// Lays halves over each other until no more than `wanted` words are left, a power of two. Returns how many are.
fn folded(filter: &mut [u64], wanted: usize) -> usize {
    let mut len = filter.len();
    while len > wanted {
        len /= 2;
        let (half, other) = filter.split_at_mut(len);
        for (word, other) in half.iter_mut().zip(&other[..len]) {
            *word |= *other;
        }
    }
    len
}

/// One record's, made of what this thread keeps between records. Empty if there is no text at all.
pub(crate) fn with_filter<R>(texts: &[&[u8]], used: impl FnOnce(&[u64]) -> R) -> R {
    thread_local! {
        static KEPT: RefCell<(Vec<u64>, Hashing)> = RefCell::default();
    }
    KEPT.with_borrow_mut(|(words, hashing)| {
        words.clear();
        if texts.iter().any(|text| !text.is_empty()) {
            put_filter(words, texts, hashing);
        }
        used(words)
    })
}

impl Filters {
    /// Of the record after all others.
    pub(crate) fn push(&mut self, sequence: u64, filter: &[u64]) {
        self.sequences.push(sequence);
        self.lens.push(filter.len() as u32);
        self.words.extend_from_slice(filter);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sequences.is_empty()
    }

    /// In memory, about.
    pub(crate) fn bytes(&self) -> usize {
        self.words.len() * 8 + self.sequences.len() * 12
    }

    pub(crate) fn retain(&mut self, keeps: impl Fn(u64) -> bool) {
        let old = std::mem::take(self);
        let mut at = 0;
        for (sequence, len) in old.sequences.into_iter().zip(old.lens) {
            let end = at + len as usize;
            if keeps(sequence) {
                self.push(sequence, &old.words[at..end]);
            }
            at = end;
        }
    }

    pub(crate) fn list(&self) -> Vec<(u64, &[u64])> {
        let mut words = &self.words[..];
        let filters = self.sequences.iter().zip(&self.lens);
        let filters = filters.map(|(sequence, len)| {
            let (filter, rest) = words.split_at(*len as usize);
            words = rest;
            (*sequence, filter)
        });
        filters.collect()
    }

    pub(crate) fn read(plain: &[u8]) -> Result<Self, Malformed> {
        let mut filters = Self::default();
        each(plain, |sequence, filter| {
            filters.sequences.push(sequence);
            filters.lens.push(filter.len() as u32);
            filters
                .words
                .extend(filter.iter().map(|word| u64::from_le_bytes(*word)));
        })?;
        Ok(filters)
    }
}

/// Of records of one key, with their numbers, in the order of the chain.
pub(crate) fn put_filters(plain: &mut Vec<u8>, filters: &[(u64, &[u64])]) {
    bytes::put_u32(plain, filters.len() as u32);
    for (sequence, filter) in filters {
        bytes::put_u64(plain, *sequence);
        bytes::put_u32(plain, filter.len() as u32);
    }
    for (_, filter) in filters {
        let start = plain.len();
        plain.resize(start + size_of_val(*filter), 0);
        let (room, _) = plain[start..].as_chunks_mut::<8>();
        for (room, word) in room.iter_mut().zip(*filter) {
            *room = word.to_le_bytes();
        }
    }
}

/// Calls `found` with records that may hold all of the words. Copies nothing: a search does this for
/// every record there is.
pub(crate) fn candidates(
    plain: &[u8],
    hashes: &[u64],
    mut found: impl FnMut(u64),
) -> Result<(), Malformed> {
    each(plain, |sequence, filter| {
        let has = |hash: &u64| {
            let (word, bits) = probe(*hash, filter.len() as u64);
            u64::from_le_bytes(filter[word]) & bits == bits
        };
        if hashes.iter().all(has) {
            found(sequence);
        }
    })
}

fn each(plain: &[u8], mut found: impl FnMut(u64, &[[u8; 8]])) -> Result<(), Malformed> {
    let mut list = Reader::new(plain);
    let count = list.u32()? as usize;
    let heads = list.take(count.checked_mul(12).ok_or(Malformed)?)?;
    let mut heads = Reader::new(heads);
    for _ in 0..count {
        let sequence = heads.u64()?;
        let len = heads.u32()? as usize;
        let (filter, _) = list
            .take(len.checked_mul(8).ok_or(Malformed)?)?
            .as_chunks::<8>();
        if !filter.len().is_power_of_two() || filter.len() as u64 > FILTER_WORDS_MAX {
            return Err(Malformed);
        }
        found(sequence, filter);
    }
    list.end()
}

/// Four bits of one of the filter's `len` words: one place in memory for each word of a text. The upper
/// half of the hash says which, its lower half which bits. A filter that is folded has them in the same
/// bits of the word that the other is laid over.
#[inline]
fn probe(hash: u64, len: u64) -> (usize, u64) {
    let word = hash >> 32 & (len - 1);
    let bits = PATTERNS[(hash & 0xFF) as usize].rotate_left((hash >> 8 & 63) as u32);
    (word as usize, bits)
}

/// Four bits each, of which one is the lowest; turned by 64 they are 16,384 that differ. They stand in
/// filters, so they stay as they are.
static PATTERNS: [u64; 256] = {
    let mut patterns = [0; 256];
    let (mut state, mut number) = (0x9E37_79B9_7F4A_7C15_u64, 0);
    while number < 256 {
        let mut bits = 1_u64;
        while bits.count_ones() < 4 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bits |= 1 << (state >> 58);
        }
        patterns[number] = bits;
        number += 1;
    }
    patterns
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::words::hash;

    impl Filters {
        fn add(&mut self, sequence: u64, texts: &[&[u8]], hashing: &mut Hashing) {
            let mut words = Vec::new();
            put_filter(&mut words, texts, hashing);
            self.push(sequence, &words);
        }

        fn to_bytes(&self) -> Vec<u8> {
            let mut plain = Vec::new();
            put_filters(&mut plain, &self.list());
            plain
        }
    }

    proptest! {
        #[test]
        fn no_record_that_holds_the_words_is_missed(texts in proptest::collection::vec("[a-f ]{0,40}", 1..20), wanted in "[a-f]{1,3}") {
            let mut filters = Filters::default();
            let mut hashing = Hashing::default();
            for (number, text) in texts.iter().enumerate() {
                filters.add(number as u64 * 3, &[text.as_bytes()], &mut hashing);
            }
            let mut found = Vec::new();
            candidates(&filters.to_bytes(), &[hash(wanted.as_bytes())], |sequence| found.push(sequence)).unwrap();
            for (number, text) in texts.iter().enumerate() {
                if text.split(' ').any(|word| word == wanted) {
                    prop_assert!(found.contains(&(number as u64 * 3)));
                }
            }
        }

        #[test]
        fn filters_that_are_left_are_as_they_were(count in 1..30_u64, modulus in 1..5_u64) {
            let mut hashing = Hashing::default();
            let add = |keeps: &dyn Fn(u64) -> bool, hashing: &mut Hashing| {
                let mut filters = Filters::default();
                for sequence in (0..count).filter(|sequence| keeps(*sequence)) {
                    filters.add(sequence, &[format!("word{sequence} and {}", "x ".repeat(sequence as usize)).as_bytes()], hashing);
                }
                filters
            };
            let keeps = |sequence: u64| !sequence.is_multiple_of(modulus);
            let all = add(&|_| true, &mut hashing);
            let mut left = Filters::read(&all.to_bytes()).unwrap();
            left.retain(keeps);
            prop_assert_eq!(left.to_bytes(), add(&keeps, &mut hashing).to_bytes());
        }

        #[test]
        fn any_bytes_are_filters_or_malformed(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Filters::read(&bytes);
            let _ = candidates(&bytes, &[1], |_| {});
        }
    }

    #[test]
    fn a_long_text_takes_as_much_room_as_it_has_different_words() {
        let of = |different: usize| {
            let words: Vec<String> = (0..20_000)
                .map(|word| format!("w{}", word % different))
                .collect();
            let mut filters = Filters::default();
            filters.add(1, &[words.join(" ").as_bytes()], &mut Hashing::default());
            filters.words.len() as u64 * 64
        };
        for different in [100, 5_000, 20_000] {
            let bits = of(different as usize);
            assert!(
                (different * 13 / 2..=different * 29 / 2).contains(&bits),
                "{different}: {bits}"
            );
        }
    }

    #[test]
    fn few_in_a_hundred_look_like_a_hit_even_if_no_word_repeats() {
        // The most words of a length that fit a size, and the fewest that do not.
        for count in [180, 256, 257] {
            let share = false_hits(count);
            assert!(share < 0.045, "{count}: {share}");
        }
    }

    /// Of records that hold so many words, the share that looks as if it had one that it lacks.
    fn false_hits(count: u64) -> f64 {
        let mut filters = Filters::default();
        let mut hashing = Hashing::default();
        for sequence in 0..2_000_u64 {
            let text: Vec<String> = (0..count)
                .map(|word| format!("w{}", sequence * 1_000 + word))
                .collect();
            filters.add(sequence, &[text.join(" ").as_bytes()], &mut hashing);
        }
        let plain = filters.to_bytes();
        let mut hits = 0;
        for probe in 0..50 {
            candidates(&plain, &[hash(format!("absent{probe}").as_bytes())], |_| {
                hits += 1;
            })
            .unwrap();
        }
        assert!(plain.len() < 2_000 * 280, "{}", plain.len() / 2_000);
        f64::from(hits) / (50.0 * 2_000.0)
    }
}
