//! What a thread of the pool does: takes what waits, embeds it, tells.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::queue::{Question, Queue};
use super::{Embed, LOAD_AGAIN_AFTER, Load, PoolError, Time};
use crate::model::Lane;
use crate::tokenizer::{PIECES_MAX, count_pieces};

/// More would make the first of them wait for the last; batches gain little (see `docs/cache.md`).
const BATCH_MAX: usize = 8;

pub fn run(queue: &Queue, model: &Lazy) {
    let lane = Lane::default();
    while let Some(questions) = queue.take(BATCH_MAX) {
        answer(questions, model, &lane);
    }
}

fn answer(questions: Vec<Question>, model: &Lazy, lane: &Lane) {
    let (questions, too_long): (Vec<_>, Vec<_>) = questions
        .into_iter()
        .partition(|question| count_pieces(&question.text) <= PIECES_MAX);
    tell_all(too_long, &PoolError::TooLong);
    if questions.is_empty() {
        return;
    }
    let model = match model.get() {
        Ok(model) => model,
        Err(error) => return tell_all(questions, &error),
    };
    let texts: Vec<&str> = questions.iter().map(|question| &*question.text).collect();
    // A panic within the runtime would otherwise end this thread, and its questions would never be told.
    let embedded = catch_unwind(AssertUnwindSafe(|| model.read(&texts, lane)));
    let read = match embedded {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => return tell_all(questions, &failed(&error.to_string())),
        Err(_panic) => return tell_all(questions, &failed("the model failed: it panicked")),
    };
    for (question, embedding) in questions.into_iter().zip(read) {
        (question.told)(Ok(embedding));
    }
}

fn tell_all(questions: Vec<Question>, error: &PoolError) {
    for question in questions {
        (question.told)(Err(error.clone()));
    }
}

fn failed(why: &str) -> PoolError {
    PoolError::Failed(why.into())
}

/// The model, once it was needed.
pub struct Lazy {
    load: Load,
    time: Time,
    state: Mutex<State>,
}

enum State {
    Untried,
    Loaded(Arc<dyn Embed>),
    Failed { why: Arc<str>, at: Duration },
}

impl Lazy {
    pub fn new(load: Load, time: Time) -> Self {
        Self {
            load,
            time,
            state: Mutex::new(State::Untried),
        }
    }

    /// Loads within the lock: the pool's other threads need the same model and wait for it.
    fn get(&self) -> Result<Arc<dyn Embed>, PoolError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Loaded(model) => return Ok(model.clone()),
            State::Failed { why, at } if (self.time)() < *at + LOAD_AGAIN_AFTER => {
                return Err(PoolError::Unloaded(why.clone()));
            }
            State::Untried | State::Failed { .. } => {}
        }
        let loaded = catch_unwind(AssertUnwindSafe(|| (self.load)()))
            .unwrap_or_else(|_panic| Err("loading it panicked".into()));
        match loaded {
            Ok(model) => {
                *state = State::Loaded(model.clone());
                Ok(model)
            }
            Err(why) => {
                let why: Arc<str> = why.into();
                *state = State::Failed {
                    why: why.clone(),
                    at: (self.time)(),
                };
                Err(PoolError::Unloaded(why))
            }
        }
    }
}
