//! Unary answers: their usage, and what to count when they have none.

use domain::Usage;

use crate::{Encoding, Operation};

/// What a whole unary answer says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub usage: Option<Usage>,
    /// Parsed as JSON to its end: a cut answer is not whole.
    pub is_whole: bool,
}

pub fn read(operation: Operation, body: &[u8]) -> Answer {
    let _ = (operation, body);
    todo!()
}

/// Completion tokens of an answer without usage (also of a cut one), by tokenizer.
pub fn completion_tokens(operation: Operation, body: &[u8], encoding: Encoding) -> u64 {
    let _ = (operation, body, encoding);
    todo!()
}
