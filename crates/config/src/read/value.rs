//! Numbers, shares, durations, sizes, booleans, addresses and time zones.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::tz::TimeZone;
use schemars::{Schema, SchemaGenerator, json_schema};

use super::{Field, Reader, quoted};
use crate::tree::Node;

/// A whole number within bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole<const MIN: u64, const MAX: u64>(pub u64);

impl<const MIN: u64, const MAX: u64> Field for Whole<MIN, MAX> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let range = format!("write a whole number from {MIN} to {MAX}");
        let text = plain(node, reader, "a whole number", &range)?;
        let number = text
            .filled
            .text
            .parse::<u64>()
            .ok()
            .filter(|number| (MIN..=MAX).contains(number));
        text.checked(number.map(Self), "a whole number in range", &range, reader)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        // Text is a number that comes from outside.
        json_schema!({ "type": ["integer", "string"], "minimum": MIN, "maximum": MAX, "pattern": "\\$\\{" })
    }
}

impl<const MIN: u64, const MAX: u64> Whole<MIN, MAX> {
    /// For fields whose bounds fit.
    pub fn as_u32(self) -> u32 {
        const { assert!(MAX <= u32::MAX as u64, "the bound must fit") }
        u32::try_from(self.0).unwrap_or(u32::MAX)
    }
}

/// How freely a model picks its words: from 0 to 2.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Temperature(pub f64);

impl Field for Temperature {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let range = "write a number from 0 to 2";
        let text = plain(node, reader, "a number", range)?;
        let number = text.filled.text.parse::<f64>().ok();
        let number = number.filter(|number| (0.0..=2.0).contains(number));
        text.checked(number.map(Self), "a temperature", range, reader)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["number", "string"], "minimum": 0, "maximum": 2, "pattern": "\\$\\{" })
    }
}

/// A share of a whole, up to 1: from 0, or above it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share<const FROM_ZERO: bool>(pub f64);

impl<const FROM_ZERO: bool> Field for Share<FROM_ZERO> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let range = if FROM_ZERO {
            "write a number from 0 to 1"
        } else {
            "write a number above 0, up to 1"
        };
        let text = plain(node, reader, "a number", range)?;
        let share = text.filled.text.parse::<f64>().ok();
        let share =
            share.filter(|share| (0.0..=1.0).contains(share) && (FROM_ZERO || *share > 0.0));
        text.checked(share.map(Self), "a share", range, reader)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        let lowest = if FROM_ZERO {
            "minimum"
        } else {
            "exclusiveMinimum"
        };
        let mut schema =
            json_schema!({ "type": ["number", "string"], "maximum": 1, "pattern": "\\$\\{" });
        schema.insert(lowest.to_owned(), 0.into());
        schema
    }
}

impl Field for bool {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let fix = "write `true` or `false`";
        let text = plain(node, reader, "true or false", fix)?;
        let value = match &*text.filled.text {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        };
        text.checked(value, "true or false", fix, reader)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["boolean", "string"], "pattern": "\\$\\{" })
    }
}

/// From 1 ms to a day: `250ms`, `30s`, `2m`, `1h`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span(pub Duration);

impl Field for Span {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let fix = "write a number and its unit, from `1ms` to `24h`: `250ms`, `30s`, `2m`, `1h`";
        duration(node, reader, (DAY_MS, "24h"), fix).map(Self)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h)$|\\$\\{" })
    }
}

/// How long something that was true stays so, up to 90 days: `30s`, `1h`, `7d`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ttl(pub Duration);

impl Field for Ttl {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let fix = "write a number and its unit, from `1ms` to `90d`: `30s`, `10m`, `1h`, `7d`";
        duration(node, reader, (90 * DAY_MS, "90d"), fix).map(Self)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$|\\$\\{" })
    }
}

const DAY_MS: u64 = 86_400_000;

fn duration(
    node: &Node,
    reader: &mut Reader<'_>,
    (longest_ms, longest): (u64, &str),
    fix: &str,
) -> Option<Duration> {
    let (_, filled) = reader.scalar(node, "a duration", fix)?;
    let units = [
        ("ms", 1),
        ("s", 1_000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", DAY_MS),
    ];
    // Where days are too long, they are no unit.
    let known = if longest_ms > DAY_MS { 5 } else { 4 };
    let milliseconds = with_unit(&filled.text, &units[..known]);
    let is_too_long = milliseconds.is_some_and(|ms| ms > longest_ms);
    let milliseconds = milliseconds.filter(|ms| (1..=longest_ms).contains(ms));
    if milliseconds.is_none() {
        let problem = if is_too_long {
            format!("is longer than {longest}, the longest there may be")
        } else {
            "is not a duration".to_owned()
        };
        reader.error(node.place, format!("{} {problem}", quoted(&filled)), fix);
    }
    milliseconds.map(Duration::from_millis)
}

/// From a day to a century: `90d`, `12w`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Days(pub u32);

impl Field for Days {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        const DAYS_MAX: u64 = 36_525;
        let fix = "write a number and its unit, from `1d` to `36525d`: `90d`, `12w`";
        let (_, filled) = reader.scalar(node, "a number of days", fix)?;
        let days = with_unit(&filled.text, &[("d", 1), ("w", 7)]);
        let days = days.filter(|days| (1..=DAYS_MAX).contains(days));
        let days = days.and_then(|days| u32::try_from(days).ok());
        if days.is_none() {
            let problem = format!("{} is not a number of days", quoted(&filled));
            reader.error(node.place, problem, fix);
        }
        days.map(Self)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+(d|w)$|\\$\\{" })
    }
}

/// Bytes, with a unit and up to a bound: `512B`, `64KiB`, `8MiB`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size<const MIN: u64, const MAX: u64>(pub u64);

impl<const MIN: u64, const MAX: u64> Field for Size<MIN, MAX> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let fix = format!(
            "write a number and its unit, `B`, `KiB`, `MiB` or `GiB`, from {} to {}",
            as_size(MIN),
            as_size(MAX)
        );
        let (_, filled) = reader.scalar(node, "a size", &fix)?;
        let bytes = with_unit(
            &filled.text,
            &[
                ("KiB", 1 << 10),
                ("MiB", 1 << 20),
                ("GiB", 1 << 30),
                ("B", 1),
            ],
        );
        let bytes = bytes.filter(|bytes| (MIN..=MAX).contains(bytes));
        if bytes.is_none() {
            reader.error(
                node.place,
                format!("{} is not a size in range", quoted(&filled)),
                fix,
            );
        }
        bytes.map(Self)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB)$|\\$\\{" })
    }
}

impl Field for SocketAddr {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let fix = "write an IP address and a port: `127.0.0.1:8080`, `0.0.0.0:8080`, `[::1]:8080`";
        let (_, filled) = reader.scalar(node, "an address and a port", fix)?;
        let address = filled.text.parse().ok();
        if address.is_none() {
            reader.error(
                node.place,
                format!("{} is not an address with a port", quoted(&filled)),
                fix,
            );
        }
        address
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["127.0.0.1:8080", "[::1]:8080"] })
    }
}

impl Field for TimeZone {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let fix = "write a name of the IANA database: `UTC`, `Europe/Berlin`, `America/New_York`";
        let (_, filled) = reader.scalar(node, "a time zone", fix)?;
        let zone = TimeZone::get(&filled.text).ok();
        if zone.is_none() {
            reader.error(
                node.place,
                format!("{} is not a known time zone", quoted(&filled)),
                fix,
            );
        }
        zone
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["UTC", "Europe/Berlin"] })
    }
}

/// A scalar that must not be quoted: `"5"` is text, `5` a number. What came from outside is either.
pub(super) struct Plain<'n> {
    node: &'n Node,
    pub(super) filled: crate::interpolate::Filled<'n>,
}

pub(super) fn plain<'n>(
    node: &'n Node,
    reader: &mut Reader<'_>,
    wanted: &str,
    fix: &str,
) -> Option<Plain<'n>> {
    let (scalar, filled) = reader.scalar(node, wanted, fix)?;
    if !scalar.plain && !filled.is_foreign {
        reader.error(
            node.place,
            format!("expected {wanted}, found text"),
            format!("{fix}, without quotes"),
        );
        return None;
    }
    Some(Plain { node, filled })
}

impl Plain<'_> {
    pub(super) fn checked<T>(
        &self,
        value: Option<T>,
        wanted: &str,
        fix: &str,
        reader: &mut Reader<'_>,
    ) -> Option<T> {
        if value.is_none() {
            reader.error(
                self.node.place,
                format!("{} is not {wanted}", quoted(&self.filled)),
                fix,
            );
        }
        value
    }
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number = text[..digits].parse::<u64>().ok()?;
    let (_, factor) = units
        .iter()
        .find(|(unit, _)| *unit == text[digits..].trim_start())?;
    number.checked_mul(*factor)
}

fn as_size(bytes: u64) -> String {
    for (unit, factor) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= factor && bytes.is_multiple_of(factor) {
            return format!("`{}{unit}`", bytes / factor);
        }
    }
    format!("`{bytes}B`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_multiply_and_overflow_is_no_number() {
        let units = [("ms", 1), ("s", 1_000)];
        assert_eq!(with_unit("250ms", &units), Some(250));
        assert_eq!(with_unit("30 s", &units), Some(30_000));
        assert_eq!(with_unit("30", &units), None);
        assert_eq!(with_unit("s", &units), None);
        assert_eq!(with_unit("1.5s", &units), None);
        assert_eq!(with_unit("18446744073709551615s", &units), None);
    }

    #[test]
    fn sizes_are_shown_in_their_largest_whole_unit() {
        assert_eq!(as_size(32 << 20), "`32MiB`");
        assert_eq!(as_size(1000), "`1000B`");
    }
}
