//! Behaviour through the crate's public surface, in one binary.

#[cfg(test)]
mod identity;
#[cfg(test)]
mod sinks;
#[cfg(test)]
mod telemetry;

// The data path against backends that fail as they are told.
#[cfg(test)]
mod scripted;
#[cfg(test)]
mod stage;

#[cfg(test)]
mod alerts;
#[cfg(test)]
mod alerts_of_budgets;
#[cfg(test)]
mod audit;

mod breakers;
#[cfg(test)]
mod budget;
#[cfg(test)]
mod budgets;
#[cfg(test)]
mod cache;
#[cfg(test)]
mod costs;
#[cfg(test)]
mod fault_matrix;
#[cfg(test)]
mod guards;
#[cfg(test)]
mod large;
#[cfg(test)]
mod mixture;
#[cfg(test)]
mod operation_clock;
#[cfg(test)]
mod private_tls;
#[cfg(test)]
mod retries;
#[cfg(test)]
mod semantic;
mod settle;
#[cfg(test)]
mod sockets;
#[cfg(test)]
mod streams;
