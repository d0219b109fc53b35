//! What a text holds that should not travel: personal data and secrets, words and topics nobody
//! wants, and what services that judge content say of it. Texts in, findings and edited texts out.
//!
//! Pure: no I/O, no clock, no randomness. Which texts are looked at, and what happens when one is
//! blocked, is the gateway's business.

pub mod pii;

pub mod redact;

pub mod lists;

pub mod safety;

// How texts are brought before those that judge them.
pub mod split;

pub mod fold;

pub use pii::{Confidence, Detector, Finding, Kind, KindSet};
