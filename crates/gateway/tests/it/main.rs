//! Behaviour through the crate's public surface, in one binary.

#[cfg(test)]
mod identity;
#[cfg(test)]
mod operation_clock;
