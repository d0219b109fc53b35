//! One marked event to a sink, for `tollgate sinks test`. Moves no cursor.

use config::snapshot::{Sink, SinkKind, Telemetry};

use super::batch::{Batch, Failure};
use super::destination::Destination;
use super::event::Event;
use super::file;
use crate::credentials::Credentials;

/// What went wrong, in the words of the log.
pub async fn try_out(
    sink: &Sink,
    telemetry: &Telemetry,
    credentials: &Credentials,
) -> Result<(), String> {
    let now = credentials.clock.now().wall;
    let id = credentials.chance.call_id(now);
    let event = Event::of_test(id, now, sink.envelope);
    if let SinkKind::File(file) = &sink.kind {
        // Beside a gateway that writes to it: nothing is rotated or cut.
        let (path, line) = (file.path.clone(), [&*event.json, b"\n"].concat());
        let added = tokio::task::spawn_blocking(move || file::append(&path, &line)).await;
        return match added {
            Ok(added) => {
                added.map_err(|error| format!("cannot write to `{}`: {error}", file.path.display()))
            }
            Err(_) => Err("writing broke off".to_owned()),
        };
    }
    let mut batch = Batch::new(vec![event]);
    let mut destination = Destination::new(sink, telemetry, credentials);
    let delivered = destination.deliver(&mut batch, now).await;
    delivered.map_err(|Failure { text, .. }| text)?;
    match batch.refusals.pop() {
        None => Ok(()),
        Some(refusal) => Err(refusal.reason),
    }
}
