//! What of a call goes on the audit record.

use crate::CallId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// No record at all.
    None,
    /// Who, when, which model, how it ended.
    Metadata,
    /// Prompt and answer too, as guards let them through.
    Full,
}

/// A share of calls, picked by their ids: the same calls whoever asks, on any machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample(f64);

impl Sample {
    pub const ALL: Self = Self(1.0);

    /// `share` is from 0 to 1; anything beyond counts as the nearer of them.
    pub fn new(share: f64) -> Self {
        Self(share.clamp(0.0, 1.0))
    }

    pub fn is_all(self) -> bool {
        self.0 >= 1.0
    }

    /// By the lower half of the id, which is chance alone.
    pub fn takes(self, call: CallId) -> bool {
        const HALF: u128 = 1 << 64;
        let place = (call.0 % HALF) as f64 / HALF as f64;
        self.is_all() || place < self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Wall;

    #[test]
    fn a_sample_of_a_tenth_takes_a_tenth_of_calls() {
        let mut chance: u128 = 1;
        let mut taken = 0;
        for ms in 0..100_000 {
            chance = chance
                .wrapping_mul(0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645)
                .wrapping_add(1);
            let call = CallId::new(Wall(ms), chance >> 40);
            taken += u32::from(Sample::new(0.1).takes(call));
        }
        assert!((9_500..10_500).contains(&taken), "{taken}");
    }

    proptest! {
        #[test]
        fn all_takes_every_call_none_takes_none_and_a_larger_share_takes_what_a_smaller_does(
            id: u128, share in 0.0..1.0_f64, more in 0.0..1.0_f64,
        ) {
            let call = CallId(id);
            prop_assert!(Sample::ALL.takes(call));
            prop_assert!(!Sample::new(0.0).takes(call));
            if Sample::new(share).takes(call) {
                prop_assert!(Sample::new(share + (1.0 - share) * more).takes(call));
            }
        }
    }
}
