//! How well personal data and secrets are found, on texts whose every value is known.
//!
//! The corpus is generated, the same on every run. `TOLLGATE_WRITE_DOCS=1` writes its figures to
//! the documentation; without it they are compared.

#![expect(clippy::unwrap_used, reason = "a test")]

mod detection {
    pub mod chance;

    pub mod values;

    pub mod numbers;

    pub mod look_alikes;

    pub mod texts;

    mod figures;
}
