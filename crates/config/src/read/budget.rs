//! Amounts of budgets and shares of them, exact: no float on the way.

use domain::Nanos;
use domain::budget::PerMille;
use schemars::{Schema, SchemaGenerator, json_schema};

use super::value::plain;
use super::{Field, Reader};
use crate::tree::Node;

/// Above zero, in the configuration's `currency`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Money(pub Nanos);

impl Field for Money {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        const MOST: Nanos = Nanos(1_000_000_000_000_000_000);
        let fix = "write an amount above 0, up to 1000000000, with at most 9 decimals: `500.00`";
        let text = plain(node, reader, "an amount", fix)?;
        let amount = text.filled.text.parse::<Nanos>().ok();
        let amount = amount.filter(|amount| (Nanos(1)..=MOST).contains(amount));
        text.checked(amount.map(Self), "an amount in range", fix, reader)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["number", "string"], "exclusiveMinimum": 0, "maximum": 1_000_000_000, "title": "amount", "pattern": "\\$\\{" })
    }
}

/// A share of an amount, which may be more than all of it: `0.8`, `1.25`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Threshold(pub PerMille);

impl Field for Threshold {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        const NANOS: i64 = 1_000_000;
        let fix = "write a number above 0, up to 10, with at most 3 decimals: `0.8` is 80%";
        let text = plain(node, reader, "a share", fix)?;
        let nanos = text.filled.text.parse::<Nanos>().ok();
        let share = nanos
            .filter(|share| share.0 % NANOS == 0)
            .and_then(|share| u32::try_from(share.0 / NANOS).ok())
            .filter(|share| (1..=10_000).contains(share));
        let share = share.map(|share| Self(PerMille(share)));
        text.checked(share, "a share in range", fix, reader)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["number", "string"], "exclusiveMinimum": 0, "maximum": 10, "title": "share", "pattern": "\\$\\{" })
    }
}
