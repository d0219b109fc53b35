//! What a call used, and who counted it.

use std::ops::AddAssign;

/// Tokens of one call. `prompt` includes `cached_prompt` and `cache_write`; `completion` includes
/// `reasoning`, whatever the provider's own convention.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// At which the provider served it: tiers differ in price.
    pub tier: ServiceTier,
    pub prompt: u64,
    pub completion: u64,
    pub cached_prompt: u64,
    pub cache_write: u64,
    /// The part of `cache_write` that is kept for an hour instead of minutes.
    pub cache_write_1h: u64,
    pub reasoning: u64,
    pub audio_prompt: u64,
    pub audio_completion: u64,
    pub images: u64,
}

/// How fast, and how surely, a provider serves a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceTier {
    #[default]
    Standard,
    /// Within a day or so.
    Batch,
    /// Ahead of others.
    Priority,
    /// When there is room.
    Flex,
}

impl ServiceTier {
    pub const ALL: [Self; 4] = [Self::Standard, Self::Batch, Self::Priority, Self::Flex];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Priority => "priority",
            Self::Flex => "flex",
        }
    }
}

impl Usage {
    pub fn total(&self) -> u64 {
        self.prompt.saturating_add(self.completion)
    }

    /// Not even an image.
    pub fn is_nothing(&self) -> bool {
        let tier = self.tier;
        *self
            == (Self {
                tier,
                ..Self::default()
            })
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        let Self {
            // A sum is of no tier: that of what is summed into stays.
            tier: _,
            prompt,
            completion,
            cached_prompt,
            cache_write,
            cache_write_1h,
            reasoning,
            audio_prompt,
            audio_completion,
            images,
        } = other;
        self.prompt = self.prompt.saturating_add(prompt);
        self.completion = self.completion.saturating_add(completion);
        self.cached_prompt = self.cached_prompt.saturating_add(cached_prompt);
        self.cache_write = self.cache_write.saturating_add(cache_write);
        self.cache_write_1h = self.cache_write_1h.saturating_add(cache_write_1h);
        self.reasoning = self.reasoning.saturating_add(reasoning);
        self.audio_prompt = self.audio_prompt.saturating_add(audio_prompt);
        self.audio_completion = self.audio_completion.saturating_add(audio_completion);
        self.images = self.images.saturating_add(images);
    }
}

/// Usage, and whether the provider reported it or the gateway counted what passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metered {
    Reported(Usage),
    Estimated(Usage),
}

impl Metered {
    /// Nothing reached a provider, so nothing is owed.
    pub const NOTHING: Self = Self::Reported(Usage {
        tier: ServiceTier::Standard,
        prompt: 0,
        completion: 0,
        cached_prompt: 0,
        cache_write: 0,
        cache_write_1h: 0,
        reasoning: 0,
        audio_prompt: 0,
        audio_completion: 0,
        images: 0,
    });

    pub fn usage(&self) -> &Usage {
        match self {
            Self::Reported(usage) | Self::Estimated(usage) => usage,
        }
    }

    pub fn is_estimated(&self) -> bool {
        matches!(self, Self::Estimated(_))
    }
}
