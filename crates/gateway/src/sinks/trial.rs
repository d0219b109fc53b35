//! One marked event to a sink, for `tollgate sinks test`. Moves no cursor.

use config::snapshot::{Sink, Telemetry};

use super::batch::{Batch, Failure};
use super::destination::Destination;
use super::event::Event;
use crate::credentials::Credentials;

/// What went wrong, in the words of the log.
pub async fn try_out(
    sink: &Sink,
    telemetry: &Telemetry,
    credentials: &Credentials,
) -> Result<(), String> {
    let now = credentials.clock.now().wall;
    let id = credentials.chance.call_id(now);
    let mut batch = Batch::new(vec![Event::of_test(id, now, sink.envelope)]);
    let mut destination = Destination::new(sink, telemetry, credentials);
    let delivered = destination.deliver(&mut batch, now).await;
    delivered.map_err(|Failure { text, .. }| text)?;
    match batch.refusals.pop() {
        None => Ok(()),
        Some(refusal) => Err(refusal.reason),
    }
}
