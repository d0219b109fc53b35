//! What a client sends. Whatever is read is JSON to another reader too, and holds no more tokens than
//! its bound says; what goes upstream asks for what it was told to.
#![no_main]

use bytes::Bytes;
use dialect::{Encoding, Operation};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    for operation in [
        Operation::ChatCompletions,
        Operation::Completions,
        Operation::Embeddings,
    ] {
        let Ok(call) = dialect::request::read(operation, Bytes::copy_from_slice(body), None) else {
            continue;
        };
        serde_json::from_slice::<serde::de::IgnoredAny>(body).expect("what we read is JSON");
        let counted = call.prompt_tokens(Encoding::O200k);
        assert!(counted <= call.prompt_tokens_bound(), "more tokens than the bound");
        let sent = call.body_for("deployment");
        let sent = dialect::request::read(operation, sent, None).expect("what we send can be read");
        assert_eq!(sent.model.as_str(), "deployment");
        assert!(!sent.stream || sent.wants_usage || operation == Operation::Embeddings);
    }
});
