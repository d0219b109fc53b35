//! Whether calls can be sealed, as the last one that was tried or the last look at the key file found.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::AuditError;

#[derive(Debug, Default)]
pub(crate) struct Sealing {
    /// Whether `fault` is set: most calls look no further.
    fails: AtomicBool,
    fault: Mutex<Option<String>>,
}

impl Sealing {
    /// What came of it, and whether that is news.
    pub(crate) fn note<T>(&self, tried: Result<T, AuditError>) -> Option<T> {
        match tried {
            Ok(done) => {
                if self.fails.load(Ordering::Acquire) {
                    self.end();
                }
                Some(done)
            }
            Err(error) => {
                self.begin(&error);
                None
            }
        }
    }

    pub(crate) fn fault(&self) -> Option<String> {
        self.lock().clone()
    }

    fn begin(&self, error: &AuditError) {
        let fault = format!("calls cannot be sealed: {error}");
        let mut noted = self.lock();
        if noted.as_ref() != Some(&fault) {
            tracing::error!(%error, "calls cannot be sealed");
        }
        *noted = Some(fault);
        self.fails.store(true, Ordering::Release);
    }

    fn end(&self) {
        let mut noted = self.lock();
        if noted.take().is_some() {
            tracing::info!("calls can be sealed again");
        }
        self.fails.store(false, Ordering::Release);
    }

    /// No invariant spans a panic.
    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
