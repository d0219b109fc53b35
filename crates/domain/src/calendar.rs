//! Calendar periods: hour, day, ISO week, month, quarter and year as a time zone's clocks show them.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan, tz::TimeZone};

use crate::limit::{Calendar, Period};
use crate::quota::Span;
use crate::time::Wall;

impl Calendar {
    /// The period that holds `at`. A day of 23 or 25 hours is one day.
    pub fn span_at(&self, at: Wall) -> Span {
        let ms = at.0.clamp(
            Timestamp::MIN.as_millisecond(),
            Timestamp::MAX.as_millisecond(),
        );
        let timestamp = Timestamp::from_millisecond(ms).unwrap_or_default();
        if self.period == Period::Hour {
            return hour_at(&self.time_zone, timestamp);
        }
        let date = self.time_zone.to_datetime(timestamp).date();
        // Past the ends of the calendar (years -9999 and 9999) a period has no end.
        let start = self
            .period
            .start(date)
            .and_then(|date| midnight(date, &self.time_zone));
        let end = self
            .period
            .end(date)
            .and_then(|date| midnight(date, &self.time_zone));
        Span {
            start: start.unwrap_or(Wall(i64::MIN)),
            end: end.unwrap_or(Wall(i64::MAX)),
        }
    }
}

impl Period {
    fn start(self, date: Date) -> Option<Date> {
        match self {
            Self::Hour | Self::Day => Some(date),
            Self::Week => date
                .checked_sub(i64::from(date.weekday().to_monday_zero_offset()).days())
                .ok(),
            Self::Month => Some(date.first_of_month()),
            Self::Quarter => {
                let into_quarter = (date.month() - 1) % 3;
                date.first_of_month()
                    .checked_sub(i64::from(into_quarter).months())
                    .ok()
            }
            Self::Year => Some(date.first_of_year()),
        }
    }

    fn end(self, date: Date) -> Option<Date> {
        let start = self.start(date)?;
        let length = match self {
            Self::Hour | Self::Day => 1.day(),
            Self::Week => 1.week(),
            Self::Month => 1.month(),
            Self::Quarter => 3.months(),
            Self::Year => 1.year(),
        };
        start.checked_add(length).ok()
    }
}

/// Where clocks skip midnight, the first instant of the day.
fn midnight(date: Date, zone: &TimeZone) -> Option<Wall> {
    let zoned = date.to_zoned(zone.clone()).ok()?;
    Some(Wall(zoned.timestamp().as_millisecond()))
}

/// By the offset in force: an hour that clocks repeat is two hours.
fn hour_at(zone: &TimeZone, at: Timestamp) -> Span {
    const HOUR_MS: i64 = 3_600_000;
    let offset_ms = i64::from(zone.to_offset(at).seconds()) * 1000;
    let into_hour = (at.as_millisecond() + offset_ms).rem_euclid(HOUR_MS);
    let start = at.as_millisecond() - into_hour;
    Span {
        start: Wall(start),
        end: Wall(start + HOUR_MS),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span(period: Period, zone: &str, at: &str) -> (String, String) {
        let calendar = Calendar {
            period,
            time_zone: TimeZone::get(zone).unwrap(),
        };
        let span = calendar.span_at(Wall(at.parse::<Timestamp>().unwrap().as_millisecond()));
        let text = |wall: Wall| Timestamp::from_millisecond(wall.0).unwrap().to_string();
        (text(span.start), text(span.end))
    }

    fn is(got: &(String, String), start: &str, end: &str) {
        assert_eq!((got.0.as_str(), got.1.as_str()), (start, end));
    }

    #[test]
    fn a_day_follows_the_zone_through_both_clock_changes() {
        let day = |at| span(Period::Day, "Europe/Berlin", at);
        is(
            &day("2026-03-29T10:00:00Z"),
            "2026-03-28T23:00:00Z",
            "2026-03-29T22:00:00Z",
        );
        is(
            &day("2026-10-25T10:00:00Z"),
            "2026-10-24T22:00:00Z",
            "2026-10-25T23:00:00Z",
        );
    }

    #[test]
    fn a_week_starts_on_monday_even_across_a_year() {
        let week = span(Period::Week, "UTC", "2027-01-01T12:00:00Z");
        is(&week, "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z");
    }

    #[test]
    fn months_and_years_start_at_the_zones_midnight() {
        let month = span(Period::Month, "America/New_York", "2026-03-01T04:59:59Z");
        is(&month, "2026-02-01T05:00:00Z", "2026-03-01T05:00:00Z");
        let year = span(Period::Year, "Asia/Kolkata", "2026-12-31T18:30:00Z");
        is(&year, "2026-12-31T18:30:00Z", "2027-12-31T18:30:00Z");
    }

    #[test]
    fn a_quarter_starts_in_january_april_july_and_october() {
        let quarter = |at| span(Period::Quarter, "Europe/Berlin", at);
        is(
            &quarter("2026-03-31T21:59:59Z"),
            "2025-12-31T23:00:00Z",
            "2026-03-31T22:00:00Z",
        );
        is(
            &quarter("2026-03-31T22:00:00Z"),
            "2026-03-31T22:00:00Z",
            "2026-06-30T22:00:00Z",
        );
        is(
            &quarter("2026-12-31T12:00:00Z"),
            "2026-09-30T22:00:00Z",
            "2026-12-31T23:00:00Z",
        );
    }

    #[test]
    fn an_hour_starts_on_the_zones_hour_and_a_repeated_one_is_two() {
        let half = span(Period::Hour, "Asia/Kolkata", "2026-06-01T10:29:59Z");
        is(&half, "2026-06-01T09:30:00Z", "2026-06-01T10:30:00Z");
        let second = span(Period::Hour, "Europe/Berlin", "2026-10-25T01:15:00Z");
        is(&second, "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z");
    }

    #[test]
    fn the_ends_of_time_have_a_period_too() {
        for period in [
            Period::Hour,
            Period::Day,
            Period::Week,
            Period::Month,
            Period::Quarter,
            Period::Year,
        ] {
            let calendar = Calendar {
                period,
                time_zone: TimeZone::UTC,
            };
            for at in [i64::MIN, -1, 0, i64::MAX] {
                let span = calendar.span_at(Wall(at));
                assert!(span.start < span.end, "{period:?} {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn periods_hold_their_instant_and_follow_each_other(
            at in 0i64..4_102_444_800_000,
            period in prop::sample::select(vec![Period::Hour, Period::Day, Period::Week, Period::Month, Period::Quarter, Period::Year]),
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/Sao_Paulo", "Africa/Cairo", "Asia/Kolkata"]),
        ) {
            let calendar = Calendar { period, time_zone: TimeZone::get(zone).unwrap() };
            let span = calendar.span_at(Wall(at));
            prop_assert!(span.start.0 <= at && at < span.end.0);
            prop_assert_eq!(calendar.span_at(span.start), span);
            prop_assert_eq!(calendar.span_at(Wall(span.end.0 - 1)), span);
            prop_assert_eq!(calendar.span_at(span.end).start, span.end);
        }
    }
}
