//! Listens, speaks HTTP/1.1 and HTTP/2, and drains.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::admin;
use crate::body::Body;
use crate::gateway::Gateway;

/// Connections open at once on one listener; the next ones wait in the system's accept queue.
const CONNECTIONS_MAX: usize = 16 * 1024;
/// Pause after an accept that failed for want of file handles, so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// hyper refuses less.
const HEADER_BYTES_MIN: usize = 8 * 1024;

/// Which requests a listener answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// Applications: `/v1`, `/openai` and the probes.
    Public,
    /// Operators: `/metrics` and the probes.
    Admin,
}

/// Accepts until `shutdown`, then lets open calls finish for as long as the configuration says.
/// What is cut off after that settles all the same.
pub async fn serve(
    gateway: Arc<Gateway>,
    listener: TcpListener,
    face: Face,
    shutdown: CancellationToken,
) {
    let settings = gateway.snapshot.load().settings.clone();
    let mut builder = Builder::new(TokioExecutor::new());
    let header_bytes_max = usize::try_from(settings.headers_bytes_max)
        .unwrap_or(usize::MAX)
        .max(HEADER_BYTES_MIN);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .max_buf_size(header_bytes_max);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(header_bytes_max).unwrap_or(u32::MAX))
        .max_concurrent_streams(250);
    let builder = Arc::new(builder);
    let open = GracefulShutdown::new();
    let cut = CancellationToken::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            break;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let watcher = open.watcher();
        let (gateway, builder, cut, shutdown) = (
            gateway.clone(),
            builder.clone(),
            cut.clone(),
            shutdown.clone(),
        );
        gateway.tasks.clone().spawn(async move {
            let service = service_fn(move |request| {
                answer(gateway.clone(), request, face, peer, shutdown.clone())
            });
            let connection = builder
                .serve_connection(without_delay(stream), service)
                .into_owned();
            tokio::select! {
                // A client that breaks off is no news: its call settled by itself.
                _ = watcher.watch(connection) => {}
                () = cut.cancelled() => {}
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(settings.drain, open.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(
            drain_s = settings.drain.as_secs(),
            "calls still open after the drain time were cut off"
        );
    }
    cut.cancel();
}

/// Small writes leave at once: a stream's events must not wait for an acknowledgement.
fn without_delay(stream: TcpStream) -> TokioIo<TcpStream> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY not set");
    }
    TokioIo::new(stream)
}

async fn answer(
    gateway: Arc<Gateway>,
    request: Request<Incoming>,
    face: Face,
    peer: SocketAddr,
    shutdown: CancellationToken,
) -> Result<Response<Body>, Infallible> {
    if let Some(probe) = admin::probe(&request, &gateway, shutdown.is_cancelled()) {
        return Ok(probe);
    }
    Ok(match face {
        Face::Public => gateway.handle(request, canonical(peer.ip())).await,
        Face::Admin => admin::answer(&gateway, &request),
    })
}

/// `::ffff:10.0.0.1` is `10.0.0.1`, so that one client has one address.
fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}
