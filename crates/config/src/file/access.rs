//! `access`: who may read and govern audit records.

use domain::access::Role;
use domain::{AccessId, SubscriptionId};

use crate::read::{Declared, KeyText, List, Placed, Reference, section, words};

section! {
    /// Somebody who may use `tollgate audit --as ID`, by a token in `TOLLGATE_ACCESS_TOKEN`. Whatever
    /// they look at or change, and whatever they are refused, is an entry of the audit log.
    pub struct Access {
        /// Names them in the audit log.
        pub id: Declared<AccessId>,
        /// Any secret of 16 characters or more, or `sha256:` and the 64 hex digits of its hash.
        pub token: KeyText,
        /// What they may do.
        pub roles: Placed<List<RoleGrant>>,
    }
}

section! {
    /// A role, and over whose records.
    pub struct RoleGrant {
        /// What it allows.
        pub role: Placed<Role>,
        /// Over records of these. Without it, of all; an owner must name some.
        pub subscriptions: Option<Placed<List<Reference<SubscriptionId>>>>,
    }
}

words! { Role, "role":
    /// Reads prompts and answers, with a reason; searches, exports, verifies, holds and releases.
    "auditor" => Role::Auditor,
    /// Erases, purges, rotates keys, verifies; reads metadata and never content.
    "admin" => Role::Admin,
    /// Reads who used what and what it cost.
    "finance" => Role::Finance,
    /// Reads metadata and the state of the log.
    "viewer" => Role::Viewer,
    /// Reads metadata of their own subscriptions.
    "owner" => Role::Owner,
}
