//! Chance from a seed: the same seed and the same call number give the same call.

/// SplitMix64: small, fast, and good enough for fake answers.
pub struct Random(u64);

impl Random {
    pub fn of(seed: u64, call_number: u64) -> Self {
        Self(seed ^ call_number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`, evenly; 0 if `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// From 0 to just below 1, evenly.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// `length` letters and digits, as in the ids that providers give.
    pub fn id(&mut self, length: usize) -> String {
        const ALPHABET: &[u8; 62] =
            b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        (0..length)
            .map(|_| char::from(ALPHABET[self.below(62) as usize]))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_call_give_the_same_numbers_and_others_do_not() {
        assert_eq!(Random::of(7, 1).id(20), Random::of(7, 1).id(20));
        assert_ne!(Random::of(7, 1).id(20), Random::of(7, 2).id(20));
        assert_ne!(Random::of(7, 1).id(20), Random::of(8, 1).id(20));
    }

    #[test]
    fn numbers_stay_below_their_end() {
        let mut random = Random::of(1, 1);
        assert!((0..10_000).all(|_| random.below(3) < 3 && random.unit() < 1.0));
        assert_eq!(random.below(0), 0);
    }
}
