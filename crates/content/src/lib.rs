//! What a text holds that should not travel: personal data and secrets. Texts in, findings and
//! edited texts out.
//!
//! Pure: no I/O, no clock, no randomness. Which texts are looked at, and what happens when one is
//! blocked, is the gateway's business.

pub mod pii;

pub mod redact;

pub use pii::{Confidence, Detector, Finding, Kind, KindSet};
