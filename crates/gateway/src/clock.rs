//! The one place that reads time and chance. Everything else takes them as arguments.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use domain::{CallId, Mono, Now, Wall};

/// `Mono`'s origin lies this long before the process started; see [`Mono`].
const HEADSTART: Duration = Duration::from_secs(48 * 3600);

#[derive(Clone, Debug)]
pub enum Clock {
    System {
        started: Instant,
    },
    /// Moves only when told to, so that a test can cross a month's end without sleeping.
    Manual(Arc<ManualClock>),
}

#[derive(Debug)]
pub struct ManualClock {
    mono_ns: AtomicU64,
    wall_ms: AtomicI64,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the one reader of time")]
    pub fn system() -> Self {
        Self::System {
            started: Instant::now(),
        }
    }

    pub fn manual(wall: Wall) -> Self {
        let mono_ns = AtomicU64::new(Mono::default().0 + HEADSTART.as_nanos() as u64);
        Self::Manual(Arc::new(ManualClock {
            mono_ns,
            wall_ms: AtomicI64::new(wall.0),
        }))
    }

    #[expect(clippy::disallowed_methods, reason = "the one reader of time")]
    pub fn now(&self) -> Now {
        match self {
            Self::System { started } => {
                let wall = SystemTime::now()
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .map_or(0, |since| {
                        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
                    });
                Now {
                    mono: Mono::default() + HEADSTART + started.elapsed(),
                    wall: Wall(wall),
                }
            }
            Self::Manual(manual) => Now {
                mono: Mono(manual.mono_ns.load(Ordering::Acquire)),
                wall: Wall(manual.wall_ms.load(Ordering::Acquire)),
            },
        }
    }

    /// Where the date does not matter: half the price of `now`.
    pub fn mono(&self) -> Mono {
        match self {
            Self::System { started } => Mono::default() + HEADSTART + started.elapsed(),
            Self::Manual(manual) => Mono(manual.mono_ns.load(Ordering::Acquire)),
        }
    }

    /// Moves a manual clock; the system's cannot be moved.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(manual) = self {
            manual
                .mono_ns
                .fetch_add(by.as_nanos() as u64, Ordering::AcqRel);
            manual
                .wall_ms
                .fetch_add(by.as_millis() as i64, Ordering::AcqRel);
        }
    }

    /// Sets a manual clock's wall forward or back, as an operator or a time server may: what never
    /// steps goes on as before. The system's cannot be set.
    pub fn step_wall(&self, by_ms: i64) {
        if let Self::Manual(manual) = self {
            manual.wall_ms.fetch_add(by_ms, Ordering::AcqRel);
        }
    }
}

/// Pseudo-random numbers for ids, backoff jitter and nothing that must stay secret: a counter run
/// through a mixing function, seeded once from the system.
#[derive(Debug)]
pub struct Chance {
    state: AtomicU64,
}

impl Chance {
    pub fn seeded(seed: u64) -> Self {
        Self {
            state: AtomicU64::new(seed),
        }
    }

    /// Falls back to the clock where the system has no randomness to give.
    pub fn from_system(now: Now) -> Self {
        let mut seed = [0; 8];
        match getrandom::fill(&mut seed) {
            Ok(()) => Self::seeded(u64::from_ne_bytes(seed)),
            Err(_) => Self::seeded(now.wall.0 as u64 ^ u64::from(std::process::id())),
        }
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): every value once in 2^64 calls.
    pub fn roll(&self) -> u64 {
        const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self
            .state
            .fetch_add(GAMMA, Ordering::Relaxed)
            .wrapping_add(GAMMA);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn call_id(&self, now: Wall) -> CallId {
        CallId::new(
            now,
            (u128::from(self.roll()) << 64) | u128::from(self.roll()),
        )
    }
}
