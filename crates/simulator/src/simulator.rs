//! Starts and stops a listener.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::behaviour::Behaviour;
use crate::ledger::{Call, Counts};
use crate::service::Region;
use crate::wire::Wire;

/// A fake provider. One listener is one region.
pub struct Simulator;

/// A listener that runs until it is stopped or dropped.
pub struct Running {
    address: SocketAddr,
    region: Arc<Region>,
    tasks: Tasks,
}

impl Simulator {
    /// Port 0 takes any free one. The same seed gives the same answers, call by call.
    pub async fn start(listen: SocketAddr, behaviour: Behaviour, seed: u64) -> io::Result<Running> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let region = Arc::new(Region::new(behaviour, seed));
        let tasks = Tasks::default();
        tasks.accept(listener, {
            let region = region.clone();
            move |stream| serve(region.clone(), stream)
        });
        Ok(Running {
            address,
            region,
            tasks,
        })
    }
}

impl Running {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From the next call on. Quotas are full again.
    pub fn set(&self, behaviour: Behaviour) {
        self.region.set(behaviour);
    }

    pub fn counts(&self) -> Counts {
        self.region.ledger.counts()
    }

    /// The latest calls that ended, oldest first; at most `ledger::CALLS_MAX`.
    pub fn calls(&self) -> Vec<Call> {
        self.region.ledger.calls()
    }

    /// Closes the port and every connection, and waits for them.
    pub async fn stop(self) {
        self.tasks.stop().await;
    }
}

async fn serve(region: Arc<Region>, stream: TcpStream) {
    let slot = region.ledger.connect();
    let wire = Wire::new(stream, slot.clone());
    let service = service_fn(|request| {
        let (region, slot) = (region.clone(), slot.clone());
        async move { region.serve(&slot, request).await }
    });
    if let Err(error) = http1::Builder::new()
        .serve_connection(TokioIo::new(wire), service)
        .await
    {
        tracing::debug!(%error, "connection ended early");
    }
}

/// The tasks of one listener.
#[derive(Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stopping: CancellationToken,
}

impl Tasks {
    /// Runs `serve` on every connection. Connections are bounded by the process's open files; past
    /// them, accepting pauses and then goes on.
    pub fn accept<S, F>(&self, listener: TcpListener, serve: S)
    where
        S: Fn(TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (tracker, stopping) = (self.tracker.clone(), self.stopping.clone());
        self.tracker.spawn(async move {
            while let Some(accepted) = stopping.run_until_cancelled(listener.accept()).await {
                match accepted {
                    Ok((stream, _)) => {
                        let _ = stream.set_nodelay(true);
                        let (serving, stopping) = (serve(stream), stopping.clone());
                        tracker.spawn(async move {
                            let _ = stopping.run_until_cancelled(serving).await;
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    }
                }
            }
        });
        self.tracker.close();
    }

    pub async fn stop(&self) {
        self.stopping.cancel();
        self.tracker.wait().await;
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}
