//! Behaviour through the crate's public surface, in one binary.

#[cfg(test)]
mod identity;
