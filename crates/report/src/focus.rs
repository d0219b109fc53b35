//! Charges in the FinOps Open Cost and Usage Specification (FOCUS), for chargeback: what each
//! subscription used of each model on a day, one row for each kind of token that has a price of its
//! own. The rules are stated in docs/reports.md.
//!
//! Not here: where charges come from. <https://focus.finops.org/focus-specification/>

mod adjustment;
mod capacity;
mod charge;
mod columns;
mod day;
mod document;
mod provider;

pub use adjustment::Adjustment;
pub use capacity::Capacity;
pub use charge::{Charge, Issuer, Meter, Pair, Prices, Span};
pub use columns::{Version, columns, row};
pub use day::{Call, Cost, Day, Directory, Group, TooManyCharges};
pub use document::{DocumentError, Documents};
pub use provider::Provider;
