//! Do two questions ask for the same answer? What a vector blurs (numbers, negation, direction, …), found
//! in their words; and how often one cached answer was right, learned from trying.
//!
//! Pure: texts and numbers in, decisions out. No embedding model, no index, no clock, no dice. It makes a
//! cache safer and never proves two questions equal: that they are near is the vector's claim.

pub mod answers;
pub mod choice;
mod compare;
pub mod comparer;
mod difference;
mod language;
mod lexicon;
mod passages;
mod read;
pub mod verified;
mod words;

pub use compare::{Evidence, Feature, Tells, compare, compare_similar, evidence};
pub use difference::{Difference, Kind};
