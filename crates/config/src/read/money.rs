//! Amounts, percentages, currencies and the dates from which they hold. Exact: nothing here is ever
//! a float.

use domain::price::{Factor, FactorError};
use domain::{Currency, Nanos, Wall};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::{Schema, SchemaGenerator, json_schema};

use super::value::plain;
use super::{Field, Reader};
use crate::tree::Node;

/// An amount of money, not below zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amount(pub Nanos);

impl Field for Amount {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let fix = "write a decimal number such as `2.50`, with up to 9 decimals";
        let text = plain(node, reader, "an amount", fix)?;
        let amount = text.filled.text.parse::<Nanos>().ok();
        let amount = amount.filter(|amount| *amount >= Nanos::ZERO);
        text.checked(amount.map(Self), "an amount of money", fix, reader)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["number", "string"], "minimum": 0, "title": "amount", "pattern": "\\$\\{" })
    }
}

/// What is left of a price after a percentage off it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Discount(pub Factor);

impl Field for Discount {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let fix = "write a percentage from 0 to 100, such as `12.5`";
        read_factor(node, reader, "a discount", fix, Factor::discount).map(Self)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["number", "string"], "minimum": 0, "maximum": 100, "title": "percentage", "pattern": "\\$\\{" })
    }
}

/// What becomes of a price when a percentage is added to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MarkUp(pub Factor);

impl Field for MarkUp {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let fix = "write a percentage from 0 to 10000, such as `15`";
        read_factor(node, reader, "a mark-up", fix, Factor::mark_up).map(Self)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["number", "string"], "minimum": 0, "maximum": 10000, "title": "percentage", "pattern": "\\$\\{" })
    }
}

/// How many units of one currency another's is worth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange(pub Factor);

impl Field for Exchange {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let fix = "write a decimal number above 0, such as `0.9213`, with up to 9 decimals";
        read_factor(node, reader, "an exchange rate", fix, Factor::exchange_rate).map(Self)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["number", "string"], "exclusiveMinimum": 0, "maximum": 1_000_000, "title": "exchange rate", "pattern": "\\$\\{" })
    }
}

fn read_factor(
    node: &Node,
    reader: &mut Reader<'_>,
    wanted: &str,
    fix: &str,
    parse: fn(&str) -> Result<Factor, FactorError>,
) -> Option<Factor> {
    let text = plain(node, reader, wanted, fix)?;
    let factor = parse(&text.filled.text).ok();
    text.checked(factor, wanted, fix, reader)
}

impl Field for Currency {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let fix = "write its code of three letters, such as `EUR`";
        let (_, filled) = reader.scalar(node, "a currency", fix)?;
        let currency = filled.text.parse().ok();
        if currency.is_none() {
            let problem = format!("{} is no currency", super::quoted(&filled));
            reader.error(node.place, problem, fix);
        }
        currency
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["USD", "EUR"] })
    }
}

/// From when on something holds: midnight of a date in the configuration's time zone, or an instant.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    Midnight(Date),
    Instant(Timestamp),
}

impl When {
    pub fn at(self, zone: &TimeZone) -> Wall {
        let instant = match self {
            Self::Instant(instant) => instant,
            // Only the ends of the calendar have no midnight; there it is UTC's.
            Self::Midnight(date) => match date.to_zoned(zone.clone()) {
                Ok(midnight) => midnight.timestamp(),
                Err(_) => date
                    .to_zoned(TimeZone::UTC)
                    .map(|midnight| midnight.timestamp())
                    .unwrap_or_default(),
            },
        };
        Wall(instant.as_millisecond())
    }
}

impl std::str::FromStr for When {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        const DATE: usize = "2026-01-01".len();
        if text.len() == DATE {
            return text.parse().map(Self::Midnight);
        }
        text.parse().map(Self::Instant)
    }
}

impl Field for When {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let fix = "write a date such as `2026-07-01`, whose midnight in `time_zone` is meant, or a time such as `2026-07-01T06:00:00Z`";
        let (_, filled) = reader.scalar(node, "a date", fix)?;
        let when = filled.text.parse().ok();
        if when.is_none() {
            let problem = format!("{} is no date", super::quoted(&filled));
            reader.error(node.place, problem, fix);
        }
        when
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["2026-07-01", "2026-07-01T06:00:00Z"] })
    }
}
