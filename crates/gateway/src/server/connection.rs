//! One connection, from its handshake to its end.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use config::snapshot::Settings;
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Face;
use super::patience::{Patience, Signs, Verdict};
use super::watched::{WatchedBody, WatchedRequest, WatchedStream};
use crate::admin;
use crate::gateway::Gateway;

/// hyper refuses less.
const HEADER_BYTES_MIN: usize = 8 * 1024;
/// Calls at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 250;
/// What a client may send of one body, and of all bodies of a connection, before they are read.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// A client that went without a word is noticed by its silence to these.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// A client that seems to want nothing is looked at once more before its connection is closed: what
/// it sent while this task waited for its turn is then read. Long enough for the runtime to have
/// asked the system what came.
const SECOND_LOOK: Duration = Duration::from_millis(2);

/// A socket that was accepted, and what ends it.
pub struct Connection {
    pub gateway: Arc<Gateway>,
    pub face: Face,
    pub stream: TcpStream,
    pub peer: SocketAddr,
    /// No new calls; what is open may end. A child of the listener's, so that looking at it takes no
    /// lock that connections share.
    pub draining: CancellationToken,
    /// What is still open ends now.
    pub cut: CancellationToken,
}

impl Connection {
    /// A client that breaks off is no news: its call settles by itself.
    pub async fn serve(self) {
        // Small writes leave at once: a stream's events must not wait for an acknowledgement.
        if let Err(error) = self.stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY not set");
        }
        let Self {
            gateway,
            face,
            stream,
            peer,
            draining,
            cut,
        } = self;
        let settings = gateway.snapshot.load().settings.clone();
        let signs = Arc::new(Signs::default());
        let stream = WatchedStream::new(stream, signs.clone());
        let acceptor = gateway.certificates.acceptor(face);
        let asked = Asked {
            gateway,
            face,
            peer: canonical(peer.ip()),
            signs,
            draining,
        };
        let Some(acceptor) = acceptor else {
            return asked.serve_on(stream, &settings, &cut).await;
        };
        let handshake = tokio::time::timeout(settings.header_timeout, acceptor.accept(stream));
        let shaken = tokio::select! {
            shaken = handshake => shaken,
            // Nothing was asked yet.
            () = asked.draining.cancelled() => return,
        };
        match shaken {
            Ok(Ok(stream)) => {
                asked.signs.shaken();
                if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                    asked.signs.has_frames();
                }
                Box::pin(asked.serve_on(stream, &settings, &cut)).await;
            }
            Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(%peer, "TLS handshake not finished in time"),
        }
    }
}

/// What answers a connection's requests.
struct Asked {
    gateway: Arc<Gateway>,
    face: Face,
    peer: IpAddr,
    signs: Arc<Signs>,
    draining: CancellationToken,
}

impl Asked {
    async fn serve_on<S>(self, stream: S, settings: &Settings, cut: &CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (signs, draining, peer) = (self.signs.clone(), self.draining.clone(), self.peer);
        let builder = builder(settings, Tracked(self.gateway.tasks.clone()));
        let asked = Arc::new(self);
        let service = service_fn(move |request| asked.clone().answer(request));
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut patience = Patience::of(settings);
        let mut looks = tokio::time::interval(patience.look_every);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        looks.tick().await; // The first one comes at once.
        let (mut may_ask, mut seems_over) = (true, false);
        loop {
            tokio::select! {
                // What a client sent counts before it is judged for its silence: a call that comes
                // on a connection as it is closed is lost to a client that may not send it twice.
                biased;
                _ = connection.as_mut() => return,
                () = draining.cancelled(), if may_ask => {
                    connection.as_mut().graceful_shutdown();
                    may_ask = false;
                }
                () = cut.cancelled(), if !may_ask => return,
                _ = looks.tick() => match patience.look(&signs) {
                    Verdict::Stay => seems_over = false,
                    Verdict::Idle | Verdict::Cut(_) if !seems_over => {
                        seems_over = true;
                        looks.reset_after(SECOND_LOOK);
                    }
                    Verdict::Idle if may_ask => {
                        connection.as_mut().graceful_shutdown();
                        may_ask = false;
                    }
                    Verdict::Idle => {}
                    Verdict::Cut(slow) => {
                        tracing::debug!(%peer, reason = slow.as_str(), "connection closed");
                        return;
                    }
                },
            }
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<WatchedBody>, Infallible> {
        let is_http2 = request.version() == Version::HTTP_2;
        if is_http2 {
            self.signs.has_frames();
        }
        let call = OpenCall::begin(self.signs.clone(), is_http2);
        let probe = admin::probe(&request, &self.gateway, || self.draining.is_cancelled());
        let response = match (probe, self.face) {
            (Some(probe), _) => probe,
            (None, Face::Public) => {
                let request = request.map(|body| WatchedRequest::new(body, &self.signs));
                self.gateway.handle(request, self.peer).await
            }
            (None, Face::Admin) => admin::answer(&self.gateway, &request).await,
        };
        Ok(response.map(|body| call.answered(body)))
    }
}

/// Ends with its answer's body, or before it when the client leaves.
struct OpenCall {
    /// Taken by the body.
    signs: Option<Arc<Signs>>,
    number: u32,
    shares_connection: bool,
}

impl OpenCall {
    fn begin(signs: Arc<Signs>, shares_connection: bool) -> Self {
        Self {
            number: signs.begin(),
            signs: Some(signs),
            shares_connection,
        }
    }

    fn answered(mut self, body: crate::body::Body) -> WatchedBody {
        let signs = self.signs.take().unwrap_or_default();
        WatchedBody::new(body, signs, self.number, self.shares_connection)
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if let Some(signs) = &self.signs {
            signs.end();
        }
    }
}

fn builder(settings: &Settings, tracked: Tracked) -> Builder<Tracked> {
    let header_bytes_max = usize::try_from(settings.headers_bytes_max)
        .unwrap_or(usize::MAX)
        .max(HEADER_BYTES_MIN);
    let mut builder = Builder::new(tracked);
    // No timers of hyper's for HTTP/1: `Patience` has one for all that a client may be late with.
    builder
        .http1()
        .header_read_timeout(None)
        .max_buf_size(header_bytes_max);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(u32::try_from(header_bytes_max).unwrap_or(u32::MAX))
        .max_concurrent_streams(STREAMS_MAX);
    builder
}

/// HTTP/2 answers each stream in a task: shutdown waits for those too.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F> Executor<F> for Tracked
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

/// `::ffff:10.0.0.1` is `10.0.0.1`, so that one client has one address.
fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}
