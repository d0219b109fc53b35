//! What an upstream's own rate-limit headers say of its room, so that traffic moves on before a 429.

use std::time::Duration;

use crate::time::Mono;

/// When a header says that nothing is left but not until when.
const RESET_DEFAULT: Duration = Duration::from_secs(1);

/// A backend that names a later reset is asked again after this.
const RESET_MAX: Duration = Duration::from_secs(600);

/// What one answer's headers said; `None` where they said nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoomSeen {
    pub requests_remaining: Option<u64>,
    pub requests_reset: Option<Duration>,
    pub tokens_remaining: Option<u64>,
    pub tokens_reset: Option<Duration>,
}

/// One member's room as last seen.
#[derive(Clone, Debug, Default)]
pub struct Saturation {
    requests: Room,
    tokens: Room,
    /// After a 429.
    throttled_until: Option<Mono>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Room {
    remaining: u64,
    /// Past it, nothing is known.
    until: Option<Mono>,
}

impl Saturation {
    pub fn see(&mut self, seen: &RoomSeen, now: Mono) {
        self.requests
            .see(seen.requests_remaining, seen.requests_reset, now);
        self.tokens
            .see(seen.tokens_remaining, seen.tokens_reset, now);
    }

    /// The backend answered 429.
    pub fn throttle(&mut self, retry_after: Option<Duration>, now: Mono) {
        let until = now + retry_after.unwrap_or(RESET_DEFAULT).min(RESET_MAX);
        self.throttled_until = self.throttled_until.max(Some(until));
    }

    /// Until when a call that reserves `tokens` should go elsewhere; `None` if it need not.
    pub fn until(&self, tokens: u64, now: Mono) -> Option<Mono> {
        let requests = self.requests.until.filter(|_| self.requests.remaining == 0);
        let tokens = self.tokens.until.filter(|_| self.tokens.remaining < tokens);
        requests
            .max(tokens)
            .max(self.throttled_until)
            .filter(|until| *until > now)
    }
}

impl Room {
    fn see(&mut self, remaining: Option<u64>, reset: Option<Duration>, now: Mono) {
        if let Some(remaining) = remaining {
            let until = now + reset.unwrap_or(RESET_DEFAULT).min(RESET_MAX);
            *self = Self {
                remaining,
                until: Some(until),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Mono {
        Mono::from_secs(s)
    }

    #[test]
    fn no_requests_left_saturates_until_the_stated_reset_or_for_a_second() {
        let mut saturation = Saturation::default();
        assert_eq!(saturation.until(0, at(10)), None);
        let none_left = RoomSeen {
            requests_remaining: Some(0),
            ..RoomSeen::default()
        };
        saturation.see(&none_left, at(10));
        assert_eq!(saturation.until(0, at(10)), Some(at(11)));
        saturation.see(
            &RoomSeen {
                requests_reset: Some(Duration::from_secs(6)),
                ..none_left
            },
            at(10),
        );
        assert_eq!(saturation.until(0, at(15)), Some(at(16)));
        assert_eq!(saturation.until(0, at(16)), None);
    }

    #[test]
    fn only_a_call_that_needs_more_tokens_than_are_left_goes_elsewhere() {
        let mut saturation = Saturation::default();
        let seen = RoomSeen {
            tokens_remaining: Some(500),
            tokens_reset: Some(Duration::from_secs(3)),
            ..RoomSeen::default()
        };
        saturation.see(&seen, at(10));
        assert_eq!(saturation.until(500, at(10)), None);
        assert_eq!(saturation.until(501, at(10)), Some(at(13)));
    }

    #[test]
    fn newer_headers_replace_older_ones_and_silence_does_not() {
        let mut saturation = Saturation::default();
        saturation.see(
            &RoomSeen {
                requests_remaining: Some(0),
                ..RoomSeen::default()
            },
            at(10),
        );
        saturation.see(&RoomSeen::default(), at(10));
        assert!(saturation.until(0, at(10)).is_some());
        saturation.see(
            &RoomSeen {
                requests_remaining: Some(9),
                ..RoomSeen::default()
            },
            at(10),
        );
        assert_eq!(saturation.until(0, at(10)), None);
    }

    #[test]
    fn a_429_saturates_until_its_retry_after_whatever_headers_say() {
        let mut saturation = Saturation::default();
        saturation.throttle(Some(Duration::from_secs(20)), at(10));
        saturation.throttle(None, at(11));
        saturation.see(
            &RoomSeen {
                requests_remaining: Some(9),
                ..RoomSeen::default()
            },
            at(12),
        );
        assert_eq!(saturation.until(0, at(12)), Some(at(30)));
        assert_eq!(saturation.until(0, at(30)), None);
    }
}
