//! What a client's headers want of the cache.

use std::time::Duration;

use dialect::RequestError;
use domain::Wall;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName};

const OWN: HeaderName = HeaderName::from_static("x-tollgate-cache");

/// How far the cache may go for one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wishes {
    /// It may be answered from the cache.
    pub reads: bool,
    /// Its answer may be kept.
    pub stores: bool,
    /// The answer may be one to another question that means the same.
    pub by_meaning: bool,
    /// No older answers.
    max_age: Option<Duration>,
}

impl Wishes {
    const NONE: Self = Self {
        reads: true,
        stores: true,
        by_meaning: true,
        max_age: None,
    };

    pub fn are_none(&self) -> bool {
        *self == Self::NONE
    }

    pub fn admits(&self, stored_at: Wall, now: Wall) -> bool {
        let age_ms = u64::try_from(now.0.saturating_sub(stored_at.0)).unwrap_or(0);
        self.max_age
            .is_none_or(|max| Duration::from_millis(age_ms) <= max)
    }
}

/// `None` where the client wants nothing to do with it. Of `Cache-Control` what RFC 9111 says of
/// requests; what it does not know there is nobody's business.
pub fn read(headers: &HeaderMap) -> Result<Option<Wishes>, RequestError> {
    let mut wishes = Wishes::NONE;
    for value in headers.get_all(CACHE_CONTROL) {
        let value = value.to_str().unwrap_or_default();
        for directive in value.split(',') {
            let (name, argument) = match directive.split_once('=') {
                Some((name, argument)) => (name.trim(), Some(argument.trim().trim_matches('"'))),
                None => (directive.trim(), None),
            };
            if name.eq_ignore_ascii_case("no-cache") {
                wishes.reads = false;
            } else if name.eq_ignore_ascii_case("no-store") {
                wishes.stores = false;
            } else if name.eq_ignore_ascii_case("max-age") {
                let seconds = argument.and_then(|argument| argument.parse::<u64>().ok());
                let seconds = seconds
                    .ok_or_else(|| fault("cache-control", "`max-age` needs a number of seconds"))?;
                let earlier = wishes.max_age.unwrap_or(Duration::MAX);
                wishes.max_age = Some(Duration::from_secs(seconds).min(earlier));
            }
        }
    }
    let mut own = headers.get_all(OWN).iter();
    let Some(value) = own.next() else {
        return Ok(Some(wishes));
    };
    match value.as_bytes() {
        b"off" if own.next().is_none() => Ok(None),
        b"refresh" if own.next().is_none() => Ok(Some(Wishes {
            reads: false,
            ..wishes
        })),
        b"exact" if own.next().is_none() => Ok(Some(Wishes {
            by_meaning: false,
            ..wishes
        })),
        _ => Err(fault(
            "x-tollgate-cache",
            "must be `off`, `refresh` or `exact`",
        )),
    }
}

fn fault(header: &str, problem: &str) -> RequestError {
    RequestError {
        message: format!("the header `{header}`: {problem}"),
        param: Some(header.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of(pairs: &[(&'static str, &'static str)]) -> Result<Option<Wishes>, RequestError> {
        let pairs = pairs.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value);
        }
        read(&headers)
    }

    #[test]
    fn a_client_says_whether_it_is_answered_and_whether_its_answer_is_kept() {
        let wishes = |reads, stores, max_age_s: Option<u64>| {
            Ok(Some(Wishes {
                reads,
                stores,
                by_meaning: true,
                max_age: max_age_s.map(Duration::from_secs),
            }))
        };
        for (headers, expected) in [
            (&[][..], wishes(true, true, None)),
            (&[("cache-control", "no-cache")], wishes(false, true, None)),
            (
                &[("cache-control", "No-Store, x=1")],
                wishes(true, false, None),
            ),
            (
                &[("cache-control", "no-store"), ("cache-control", "no-cache")],
                wishes(false, false, None),
            ),
            (
                &[("cache-control", "max-age=\"60\"")],
                wishes(true, true, Some(60)),
            ),
            (
                &[("cache-control", "max-age=60, max-age=9")],
                wishes(true, true, Some(9)),
            ),
            (
                &[("x-tollgate-cache", "refresh")],
                wishes(false, true, None),
            ),
            (&[("x-tollgate-cache", "off")], Ok(None)),
            (
                &[("x-tollgate-cache", "exact")],
                Ok(Some(Wishes {
                    by_meaning: false,
                    ..Wishes::NONE
                })),
            ),
        ] {
            assert_eq!(of(headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_told_by_its_header() {
        for (headers, header) in [
            (&[("x-tollgate-cache", "on")][..], "x-tollgate-cache"),
            (
                &[("x-tollgate-cache", "off"), ("x-tollgate-cache", "refresh")],
                "x-tollgate-cache",
            ),
            (&[("cache-control", "max-age=soon")], "cache-control"),
            (&[("cache-control", "max-age")], "cache-control"),
        ] {
            let fault = of(headers).unwrap_err();
            assert_eq!(fault.param.as_deref(), Some(header));
            assert!(fault.message.contains(header), "{fault:?}");
        }
    }

    #[test]
    fn an_answer_of_just_that_age_is_young_enough() {
        let wishes = of(&[("cache-control", "max-age=60")]).unwrap().unwrap();
        let stored_at = Wall::from_secs(1_000);
        assert!(wishes.admits(stored_at, Wall::from_secs(1_060)));
        assert!(!wishes.admits(stored_at, Wall(1_060_001)));
        // A clock that was set back.
        assert!(wishes.admits(stored_at, Wall::from_secs(900)));
    }
}
