//! What an operator writes: it loads, or there is a problem that says why.
#![no_main]

use config::{Environment, Source};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let source = Source {
        name: "tollgate.yaml".to_owned(),
        text: text.to_owned(),
    };
    let environment = Environment {
        variables: &|_| Some("a-secret-of-sixteen-characters".to_owned()),
        files: &|_| Err("no such file".to_owned()),
    };
    if let Err(problems) = config::load(&[source], &environment, &[], 1) {
        assert!(!problems.is_empty());
    }
});
