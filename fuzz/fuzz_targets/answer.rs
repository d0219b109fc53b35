//! A unary answer, whole or only a piece of it: its usage, or what its text is estimated at; the vector in it.
#![no_main]

use dialect::{Encoding, Operation};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    for operation in [
        Operation::ChatCompletions,
        Operation::Completions,
        Operation::Embeddings,
    ] {
        dialect::answer::read(operation, body);
        dialect::answer::usage_within(operation, body);
        let tokens = dialect::answer::completion_tokens(operation, body, Encoding::O200k);
        assert!(tokens <= body.len() as u64, "a token is at least a byte");
    }
    if let Some(vector) = dialect::embedding::vector(body) {
        assert!(vector
            .components
            .iter()
            .all(|component| component.is_finite()));
        assert!(
            vector.components.len() <= body.len(),
            "a component is at least a byte"
        );
    }
});
