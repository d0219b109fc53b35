//! One sink at work: read, deliver, pass; and wait where there is nothing to do or nothing works.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use config::snapshot::Sink;
use domain::Wall;
use store::ledger::LedgerError;
use tokio_util::sync::CancellationToken;

use super::backoff;
use super::batch::{Batch, Failure, Refusal};
use super::destination::Destination;
use super::event::Event;
use super::failing;
use super::health::{Health, News};
use super::refused::{self, Trust};
use super::source::{Mark, Origin, Source};
use crate::clock::{Chance, Clock};
use crate::credentials::Credentials;

/// How soon a new call is noticed. A look costs two lookups in an index.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// While a sink fails, how often it is looked how far it lags.
const LAG_INTERVAL: Duration = Duration::from_secs(5);
/// What a delivery under way gets when the gateway stops.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

pub struct Work {
    sink: Arc<Sink>,
    destination: Destination,
    data_dir: PathBuf,
    origin: Origin,
    health: Arc<Health>,
    clock: Clock,
    chance: Arc<Chance>,
    /// `None` until it could be opened, and while it is read.
    source: Option<Source>,
    /// In a row.
    failures: u32,
    trust: Trust,
    /// So that a cursor that cannot be saved is one line in the log.
    cursor_is_stuck: bool,
}

/// What was read, in the form in which it is sent.
struct Reading {
    events: Vec<Event>,
    /// The place of the last of them.
    last: Option<Mark>,
    /// There is more than one batch of them.
    is_full: bool,
}

enum Step {
    Delivered,
    NothingToDo,
}

impl Work {
    pub fn new(
        sink: Arc<Sink>,
        destination: Destination,
        (data_dir, origin): (PathBuf, Origin),
        health: Arc<Health>,
        credentials: &Credentials,
    ) -> Self {
        Self {
            sink,
            destination,
            data_dir,
            origin,
            health,
            clock: credentials.clock.clone(),
            chance: credentials.chance.clone(),
            source: None,
            failures: 0,
            trust: Trust::default(),
            cursor_is_stuck: false,
        }
    }

    /// Opens the ledger at this sink's place, which is made if there is none. Blocks. Where that fails,
    /// it is tried again with each look.
    pub fn find_place(&mut self) {
        let now = self.clock.now().wall;
        match Source::open(&self.origin, &self.sink, now) {
            Ok(source) => self.source = Some(source),
            Err(error) => {
                let sink = &self.sink.id;
                tracing::warn!(%sink, %error, "a sink's place cannot be read yet");
            }
        }
    }

    /// Until told to stop. What it was about to deliver then is delivered again later.
    pub async fn run(mut self, stop: CancellationToken) -> Self {
        // What an earlier run failed with says nothing of this one.
        self.keep_news(News::WorksAgain).await;
        while !stop.is_cancelled() {
            let pause = match self.step(&stop).await {
                Ok(Step::Delivered) => continue,
                Ok(Step::NothingToDo) => {
                    self.note_works().await;
                    LOOK_INTERVAL
                }
                Err(failure) => self.note_failure(&failure).await,
            };
            stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
        self
    }

    /// Once more, when the ledger is complete and the gateway is about to end: without patience.
    pub async fn deliver_the_rest(mut self) {
        loop {
            let reading = match self.read().await {
                Ok(reading) => reading,
                Err(error) => {
                    let sink = &self.sink.id;
                    tracing::warn!(%sink, %error, "a sink's last calls wait for the next start");
                    return;
                }
            };
            let Some(last) = reading.last else { return };
            let mut batch = Batch::new(reading.events);
            while !batch.is_taken() {
                if let Err(failure) = self.deliver_once(&mut batch).await {
                    let (sink, error) = (&self.sink.id, failure.text);
                    tracing::warn!(%sink, error, "a sink's last calls wait for the next start");
                    return;
                }
            }
            self.pass(last).await;
        }
    }

    async fn step(&mut self, stop: &CancellationToken) -> Result<Step, Failure> {
        let mut reading = self.read().await.map_err(|error| Failure::new(&error))?;
        if reading.last.is_none() {
            self.destination.rest(self.clock.now().wall).await?;
            return Ok(Step::NothingToDo);
        }
        let linger = self.sink.batch.linger;
        if !reading.is_full && !linger.is_zero() {
            let waited = stop.run_until_cancelled(tokio::time::sleep(linger)).await;
            if waited.is_none() {
                return Ok(Step::NothingToDo);
            }
            reading = self.read().await.map_err(|error| Failure::new(&error))?;
        }
        let Some(last) = reading.last else {
            return Ok(Step::NothingToDo);
        };
        if self.deliver(Batch::new(reading.events), stop).await {
            self.pass(last).await;
        }
        Ok(Step::Delivered)
    }

    /// Until all of it is taken. False if told to stop before.
    async fn deliver(&mut self, mut batch: Batch, stop: &CancellationToken) -> bool {
        while !batch.is_taken() {
            let delivery = self.deliver_once(&mut batch);
            let patience = async {
                stop.cancelled().await;
                tokio::time::sleep(STOP_PATIENCE).await;
            };
            let delivered = tokio::select! {
                delivered = delivery => delivered,
                () = patience => return false,
            };
            let Err(failure) = delivered else { continue };
            let pause = self.note_failure(&failure).await;
            let paused = self.wait(pause);
            if stop.run_until_cancelled(paused).await.is_none() {
                return false;
            }
        }
        true
    }

    /// One try. A refusal of several events at once is no failure yet: the next try has fewer.
    async fn deliver_once(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        let before = batch.waiting();
        let now = self.clock.now().wall;
        let delivered = self.destination.deliver(batch, now).await;
        let refusals = std::mem::take(&mut batch.refusals);
        let taken = before - batch.waiting() - refusals.len();
        self.note_taken(taken).await;
        if !self.trust.believes(taken, refusals.len()) {
            for Refusal { index, .. } in &refusals {
                batch.taken[*index] = false;
            }
            let reason = refusals.first().map_or("", |refusal| &refusal.reason);
            return Err(Failure::because(format!(
                "the receiver refuses everything: {reason}"
            )));
        }
        for Refusal { index, reason } in refusals {
            self.set_aside(&batch.events[index], reason).await;
        }
        match delivered {
            Err(failure) if failure.is_about_content && batch.halve() => Ok(()),
            delivered => delivered,
        }
    }

    async fn note_taken(&mut self, taken: usize) {
        if taken > 0 {
            self.failures = 0;
            let now = self.clock.now().wall;
            if let Some(news) = self.health.note_delivered(taken as u64, now) {
                self.keep_news(news).await;
            }
        }
    }

    async fn note_works(&mut self) {
        self.failures = 0;
        if let Some(news) = self.health.note_works(self.clock.now().wall) {
            self.keep_news(news).await;
        }
    }

    /// Says how long to wait.
    async fn note_failure(&mut self, failure: &Failure) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let now = self.clock.now().wall;
        if let Some(news) = self.health.note_failure(&failure.text, now) {
            self.keep_news(news).await;
        }
        let roll = self.chance.roll() as f64 / u64::MAX as f64;
        backoff::pause(self.failures, roll, failure.retry_after)
    }

    /// For `tollgate sinks list`. Where it cannot be kept, the log and the metrics have it.
    async fn keep_news(&mut self, news: News) {
        let (data_dir, sink) = (self.data_dir.clone(), self.sink.id.clone());
        let kept = tokio::task::spawn_blocking(move || match news {
            News::Fails(failing) => failing::write(&data_dir, sink.as_str(), &failing),
            News::WorksAgain => failing::remove(&data_dir, sink.as_str()),
        });
        if let Ok(Err(error)) = kept.await {
            let sink = &self.sink.id;
            tracing::debug!(%sink, %error, "`sinks list` does not show how this sink is");
        }
    }

    /// In parts, so that what waits meanwhile is seen.
    async fn wait(&mut self, pause: Duration) {
        let mut left = pause;
        while !left.is_zero() {
            let part = left.min(LAG_INTERVAL);
            tokio::time::sleep(part).await;
            left -= part;
            self.with_source(|source, _| source.behind().map(drop))
                .await
                .ok();
        }
    }

    async fn set_aside(&mut self, event: &Event, reason: String) {
        let (path, id) = (refused::path(&self.data_dir, &self.sink.id), event.id);
        let sink = &self.sink.id;
        tracing::error!(%sink, call = %id, reason, path = %path.display(), "the receiver will never take this event: it is set aside");
        self.health.note_refused();
        let event = event.clone();
        let kept = tokio::task::spawn_blocking(move || refused::set_aside(&path, &event, &reason));
        if let Ok(Err(error)) = kept.await {
            tracing::error!(%sink, call = %id, %error, "a refused event is on the ledger alone");
        }
    }

    async fn read(&mut self) -> Result<Reading, LedgerError> {
        let sink = self.sink.clone();
        self.with_source(move |source, now| {
            let read = source.next(sink.batch.records_max, &sink, now)?;
            let mut is_full = read.len() == sink.batch.records_max;
            let (mut events, mut bytes, mut last) = (Vec::new(), 0, None);
            for (event, mark) in read {
                bytes += event.json.len();
                if bytes > sink.batch.bytes_max && !events.is_empty() {
                    is_full = true;
                    break;
                }
                events.push(event);
                last = Some(mark);
            }
            Ok(Reading {
                events,
                last,
                is_full,
            })
        })
        .await
    }

    async fn pass(&mut self, last: Mark) {
        let passed = self
            .with_source(move |source, now| source.pass(&last, now))
            .await;
        match (passed, self.cursor_is_stuck) {
            (Err(error), false) => {
                let sink = &self.sink.id;
                tracing::warn!(%sink, %error, "a sink's place cannot be saved: a restart would send its last events again");
                self.cursor_is_stuck = true;
            }
            (Ok(()), true) => self.cursor_is_stuck = false,
            _ => {}
        }
    }

    /// The ledger blocks, so it is read on a thread that may; each time, how far the sink lags is
    /// noted too.
    async fn with_source<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Source, Wall) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (origin, sink) = (self.origin.clone(), self.sink.clone());
        let (health, now) = (self.health.clone(), self.clock.now().wall);
        let source = self.source.take();
        let worked = tokio::task::spawn_blocking(move || {
            let opened = source.map_or_else(|| Source::open(&origin, &sink, now), Ok);
            let mut source = match opened {
                Ok(source) => source,
                Err(error) => return (None, Err(error)),
            };
            let worked = work(&mut source, now);
            if let Ok(behind) = source.behind() {
                health.note_behind(behind);
            }
            // Opened anew after a fault: the file itself may have been repaired.
            (worked.is_ok().then_some(source), worked)
        });
        match worked.await {
            Ok((source, worked)) => {
                self.source = source;
                worked
            }
            Err(_) => Err(LedgerError("reading the ledger broke off".to_owned())),
        }
    }
}
