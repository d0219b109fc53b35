//! What a backend's own rate-limit headers say of the room it has left.

use std::time::Duration;

use crate::time::Mono;

/// Assumed where a backend says that it is full but not until when.
const RESET_UNSAID: Duration = Duration::from_secs(1);
/// A reset further away than this is not believed: windows of providers are a minute or a day.
const RESET_MAX: Duration = Duration::from_secs(24 * 3600);

/// Nothing said: nothing full.
#[derive(Clone, Copy, Debug, Default)]
pub struct Saturation {
    requests: Option<Left>,
    tokens: Option<Left>,
    throttled: Option<Mono>,
}

/// So many until then.
#[derive(Clone, Copy, Debug)]
struct Left {
    remaining: u64,
    until: Mono,
}

impl Left {
    fn new(remaining: u64, reset: Option<Duration>, now: Mono) -> Self {
        Self {
            remaining,
            until: now + believed(reset),
        }
    }

    fn short_of(self, wanted: u64) -> Option<Mono> {
        (self.remaining < wanted).then_some(self.until)
    }
}

impl Saturation {
    /// `remaining` requests until `reset` from now.
    pub fn observe_requests(&mut self, remaining: u64, reset: Option<Duration>, now: Mono) {
        self.requests = Some(Left::new(remaining, reset, now));
    }

    /// `remaining` tokens until `reset` from now.
    pub fn observe_tokens(&mut self, remaining: u64, reset: Option<Duration>, now: Mono) {
        self.tokens = Some(Left::new(remaining, reset, now));
    }

    /// A 429: full until then, whatever the other headers say.
    pub fn observe_throttled(&mut self, retry_after: Option<Duration>, now: Mono) {
        let until = now + believed(retry_after);
        self.throttled = Some(self.throttled.map_or(until, |earlier| earlier.max(until)));
    }

    /// A call of `tokens` goes there. Counted here until the next answer's headers know of it, so
    /// that a burst does not overrun what one answer said.
    pub fn spend(&mut self, tokens: u64) {
        if let Some(left) = &mut self.requests {
            left.remaining = left.remaining.saturating_sub(1);
        }
        if let Some(left) = &mut self.tokens {
            left.remaining = left.remaining.saturating_sub(tokens);
        }
    }

    /// Until when the last 429 said to stay away; `None` once that has passed.
    pub fn throttled_until(&self, now: Mono) -> Option<Mono> {
        self.throttled.filter(|until| *until > now)
    }

    /// Until when a call of `tokens` should go elsewhere; `None` if it need not.
    pub fn until(&self, tokens: u64, now: Mono) -> Option<Mono> {
        let requests = self.requests.and_then(|left| left.short_of(1));
        let tokens = self.tokens.and_then(|left| left.short_of(tokens));
        [requests, tokens, self.throttled]
            .into_iter()
            .flatten()
            .max()
            .filter(|until| *until > now)
    }
}

fn believed(reset: Option<Duration>) -> Duration {
    reset.unwrap_or(RESET_UNSAID).min(RESET_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Mono = Mono::from_secs(1_000);

    #[test]
    fn a_backend_with_fewer_tokens_than_the_call_reserves_is_full_for_that_call_only() {
        let mut seen = Saturation::default();
        seen.observe_tokens(500, Some(Duration::from_secs(6)), NOW);
        assert_eq!(seen.until(500, NOW), None);
        assert_eq!(seen.until(501, NOW), Some(NOW + Duration::from_secs(6)));
        assert_eq!(seen.until(501, NOW + Duration::from_secs(6)), None);
    }

    #[test]
    fn no_requests_left_without_a_reset_means_a_second() {
        let mut seen = Saturation::default();
        seen.observe_requests(0, None, NOW);
        assert_eq!(seen.until(0, NOW), Some(NOW + Duration::from_secs(1)));
        seen.observe_requests(3, None, NOW);
        assert_eq!(seen.until(0, NOW), None);
    }

    #[test]
    fn a_burst_does_not_overrun_what_one_answer_said() {
        let mut seen = Saturation::default();
        seen.observe_tokens(1_000, Some(Duration::from_secs(6)), NOW);
        let sent = (0..10).take_while(|_| {
            let goes = seen.until(300, NOW).is_none();
            seen.spend(300);
            goes
        });
        assert_eq!(sent.count(), 3);
    }

    #[test]
    fn a_429_counts_until_its_retry_after_although_headers_look_fine() {
        let mut seen = Saturation::default();
        seen.observe_throttled(Some(Duration::from_secs(20)), NOW);
        seen.observe_requests(10, None, NOW);
        assert_eq!(
            seen.until(1, NOW + Duration::from_secs(19)),
            Some(NOW + Duration::from_secs(20))
        );
        assert_eq!(seen.until(1, NOW + Duration::from_secs(20)), None);
    }

    #[test]
    fn only_a_429_throttles() {
        let mut seen = Saturation::default();
        seen.observe_requests(0, Some(Duration::from_secs(20)), NOW);
        assert_eq!(seen.throttled_until(NOW), None);
        seen.observe_throttled(None, NOW);
        let later = NOW + RESET_UNSAID;
        assert_eq!(seen.throttled_until(NOW), Some(later));
        assert_eq!(seen.throttled_until(later), None);
    }
}
