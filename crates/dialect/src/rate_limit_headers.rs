//! Rate-limit headers, theirs read and ours written.
//!
//! What a header says that makes no sense (a negative count, NaN, a century) counts as not said.

mod http_date;

use std::time::Duration;

use http::HeaderMap;
use smallvec::SmallVec;

/// What an upstream says is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    pub requests_remaining: Option<u64>,
    pub requests_reset: Option<Duration>,
    pub tokens_remaining: Option<u64>,
    pub tokens_reset: Option<Duration>,
}

/// No provider means to be left alone for longer; what says so is a mistake.
const WAIT_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Of a header that is there twice the first counts.
pub fn read(headers: &HeaderMap) -> RateLimits {
    let mut limits = RateLimits::default();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix("x-ratelimit-re") else {
            continue;
        };
        let Ok(value) = value.to_str().map(str::trim) else {
            continue;
        };
        let RateLimits {
            requests_remaining,
            requests_reset,
            tokens_remaining,
            tokens_reset,
        } = &mut limits;
        match name {
            "maining-requests" if requests_remaining.is_none() => {
                *requests_remaining = value.parse().ok();
            }
            "set-requests" if requests_reset.is_none() => *requests_reset = parse_reset(value),
            "maining-tokens" if tokens_remaining.is_none() => {
                *tokens_remaining = value.parse().ok();
            }
            "set-tokens" if tokens_reset.is_none() => *tokens_reset = parse_reset(value),
            _ => {}
        }
    }
    limits
}

/// `retry-after-ms`, else `Retry-After` in seconds or as an HTTP date, for which the wall clock is
/// needed.
pub fn retry_after(headers: &HeaderMap, wall: domain::Wall) -> Option<Duration> {
    let in_ms = || {
        let ms: f64 = text(headers, "retry-after-ms")?.parse().ok()?;
        within_reason(ms / 1000.0)
    };
    let in_seconds = || {
        let value = text(headers, "retry-after")?;
        if let Ok(seconds) = value.parse() {
            return within_reason(seconds);
        }
        let at = domain::Wall(http_date::parse(value)?.checked_mul(1000)?);
        Some(at.since(wall)).filter(|wait| *wait <= WAIT_MAX)
    };
    in_ms().or_else(in_seconds)
}

/// `3s`, `6m0s`, `250ms`, `1h2m3.5s` or plain seconds.
pub fn parse_reset(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return within_reason(seconds);
    }
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(number_end);
        let unit_end = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let unit_s = match unit {
            "d" => 86_400.0,
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * unit_s;
        rest = after;
    }
    if text.is_empty() {
        None
    } else {
        within_reason(seconds)
    }
}

/// As OpenAI writes it: `1.5s`, `6m0s`, `250ms`. A part of a millisecond counts as a whole one.
pub fn format_reset(duration: Duration) -> SmallVec<[u8; 32]> {
    let ms = u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    let (total_seconds, ms) = (ms / 1000, ms % 1000);
    let mut text = SmallVec::new();
    if total_seconds == 0 && ms > 0 {
        push(&mut text, ms, 1);
        text.extend_from_slice(b"ms");
        return text;
    }
    let (hours, minutes) = (total_seconds / 3600, total_seconds / 60 % 60);
    if hours > 0 {
        push(&mut text, hours, 1);
        text.push(b'h');
    }
    if hours > 0 || minutes > 0 {
        push(&mut text, minutes, 1);
        text.push(b'm');
    }
    push(&mut text, total_seconds % 60, 1);
    if ms > 0 {
        text.push(b'.');
        push(&mut text, ms, 3);
        while text.last() == Some(&b'0') {
            text.pop();
        }
    }
    text.push(b's');
    text
}

/// In so many digits at least. By hand: this is done for every answer, and the formatter takes ten
/// times as long.
fn push(text: &mut SmallVec<[u8; 32]>, mut number: u64, digits_min: usize) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    while number > 0 || digits.len() - start < digits_min {
        start -= 1;
        digits[start] += (number % 10) as u8;
        number /= 10;
    }
    text.extend_from_slice(&digits[start..]);
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn within_reason(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|wait| *wait <= WAIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Wall;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn shown(duration: Duration) -> String {
        String::from_utf8(format_reset(duration).to_vec()).unwrap()
    }

    const MORNING: Wall = Wall::from_secs(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|&(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn what_is_left_is_read_in_openais_and_azures_spelling() {
        let openai = headers(&[
            ("x-ratelimit-remaining-requests", "59"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-remaining-tokens", "149984"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ]);
        let expected = RateLimits {
            requests_remaining: Some(59),
            requests_reset: Some(Duration::from_secs(1)),
            tokens_remaining: Some(149_984),
            tokens_reset: Some(Duration::from_secs(360)),
        };
        assert_eq!(read(&openai), expected);
        let azure = headers(&[
            ("x-ratelimit-remaining-tokens", "-1"),
            ("x-ratelimit-reset-tokens", "12"),
        ]);
        let expected = RateLimits {
            tokens_reset: Some(Duration::from_secs(12)),
            ..RateLimits::default()
        };
        assert_eq!(read(&azure), expected);
    }

    #[test]
    fn milliseconds_go_before_seconds_and_nonsense_before_nothing() {
        let wait = |pairs: &[_]| retry_after(&headers(pairs), MORNING);
        assert_eq!(
            wait(&[("retry-after-ms", "250"), ("retry-after", "1")]),
            Some(Duration::from_millis(250))
        );
        assert_eq!(
            wait(&[("retry-after-ms", "NaN"), ("retry-after", "7")]),
            Some(Duration::from_secs(7))
        );
        assert_eq!(
            wait(&[("retry-after", "1.5")]),
            Some(Duration::from_millis(1500))
        );
        for nonsense in [
            "-1",
            "inf",
            "1e300",
            "99999999999999999999",
            "soon",
            "",
            "Sun, 99 Foo 1994 08:49:37 GMT",
        ] {
            assert_eq!(wait(&[("retry-after", nonsense)]), None, "{nonsense}");
        }
        assert_eq!(wait(&[]), None);
    }

    #[test]
    fn a_date_is_the_time_until_it_and_a_past_one_is_now() {
        for date in [
            "Sun, 06 Nov 1994 08:50:07 GMT",
            "Sunday, 06-Nov-94 08:50:07 GMT",
            "Sun Nov  6 08:50:07 1994",
        ] {
            assert_eq!(
                retry_after(&headers(&[("retry-after", date)]), MORNING),
                Some(Duration::from_secs(30)),
                "{date}"
            );
        }
        let past = headers(&[("retry-after", "Sun, 06 Nov 1994 08:49:07 GMT")]);
        assert_eq!(retry_after(&past, MORNING), Some(Duration::ZERO));
    }

    #[test]
    fn resets_are_read_as_providers_write_them() {
        for (text, ms) in [
            ("3s", 3000),
            ("6m0s", 360_000),
            ("250ms", 250),
            ("1h2m3.5s", 3_723_500),
            ("7", 7000),
            ("0.5", 500),
            ("1d", 86_400_000),
        ] {
            assert_eq!(parse_reset(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for text in [
            "",
            "s",
            "3x",
            "-3s",
            "1.2.3s",
            "NaN",
            "9e99",
            "999999999h",
            "3s 4m",
        ] {
            assert_eq!(parse_reset(text), None, "{text}");
        }
    }

    #[test]
    fn resets_are_written_as_openai_writes_them() {
        for (ms, text) in [
            (0, "0s"),
            (250, "250ms"),
            (1500, "1.5s"),
            (1000, "1s"),
            (360_000, "6m0s"),
            (3_723_040, "1h2m3.04s"),
            (3_600_000, "1h0m0s"),
        ] {
            assert_eq!(shown(Duration::from_millis(ms)), text);
        }
        assert_eq!(shown(Duration::from_micros(1)), "1ms");
    }

    proptest! {
        #[test]
        fn a_written_reset_is_read_back(ms in 0u64..100_000_000) {
            let read = parse_reset(&shown(Duration::from_millis(ms))).unwrap();
            prop_assert!(read.abs_diff(Duration::from_millis(ms)) < Duration::from_micros(1));
        }

        #[test]
        fn no_header_is_too_odd(value in "[ -~]{0,40}", ms in any::<i64>()) {
            let mut headers = HeaderMap::new();
            for name in ["retry-after", "retry-after-ms", "x-ratelimit-reset-tokens", "x-ratelimit-remaining-tokens"] {
                headers.insert(name, HeaderValue::from_str(&value).unwrap());
            }
            read(&headers);
            retry_after(&headers, Wall(ms));
            headers.remove("retry-after-ms");
            retry_after(&headers, Wall(ms));
        }

        #[test]
        fn no_date_is_too_odd(day in "[0-9]{1,4}", month in "(Jan|Feb|Foo)", year in "[0-9]{1,12}", time in "[0-9:]{1,10}") {
            http_date::parse(&format!("Sun, {day} {month} {year} {time} GMT"));
            http_date::parse(&format!("Sunday, {day}-{month}-{year} {time} GMT"));
            http_date::parse(&format!("Sun {month} {day} {time} {year}"));
        }
    }
}
