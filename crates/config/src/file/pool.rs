//! `pools`: backends that share calls.

use domain::{BackendId, PoolId};

use crate::read::{Cel, Declared, List, Placed, Reference, Share, Whole, section};

section! {
    /// Backends that share calls by priority and weight.
    pub struct Pool {
        /// Names it in models.
        pub id: Declared<PoolId>,
        /// At least one.
        pub members: Placed<List<Member>>,
        /// When a failed call is tried again, at another member first. Never after the first byte.
        pub retry: Retry = "{}",
        /// CEL. Calls with the same key go to the same member while it is healthy; a call for which
        /// it cannot be evaluated goes wherever the weights say.
        pub affinity: Option<Cel>,
    }
}

section! {
    /// One backend of a pool.
    pub struct Member {
        /// The backend's id.
        pub backend: Reference<BackendId>,
        /// Lower is tried first: a higher one gets calls only when every lower one is open, saturated
        /// or was tried.
        pub priority: Whole<0, 1_000> = "1",
        /// Its share of the calls within its priority.
        pub weight: Whole<1, 1_000> = "1",
    }
}

section! {
    /// When a failed call is tried again.
    pub struct Retry {
        /// Attempts in all, the first included.
        pub attempts: Whole<1, 10> = "3",
        /// Retries are at most this share of the last 10 s of calls, but 3 a second always.
        pub budget: Share<true> = "0.2",
    }
}
