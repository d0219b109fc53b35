//! What tokens cost: rates by kind, service tier and prompt length, and one amount made of them.
//!
//! Exact integers until the end: a call's kinds are added up in millionths of a nano, multiplied by
//! the price's factor, and rounded once, half up, to a nano. Where rates come from and which apply
//! is [`book`]'s business.

pub mod book;
mod factor;
mod kinds;
mod list;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use factor::{Factor, FactorError};
pub use kinds::{Kind, kinds};
pub use list::{Ask, Ceiling, PriceList, Schedule};

use crate::money::{Currency, Nanos};
use crate::record::{Cost, PriceId};
use crate::usage::{ServiceTier, Usage};

/// The complete price of a model at a backend for somebody at some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    pub id: PriceId,
    /// All that the id stands for, as JSON, for the ledger.
    pub text: Arc<str>,
    pub card: Arc<RateCard>,
    /// Discounts, mark-ups and the exchange rate, multiplied.
    pub factor: Factor,
    /// What amounts are in: the ledger's.
    pub currency: Currency,
}

/// Rates of every tier that has its own. A tier without rates has no price.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateCard {
    pub tiers: Vec<TierRates>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierRates {
    pub tier: ServiceTier,
    pub base: Rates,
    /// For long prompts, by `above_prompt_tokens`.
    pub steps: Vec<LongContext>,
}

/// Rates of a whole call, answer included, whose prompt is longer than this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LongContext {
    pub above_prompt_tokens: u64,
    /// What is absent costs as in shorter prompts.
    pub rates: Rates,
}

/// Nanos per million tokens, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    pub input: Option<Nanos>,
    /// Absent: as `input`.
    pub cached_input: Option<Nanos>,
    /// Absent: as `input`.
    pub cache_write: Option<Nanos>,
    /// Absent: as `cache_write`.
    pub cache_write_1h: Option<Nanos>,
    pub output: Option<Nanos>,
    /// Absent: as `output`.
    pub reasoning: Option<Nanos>,
    /// Absent: audio has no price.
    pub audio_input: Option<Nanos>,
    /// Absent: audio has no price.
    pub audio_output: Option<Nanos>,
    /// Nanos for one image. Absent: images have no price.
    pub image: Option<Nanos>,
}

/// What usage costs, and what the provider's prompt cache took off it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    pub amount: Nanos,
    pub saved: Nanos,
}

const MILLION: i128 = 1_000_000;

impl Price {
    /// `None` if some of it has no rate: nobody guesses one.
    pub fn bill(&self, usage: &Usage) -> Option<Bill> {
        let rates = self.card.rates(usage.tier, usage.prompt)?;
        let Sum { owed, saved } = rates.sum(usage)?;
        Some(Bill {
            amount: self.factor.nanos(owed),
            saved: self.factor.nanos(saved),
        })
    }

    /// The cost for a record, and what was saved.
    pub fn cost(&self, usage: &Usage) -> (Cost, Nanos) {
        if usage.is_nothing() {
            return (Cost::Nothing, Nanos::ZERO);
        }
        match self.bill(usage) {
            None => (Cost::Unpriced, Nanos::ZERO),
            Some(Bill { amount, saved }) => {
                let (currency, price) = (self.currency, self.id.clone());
                let cost = Cost::Priced {
                    amount,
                    currency,
                    price,
                };
                (cost, saved)
            }
        }
    }
}

impl RateCard {
    /// Of one tier, standard.
    pub fn standard(base: Rates) -> Self {
        let tier = ServiceTier::Standard;
        let steps = Vec::new();
        Self {
            tiers: vec![TierRates { tier, base, steps }],
        }
    }

    /// Everything is paid for otherwise.
    pub fn nothing() -> Self {
        let free = Some(Nanos::ZERO);
        let base = Rates {
            input: free,
            cached_input: free,
            cache_write: free,
            cache_write_1h: free,
            output: free,
            reasoning: free,
            audio_input: free,
            audio_output: free,
            image: free,
        };
        let of_tier = |tier| TierRates {
            tier,
            base,
            steps: Vec::new(),
        };
        Self {
            tiers: ServiceTier::ALL.map(of_tier).into(),
        }
    }

    pub fn tier(&self, tier: ServiceTier) -> Option<&TierRates> {
        self.tiers.iter().find(|rates| rates.tier == tier)
    }

    fn rates(&self, tier: ServiceTier, prompt_tokens: u64) -> Option<Rates> {
        Some(self.tier(tier)?.rates(prompt_tokens))
    }
}

impl TierRates {
    /// A whole call costs as its prompt's length says, with every longer step's rates over the ones
    /// before.
    pub fn rates(&self, prompt_tokens: u64) -> Rates {
        let passed = |step: &&LongContext| prompt_tokens > step.above_prompt_tokens;
        self.steps
            .iter()
            .filter(passed)
            .fold(self.base, |rates, step| step.rates.or(rates))
    }
}

/// In millionths of a nano.
struct Sum {
    owed: i128,
    saved: i128,
}

impl Rates {
    /// These where they are known, else the others.
    pub fn or(self, other: Self) -> Self {
        Self {
            input: self.input.or(other.input),
            cached_input: self.cached_input.or(other.cached_input),
            cache_write: self.cache_write.or(other.cache_write),
            cache_write_1h: self.cache_write_1h.or(other.cache_write_1h),
            output: self.output.or(other.output),
            reasoning: self.reasoning.or(other.reasoning),
            audio_input: self.audio_input.or(other.audio_input),
            audio_output: self.audio_output.or(other.audio_output),
            image: self.image.or(other.image),
        }
    }

    /// Those that are known, by name.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, Nanos)> + use<> {
        let Self {
            input,
            cached_input,
            cache_write,
            cache_write_1h,
            output,
            reasoning,
            audio_input,
            audio_output,
            image,
        } = *self;
        [
            ("input", input),
            ("cached_input", cached_input),
            ("cache_write", cache_write),
            ("cache_write_1h", cache_write_1h),
            ("output", output),
            ("reasoning", reasoning),
            ("audio_input", audio_input),
            ("audio_output", audio_output),
            ("image", image),
        ]
        .into_iter()
        .filter_map(|(kind, rate)| Some((kind, rate?)))
    }

    fn sum(&self, usage: &Usage) -> Option<Sum> {
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
        let cache_write = self.cache_write.or(self.input);
        let mut owed = 0_i128;
        for (count, rate) in [
            (text, self.input),
            (cached, self.cached_input.or(self.input)),
            (written, cache_write),
            (written_1h, self.cache_write_1h.or(cache_write)),
            (audio, self.audio_input),
            (said, self.output),
            (reasoned, self.reasoning.or(self.output)),
            (spoken, self.audio_output),
        ] {
            if count > 0 {
                owed = owed.saturating_add(i128::from(count).saturating_mul(i128::from(rate?.0)));
            }
        }
        if images > 0 {
            let of_one = i128::from(self.image?.0) * MILLION;
            owed = owed.saturating_add(i128::from(images).saturating_mul(of_one));
        }
        let saved = match (self.input, self.cached_input) {
            (Some(full), Some(cached_rate)) => {
                i128::from(cached).saturating_mul(i128::from((full - cached_rate).0).max(0))
            }
            _ => 0,
        };
        Some(Sum { owed, saved })
    }
}

/// Usage by what is paid for it. Adds up to the prompt and the completion: no token is paid twice,
/// whatever overlap a provider reports.
struct Parts {
    text: u64,
    cached: u64,
    written: u64,
    written_1h: u64,
    audio: u64,
    said: u64,
    reasoned: u64,
    spoken: u64,
    images: u64,
}

impl Parts {
    fn of(usage: &Usage) -> Self {
        fn take(wanted: u64, left: &mut u64) -> u64 {
            let taken = wanted.min(*left);
            *left -= taken;
            taken
        }
        let (mut prompt, mut completion) = (usage.prompt, usage.completion);
        let cached = take(usage.cached_prompt, &mut prompt);
        let mut written = take(usage.cache_write, &mut prompt);
        let written_1h = take(usage.cache_write_1h, &mut written);
        let audio = take(usage.audio_prompt, &mut prompt);
        let spoken = take(usage.audio_completion, &mut completion);
        let reasoned = take(usage.reasoning, &mut completion);
        Self {
            text: prompt,
            cached,
            written,
            written_1h,
            audio,
            said: completion,
            reasoned,
            spoken,
            images: usage.images,
        }
    }
}
