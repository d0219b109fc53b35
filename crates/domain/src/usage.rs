//! What a call used, and who counted it.

use std::ops::AddAssign;

/// Tokens of one call. `prompt` includes `cached_prompt` and `cache_write`; `completion` includes
/// `reasoning`, whatever the provider's own convention.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub prompt: u64,
    pub completion: u64,
    pub cached_prompt: u64,
    pub cache_write: u64,
    pub reasoning: u64,
    pub audio_prompt: u64,
    pub audio_completion: u64,
    pub images: u64,
}

impl Usage {
    pub fn total(&self) -> u64 {
        self.prompt.saturating_add(self.completion)
    }

    /// Not even an image.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        let Self {
            prompt,
            completion,
            cached_prompt,
            cache_write,
            reasoning,
            audio_prompt,
            audio_completion,
            images,
        } = other;
        self.prompt = self.prompt.saturating_add(prompt);
        self.completion = self.completion.saturating_add(completion);
        self.cached_prompt = self.cached_prompt.saturating_add(cached_prompt);
        self.cache_write = self.cache_write.saturating_add(cache_write);
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
        prompt: 0,
        completion: 0,
        cached_prompt: 0,
        cache_write: 0,
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
