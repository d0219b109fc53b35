use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Wakes a thread that has nothing to do. Waking one that is busy costs a load.
#[derive(Debug, Default)]
pub struct Signal {
    state: Mutex<State>,
    changed: Condvar,
    waits: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    woken: bool,
    stop: Option<Stop>,
}

/// How the thread is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// When everything is done.
    Finish,
    /// At once: the next start does the rest.
    Abandon,
}

impl Signal {
    /// What it was told, if it was.
    pub fn stop(&self) -> Option<Stop> {
        self.state().stop
    }

    pub fn ask_to_stop(&self, stop: Stop) {
        self.state().stop = Some(stop);
        self.changed.notify_all();
    }

    /// There is work: what `wait`'s `has_work` loads was stored before.
    pub fn wake(&self) {
        // Sequentially consistent with what the caller stored before and `has_work` loads: one of
        // the two threads sees the other.
        if self.waits.load(Ordering::SeqCst) {
            self.state().woken = true;
            self.changed.notify_all();
        }
    }

    /// Until woken, told to stop, or `longest` has passed.
    pub fn wait(&self, longest: Option<Duration>, has_work: impl Fn() -> bool) {
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
    pub fn pause(&self, length: Duration) {
        self.pause_until(length, || false);
    }

    /// A stop ends it early, and `hurry` if `is_enough` then.
    pub fn pause_until(&self, length: Duration, is_enough: impl Fn() -> bool) {
        let rests = |state: &mut State| state.stop.is_none() && !is_enough();
        drop(self.changed.wait_timeout_while(self.state(), length, rests));
    }

    /// Has a pause look whether it is enough.
    pub fn hurry(&self) {
        // Whoever is about to pause has looked before, and waits once it gives the lock back.
        drop(self.state());
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than any test may take.
    const FOR_EVER: Duration = Duration::from_secs(600);

    #[test]
    fn no_work_is_slept_through_however_it_falls() {
        let (signal, work, done) = (
            Signal::default(),
            AtomicBool::new(false),
            AtomicBool::new(false),
        );
        std::thread::scope(|threads| {
            threads.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    signal.wait(Some(FOR_EVER), || work.load(Ordering::SeqCst));
                    work.store(false, Ordering::SeqCst);
                }
            });
            for _ in 0..2_000 {
                work.store(true, Ordering::SeqCst);
                signal.wake();
                while work.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
            }
            done.store(true, Ordering::SeqCst);
            work.store(true, Ordering::SeqCst);
            signal.wake();
        });
    }

    #[test]
    fn a_stop_ends_waiting_and_pauses_and_is_remembered() {
        let signal = Signal::default();
        assert_eq!(signal.stop(), None);
        std::thread::scope(|threads| {
            threads.spawn(|| signal.wait(None, || false));
            threads.spawn(|| signal.pause(FOR_EVER));
            signal.ask_to_stop(Stop::Finish);
        });
        assert_eq!(signal.stop(), Some(Stop::Finish));
        signal.wait(None, || false);
        signal.pause(FOR_EVER);
    }

    #[test]
    fn a_pause_ends_once_it_is_enough() {
        let (signal, is_enough) = (Signal::default(), AtomicBool::new(false));
        std::thread::scope(|threads| {
            threads.spawn(|| signal.pause_until(FOR_EVER, || is_enough.load(Ordering::SeqCst)));
            is_enough.store(true, Ordering::SeqCst);
            signal.hurry();
        });
    }
}
