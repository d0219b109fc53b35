//! The product from outside: the built binary, over HTTP, against fake providers.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]
#![expect(clippy::print_stderr, reason = "a failed test shows the gateway's log")]

mod alerts;
mod audit;
mod bad_input;
mod bad_transport;
mod budgets;
mod cache;
mod cache_by_meaning;
mod calls;
mod crash;
mod credentials;
mod encodings;
mod faults;
mod identity;
mod install_model;
mod issuers;
mod metering;
mod operation;
mod operation_connections;
mod operation_faults;
mod operation_overload;
mod operation_reload;
mod operation_slow;
mod operation_tls;
mod other_limits;
mod pass_through;
mod prices;
mod reconciliation;
mod reports;
mod routing;
mod sinks;
mod token_limits;
mod tokens;
mod upstream_credentials;

mod harness;
