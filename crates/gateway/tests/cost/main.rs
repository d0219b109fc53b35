//! What a call costs, in figures that no machine's mood moves: allocations and their bytes on the
//! thread that serves it. Not time: `bench/` measures that.
//!
//! The bounds are what it costs today. They may be lowered whenever a figure falls (`cargo test -p
//! gateway --test cost -- --nocapture` prints them) and are raised only with a reason.

#[cfg(test)]
mod gate;
#[cfg(test)]
mod provider;

#[cfg(test)]
mod bombs;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod sizes;
