//! One connection to one broker: TCP or TLS, one request at a time.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::error::Error;
use crate::messages::{Api, Versions};
use crate::sasl::{self, Sasl};
use crate::wire::{Reader, Writer};

/// A longer answer is none: metadata of one topic with 10,000 partitions takes half a megabyte.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How brokers are reached.
#[derive(Clone)]
pub struct Way {
    pub client_id: String,
    pub tls: Option<Arc<ClientConfig>>,
    /// For connecting, logging in and each request.
    pub timeout: Duration,
}

pub struct Connection {
    stream: Box<dyn Stream>,
    /// `host:port`
    broker: String,
    client_id: String,
    timeout: Duration,
    versions: Versions,
    correlation: i32,
}

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.broker)
    }
}

impl Connection {
    pub async fn open(broker: &str, way: &Way, login: Option<&Sasl>) -> Result<Self, Error> {
        let opened = tokio::time::timeout(way.timeout, stream(broker, way.tls.as_ref()))
            .await
            .map_err(|_elapsed| timed_out(broker, way.timeout))?;
        let mut connection = Self {
            stream: opened?,
            broker: broker.to_owned(),
            client_id: way.client_id.clone(),
            timeout: way.timeout,
            versions: Versions::default(),
            correlation: 0,
        };
        let answer = connection.exchange(Api::Versions, 0, &[]).await?;
        connection.versions = Versions::read(&answer).map_err(Error::malformed(broker))?;
        if let Some(login) = login {
            sasl::log_in(&mut connection, login).await?;
        }
        Ok(connection)
    }

    pub fn broker(&self) -> &str {
        &self.broker
    }

    /// The version in which this broker is asked.
    pub fn version(&self, api: Api) -> Result<i16, Error> {
        self.versions.of(api).map_err(|version| Error::Version {
            broker: self.broker.clone(),
            api: api.name(),
            version,
        })
    }

    /// After an error, or when dropped half-way, the connection is of no more use.
    pub async fn call(&mut self, api: Api, body: &[u8]) -> Result<Vec<u8>, Error> {
        let version = self.version(api)?;
        self.exchange(api, version, body).await
    }

    async fn exchange(&mut self, api: Api, version: i16, body: &[u8]) -> Result<Vec<u8>, Error> {
        self.correlation = self.correlation.wrapping_add(1);
        let mut request = Writer::default();
        request.int16(api.key());
        request.int16(version);
        request.int32(self.correlation);
        request.string(&self.client_id);
        request.0.extend_from_slice(body);
        let mut framed = Writer::default();
        framed.bytes(&request.0);
        let answer = tokio::time::timeout(self.timeout, self.send(&framed.0))
            .await
            .map_err(|_elapsed| timed_out(&self.broker, self.timeout))?;
        answer.map_err(|fault| match fault {
            Fault::Broken(source) => Error::Broken {
                broker: self.broker.clone(),
                source,
            },
            Fault::Strange => Error::Malformed {
                broker: self.broker.clone(),
            },
        })
    }

    async fn send(&mut self, request: &[u8]) -> Result<Vec<u8>, Fault> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        let length = usize::try_from(self.stream.read_i32().await?).unwrap_or(usize::MAX);
        if !(4..=ANSWER_BYTES_MAX).contains(&length) {
            return Err(Fault::Strange);
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).await?;
        if Reader::new(&answer).int32() != Ok(self.correlation) {
            return Err(Fault::Strange);
        }
        answer.drain(..4);
        Ok(answer)
    }
}

enum Fault {
    Broken(io::Error),
    Strange,
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

async fn stream(broker: &str, tls: Option<&Arc<ClientConfig>>) -> Result<Box<dyn Stream>, Error> {
    let unreachable = |source| Error::Unreachable {
        broker: broker.to_owned(),
        source,
    };
    let tcp = TcpStream::connect(broker).await.map_err(unreachable)?;
    tcp.set_nodelay(true).map_err(unreachable)?;
    let Some(tls) = tls else {
        return Ok(Box::new(tcp));
    };
    let host = host_of(broker).and_then(|host| ServerName::try_from(host.to_owned()).ok());
    let Some(host) = host else {
        return Err(Error::Address {
            broker: broker.to_owned(),
        });
    };
    let connector = TlsConnector::from(tls.clone());
    let stream = connector.connect(host, tcp).await.map_err(unreachable)?;
    Ok(Box::new(stream))
}

/// Without the brackets of an IPv6 address.
fn host_of(broker: &str) -> Option<&str> {
    let (host, _port) = broker.rsplit_once(':')?;
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    Some(inner.unwrap_or(host))
}

fn timed_out(broker: &str, timeout: Duration) -> Error {
    Error::TimedOut {
        broker: broker.to_owned(),
        seconds: timeout.as_secs(),
    }
}
