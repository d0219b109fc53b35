//! What finance reads: rows with types, the formats that they are written in, FOCUS charges, and the
//! comparison with a provider's invoice. Rows in, bytes out: no files, no ledger, no clock.

pub mod compare;
pub mod decimal;
pub mod focus;
pub mod invoice;
pub mod sheet;
pub mod writer;

pub use decimal::Decimal;
pub use sheet::{Cell, Column, Kind};
pub use writer::{Format, Writer};
