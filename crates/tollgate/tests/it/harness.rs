//! A real gateway as a child process, fake providers beside it, and a client that can misbehave.

mod client;
mod config;
mod gate;
pub mod mail;
mod metrics;
mod upstream;

use std::time::Duration;

pub use client::{Answer, Call, Door, Opened, chat, completion, embedding, get};
pub use config::{CHAT_KEY, Config, PROVIDER_KEY, SEARCH_KEY, SEARCH_SECOND_KEY, config};
pub use gate::{Gate, tollgate};
pub use mail::MailServer;
pub use metrics::Metrics;
pub use upstream::{Reply, Seen, Upstream};

use simulator::{Behaviour, Running, Simulator};

/// Nothing here takes this long unless it is broken, not on a machine ten times slower either.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// A fake provider's region.
pub async fn provider(behaviour: Behaviour) -> Running {
    let any_port = "127.0.0.1:0".parse().unwrap();
    Simulator::start(any_port, behaviour, 7).await.unwrap()
}

/// What `work` gives, if it does so in time.
pub async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, work).await {
        Ok(done) => done,
        Err(_) => panic!("{what} took longer than {DEADLINE:?}"),
    }
}

/// Asks again and again until `probe` finds something.
pub async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    in_time(what, async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

/// A small source of chance with a known start, so that a failure happens again.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Evenly spread below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}
