//! Days as exports write them.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil::DateTime};

/// `2026-11-01`, `20261101`, `11/01/2026` (month first, as Azure and America write), a time of any of
/// the usual forms (its day in UTC), or seconds since 1970. `None` if it is none of these.
pub fn day(text: &str) -> Option<Date> {
    let text = text.trim();
    if let (10, Ok(date)) = (text.len(), text.parse::<Date>()) {
        return Some(date);
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at.to_zoned(TimeZone::UTC).date());
    }
    if let Some((date, _)) = text.split_once([' ', 'T']) {
        // A time of day without a zone: exports write UTC then.
        let whole = text.parse::<DateTime>().is_ok();
        return if whole || date.contains('/') {
            day(date)
        } else {
            None
        };
    }
    if text.contains('/') {
        return american(text);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match text.len() {
        8 => Date::new(
            number(&text[..4])?,
            number(&text[4..6])?,
            number(&text[6..])?,
        )
        .ok(),
        9..=11 => {
            let at = Timestamp::from_second(text.parse().ok()?).ok()?;
            Some(at.to_zoned(TimeZone::UTC).date())
        }
        _ => None,
    }
}

fn american(text: &str) -> Option<Date> {
    let mut parts = text.split('/');
    let (month, day, year) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 {
        return None;
    }
    Date::new(number(year)?, number(month)?, number(day)?).ok()
}

fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_way_in_which_exports_write_a_day_is_read() {
        for text in [
            "2026-11-02",
            "20261102",
            "11/02/2026",
            "11/2/2026",
            "2026-11-02T00:00:00Z",
            "2026-11-02T23:59:59+00:00",
            "2026-11-02T00:00:00",
            "2026-11-02 13:00:00",
            "11/02/2026 00:00:00",
            "1793577600",
        ] {
            assert_eq!(day(text), Some(date(2026, 11, 2)), "{text}");
        }
        // Its day is that of UTC.
        assert_eq!(day("2026-11-02T00:30:00+01:00"), Some(date(2026, 11, 1)));
    }

    #[test]
    fn what_could_be_two_days_or_none_is_no_day() {
        for text in [
            "",
            "13/11/2026",
            "11/02/26",
            "2026-13-01",
            "02.11.2026",
            "Nov 2",
            "1/2/3/2026",
            "2026-11-02 soon",
        ] {
            assert_eq!(day(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in "\\PC{0,14}|[0-9/:TZ -]{0,20}") {
            let _ = day(&text);
        }
    }
}
