//! Brings what waits in the outbox to its channels: at least once, in order for each.

use std::sync::{Arc, Weak};
use std::time::Duration;

use domain::Wall;
use domain::alert::backoff;
use store::alerts::{AlertsError, Due};
use tokio::task::JoinSet;

use super::channel::{Undelivered, send};
use super::counts::Ending;
use super::message::Message;
use crate::gateway::Gateway;

/// The outbox is looked at this often, whatever it said.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// A channel that turns a message itself away gets it so many times: it may have been in trouble.
const REFUSALS_MAX: u32 = 3;
/// While a channel is not configured, its messages wait: a reload may bring it back.
const UNKNOWN_PAUSE: Duration = Duration::from_secs(60);
/// What a database that failed is given to recover.
const FAULT_PAUSE: Duration = Duration::from_secs(5);

/// For as long as the gateway lives.
pub(super) async fn deliver(gateway: Weak<Gateway>) {
    loop {
        let Some(held) = gateway.upgrade() else {
            return;
        };
        let next = held.alerts.deliver_due(&held).await;
        let now = held.clock.now().wall;
        let pause = next.map_or(LOOK_INTERVAL, |next| next.since(now).min(LOOK_INTERVAL));
        let alerts = &held.alerts;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = alerts.wake.notified() => {}
        }
    }
}

/// The oldest message of every channel that is due, all at once.
pub(super) async fn pass(outbox: &Arc<store::Alerts>, gateway: &Gateway) -> Option<Wall> {
    match try_pass(outbox, gateway).await {
        Ok(next) => next,
        Err(error) => {
            tracing::error!(%error, "alerts cannot be delivered now");
            Some(gateway.clock.now().wall + FAULT_PAUSE)
        }
    }
}

async fn try_pass(
    outbox: &Arc<store::Alerts>,
    gateway: &Gateway,
) -> Result<Option<Wall>, AlertsError> {
    let (heads, waiting) =
        blocking(outbox, |outbox| Ok((outbox.heads()?, outbox.waiting()?))).await?;
    gateway.alerts.counts.set_waiting(&waiting);
    let now = gateway.clock.now().wall;
    let (due, later): (Vec<Due>, Vec<Due>) = heads.into_iter().partition(|due| due.next_at <= now);
    if due.is_empty() {
        return Ok(later.iter().map(|due| due.next_at).min());
    }
    let snapshot = gateway.snapshot.load_full();
    let mut sends = JoinSet::new();
    for due in due {
        let channel = snapshot.alerting.channels.get(&due.channel).cloned();
        let fetch = gateway.fetch.clone();
        sends.spawn(async move {
            let Some(channel) = channel else {
                return (due, None);
            };
            let sent = match serde_json::from_str::<Message>(&due.body) {
                Ok(message) => send(&channel, &message, &fetch, now).await,
                Err(error) => Err(Undelivered {
                    fault: format!("the outbox has no message that can be read: {error}"),
                    is_refusal: true,
                    retry_after: None,
                }),
            };
            (due, Some(sent))
        });
    }
    while let Some(ended) = sends.join_next().await {
        // A send that panicked stays in the outbox, and is tried again.
        let Ok((due, sent)) = ended else { continue };
        note(outbox, gateway, due, sent).await?;
    }
    // The next of each channel may be due at once.
    Ok(Some(gateway.clock.now().wall))
}

async fn note(
    outbox: &Arc<store::Alerts>,
    gateway: &Gateway,
    due: Due,
    sent: Option<Result<(), Undelivered>>,
) -> Result<(), AlertsError> {
    let now = gateway.clock.now().wall;
    let Some(sent) = sent else {
        let fault = "no channel of this name is configured";
        return blocking(outbox, move |outbox| {
            outbox.note_failed(&due, fault, now + UNKNOWN_PAUSE)
        })
        .await;
    };
    let counts = &gateway.alerts.counts;
    let channel = due.channel.clone();
    match sent {
        Ok(()) => {
            counts.ended(&channel, Ending::Delivered);
            tracing::info!(%channel, alert = due.id, attempts = due.attempts + 1, "alert delivered");
            blocking(outbox, move |outbox| outbox.note_delivered(&due, now)).await
        }
        Err(undelivered) if undelivered.is_refusal && due.attempts + 1 >= REFUSALS_MAX => {
            counts.ended(&channel, Ending::Refused);
            tracing::error!(%channel, alert = due.id, error = %undelivered, "alert given up: its channel does not take it");
            blocking(outbox, move |outbox| {
                outbox.note_refused(&due, &undelivered.fault, now)
            })
            .await
        }
        Err(undelivered) => {
            counts.ended(&channel, Ending::Failed);
            let failures = due.attempts + 1;
            let roll = gateway.chance.roll() as f64 / u64::MAX as f64;
            let pause = backoff::pause(failures, undelivered.retry_after, roll);
            tracing::warn!(%channel, alert = due.id, failures, retry_s = pause.as_secs_f64(), error = %undelivered, "alert not delivered");
            blocking(outbox, move |outbox| {
                outbox.note_failed(&due, &undelivered.fault, now + pause)
            })
            .await
        }
    }
}

async fn blocking<T: Send + 'static>(
    outbox: &Arc<store::Alerts>,
    work: impl FnOnce(&store::Alerts) -> Result<T, AlertsError> + Send + 'static,
) -> Result<T, AlertsError> {
    let outbox = outbox.clone();
    let done = tokio::task::spawn_blocking(move || work(&outbox)).await;
    done.unwrap_or_else(|_| Err(AlertsError::interrupted()))
}
