//! Which member of a pool a call goes to.

use crate::ids::{BackendId, PoolId};

#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    pub id: PoolId,
    /// In the order written; at least one.
    pub members: Vec<Member>,
    pub retry: RetryRule,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub backend: BackendId,
    /// Lower is tried first.
    pub priority: u32,
    /// Share within its priority; at least 1.
    pub weight: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryRule {
    /// Attempts in all, the first included.
    pub attempts: u32,
    /// Retries at most this share of the last 10 s of calls, but 3 a second always.
    pub budget: f64,
}

impl Default for RetryRule {
    fn default() -> Self {
        Self {
            attempts: 3,
            budget: 0.2,
        }
    }
}
