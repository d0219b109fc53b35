//! A bounded number of threads that embed what others ask for: at once or not at all.
//!
//! The model is loaded by the first question, on these threads. Knows nothing of futures: an answer is a
//! call of a function, which may wake whatever waits.

mod queue;
mod worker;

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::model::{Embedding, Lane, Model, ModelError};

use queue::Queue;

/// A model that could not be loaded is tried again after this long, not by every question: the file may
/// have been put in place meanwhile.
pub const LOAD_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// What reads texts: the local model, or a stand-in for it.
pub trait Embed: Send + Sync + 'static {
    fn read(&self, texts: &[&str], lane: &Lane) -> Result<Vec<Embedding>, ModelError>;
}

impl Embed for Model {
    fn read(&self, texts: &[&str], lane: &Lane) -> Result<Vec<Embedding>, ModelError> {
        Self::read(self, texts, lane)
    }
}

/// How the model comes to be, when it is first needed.
pub type Load = Box<dyn Fn() -> Result<Arc<dyn Embed>, String> + Send + Sync>;

/// Time since any start, which never goes back.
pub type Time = Box<dyn Fn() -> Duration + Send + Sync>;

/// Told once what came of a question, on a thread of the pool: must not block it.
pub type Told = Box<dyn FnOnce(Result<Embedding, PoolError>) + Send>;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// As many texts wait as may.
    #[error("the local model is busy: its queue is full")]
    Busy,
    #[error("the local model cannot be used: {0}")]
    Unloaded(Arc<str>),
    #[error("{0}")]
    Failed(Arc<str>),
    /// The model would read only the start of it.
    #[error("the text is longer than the local model reads")]
    TooLong,
    /// The pool is gone.
    #[error("the local model was put away")]
    Closed,
}

pub struct Settings {
    pub threads: NonZero<usize>,
    /// Questions that may wait; one more is `Busy`.
    pub waiting_max: usize,
}

/// Dropping it ends its threads after the batch that each is at; whoever still waits is told `Closed`.
pub struct Pool {
    queue: Arc<Queue>,
}

/// Dropping it takes the question back: it is not embedded if that has not begun.
#[must_use = "a question whose ticket is dropped is not answered"]
#[derive(Debug)]
pub struct Ticket(Arc<AtomicBool>);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Pool {
    /// Starts the threads, which wait; loads nothing. Fails when the machine gives no thread.
    pub fn start(settings: &Settings, load: Load, time: Time) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::new(settings.waiting_max));
        // Made before the threads, so that those that did start end when a later one cannot.
        let pool = Self {
            queue: queue.clone(),
        };
        let model = Arc::new(worker::Lazy::new(load, time));
        for number in 0..settings.threads.get() {
            let (queue, model) = (queue.clone(), model.clone());
            thread::Builder::new()
                .name(format!("embed-{number}"))
                .spawn(move || worker::run(&queue, &model))?;
        }
        Ok(pool)
    }

    /// Has `text` embedded and what came of it told to `told`, or says at once that there is no room.
    pub fn ask(&self, text: Arc<str>, told: Told) -> Result<Ticket, PoolError> {
        let taken_back = Arc::new(AtomicBool::new(false));
        self.queue.push(queue::Question {
            text,
            told,
            taken_back: taken_back.clone(),
        })?;
        Ok(Ticket(taken_back))
    }

    /// Questions that wait now.
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for question in self.queue.close() {
            (question.told)(Err(PoolError::Closed));
        }
    }
}

#[cfg(test)]
mod tests;
