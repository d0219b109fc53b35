//! Concurrency gauge: how many calls are open at once.

use std::time::Duration;

/// Nobody knows when an open call will end, so a refused one is told to ask again after this.
const RETRY_AFTER: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub struct Gauge {
    bound: u64,
    open: u64,
}

impl Gauge {
    pub fn new(bound: u64) -> Self {
        Self { bound, open: 0 }
    }

    pub fn bound(&self) -> u64 {
        self.bound
    }

    /// After a reload. Calls that are open stay open, even above a lower bound.
    pub fn set_bound(&mut self, bound: u64) {
        self.bound = bound;
    }

    pub fn open(&self) -> u64 {
        self.open
    }

    pub fn room(&self) -> u64 {
        self.bound.saturating_sub(self.open)
    }

    /// Zero if one more may open now, `None` if none ever may.
    pub fn wait(&self) -> Option<Duration> {
        if self.bound == 0 {
            return None;
        }
        Some(if self.room() > 0 {
            Duration::ZERO
        } else {
            RETRY_AFTER
        })
    }

    pub fn reserve(&mut self) {
        self.open = self.open.saturating_add(1);
    }

    pub fn settle(&mut self) {
        self.open = self.open.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_open_as_the_bound_says() {
        let mut gauge = Gauge::new(2);
        gauge.reserve();
        assert_eq!(gauge.wait(), Some(Duration::ZERO));
        gauge.reserve();
        assert_eq!(gauge.wait(), Some(RETRY_AFTER));
        gauge.settle();
        assert_eq!(gauge.wait(), Some(Duration::ZERO));
        gauge.set_bound(0);
        assert_eq!(gauge.wait(), None);
    }
}
