//! Judges a document: JSON to its end, one object, no key twice in any object at any depth.
//!
//! A gateway that reads the first `model` and an upstream that reads the last is a bypass; so is a
//! key that only looks different (`"mod\u0065l"`).

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use memchr::memchr_iter;
use serde::de::IgnoredAny;

use super::{Json, scalar_end, string_end};

/// Deeper documents are refused: no request needs it, and parsers upstream differ past it.
const DEPTH_MAX: usize = 128;
/// Objects with more keys are refused, which bounds what the search for duplicates remembers.
const KEYS_MAX: usize = 10_000;
/// Up to here, comparing each with each is cheaper than hashing.
const COMPARED_KEYS_MAX: usize = 16;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub message: String,
    /// The key at fault, if it is one.
    pub key: Option<String>,
}

/// One member of the outermost object, and what is inside its value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Member<'a> {
    pub key: Cow<'a, str>,
    pub value: Range<usize>,
    /// Raw length of the strings inside, keys not included.
    pub string_bytes: usize,
    /// Numbers, booleans and nulls inside, and their raw length.
    pub scalars: usize,
    pub scalar_bytes: usize,
    /// There is an array in an object in an array, as content parts are in a message.
    pub has_parts: bool,
}

/// Shows each member of the outermost object, in order, to `member`.
pub(crate) fn check<'a>(body: &'a [u8], mut member: impl FnMut(Member<'a>)) -> Result<(), Fault> {
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(fault) => {
            return Err(fault_at(
                body,
                fault.valid_up_to(),
                "the body is not valid UTF-8",
            ));
        }
    };
    if let Err(fault) = serde_json::from_str::<IgnoredAny>(text) {
        return Err(Fault {
            message: format!("the body is not valid JSON: {fault}"),
            key: None,
        });
    }
    if !Json::whole(body).is_object() {
        return Err(Fault {
            message: "the body must be a JSON object".to_owned(),
            key: None,
        });
    }
    Walk {
        body,
        containers: Vec::with_capacity(8),
        keys: Vec::with_capacity(16),
        current: Member::default(),
    }
    .run(&mut member)
}

struct Walk<'a> {
    body: &'a [u8],
    containers: Vec<Container>,
    /// The keys of all open objects; each object's start at its `keys_start`.
    keys: Vec<Cow<'a, str>>,
    current: Member<'a>,
}

struct Container {
    is_object: bool,
    expects_key: bool,
    keys_start: usize,
}

impl<'a> Walk<'a> {
    /// The document is known to be JSON here, so only what JSON allows is told apart.
    fn run(mut self, member: &mut impl FnMut(Member<'a>)) -> Result<(), Fault> {
        let mut at = 0;
        while let Some(&byte) = self.body.get(at) {
            let mut ends_value = false;
            match byte {
                b'{' | b'[' => {
                    self.open(byte == b'{', at)?;
                    at += 1;
                }
                b'}' | b']' => {
                    at += 1;
                    self.close(at)?;
                    ends_value = true;
                }
                b'"' => {
                    let start = at;
                    at = string_end(self.body, start);
                    ends_value = self.string(start..at);
                }
                b',' => {
                    at += 1;
                    if let Some(container) = self.containers.last_mut() {
                        container.expects_key = container.is_object;
                    }
                }
                b' ' | b'\n' | b'\r' | b'\t' | b':' => at += 1,
                _ => {
                    let start = at;
                    at = scalar_end(self.body, start).max(start + 1);
                    self.current.scalars += 1;
                    self.current.scalar_bytes += at - start;
                    self.begin_value(start);
                    ends_value = true;
                }
            }
            if ends_value && self.containers.len() == 1 {
                let mut whole = std::mem::take(&mut self.current);
                whole.value.end = at;
                member(whole);
            }
        }
        Ok(())
    }

    /// Notes where the value of an outermost member starts.
    fn begin_value(&mut self, start: usize) {
        if self.containers.len() == 1 {
            self.current.value.start = start;
        }
    }

    fn open(&mut self, is_object: bool, at: usize) -> Result<(), Fault> {
        self.begin_value(at);
        if self.containers.len() == DEPTH_MAX {
            let problem = format!("the body is nested deeper than {DEPTH_MAX} levels");
            return Err(fault_at(self.body, at, &problem));
        }
        self.current.has_parts |= !is_object && self.containers.len() == 3;
        self.containers.push(Container {
            is_object,
            expects_key: is_object,
            keys_start: self.keys.len(),
        });
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<(), Fault> {
        let Some(container) = self.containers.pop() else {
            return Ok(());
        };
        let keys = &self.keys[container.keys_start..];
        if keys.len() > KEYS_MAX {
            let problem = format!("an object has more than {KEYS_MAX} keys");
            return Err(fault_at(self.body, end - 1, &problem));
        }
        if let Some(twice) = duplicate(keys) {
            let shown: String = twice.chars().take(64).collect();
            let mut fault = fault_at(
                self.body,
                end - 1,
                &format!("duplicate key `{shown}` in the object that ends"),
            );
            fault.key = Some(shown);
            return Err(fault);
        }
        self.keys.truncate(container.keys_start);
        Ok(())
    }

    /// Whether the string was a value, not a key.
    fn string(&mut self, span: Range<usize>) -> bool {
        let depth = self.containers.len();
        match self.containers.last_mut() {
            Some(container) if container.expects_key => {
                container.expects_key = false;
                let key = Json(&self.body[span]).text().unwrap_or_default();
                if depth == 1 {
                    self.current.key = key.clone();
                }
                // One more than allowed is enough to refuse at the object's end.
                if self.keys.len() - container.keys_start <= KEYS_MAX {
                    self.keys.push(key);
                }
                false
            }
            _ => {
                self.current.string_bytes += span.len().saturating_sub(2);
                self.begin_value(span.start);
                true
            }
        }
    }
}

/// The std hasher is keyed at random, so chosen keys cannot make it slow.
fn duplicate<'k>(keys: &'k [Cow<'_, str>]) -> Option<&'k str> {
    if keys.len() <= COMPARED_KEYS_MAX {
        let repeats = |&(index, key): &(usize, &Cow<'_, str>)| keys[..index].contains(key);
        return keys
            .iter()
            .enumerate()
            .find(repeats)
            .map(|(_, key)| key.as_ref());
    }
    let mut seen = HashSet::with_capacity(keys.len());
    keys.iter()
        .map(AsRef::as_ref)
        .find(|key| !seen.insert(*key))
}

fn fault_at(body: &[u8], at: usize, problem: &str) -> Fault {
    let before = &body[..at.min(body.len())];
    let line = memchr_iter(b'\n', before).count() + 1;
    let column = before
        .iter()
        .rev()
        .take_while(|&&byte| byte != b'\n')
        .count()
        + 1;
    Fault {
        message: format!("{problem} at line {line} column {column}"),
        key: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn verdict(body: &str) -> Result<Vec<String>, String> {
        let mut keys = Vec::new();
        check(body.as_bytes(), |member| keys.push(member.key.into_owned()))
            .map_err(|fault| fault.message)?;
        Ok(keys)
    }

    #[test]
    fn a_key_twice_is_refused_at_any_depth_and_however_it_is_spelled() {
        assert_eq!(
            verdict("{\"model\":1,\n \"model\":2}").unwrap_err(),
            "duplicate key `model` in the object that ends at line 2 column 11"
        );
        assert!(
            verdict(r#"{"model":1,"mod\u0065l":2}"#)
                .unwrap_err()
                .contains("`model`")
        );
        assert!(
            verdict(r#"{"a":[{"b":{"c":1,"d":[],"c":2}}]}"#)
                .unwrap_err()
                .contains("`c`")
        );
    }

    #[test]
    fn a_key_twice_among_thousands_is_refused() {
        let mut body: String = (0..5000).map(|key| format!("\"k{key}\":0,")).collect();
        body = format!("{{{body}\"k77\":1}}");
        assert!(verdict(&body).unwrap_err().contains("`k77`"));
    }

    #[test]
    fn the_same_key_in_different_objects_is_no_duplicate() {
        assert_eq!(
            verdict(r#"{"a":{"x":1},"b":{"x":{"x":2}},"x":[{"x":1},{"x":1}]}"#).unwrap(),
            ["a", "b", "x"]
        );
    }

    #[test]
    fn nesting_has_a_limit() {
        let nested = |levels: usize| {
            format!(
                "{{\"a\":{}{}}}",
                "[".repeat(levels - 1),
                "]".repeat(levels - 1)
            )
        };
        assert!(verdict(&nested(128)).is_ok());
        assert!(
            verdict(&nested(129))
                .unwrap_err()
                .contains("deeper than 128 levels at line 1 column")
        );
        assert!(verdict(&nested(200_000)).unwrap_err().contains("deeper"));
    }

    #[test]
    fn an_object_of_too_many_keys_is_refused() {
        let keys: Vec<_> = (0..=KEYS_MAX).map(|key| format!("\"{key}\":0")).collect();
        assert!(verdict(&format!("{{{}}}", keys[1..].join(","))).is_ok());
        assert!(
            verdict(&format!("{{{}}}", keys.join(",")))
                .unwrap_err()
                .contains("more than 10000 keys")
        );
    }

    #[test]
    fn what_is_not_one_object_is_refused_with_its_place() {
        assert_eq!(
            verdict("{\"a\":1}\n x").unwrap_err(),
            "the body is not valid JSON: trailing characters at line 2 column 2"
        );
        assert_eq!(verdict("[]").unwrap_err(), "the body must be a JSON object");
        assert_eq!(
            verdict("null").unwrap_err(),
            "the body must be a JSON object"
        );
        assert!(verdict("").unwrap_err().contains("line 1 column 0"));
        assert!(verdict("{\"a\":NaN}").is_err());
        assert!(verdict("{\"a\":1,}").is_err());
        let fault = check(b"{\"a\":\n\"\xff\"}", |_| {}).unwrap_err();
        assert_eq!(
            fault.message,
            "the body is not valid UTF-8 at line 2 column 2"
        );
    }

    #[test]
    fn members_carry_the_span_and_tally_of_their_value() {
        let body = r#" { "n" : 12 , "input":["ab",3,[4,5]] } "#;
        let mut members = Vec::new();
        check(body.as_bytes(), |member| members.push(member)).unwrap();
        assert_eq!(&body[members[0].value.clone()], "12");
        assert_eq!(&body[members[1].value.clone()], r#"["ab",3,[4,5]]"#);
        assert_eq!(
            (
                members[1].string_bytes,
                members[1].scalars,
                members[1].scalar_bytes
            ),
            (2, 3, 3)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_get_a_verdict(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = check(&bytes, |_| {});
        }

        #[test]
        fn near_json_gets_serdes_verdict_unless_a_key_is_there_twice(text in r#"\{[\[\]{}",:\\u0-9ab ]{0,40}\}"#) {
            let accepted = check(text.as_bytes(), |_| {});
            if let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) {
                let duplicate = accepted.as_ref().is_err_and(|fault| fault.key.is_some());
                prop_assert!(duplicate || accepted.is_ok(), "{value}");
            } else if !text.contains("\\u") {
                prop_assert!(accepted.is_err());
            }
        }
    }
}
