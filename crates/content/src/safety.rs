//! What services that judge content are asked and how they answer. Texts in, bytes out, and back.
//!
//! Strict where it counts: an answer that lacks what was asked for is unreadable, never harmless.

pub mod azure;
pub mod moderation;
pub mod presidio;
pub mod webhook;

/// An answer of a service that is not what its documentation promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the service's answer could not be read")]
pub struct Unreadable;

/// What a service made of one text or more. Holds none of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// A category and how severe, or how often; each once, in the order of first sight.
    findings: Vec<(String, u32)>,
    pub is_blocked: bool,
}

/// Categories that one judgement names. Services have fewer than twenty.
const FINDINGS_MAX: usize = 64;

/// Longer names are no categories.
const NAME_BYTES_MAX: usize = 64;

impl Judgement {
    pub fn findings(&self) -> &[(String, u32)] {
        &self.findings
    }

    pub fn is_clean(&self) -> bool {
        self.findings.is_empty() && !self.is_blocked
    }

    /// Keeps the greatest figure of each category.
    pub fn note(&mut self, category: &str, figure: u32) {
        let known = self.findings.iter().position(|(name, _)| name == category);
        match known {
            Some(at) => self.findings[at].1 = self.findings[at].1.max(figure),
            None if self.findings.len() < FINDINGS_MAX => {
                self.findings.push((category.to_owned(), figure));
            }
            None => {}
        }
    }

    /// Counts one more of a category.
    pub fn count(&mut self, category: &str) {
        let known = self.findings.iter().find(|(name, _)| name == category);
        let before = known.map_or(0, |(_, count)| *count);
        self.note(category, before.saturating_add(1));
    }

    pub fn add(&mut self, other: &Self) {
        for (category, figure) in &other.findings {
            self.note(category, *figure);
        }
        self.is_blocked |= other.is_blocked;
    }
}

/// A name from outside that can stand in records and answers: a category, not a sentence.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_/.:".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_one_text_add_up_to_the_worst_of_each_category() {
        let mut sum = Judgement::default();
        for (severity, is_blocked) in [(2, false), (6, true), (4, false)] {
            let mut window = Judgement::default();
            window.note("hate", severity);
            window.is_blocked = is_blocked;
            sum.add(&window);
        }
        assert_eq!(sum.findings(), [("hate".to_owned(), 6)]);
        assert!(sum.is_blocked);
    }

    #[test]
    fn a_service_cannot_fill_a_record() {
        let mut judgement = Judgement::default();
        for category in 0..1000 {
            judgement.note(&category.to_string(), 1);
        }
        assert_eq!(judgement.findings().len(), FINDINGS_MAX);
        assert!(is_name("self-harm/intent") && !is_name("a b") && !is_name(&"x".repeat(65)));
    }
}
