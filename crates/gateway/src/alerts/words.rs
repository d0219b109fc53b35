//! Amounts, times and periods as an operator reads them.

use std::time::Duration;

use domain::limit::Period;
use domain::quota::Span;
use domain::{Currency, Nanos, Wall};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// `402.13 EUR`; more decimals for amounts below a hundredth.
pub fn money(amount: Nanos, currency: Currency) -> String {
    const CENT: u64 = 10_000_000;
    let decimals = match amount.0.unsigned_abs() {
        0 | CENT.. => 2,
        _ => 6,
    };
    format!("{} {currency}", amount.fixed(decimals))
}

/// `80.4%` of a whole.
pub fn share(part: Nanos, whole: Nanos) -> String {
    if whole.0 <= 0 {
        return "all".to_owned();
    }
    let per_mille = i128::from(part.0) * 1000 / i128::from(whole.0);
    format!("{}.{}%", per_mille / 10, (per_mille % 10).unsigned_abs())
}

/// `24 November 2026, 14:05`
pub fn moment(at: Wall, zone: &TimeZone) -> String {
    zoned(at, zone).strftime("%-d %B %Y, %H:%M").to_string()
}

/// `24 November`
pub fn day(at: Wall, zone: &TimeZone) -> String {
    zoned(at, zone).strftime("%-d %B").to_string()
}

/// The name of a zone: `Europe/Berlin`.
pub fn zone_name(zone: &TimeZone) -> &str {
    zone.iana_name().unwrap_or("UTC")
}

/// RFC 3339, UTC.
pub fn rfc3339(at: Wall) -> String {
    let at = Timestamp::from_millisecond(at.0).unwrap_or_default();
    format!("{at:.0}")
}

/// `November 2026`, `22 November 2026`, `the week from 16 November 2026`
pub fn period(kind: Period, span: Span, zone: &TimeZone) -> String {
    let start = zoned(span.start, zone);
    match kind {
        Period::Hour => start.strftime("%-d %B %Y, %H:00").to_string(),
        Period::Day => start.strftime("%-d %B %Y").to_string(),
        Period::Week => start.strftime("the week from %-d %B %Y").to_string(),
        Period::Month => start.strftime("%B %Y").to_string(),
        Period::Quarter => {
            let quarter = (start.month() + 2) / 3;
            format!("quarter {quarter} of {}", start.year())
        }
        Period::Year => start.strftime("%Y").to_string(),
    }
}

/// `9 days`, `3 hours`, `20 minutes`: rounded down, never nothing.
pub fn length(length: Duration) -> String {
    let seconds = length.as_secs();
    let (count, unit) = match seconds {
        172_800.. => (seconds / 86_400, "day"),
        7_200.. => (seconds / 3_600, "hour"),
        120.. => (seconds / 60, "minute"),
        _ => (seconds.max(1), "second"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// `1,234,567`
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn zoned(at: Wall, zone: &TimeZone) -> Zoned {
    let at = Timestamp::from_millisecond(at.0).unwrap_or_default();
    at.to_zoned(zone.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_money_and_small_ones_do_not_vanish() {
        let money = |nanos| money(Nanos(nanos), Currency::USD);
        assert_eq!(money(402_126_000_000), "402.13 USD");
        assert_eq!(money(1_234_000), "0.001234 USD");
        assert_eq!(money(0), "0.00 USD");
        assert_eq!(share(Nanos(804), Nanos(1000)), "80.4%");
        assert_eq!(share(Nanos(804), Nanos(0)), "all");
    }

    #[test]
    fn times_are_those_of_the_operator_s_clock() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let at = Wall::from_secs(1_795_388_700);
        assert_eq!(moment(at, &berlin), "23 November 2026, 00:05");
        assert_eq!(day(at, &TimeZone::UTC), "22 November");
        assert_eq!(rfc3339(at), "2026-11-22T23:05:00Z");
        let span = Span {
            start: Wall::from_secs(1_793_487_600),
            end: Wall::from_secs(1_796_079_600),
        };
        assert_eq!(period(Period::Month, span, &berlin), "November 2026");
    }

    #[test]
    fn lengths_are_rounded_down_and_never_nothing() {
        let told = [0, 90, 150, 7_200, 200_000].map(|s| length(Duration::from_secs(s)));
        let expected = ["1 second", "90 seconds", "2 minutes", "2 hours", "2 days"];
        assert_eq!(told, expected);
    }
}
