//! Fake providers for tests, the demo and load: OpenAI, Azure OpenAI, services that judge content,
//! Microsoft's metadata service, an OpenID issuer.
//!
//! An independent witness: it shares no code with the gateway that it is used to judge, and counts
//! tokens by its own rule (`words`). It never leaves the machine and knows no real credential.

mod answer;
mod chat;
mod completions;
mod embeddings;
mod entra;
mod judge;
mod models;
mod provider_error;
mod question;
mod route;
mod schema;
mod service;
mod simulator;
mod usage;

pub mod behaviour;
pub mod issuer;
pub mod ledger;
pub mod words;

mod body;
mod clock;
mod compress;
mod delivery;
mod duration;
mod quota;
mod random;
mod wire;

pub use behaviour::Behaviour;
pub use issuer::Issuer;
pub use ledger::Counts;
pub use simulator::{Running, Simulator};
