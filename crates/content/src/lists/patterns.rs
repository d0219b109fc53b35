//! Regular expressions of an operator: linear in the text, bounded in size.

use std::ops::Range;

use regex::{Regex, RegexBuilder};

use super::{PATTERN_BYTES_MAX, SpecError};

#[derive(Debug)]
pub struct Patterns {
    all: Vec<Regex>,
}

impl Patterns {
    /// `None` without any, or with one that is no expression.
    pub fn new(patterns: &[String], errors: &mut Vec<SpecError>) -> Option<Self> {
        let share = PATTERN_BYTES_MAX / patterns.len().max(1);
        let mut all = Vec::with_capacity(patterns.len());
        for (at, pattern) in patterns.iter().enumerate() {
            let compiled = RegexBuilder::new(pattern)
                .size_limit(share.max(64 * 1024))
                .dfa_size_limit(1024 * 1024)
                .build();
            match compiled {
                Ok(regex) if regex.is_match("") => errors.push(SpecError::Pattern {
                    at,
                    problem: "matches an empty text, and so every text".to_owned(),
                }),
                Ok(regex) => all.push(regex),
                Err(error) => errors.push(SpecError::Pattern {
                    at,
                    problem: last_line(&error.to_string()),
                }),
            }
        }
        (!all.is_empty()).then_some(Self { all })
    }

    pub fn each(&self, text: &str, mut show: impl FnMut(Range<usize>)) {
        for regex in &self.all {
            for found in regex.find_iter(text) {
                if !found.is_empty() {
                    show(found.range());
                }
            }
        }
    }
}

/// A syntax error is a drawing of several lines; its last one says what is wrong.
fn last_line(error: &str) -> String {
    let last = error.lines().last().unwrap_or_default();
    last.trim().trim_start_matches("error: ").to_owned()
}
