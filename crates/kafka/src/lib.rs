//! A Kafka producer with just what a sink needs: acknowledged batches, keys, TLS and SASL.
//!
//! Knows nothing of Tollgate, keeps no queue and starts no task: whoever sends decides when, how
//! often and in which order. It has no consumer, no transactions and no sequence numbers; a batch
//! whose acknowledgement got lost is sent again, so receivers tell duplicates by an id of their own.

mod batch;
mod connection;
mod crc32c;
mod error;
mod messages;
mod partition;
mod producer;
mod sasl;
mod scram;
#[cfg(test)]
mod tests;
mod wire;

pub use batch::{Compression, Message};
pub use error::Error;
pub use producer::{Options, Producer, Refused};
pub use sasl::{Login, Sasl, ScramHash, Token};
