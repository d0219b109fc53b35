//! The life of an identity's token: when it is fetched, refreshed, waited for and given up.
//!
//! Decides; fetches nothing and reads no clock. Times are those of the clock that never steps, so
//! that a changed wall clock neither ends a token nor keeps a dead one.

use std::time::Duration;

use domain::Mono;

/// Between two fetches that succeed: an issuer that hands out the last seconds of a cached token is
/// not asked in a loop.
const REFRESH_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Between two fetches that backends' refusals cause: a role that is missing would cause one a call.
const REJECTION_INTERVAL: Duration = Duration::from_secs(60);
/// No issuer gives a token for longer; what says so is read as this.
const LIFETIME_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// The longest pause between two fetches that fail, a little chance aside…
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// …and the longest that an issuer can ask for.
const ASKED_PAUSE_MAX: Duration = Duration::from_secs(300);

/// When a token is to be replaced, and when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub refresh_at: Mono,
    pub expires_at: Mono,
}

/// What an issuer says about a token that it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    pub lifetime: Duration,
    /// When to ask for the next one, if the issuer says.
    pub refresh_in: Option<Duration>,
}

impl Validity {
    /// Counted from when the token was asked for, so that the way back takes nothing off its end.
    /// `roll`, from 0 to 1, spreads the refreshes of gateways that started together around four
    /// fifths of the lifetime.
    pub fn new(asked_at: Mono, terms: Terms, roll: f64) -> Self {
        let lifetime = terms.lifetime.min(LIFETIME_MAX);
        let refresh_in = match terms.refresh_in {
            Some(refresh_in) if refresh_in < lifetime => refresh_in,
            Some(_) | None => lifetime.mul_f64(0.75 + 0.1 * roll.clamp(0.0, 1.0)),
        };
        Self {
            refresh_at: asked_at + refresh_in.max(REFRESH_INTERVAL_MIN),
            expires_at: asked_at + lifetime,
        }
    }
}

/// Why a fetch failed, as far as it says when to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setback {
    /// Unreachable, overloaded or broken: it may be over in a second.
    Passing { retry_after: Option<Duration> },
    /// Being updated, or a refusal that only an operator's change ends.
    Lasting { retry_after: Option<Duration> },
}

/// What the identity's task does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Fetch,
    Wait { until: Mono },
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Life {
    held: Option<Validity>,
    /// A backend turned the held token down, and no fetch has ended since.
    is_doubted: bool,
    doubted_at: Option<Mono>,
    /// Fetches in a row that failed.
    failures: u32,
    retry_at: Option<Mono>,
}

impl Life {
    pub fn next(&self, now: Mono) -> Next {
        if let Some(until) = self.retry_at.filter(|at| now < *at) {
            return Next::Wait { until };
        }
        match self.held {
            Some(held) if now < held.refresh_at && !self.is_doubted => Next::Wait {
                until: held.refresh_at,
            },
            Some(_) | None => Next::Fetch,
        }
    }

    pub fn fetched(&mut self, validity: Validity) {
        *self = Self {
            held: Some(validity),
            doubted_at: self.doubted_at,
            ..Self::default()
        };
    }

    /// How long to wait before the next try. What is held stays good until it ends.
    pub fn failed(&mut self, setback: Setback, now: Mono, roll: f64) -> Duration {
        let (first, asked) = match setback {
            Setback::Passing { retry_after } => (Duration::from_secs(1), retry_after),
            Setback::Lasting { retry_after } => (Duration::from_secs(10), retry_after),
        };
        let doubled = first
            .saturating_mul(2_u32.saturating_pow(self.failures))
            .min(PAUSE_MAX);
        // Never less than asked: gateways that failed together must not come back together.
        let pause = doubled
            .max(asked.unwrap_or_default().min(ASKED_PAUSE_MAX))
            .mul_f64(1.0 + 0.5 * roll.clamp(0.0, 1.0));
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(now + pause);
        self.is_doubted = false;
        pause
    }

    /// A backend turned the held token down. Whether that is worth a fetch now.
    pub fn turned_down(&mut self, now: Mono) -> bool {
        let is_recent = |at: Mono| now.since(at) < REJECTION_INTERVAL;
        if self.doubted_at.is_some_and(is_recent) || self.retry_at.is_some_and(|at| now < at) {
            return false;
        }
        self.doubted_at = Some(now);
        self.is_doubted = true;
        true
    }

    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PASSING: Setback = Setback::Passing { retry_after: None };
    const LASTING: Setback = Setback::Lasting { retry_after: None };

    fn s(seconds: u64) -> Mono {
        Mono::from_secs(seconds)
    }

    fn terms(lifetime_s: u64, refresh_in_s: Option<u64>) -> Terms {
        Terms {
            lifetime: Duration::from_secs(lifetime_s),
            refresh_in: refresh_in_s.map(Duration::from_secs),
        }
    }

    fn holding(lifetime_s: u64) -> Life {
        let mut life = Life::default();
        life.fetched(Validity::new(s(0), terms(lifetime_s, None), 0.5));
        life
    }

    #[test]
    fn a_token_is_refreshed_at_four_fifths_of_its_lifetime_or_when_the_issuer_says() {
        let refresh = |terms, roll| Validity::new(s(100), terms, roll).refresh_at;
        assert_eq!(refresh(terms(3600, None), 0.5), s(100 + 2880));
        assert_eq!(refresh(terms(3600, None), 0.0), s(100 + 2700));
        assert_eq!(refresh(terms(3600, None), 1.0), s(100 + 3060));
        assert_eq!(refresh(terms(3600, Some(1800)), 0.5), s(100 + 1800));
        // Nonsense: that would be too late.
        assert_eq!(refresh(terms(3600, Some(3600)), 0.5), s(100 + 2880));
        assert_eq!(refresh(terms(3600, Some(0)), 0.5), s(101));
        assert_eq!(
            Validity::new(s(100), terms(3600, None), 0.5).expires_at,
            s(3700)
        );
    }

    #[test]
    fn a_lifetime_without_end_ends_after_a_week() {
        let validity = Validity::new(s(0), terms(u64::MAX, Some(u64::MAX)), 1.0);
        assert_eq!(validity.expires_at, s(7 * 24 * 3600));
        assert!(validity.refresh_at < validity.expires_at);
    }

    #[test]
    fn nothing_held_is_fetched_at_once_and_what_is_held_when_it_is_due() {
        assert_eq!(Life::default().next(s(5)), Next::Fetch);
        let life = holding(1000);
        assert_eq!(life.next(s(799)), Next::Wait { until: s(800) });
        assert_eq!(life.next(s(800)), Next::Fetch);
        assert_eq!(life.next(s(5000)), Next::Fetch);
    }

    #[test]
    fn pauses_after_failures_double_up_to_half_a_minute_and_chance_adds_up_to_half() {
        let mut life = Life::default();
        let mut pauses = |setback, roll| life.failed(setback, s(0), roll).as_secs_f64();
        let doubling: Vec<_> = (0..8).map(|_| pauses(PASSING, 0.0)).collect();
        assert_eq!(doubling, [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]);
        assert!((pauses(PASSING, 1.0) - 45.0).abs() < 0.001);
        let mut life = Life::default();
        let lasting: Vec<_> = (0..4)
            .map(|_| life.failed(LASTING, s(0), 0.0).as_secs())
            .collect();
        assert_eq!(lasting, [10, 20, 30, 30]);
    }

    #[test]
    fn an_issuer_that_asks_for_a_longer_pause_gets_it_up_to_five_minutes() {
        let pause = |asked_s| {
            let retry_after = Some(Duration::from_secs(asked_s));
            Life::default()
                .failed(Setback::Passing { retry_after }, s(0), 0.0)
                .as_secs()
        };
        assert_eq!([0, 30, 100_000].map(pause), [1, 30, 300]);
    }

    #[test]
    fn after_a_failure_the_next_try_waits_and_a_success_forgets_it() {
        let mut life = holding(1000);
        let pause = life.failed(PASSING, s(800), 0.0);
        assert_eq!(
            life.next(s(800)),
            Next::Wait {
                until: s(800) + pause
            }
        );
        assert_eq!(life.next(s(801)), Next::Fetch);
        assert_eq!(life.failures(), 1);
        life.fetched(Validity::new(s(801), terms(1000, None), 0.5));
        assert_eq!(
            (life.failures(), life.next(s(801))),
            (0, Next::Wait { until: s(1601) })
        );
    }

    #[test]
    fn a_token_that_is_turned_down_is_fetched_anew_once_a_minute_at_most() {
        let mut life = holding(1000);
        assert!(life.turned_down(s(10)));
        assert_eq!(life.next(s(10)), Next::Fetch);
        life.fetched(Validity::new(s(10), terms(1000, None), 0.5));
        assert!(!life.turned_down(s(69)));
        assert_eq!(life.next(s(69)), Next::Wait { until: s(810) });
        assert!(life.turned_down(s(70)));
    }

    #[test]
    fn a_token_that_is_turned_down_while_its_issuer_is_down_is_kept() {
        let mut life = holding(1000);
        life.failed(PASSING, s(800), 0.0);
        assert!(!life.turned_down(s(800)));
        let mut life = holding(1000);
        assert!(life.turned_down(s(10)));
        life.failed(PASSING, s(10), 0.0);
        // The doubt is over: what is held is due at its own time again.
        assert_eq!(life.next(s(11)), Next::Wait { until: s(800) });
    }

    proptest! {
        #[test]
        fn a_token_is_always_refreshed_before_it_ends(lifetime_s in 2_u64..10_000_000, refresh_in in proptest::option::of(0_u64..10_000_000), roll in 0.0..=1.0) {
            let validity = Validity::new(s(7), terms(lifetime_s, refresh_in), roll);
            prop_assert!(s(7) < validity.refresh_at && validity.refresh_at < validity.expires_at);
        }

        #[test]
        fn whatever_happens_fetches_are_a_second_apart_unless_a_backend_asks(events in proptest::collection::vec((0_u8..3, 1_u64..5_000, 0.0..=1.0), 1..60)) {
            let (mut life, mut now) = (Life::default(), s(1));
            for (event, lifetime_ms, roll) in events {
                match event {
                    0 => life.fetched(Validity::new(now, Terms { lifetime: Duration::from_millis(lifetime_ms), refresh_in: None }, roll)),
                    1 => { life.failed(PASSING, now, roll); }
                    _ => { life.failed(LASTING, now, roll); }
                }
                let Next::Wait { until } = life.next(now) else {
                    return Err(TestCaseError::fail("fetched again at once"));
                };
                prop_assert!(until >= now + Duration::from_secs(1));
                now = until;
                prop_assert_eq!(life.next(now), Next::Fetch);
            }
        }
    }
}
