//! Usage by what is paid for it, for those who show a cost's parts.

use super::{Parts, Rates};
use crate::money::Nanos;
use crate::usage::Usage;

/// What may have a rate of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Input,
    CachedInput,
    CacheWrite,
    CacheWriteHour,
    AudioInput,
    Output,
    Reasoning,
    AudioOutput,
    Image,
}

/// Every token of a usage once, and its images.
pub fn kinds(usage: &Usage) -> [(Kind, u64); 9] {
    let Parts {
        text,
        cached,
        written,
        written_1h,
        audio,
        said,
        reasoned,
        spoken,
        images,
    } = Parts::of(usage);
    [
        (Kind::Input, text),
        (Kind::CachedInput, cached),
        (Kind::CacheWrite, written),
        (Kind::CacheWriteHour, written_1h),
        (Kind::AudioInput, audio),
        (Kind::Output, said),
        (Kind::Reasoning, reasoned),
        (Kind::AudioOutput, spoken),
        (Kind::Image, images),
    ]
}

impl Rates {
    /// For a million tokens, or for one image; `None` if it has no price.
    pub fn of(&self, kind: Kind) -> Option<Nanos> {
        let cache_write = self.cache_write.or(self.input);
        match kind {
            Kind::Input => self.input,
            Kind::CachedInput => self.cached_input.or(self.input),
            Kind::CacheWrite => cache_write,
            Kind::CacheWriteHour => self.cache_write_1h.or(cache_write),
            Kind::AudioInput => self.audio_input,
            Kind::Output => self.output,
            Kind::Reasoning => self.reasoning.or(self.output),
            Kind::AudioOutput => self.audio_output,
            Kind::Image => self.image,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// In millionths of a nano.
    fn owed(rates: &Rates, usage: &Usage) -> Option<i128> {
        let mut owed = 0_i128;
        for (kind, count) in kinds(usage) {
            if count > 0 {
                let unit = if kind == Kind::Image { 1_000_000 } else { 1 };
                owed += i128::from(count) * i128::from(rates.of(kind)?.0) * unit;
            }
        }
        Some(owed)
    }

    prop_compose! {
        fn any_usage()(
            prompt in 0_u64..1_000, completion in 0_u64..1_000, cached_prompt in 0_u64..600,
            cache_write in 0_u64..600, cache_write_1h in 0_u64..600, reasoning in 0_u64..600,
            audio_prompt in 0_u64..600, audio_completion in 0_u64..600, images in 0_u64..3,
        ) -> Usage {
            Usage {
                prompt, completion, cached_prompt, cache_write, cache_write_1h, reasoning,
                audio_prompt, audio_completion, images, ..Usage::default()
            }
        }
    }

    proptest! {
        #[test]
        fn the_parts_of_a_usage_cost_what_it_costs(
            usage in any_usage(),
            rate in prop::array::uniform9(prop::option::of(0_i64..1_000_000_000)),
        ) {
            let nanos = |index: usize| rate[index].map(Nanos);
            let rates = Rates {
                input: nanos(0), cached_input: nanos(1), cache_write: nanos(2), cache_write_1h: nanos(3),
                output: nanos(4), reasoning: nanos(5), audio_input: nanos(6), audio_output: nanos(7),
                image: nanos(8),
            };
            prop_assert_eq!(rates.sum(&usage).map(|sum| sum.owed), owed(&rates, &usage));
            let tokens: u64 = kinds(&usage).iter().filter(|(kind, _)| *kind != Kind::Image).map(|(_, count)| count).sum();
            prop_assert_eq!(tokens, usage.total());
        }
    }
}
