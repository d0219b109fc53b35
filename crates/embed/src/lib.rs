//! Sentences to vectors, inside the process: all-MiniLM-L6-v2 on one's own processor.
//!
//! Texts in, vectors of unit length out, on threads of its own. Knows nothing of calls, caches or runtimes,
//! and downloads nothing: `tollgate cache install-model` puts the file where `find` looks.

mod tokenizer;

mod files;
mod model;
mod network;

pub mod pool;

pub use files::{FILE_NAME, Files, MODEL_BYTES, Missing, find, how_to_fetch, is_model, user_cache};
pub use model::{DIMENSIONS, Embedding, Lane, Model, ModelError};
pub use network::WeightsError;
pub use pool::Pool;
pub use tokenizer::{PIECES_MAX, count_pieces};

/// Names this model, its weights and how texts become vectors: vectors of different names must not be
/// compared.
pub const NAME: &str = "all-MiniLM-L6-v2/int8/1";
