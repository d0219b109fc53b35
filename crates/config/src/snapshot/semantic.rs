//! Answers to questions that mean the same.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain::ModelName;
use likeness::choice::Rule;

use crate::expression::Expression;
use crate::problem::Written;

#[derive(Clone, Debug)]
pub struct SemanticRule {
    pub choice: Rule,
    pub ttl: Duration,
    /// As the exact cache's: never empty.
    pub vary_by: Vec<Arc<Expression>>,
    pub turns_max: u32,
    /// Nobody said what is near enough: it is what the evaluation found for the local model.
    pub is_assumed: bool,
    pub written: Written,
}

/// What makes vectors of questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Embedder {
    Local(LocalEmbedder),
    Backend(BackendEmbedder),
}

impl Embedder {
    /// How long a call waits for its vector.
    pub fn timeout(&self) -> Duration {
        match self {
            Self::Local(local) => local.timeout,
            Self::Backend(backend) => backend.timeout,
        }
    }
}

/// A deployment of embeddings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendEmbedder {
    pub model: ModelName,
    /// A label.
    pub region: Option<String>,
    pub timeout: Duration,
    pub max_concurrent: usize,
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
