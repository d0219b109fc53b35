//! Questions that wait, as many as there is room for. Takes back what was taken back.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{PoolError, Told};

pub struct Question {
    pub text: Arc<str>,
    pub told: Told,
    pub taken_back: Arc<AtomicBool>,
}

pub struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    room: usize,
}

struct State {
    questions: VecDeque<Question>,
    closed: bool,
}

impl Queue {
    pub fn new(room: usize) -> Self {
        Self {
            state: Mutex::new(State {
                questions: VecDeque::new(),
                closed: false,
            }),
            arrived: Condvar::new(),
            room,
        }
    }

    pub fn push(&self, question: Question) -> Result<(), PoolError> {
        let mut state = self.state();
        if state.closed {
            return Err(PoolError::Closed);
        }
        if state.questions.len() >= self.room {
            // Those that nobody waits for any more must not keep others out.
            state.questions.retain(is_wanted);
        }
        if state.questions.len() >= self.room {
            return Err(PoolError::Busy);
        }
        state.questions.push_back(question);
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// Waits for a question, then takes what is there, up to `at_most`. `None` once the queue is closed.
    pub fn take(&self, at_most: usize) -> Option<Vec<Question>> {
        let mut state = self.state();
        loop {
            if state.closed {
                return None;
            }
            let mut taken = Vec::new();
            while taken.len() < at_most
                && let Some(question) = state.questions.pop_front()
            {
                if is_wanted(&question) {
                    taken.push(question);
                }
            }
            if !taken.is_empty() {
                return Some(taken);
            }
            state = self
                .arrived
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nothing is taken any more. Returns what nobody will answer.
    pub fn close(&self) -> VecDeque<Question> {
        let mut state = self.state();
        state.closed = true;
        let left = std::mem::take(&mut state.questions);
        drop(state);
        self.arrived.notify_all();
        left
    }

    pub fn waiting(&self) -> usize {
        self.state().questions.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing within the lock can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_wanted(question: &Question) -> bool {
    !question.taken_back.load(Ordering::Relaxed)
}
