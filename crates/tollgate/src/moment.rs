//! Points in time and lengths of time as people write them on a command line.

use std::time::Duration;

use domain::Wall;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// What `--since` and `--until` accept, before a clock and a time zone make it a point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// `24h`: so long ago.
    Ago(Duration),
    /// `2026-11-01`: its midnight, in the configuration's time zone.
    Day(Date),
    /// `2026-11-01T12:00:00Z`
    At(Wall),
}

impl Moment {
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Ok(at) = text.parse::<jiff::Timestamp>() {
            return Ok(Self::At(Wall(at.as_millisecond())));
        }
        // Anything longer than a date that is no timestamp would lose its time of day here.
        if let (10, Ok(day)) = (text.len(), text.parse::<Date>()) {
            return Ok(Self::Day(day));
        }
        duration(text).map(Self::Ago).map_err(|_| {
            "write a date (2026-11-01), an RFC 3339 time (2026-11-01T12:00:00Z) or how long ago (30m, 24h, 7d)".to_owned()
        })
    }

    /// `None` if the time zone's calendar has no such day.
    pub fn resolve(self, now: Wall, time_zone: &TimeZone) -> Option<Wall> {
        match self {
            Self::At(at) => Some(at),
            Self::Ago(ago) => Some(Wall(
                now.0
                    .saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX)),
            )),
            Self::Day(day) => {
                let midnight = day.to_zoned(time_zone.clone()).ok()?;
                Some(Wall(midnight.timestamp().as_millisecond()))
            }
        }
    }
}

/// `250ms`, `30s`, `5m`, `24h`, `7d`, `2w`
pub fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, u64); 6] = [
        ("ms", 1),
        ("s", 1_000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
        ("w", 604_800_000),
    ];
    let fault = || "write a number and a unit: 250ms, 30s, 5m, 24h, 7d, 2w".to_owned();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, ms) = UNITS
        .into_iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(fault)?;
    let number: u64 = number.parse().map_err(|_| fault())?;
    number
        .checked_mul(ms)
        .map(Duration::from_millis)
        .ok_or_else(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_moment_is_understood() {
        let now = Wall::from_secs(1_800_000_000);
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let resolved = |text: &str| Moment::parse(text).unwrap().resolve(now, &berlin).unwrap();
        assert_eq!(resolved("24h"), Wall::from_secs(1_800_000_000 - 86_400));
        assert_eq!(
            resolved("2026-11-01T12:00:00Z"),
            Wall::from_secs(1_793_534_400)
        );
        assert_eq!(
            resolved("2026-11-01T13:00:00+01:00"),
            Wall::from_secs(1_793_534_400)
        );
        assert_eq!(
            resolved("2026-11-01"),
            Wall::from_secs(1_793_534_400 - 13 * 3600)
        );
    }

    #[test]
    fn what_is_no_moment_is_refused_with_what_to_write() {
        for text in [
            "",
            "yesterday",
            "7",
            "d",
            "-3h",
            "2026-13-01",
            "99999999999999999999d",
            "2026-11-01T12:00",
        ] {
            let fault = Moment::parse(text).unwrap_err();
            assert!(fault.contains("7d"), "{text}: {fault}");
        }
    }
}
