//! Which answers may be given again.

use std::sync::Arc;
use std::time::Duration;

use dialect::shape::Ignored;
use domain::AuditStoreId;

use super::{Embedder, SemanticRule};
use crate::expression::Expression;

/// What one scope says of its calls.
#[derive(Clone, Debug)]
pub struct CacheRule {
    /// As a rule is named in refusals: `product/standard/cache`.
    pub rule: Arc<str>,
    /// Answers are given again only where all of these have the same values. Never empty.
    pub vary_by: Vec<Arc<Expression>>,
    pub max_temperature: f64,
    pub ignored: Vec<Ignored>,
    /// Calls that ask just the same. Absent where the scope says that nothing is cached.
    pub exact: Option<ExactRule>,
    /// Chats whose last question means the same.
    pub semantic: Option<SemanticRule>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExactRule {
    pub ttl: Duration,
}

/// Of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caching {
    /// Restart.
    pub memory_bytes: u64,
    /// Restart.
    pub disk: Option<CachingDisk>,
    pub entry_bytes_max: usize,
    pub embedder: Embedder,
}

/// Where answers are kept beside memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachingDisk {
    pub bytes_max: u64,
    /// Whose keys seal them.
    pub store: AuditStoreId,
}

impl CacheRule {
    pub fn is_on(&self) -> bool {
        self.exact.is_some() || self.semantic.is_some()
    }
}
