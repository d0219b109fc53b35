//! Connections to one backend, driven by the calls that use them.
//!
//! No task of its own for a connection: a call polls its connection and its answer together, so
//! what one read brought is handed on without a wake-up between two tasks, and dropping the call
//! closes the connection, which cancels it at the backend. HTTP/1.1 only.

use std::collections::VecDeque;
use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use config::snapshot::ClientTls;
use domain::Mono;
use domain::record::AttemptFailure;
use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service as _;

use crate::clock::Clock;
use crate::fetch::Trust;
use crate::tls::{self, ClientTlsError};

/// Idle connections kept; one that comes back to a full pool is closed.
const IDLE_MAX: usize = 512;
/// Providers close idle connections after a minute or more; ours go first, so that a call seldom
/// meets one that is just being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Cheap to clone: the pool is shared.
#[derive(Clone)]
pub struct Connections {
    pool: Arc<Pool>,
}

struct Pool {
    connector: HttpsConnector<HttpConnector>,
    /// Scheme, host and port; the path is each request's own.
    origin: Uri,
    host: HeaderValue,
    connect_timeout: Duration,
    clock: Clock,
    idle: Mutex<VecDeque<Idle>>,
}

struct Idle {
    connection: Box<Connection>,
    since: Mono,
}

impl Connections {
    pub fn new(
        origin: Uri,
        connect_timeout: Duration,
        tls: &ClientTls,
        clock: Clock,
    ) -> Result<Self, ClientTlsError> {
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.enforce_http(false);
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls::client_config(tls, Trust::Public)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let host = origin
            .authority()
            .and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
        let host = host.unwrap_or(HeaderValue::from_static(""));
        let pool = Pool {
            connector,
            origin,
            host,
            connect_timeout,
            clock,
            idle: Mutex::default(),
        };
        Ok(Self {
            pool: Arc::new(pool),
        })
    }

    /// Sends a request for a path on an idle connection or a new one, and waits for the answer's head.
    pub async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Lease), AttemptFailure> {
        request.headers_mut().insert(HOST, self.pool.host.clone());
        while let Some(mut connection) = self.pool.take() {
            match connection.send(request).await {
                Ok(response) => return Ok((response, self.lease(connection))),
                // Closed under our hands before it took the request: the next one may be better.
                Err(Unsent {
                    request: Some(unsent),
                }) => request = *unsent,
                Err(Unsent { request: None }) => return Err(AttemptFailure::Cut),
            }
        }
        // Seldom, and large: on the heap, so that every other call's future is small.
        let mut connection = Box::pin(self.connect()).await?;
        match connection.send(request).await {
            Ok(response) => Ok((response, self.lease(connection))),
            Err(_) => Err(AttemptFailure::Cut),
        }
    }

    async fn connect(&self) -> Result<Box<Connection>, AttemptFailure> {
        let mut connector = self.pool.connector.clone();
        let connecting = async {
            std::future::poll_fn(|cx| connector.poll_ready(cx)).await?;
            connector.call(self.pool.origin.clone()).await
        };
        let stream = match tokio::time::timeout(self.pool.connect_timeout, connecting).await {
            Ok(connected) => connected.map_err(|error| failure_of(&*error))?,
            Err(_) => return Err(AttemptFailure::Connect),
        };
        let (sender, driver) = http1::handshake(stream)
            .await
            .map_err(|_| AttemptFailure::Cut)?;
        Ok(Box::new(Connection {
            sender,
            driver: Some(driver),
        }))
    }

    fn lease(&self, connection: Box<Connection>) -> Lease {
        Lease {
            connection: Some(connection),
            pool: self.pool.clone(),
        }
    }

    /// Closes what has been idle for too long.
    pub fn sweep(&self) {
        let now = self.pool.clock.mono();
        self.pool
            .idle()
            .retain(|idle| now.since(idle.since) < IDLE_TIMEOUT);
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections")
            .field("idle", &self.pool.idle().len())
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// The connection used last, so that the others can grow old and go.
    fn take(&self) -> Option<Box<Connection>> {
        let now = self.clock.mono();
        loop {
            let Idle {
                mut connection,
                since,
            } = self.idle().pop_back()?;
            if now.since(since) < IDLE_TIMEOUT && connection.is_open() {
                return Some(connection);
            }
        }
    }

    fn give_back(&self, connection: Box<Connection>) {
        let since = self.clock.mono();
        let mut idle = self.idle();
        if idle.len() < IDLE_MAX {
            idle.push_back(Idle { connection, since });
        }
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    /// `None` once the connection is closed.
    driver: Option<http1::Connection<Stream, Full<Bytes>>>,
}

/// A request that got no answer; `request` is there if the backend saw nothing of it.
struct Unsent {
    request: Option<Box<Request<Full<Bytes>>>>,
}

impl Connection {
    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Unsent> {
        let mut answer = std::pin::pin!(self.sender.try_send_request(request));
        let driver = &mut self.driver;
        let answered = std::future::poll_fn(|cx| {
            drive(driver, cx);
            answer.as_mut().poll(cx)
        });
        answered.await.map_err(|mut error| Unsent {
            request: error.take_message().map(Box::new),
        })
    }

    /// Whether a backend that closed it meanwhile would have been noticed.
    fn is_open(&mut self) -> bool {
        drive(&mut self.driver, &mut Context::from_waker(Waker::noop()));
        self.driver.is_some() && self.sender.is_ready()
    }
}

/// Reads and writes what can be now. Errors reach whoever waits for the answer or its body.
fn drive(driver: &mut Option<http1::Connection<Stream, Full<Bytes>>>, cx: &mut Context<'_>) {
    if let Some(connection) = driver
        && Pin::new(connection).poll(cx).is_ready()
    {
        *driver = None;
    }
}

/// A connection that an answer is read from. Goes back to its pool once the answer was read to its
/// end; dropped before that, it is closed.
pub struct Lease {
    connection: Option<Box<Connection>>,
    pool: Arc<Pool>,
}

impl Lease {
    /// Moves the answer on. Call it when the answer's body has nothing to give.
    pub fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection {
            drive(&mut connection.driver, cx);
        }
    }

    /// The answer was read to its end.
    pub fn release(&mut self) {
        if let Some(mut connection) = self.connection.take()
            && connection.is_open()
        {
            self.pool.give_back(connection);
        }
    }
}

fn failure_of(error: &(dyn Error + 'static)) -> AttemptFailure {
    if is_of_tls(error) {
        AttemptFailure::Tls
    } else {
        AttemptFailure::Connect
    }
}

/// rustls reports through an `io::Error`, the connector through another one around it, and the
/// `source` of either skips the error that it wraps.
fn is_of_tls(error: &(dyn Error + 'static)) -> bool {
    if error.is::<rustls::Error>() {
        return true;
    }
    let wrapped = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref);
    wrapped.is_some_and(|wrapped| is_of_tls(wrapped)) || error.source().is_some_and(is_of_tls)
}
