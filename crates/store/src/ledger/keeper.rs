//! The thread that keeps the journal writable: a spare segment ahead, syncs to the platter, and
//! records back from memory after a fault.

use std::time::Duration;

use disk::Stop;

use super::Shared;

/// After a fault.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

pub(super) fn run(shared: &Shared, sync_interval: Duration) {
    loop {
        let stop = shared.keeper_signal.stop();
        if stop == Some(Stop::Abandon) {
            return;
        }
        shared.journal.mend();
        bring_back(shared);
        shared.journal.sync();
        if stop.is_some() {
            return;
        }
        let pause = if shared.journal.fault().is_some() {
            RETRY_PAUSE
        } else {
            sync_interval
        };
        shared
            .keeper_signal
            .wait(Some(pause), || shared.journal.wants_keeper());
    }
}

fn bring_back(shared: &Shared) {
    while !shared.journal.is_unwritable() {
        let Some(waiting) = shared.overflow.take(1).pop() else {
            return;
        };
        if shared.journal_record(&waiting.record).is_err() {
            shared.overflow.put_back(vec![waiting]);
            return;
        }
    }
}
