//! The data path: authenticates, admits, routes, meters and settles every call.

pub mod fetch;
pub mod identity;
