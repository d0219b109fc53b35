//! Listens, speaks TLS, HTTP/1.1 and HTTP/2, and drains.

mod connection;
mod patience;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::connection::Connection;
use crate::gateway::Gateway;

/// Pause after an accept that failed for want of file handles, so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Which requests a listener answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// Applications: `/v1`, `/openai` and the probes.
    Public,
    /// Operators: `/metrics` and the probes.
    Admin,
}

/// Accepts until `shutdown`, then lets open calls finish for as long as the configuration says.
/// What is cut off after that settles all the same, as hung up.
pub async fn serve(
    gateway: Arc<Gateway>,
    listener: TcpListener,
    face: Face,
    shutdown: CancellationToken,
) {
    let connections_max = gateway.snapshot.load().settings.connections_max;
    // The next ones wait in the system's accept queue.
    let places = Arc::new(Semaphore::new(
        usize::try_from(connections_max)
            .unwrap_or(usize::MAX)
            .min(Semaphore::MAX_PERMITS),
    ));
    let open = TaskTracker::new();
    let cut = CancellationToken::new();
    while let Some((place, stream, peer)) = next(&listener, &places, &shutdown).await {
        let connection = Connection {
            gateway: gateway.clone(),
            face,
            stream,
            peer,
            draining: shutdown.child_token(),
            cut: cut.clone(),
        };
        // The handshake too is the connection's own business: it keeps nobody else waiting.
        gateway.tasks.spawn(open.track_future(async move {
            connection.serve().await;
            drop(place);
        }));
    }
    drop(listener);
    open.close();
    let drain = gateway.snapshot.load().settings.drain;
    if tokio::time::timeout(drain, open.wait()).await.is_err() {
        tracing::warn!(
            drain_s = drain.as_secs(),
            connections = open.len(),
            "calls still open after the drain time were cut off"
        );
    }
    cut.cancel();
}

type Accepted = (
    tokio::sync::OwnedSemaphorePermit,
    tokio::net::TcpStream,
    std::net::SocketAddr,
);

/// The next connection that there is a place for; `None` once told to stop.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<Accepted> {
    let accepted = async {
        let place = places.clone().acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => return Some((place, stream, peer)),
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        accepted = accepted => accepted,
        () = shutdown.cancelled() => None,
    }
}
