//! Wakes a thread that has nothing to do. Waking one that is busy costs a load.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Signal {
    state: Mutex<State>,
    changed: Condvar,
    waits: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    woken: bool,
    stop: Option<Stop>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// When everything is done.
    Finish,
    /// At once: the next start does the rest.
    Abandon,
}

impl Signal {
    pub(crate) fn stop(&self) -> Option<Stop> {
        self.state().stop
    }

    pub(crate) fn ask_to_stop(&self, stop: Stop) {
        self.state().stop = Some(stop);
        self.changed.notify_all();
    }

    pub(crate) fn wake(&self) {
        // Sequentially consistent with what the caller stored before and `has_work` loads: one of
        // the two threads sees the other.
        if self.waits.load(Ordering::SeqCst) {
            self.state().woken = true;
            self.changed.notify_all();
        }
    }

    /// Until woken, told to stop, or `longest` has passed.
    pub(crate) fn wait(&self, longest: Option<Duration>, has_work: impl Fn() -> bool) {
        let mut state = self.state();
        self.waits.store(true, Ordering::SeqCst);
        if !has_work() {
            let rests = |state: &mut State| !state.woken && state.stop.is_none();
            state = match longest {
                None => self
                    .changed
                    .wait_while(state, rests)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(longest) => {
                    self.changed
                        .wait_timeout_while(state, longest, rests)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
        self.waits.store(false, Ordering::SeqCst);
        state.woken = false;
    }

    /// Only a stop ends it early.
    pub(crate) fn pause(&self, length: Duration) {
        self.pause_until(length, || false);
    }

    /// A stop ends it early, and `hurry` if `is_enough` then.
    pub(crate) fn pause_until(&self, length: Duration, is_enough: impl Fn() -> bool) {
        let rests = |state: &mut State| state.stop.is_none() && !is_enough();
        drop(self.changed.wait_timeout_while(self.state(), length, rests));
    }

    /// Has a pause look whether it is enough.
    pub(crate) fn hurry(&self) {
        // Whoever is about to pause has looked before, and waits once it gives the lock back.
        drop(self.state());
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
