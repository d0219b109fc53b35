//! Maps that calls read without a lock.

use papaya::{HashMap, ResizeMode};

/// An empty one. Whoever makes it grow moves what is in it at once. Left to those who write later, as
/// papaya does by itself, a map that has stopped growing keeps a chain of half-moved tables, each of
/// which every look-up goes through: ten times the instructions with 4,000 keys.
pub fn shared_map<K, V, S: Default>() -> HashMap<K, V, S> {
    HashMap::builder()
        .hasher(S::default())
        .resize_mode(ResizeMode::Blocking)
        .build()
}
