//! A provider's quota: so many requests and tokens a minute, refilled steadily, as its headers say.

use std::time::Duration;

use tokio::time::Instant;

use crate::behaviour::Behaviour;
use crate::route::Provider;

/// The two buckets of one region.
pub struct Quota {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
}

struct Bucket {
    per_minute: u64,
    level: f64,
    as_of: Instant,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// `requests` or `tokens`.
    pub unit: &'static str,
    pub limit: u64,
    pub retry_after: Duration,
}

impl Quota {
    pub fn of(behaviour: &Behaviour, now: Instant) -> Self {
        let full = |per_minute: u64| Bucket {
            per_minute,
            level: per_minute as f64,
            as_of: now,
        };
        Self {
            requests: behaviour.requests_per_minute.map(full),
            tokens: behaviour.tokens_per_minute.map(full),
        }
    }

    /// Takes one request and so many tokens, or nothing.
    pub fn take(&mut self, tokens: u64, now: Instant) -> Result<(), Exhausted> {
        let wanted = [
            ("requests", &mut self.requests, 1),
            ("tokens", &mut self.tokens, tokens),
        ];
        for (unit, bucket, amount) in wanted {
            let Some(bucket) = bucket else { continue };
            bucket.refill(now);
            if bucket.level < amount as f64 {
                return Err(Exhausted {
                    unit,
                    limit: bucket.per_minute,
                    retry_after: bucket.time_until(amount as f64),
                });
            }
        }
        for (bucket, amount) in [(&mut self.requests, 1), (&mut self.tokens, tokens)] {
            if let Some(bucket) = bucket {
                bucket.level -= amount as f64;
            }
        }
        Ok(())
    }

    /// `x-ratelimit-*`: OpenAI writes resets as `6m0s`, Azure as whole seconds.
    pub fn headers(&mut self, provider: Provider, now: Instant) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        for (unit, bucket) in [
            ("requests", &mut self.requests),
            ("tokens", &mut self.tokens),
        ] {
            let Some(bucket) = bucket else { continue };
            bucket.refill(now);
            let full_in = bucket.time_until(bucket.per_minute as f64);
            let reset = match provider {
                Provider::OpenAi => go_duration(full_in),
                Provider::Azure => full_in.as_secs_f64().ceil().to_string(),
            };
            headers.push((
                format!("x-ratelimit-limit-{unit}"),
                bucket.per_minute.to_string(),
            ));
            headers.push((
                format!("x-ratelimit-remaining-{unit}"),
                (bucket.level.floor() as u64).to_string(),
            ));
            headers.push((format!("x-ratelimit-reset-{unit}"), reset));
        }
        headers
    }
}

impl Bucket {
    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.as_of).as_secs_f64();
        self.level =
            (self.level + passed * self.per_minute as f64 / 60.0).min(self.per_minute as f64);
        self.as_of = now;
    }

    /// Until `level` is reached; a minute if it never is.
    fn time_until(&self, level: f64) -> Duration {
        let missing = (level.min(self.per_minute as f64) - self.level).max(0.0);
        let seconds = missing * 60.0 / self.per_minute as f64;
        // Rounded up to a millisecond, so that who waits as told is let in.
        if seconds.is_finite() {
            Duration::from_millis((seconds * 1000.0).ceil() as u64)
        } else {
            Duration::from_secs(60)
        }
    }
}

/// As OpenAI's servers print durations: `250ms`, `1.5s`, `6m0s`.
fn go_duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    if milliseconds < 1000 {
        return format!("{milliseconds}ms");
    }
    let seconds = (milliseconds % 60_000) as f64 / 1000.0;
    match milliseconds / 60_000 {
        0 => format!("{seconds}s"),
        minutes @ 1..60 => format!("{minutes}m{seconds}s"),
        minutes => format!("{}h{}m{seconds}s", minutes / 60, minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(requests: Option<u64>, tokens: Option<u64>, now: Instant) -> Quota {
        let behaviour = Behaviour {
            requests_per_minute: requests,
            tokens_per_minute: tokens,
            ..Behaviour::default()
        };
        Quota::of(&behaviour, now)
    }

    #[test]
    fn who_waits_as_long_as_told_is_let_in() {
        let now = crate::clock::now();
        let mut quota = quota(Some(2), None, now);
        assert!(quota.take(0, now).is_ok() && quota.take(0, now).is_ok());
        let exhausted = quota.take(0, now).unwrap_err();
        assert_eq!(
            exhausted,
            Exhausted {
                unit: "requests",
                limit: 2,
                retry_after: Duration::from_secs(30)
            }
        );
        assert!(quota.take(0, now + Duration::from_secs(29)).is_err());
        assert!(quota.take(0, now + Duration::from_secs(30)).is_ok());
    }

    #[test]
    fn a_call_refused_for_tokens_costs_no_request() {
        let now = crate::clock::now();
        let mut quota = quota(Some(1), Some(100), now);
        assert_eq!(quota.take(101, now).unwrap_err().unit, "tokens");
        assert!(quota.take(100, now).is_ok());
    }

    #[test]
    fn headers_say_what_is_left_and_when_it_is_full_again() {
        let now = crate::clock::now();
        let mut quota = quota(None, Some(6000), now);
        quota.take(1500, now).unwrap();
        let header = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let openai = [
            ("x-ratelimit-limit-tokens", "6000"),
            ("x-ratelimit-remaining-tokens", "4500"),
            ("x-ratelimit-reset-tokens", "15s"),
        ];
        assert_eq!(quota.headers(Provider::OpenAi, now), openai.map(header));
        assert_eq!(quota.headers(Provider::Azure, now)[2].1, "15");
    }

    #[test]
    fn durations_are_printed_as_openai_prints_them() {
        let printed = |milliseconds| go_duration(Duration::from_millis(milliseconds));
        assert_eq!(printed(250), "250ms");
        assert_eq!(printed(1500), "1.5s");
        assert_eq!(printed(360_000), "6m0s");
        assert_eq!(printed(3_723_500), "1h2m3.5s");
    }

    #[test]
    fn a_quota_of_nothing_lets_nothing_in_and_says_a_minute() {
        let now = crate::clock::now();
        assert_eq!(
            quota(Some(0), None, now)
                .take(0, now)
                .unwrap_err()
                .retry_after,
            Duration::from_secs(60)
        );
    }
}
