//! The only reader of time in the simulator, which is a program of its own beside the gateway.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Follows tokio's clock, so that paused time moves quotas and delays too.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the simulator reads the clock"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// Seconds since 1970, for `created`, `iat` and the like.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the simulator reads the clock"
)]
pub fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs()
}
