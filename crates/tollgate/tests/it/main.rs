//! The product from outside: the built binary, over HTTP, against fake providers.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]
#![expect(clippy::print_stderr, reason = "a failed test shows the gateway's log")]

mod calls;
mod pass_through;
mod credentials;
mod encodings;
mod bad_input;
mod bad_transport;
mod identity;
mod token_limits;
mod other_limits;
mod metering;
mod crash;
mod routing;
mod faults;
mod operation;

mod harness;
