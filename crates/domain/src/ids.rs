//! Names of things. Newtypes, so that a model cannot be passed where a backend is meant.

use std::fmt;
use std::sync::Arc;

macro_rules! id {
    ($(#[$doc:meta] $name:ident)*) => {$(
        #[$doc]
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Arc<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        /// Lets a map keyed by the id be searched with a plain `&str`.
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )*};
}

id! {
    /// Who pays: one per team.
    SubscriptionId
    /// What generated the tokens.
    ApplicationName
    /// A bundle of models and policies.
    ProductId
    /// The name clients ask for.
    ModelName
    /// A base URL with its dialect and credentials.
    BackendId
    /// Backends with priority and weight.
    PoolId
    /// Where alerts are sent.
    ChannelId
    /// A limit, unique in a configuration and stable across reloads: `product/standard/team-tpm`.
    LimitId
    /// A place that copies of records are sent to.
    SinkId
    /// A place where audit records live.
    AuditStoreId
    /// Somebody who may read or govern audit records.
    AccessId
}

/// One call's id: sorts by time, unique across restarts. Shown as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u128);

impl CallId {
    /// 48 bits of wall milliseconds, then 80 bits of `chance` (UUID v7's layout without its marks).
    pub fn new(now: crate::Wall, chance: u128) -> Self {
        let ms = u128::from(now.0.unsigned_abs()) & 0xffff_ffff_ffff;
        Self((ms << 80) | (chance & ((1 << 80) - 1)))
    }

    /// As it is written everywhere: 32 digits, lower case.
    pub fn digits(self) -> [u8; 32] {
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        let mut digits = [0; 32];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0.to_be_bytes()) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        digits
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
