//! Circuit breaker. Closed lets calls through, open refuses them, half-open lets one probe through.

use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerRule {
    /// Share of failures, 0 to 1, at which the breaker trips.
    pub failure_threshold: f64,
    /// Calls that the interval must hold before the share counts for anything.
    pub min_throughput: u32,
    pub interval: Duration,
    pub trip_duration: Duration,
    pub accept_retry_after: bool,
}

impl Default for BreakerRule {
    fn default() -> Self {
        Self {
            failure_threshold: 0.5,
            min_throughput: 10,
            interval: Duration::from_secs(60),
            trip_duration: Duration::from_secs(30),
            accept_retry_after: true,
        }
    }
}
