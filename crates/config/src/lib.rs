//! What an operator writes, and its compilation to a [`Snapshot`].
//!
//! Pure: text in, snapshot or problems out. Opens no file and reads no clock; whoever calls it has
//! read the files, the environment and the secrets.

pub mod expression;
pub mod snapshot;

pub use expression::{CallContext, Expression, Fault};
pub use snapshot::Snapshot;
