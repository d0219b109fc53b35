//! Rows with typed columns: what every report is before it is written down.

use domain::Wall;

use crate::decimal::Decimal;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Count,
    /// Of at most so many decimals.
    Decimal {
        scale: u32,
    },
    Time,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Null,
    Text(String),
    Count(u64),
    Decimal(Decimal),
    Time(Wall),
}

impl Column {
    pub const fn text(name: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Text,
        }
    }

    pub const fn count(name: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Count,
        }
    }

    pub const fn decimal(name: &'static str, scale: u32) -> Self {
        Self {
            name,
            kind: Kind::Decimal { scale },
        }
    }

    pub const fn time(name: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Time,
        }
    }

    pub fn takes(&self, cell: &Cell) -> bool {
        match cell {
            Cell::Null => true,
            Cell::Text(_) => self.kind == Kind::Text,
            Cell::Count(_) => self.kind == Kind::Count,
            Cell::Decimal(decimal) => match self.kind {
                Kind::Decimal { scale } => decimal.units(scale).is_some(),
                Kind::Text | Kind::Count | Kind::Time => false,
            },
            Cell::Time(_) => self.kind == Kind::Time,
        }
    }
}

impl Cell {
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub fn or_null(text: Option<&str>) -> Self {
        text.map_or(Self::Null, Self::text)
    }
}

impl From<Decimal> for Cell {
    fn from(decimal: Decimal) -> Self {
        Self::Decimal(decimal)
    }
}

impl From<Option<Decimal>> for Cell {
    fn from(decimal: Option<Decimal>) -> Self {
        decimal.map_or(Self::Null, Self::Decimal)
    }
}
