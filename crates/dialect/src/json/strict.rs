//! Judges a document: JSON to its end, one object, no key twice in any object at any depth.
//!
//! A gateway that reads the first `model` and an upstream that reads the last is a bypass; so is a
//! key that only looks different (`"mod\u0065l"`).

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use memchr::memchr_iter;
use serde::de::IgnoredAny;
use smallvec::SmallVec;

use super::scan::{Scan, Text, Token};

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

/// Shows each member of the outermost object, in order, to `member`: also those before a fault, so
/// what it made of them counts only once the verdict is known.
pub(crate) fn check<'a>(body: &'a [u8], member: impl FnMut(Member<'a>)) -> Result<(), Fault> {
    let walk = Walk {
        body,
        scan: Scan::new(body),
        objects: SmallVec::new(),
        keys: SmallVec::new(),
        current: Member::default(),
    };
    // One pass says that all is well. Which of several faults is told takes another.
    walk.run(member)
        .map_err(|flaw| fault_of_text(body).unwrap_or_else(|| flaw.into_fault(body)))
}

/// What is wrong with the body as a text, before what it says matters.
fn fault_of_text(body: &[u8]) -> Option<Fault> {
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(fault) => {
            let problem = "the body is not valid UTF-8";
            return Some(fault_at(body, fault.valid_up_to(), problem));
        }
    };
    let fault = serde_json::from_str::<IgnoredAny>(text).err()?;
    Some(Fault {
        message: format!("the body is not valid JSON: {fault}"),
        key: None,
    })
}

#[derive(Debug)]
enum Flaw {
    /// Of the text itself: [`fault_of_text`] knows more.
    Text,
    NoObject,
    /// The bracket that opens one level too many.
    TooDeep {
        at: usize,
    },
    /// `end` is behind the object's closing bracket.
    TooManyKeys {
        end: usize,
    },
    Duplicate {
        key: String,
        end: usize,
    },
}

impl Flaw {
    fn into_fault(self, body: &[u8]) -> Fault {
        match self {
            Self::Text => Fault {
                message: "the body is not valid JSON".to_owned(),
                key: None,
            },
            Self::NoObject => Fault {
                message: "the body must be a JSON object".to_owned(),
                key: None,
            },
            Self::TooDeep { at } => {
                let problem = format!("the body is nested deeper than {DEPTH_MAX} levels");
                fault_at(body, at, &problem)
            }
            Self::TooManyKeys { end } => {
                let problem = format!("an object has more than {KEYS_MAX} keys");
                fault_at(body, end - 1, &problem)
            }
            Self::Duplicate { key, end } => {
                let problem = format!("duplicate key `{key}` in the object that ends");
                Fault {
                    key: Some(key),
                    ..fault_at(body, end - 1, &problem)
                }
            }
        }
    }
}

struct Walk<'a> {
    body: &'a [u8],
    scan: Scan<'a>,
    /// Of each open object, how deep it is and where its keys start.
    objects: SmallVec<[Object; 8]>,
    /// The keys of all open objects.
    keys: SmallVec<[Cow<'a, [u8]>; 16]>,
    current: Member<'a>,
}

struct Object {
    depth: usize,
    keys_start: usize,
}

impl<'a> Walk<'a> {
    fn run(mut self, mut member: impl FnMut(Member<'a>)) -> Result<(), Flaw> {
        while let Some(token) = self.scan.next().map_err(|_malformed| Flaw::Text)? {
            let end = match token {
                Token::Open { is_object, at } => {
                    self.open(is_object, at)?;
                    continue;
                }
                Token::Key(text) => {
                    self.key(&text);
                    continue;
                }
                Token::Close { end } => {
                    self.close(end)?;
                    end
                }
                Token::String(text) => {
                    self.current.string_bytes += text.span.len();
                    self.begin_value(text.span.start - 1);
                    text.span.end + 1
                }
                Token::Scalar(span) => {
                    self.current.scalars += 1;
                    self.current.scalar_bytes += span.len();
                    self.begin_value(span.start);
                    span.end
                }
            };
            match self.scan.depth() {
                // Nothing but an object is left open this far.
                1 => {
                    let mut whole = std::mem::take(&mut self.current);
                    whole.value.end = end;
                    member(whole);
                }
                0 if self.body[end - 1] != b'}' => return Err(Flaw::NoObject),
                _ => {}
            }
        }
        if self.scan.has_non_ascii() && std::str::from_utf8(self.body).is_err() {
            return Err(Flaw::Text);
        }
        Ok(())
    }

    /// Notes where the value of an outermost member starts.
    fn begin_value(&mut self, start: usize) {
        if self.scan.depth() == 1 {
            self.current.value.start = start;
        }
    }

    fn open(&mut self, is_object: bool, at: usize) -> Result<(), Flaw> {
        let depth = self.scan.depth();
        match depth {
            1 if !is_object => return Err(Flaw::NoObject),
            2 => self.current.value.start = at,
            4 => self.current.has_parts |= !is_object,
            _ if depth > DEPTH_MAX => return Err(Flaw::TooDeep { at }),
            _ => {}
        }
        if is_object {
            self.objects.push(Object {
                depth,
                keys_start: self.keys.len(),
            });
        }
        Ok(())
    }

    fn key(&mut self, text: &Text) {
        let key = text.bytes(self.body);
        if self.scan.depth() == 1 {
            self.current.key = as_text(&key);
        }
        // One more than allowed is enough to refuse at the object's end.
        let start = self.objects.last().map_or(0, |object| object.keys_start);
        if self.keys.len() - start <= KEYS_MAX {
            self.keys.push(key);
        }
    }

    fn close(&mut self, end: usize) -> Result<(), Flaw> {
        let closed = self.scan.depth() + 1;
        let is_closed = |object: &&Object| object.depth == closed;
        let Some(&Object { keys_start, .. }) = self.objects.last().filter(is_closed) else {
            return Ok(()); // An array.
        };
        self.objects.pop();
        let keys = &self.keys[keys_start..];
        if keys.len() > KEYS_MAX {
            return Err(Flaw::TooManyKeys { end });
        }
        if let Some(twice) = duplicate(keys) {
            let key = as_text(&Cow::Borrowed(twice)).chars().take(64).collect();
            return Err(Flaw::Duplicate { key, end });
        }
        self.keys.truncate(keys_start);
        Ok(())
    }
}

/// Of a key, which is text unless the whole body is not.
fn as_text<'a>(key: &Cow<'a, [u8]>) -> Cow<'a, str> {
    match key {
        Cow::Borrowed(key) => String::from_utf8_lossy(key),
        Cow::Owned(key) => Cow::Owned(String::from_utf8_lossy(key).into_owned()),
    }
}

/// The std hasher is keyed at random, so chosen keys cannot make it slow.
fn duplicate<'k>(keys: &'k [Cow<'_, [u8]>]) -> Option<&'k [u8]> {
    if keys.len() <= COMPARED_KEYS_MAX {
        let repeats = |&(index, key): &(usize, &Cow<'_, [u8]>)| keys[..index].contains(key);
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
