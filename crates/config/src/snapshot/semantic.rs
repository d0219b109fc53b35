//! Answers to questions that mean the same.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use likeness::choice::Rule;

use crate::expression::Expression;

#[derive(Clone, Debug)]
pub struct SemanticRule {
    pub choice: Rule,
    pub ttl: Duration,
    /// As the exact cache's: never empty.
    pub vary_by: Vec<Arc<Expression>>,
    pub turns_max: u32,
}

/// The model within the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalEmbedder {
    /// Restart.
    pub threads: u32,
    /// Restart.
    pub models: Option<PathBuf>,
    pub timeout: Duration,
}
