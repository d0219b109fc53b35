//! A judge of one's own, by HTTP: what it is told and what it may answer.

use serde::{Deserialize, Serialize};

use super::{Unreadable, is_name};

/// What a webhook is told of a call: who asked, and the texts. No key, no header, no address.
#[derive(Clone, Debug, Serialize)]
pub struct Question<'a> {
    /// Of the question's form.
    pub version: u32,
    pub call: &'a str,
    pub guard: &'a str,
    pub subscription: &'a str,
    pub product: &'a str,
    pub application: Option<&'a str>,
    pub model: &'a str,
    /// `prompt` or `answer`.
    pub on: &'a str,
    pub texts: &'a [&'a str],
}

impl Question<'_> {
    pub const VERSION: u32 = 1;

    pub fn body(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers can be written")
    }
}

/// What becomes of the texts, and why if the webhook says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    Pass,
    /// One text for each that was sent.
    Redact(Vec<String>),
    Block,
}

#[derive(Deserialize)]
struct Answer {
    verdict: Word,
    #[serde(default)]
    texts: Option<Vec<String>>,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Pass,
    Redact,
    Block,
}

/// A reason is written down if it is a short name, such as `medical/diagnosis`: a sentence may hold
/// what was found.
pub fn read(answer: &[u8], texts: usize) -> Result<(Ruling, Option<String>), Unreadable> {
    let Answer {
        verdict,
        texts: edited,
        reason,
    } = serde_json::from_slice(answer).map_err(|_| Unreadable)?;
    let ruling = match (verdict, edited) {
        (Word::Pass, _) => Ruling::Pass,
        (Word::Block, _) => Ruling::Block,
        (Word::Redact, Some(edited)) if edited.len() == texts => Ruling::Redact(edited),
        (Word::Redact, _) => return Err(Unreadable),
    };
    Ok((ruling, reason.filter(|reason| is_name(reason))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_verdict_is_one_of_three_and_a_redaction_brings_every_text() {
        let read = |answer: &str| read(answer.as_bytes(), 2);
        assert_eq!(read(r#"{"verdict":"pass"}"#), Ok((Ruling::Pass, None)));
        assert_eq!(
            read(r#"{"verdict":"block","reason":"medical/diagnosis"}"#),
            Ok((Ruling::Block, Some("medical/diagnosis".to_owned())))
        );
        let edited = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(
            read(r#"{"verdict":"redact","texts":["a","b"]}"#),
            Ok((Ruling::Redact(edited), None))
        );
        for unreadable in [
            r#"{"verdict":"redact","texts":["a"]}"#,
            r#"{"verdict":"redact"}"#,
            r#"{"verdict":"maybe"}"#,
            r#"{"ok":true}"#,
            "",
        ] {
            assert_eq!(read(unreadable), Err(Unreadable), "{unreadable}");
        }
    }

    #[test]
    fn a_reason_that_could_hold_what_was_found_is_dropped() {
        let answer = br#"{"verdict":"block","reason":"she wrote anna@example.com"}"#;
        assert_eq!(read(answer, 1), Ok((Ruling::Block, None)));
    }

    proptest! {
        #[test]
        fn no_answer_breaks_us(answer in any::<Vec<u8>>(), text in "\\PC*", texts in 0usize..4) {
            let _ = read(&answer, texts);
            let _ = read(text.as_bytes(), texts);
        }
    }
}
