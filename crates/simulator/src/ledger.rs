//! The simulator's own count of what it was asked, what it billed and what it put on the wire: the
//! figures that a gateway's ledger is compared with.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use serde::{Deserialize, Serialize};

/// Older calls are forgotten; their tallies stay.
pub const CALLS_MAX: usize = 20_000;
/// Further models are counted together under `other`.
pub const MODELS_MAX: usize = 1_000;

/// Sums over ended calls, and how many were begun.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Calls read so far; those that are not in `total` are in progress.
    pub begun: u64,
    pub total: Tally,
    /// By model, or deployment where the path names one.
    pub models: BTreeMap<String, Tally>,
    /// Tokens handed out by the fake metadata service and token endpoint.
    pub identity_tokens: u64,
    /// Questions to the services that judge content, refused ones too.
    pub judged: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub calls: u64,
    /// By status. A call that got no head is in none of them.
    pub answers: BTreeMap<u16, u64>,
    /// Of every call that was not refused.
    pub prompt_tokens: u64,
    /// Of every answer as it was decided, sent to its end or not.
    pub completion_tokens: u64,
    /// Completion tokens whose bytes the socket took. Hidden ones (reasoning) are never sent.
    pub sent_tokens: u64,
    /// Answers with status 200 that were sent to their last byte…
    pub complete: u64,
    /// …and their tokens.
    pub complete_prompt_tokens: u64,
    pub complete_completion_tokens: u64,
    /// The other side left first.
    pub hang_ups: u64,
}

/// One ended call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The `x-request-id` that the call came with; empty if none.
    pub request_id: String,
    pub model: String,
    /// `None`: it ended before a head was sent.
    pub status: Option<u16>,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub sent_tokens: u64,
    /// Sent to the last byte.
    pub complete: bool,
    pub hung_up: bool,
}

#[derive(Default)]
pub struct Ledger {
    sums: Mutex<Sums>,
    /// One for each open connection.
    slots: Mutex<HashMap<u64, Arc<Slot>>>,
}

#[derive(Default)]
struct Sums {
    counts: Counts,
    calls: VecDeque<Call>,
    connections: u64,
}

/// The call in progress on one connection; HTTP/1 has at most one.
pub struct Slot {
    ledger: Arc<Ledger>,
    connection: u64,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    call: Option<Call>,
    /// Handed to the HTTP library, not yet taken by the socket.
    pending_tokens: u64,
    ended: bool,
    /// The simulator broke the connection itself: not a hang-up.
    broken: bool,
    reset: bool,
}

impl Ledger {
    pub fn counts(&self) -> Counts {
        self.wait_for_writers();
        lock(&self.sums).counts.clone()
    }

    /// The latest calls, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.wait_for_writers();
        lock(&self.sums).calls.iter().cloned().collect()
    }

    pub fn calls_with(&self, request_id: &str) -> u64 {
        self.wait_for_writers();
        lock(&self.sums)
            .calls
            .iter()
            .filter(|call| call.request_id == request_id)
            .count() as u64
    }

    pub fn identity_token_given(&self) {
        lock(&self.sums).counts.identity_tokens += 1;
    }

    pub fn judged(&self) {
        lock(&self.sums).counts.judged += 1;
    }

    pub fn connect(self: &Arc<Self>) -> Arc<Slot> {
        let connection = {
            let mut sums = lock(&self.sums);
            sums.connections += 1;
            sums.connections
        };
        let slot = Arc::new(Slot {
            ledger: self.clone(),
            connection,
            open: Mutex::default(),
        });
        lock(&self.slots).insert(connection, slot.clone());
        slot
    }

    /// A write to a socket and its entry here are one step under the slot's lock. Whoever saw an
    /// answer's last byte and then asks for the counts finds the answer in them.
    fn wait_for_writers(&self) {
        let slots: Vec<_> = lock(&self.slots).values().cloned().collect();
        for slot in slots {
            drop(lock(&slot.open));
        }
    }

    fn enter(&self, call: Call) {
        let mut sums = lock(&self.sums);
        let Sums { counts, calls, .. } = &mut *sums;
        let known = counts.models.contains_key(&call.model) || counts.models.len() < MODELS_MAX;
        let model = if known {
            call.model.clone()
        } else {
            "other".to_owned()
        };
        counts.total.add(&call);
        counts.models.entry(model).or_default().add(&call);
        if calls.len() == CALLS_MAX {
            calls.pop_front();
        }
        calls.push_back(call);
    }
}

impl Tally {
    fn add(&mut self, call: &Call) {
        self.calls += 1;
        self.hang_ups += u64::from(call.hung_up);
        if let Some(status) = call.status {
            *self.answers.entry(status).or_default() += 1;
        }
        self.prompt_tokens += call.prompt_tokens;
        self.completion_tokens += call.completion_tokens;
        self.sent_tokens += call.sent_tokens;
        if call.complete && call.status == Some(200) {
            self.complete += 1;
            self.complete_prompt_tokens += call.prompt_tokens;
            self.complete_completion_tokens += call.completion_tokens;
        }
    }
}

impl Slot {
    pub fn open(&self, call: Call) {
        let mut open = lock(&self.open);
        // A pipelined call begins while the answer before it still waits to be written.
        self.settle(&mut open);
        lock(&self.ledger.sums).counts.begun += 1;
        *open = Open {
            call: Some(call),
            ..Open::default()
        };
    }

    pub fn answer(&self, status: u16, completion_tokens: u64) {
        if let Some(call) = &mut lock(&self.open).call {
            call.status = Some(status);
            call.completion_tokens = completion_tokens;
            if status != 200 {
                call.prompt_tokens = 0;
            }
        }
    }

    /// A piece of the answer went to the HTTP library; `last`: nothing follows.
    pub fn hand_over(&self, tokens: u64, last: bool) {
        let mut open = lock(&self.open);
        open.pending_tokens += tokens;
        open.ended |= last;
    }

    /// The simulator is about to break the connection, by a reset or by closing it.
    pub fn break_off(&self, reset: bool) {
        let mut open = lock(&self.open);
        open.broken = true;
        open.reset = reset;
    }

    pub fn wants_reset(&self) -> bool {
        lock(&self.open).reset
    }

    /// Writes everything that the HTTP library holds, `length` bytes, and enters what was taken.
    pub fn write(
        &self,
        length: usize,
        write: impl FnOnce() -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let mut open = lock(&self.open);
        let outcome = write();
        if matches!(outcome, Poll::Ready(Ok(taken)) if taken == length) {
            let pending = std::mem::take(&mut open.pending_tokens);
            if let Some(call) = &mut open.call {
                call.sent_tokens += pending;
            }
            if open.ended {
                self.settle(&mut open);
            }
        }
        outcome
    }

    /// Nothing more will be written. Entered before the other side can see the end.
    pub fn end(&self) {
        self.settle(&mut lock(&self.open));
    }

    /// The connection is gone.
    pub fn disconnect(&self) {
        self.end();
        lock(&self.ledger.slots).remove(&self.connection);
    }

    fn settle(&self, open: &mut Open) {
        if let Some(mut call) = open.call.take() {
            call.complete = open.ended && open.pending_tokens == 0 && !open.broken;
            call.hung_up = !call.complete && !open.broken;
            self.ledger.enter(call);
        }
    }
}

/// A panic elsewhere does not make the figures wrong: each is changed in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(model: &str) -> Call {
        Call {
            model: model.to_owned(),
            prompt_tokens: 5,
            ..Call::default()
        }
    }

    fn taken(bytes: usize) -> impl FnOnce() -> Poll<io::Result<usize>> {
        move || Poll::Ready(Ok(bytes))
    }

    #[test]
    fn tokens_count_as_sent_when_the_socket_took_all_their_bytes() {
        let ledger = Arc::new(Ledger::default());
        let slot = ledger.connect();
        slot.open(call("a"));
        slot.answer(200, 3);
        slot.hand_over(2, false);
        let _ = slot.write(10, taken(4));
        slot.disconnect();
        let unsent = ledger.counts().total;
        assert_eq!(
            (unsent.sent_tokens, unsent.complete, unsent.hang_ups),
            (0, 0, 1)
        );

        let slot = ledger.connect();
        slot.open(call("a"));
        slot.answer(200, 3);
        slot.hand_over(2, false);
        let _ = slot.write(10, taken(10));
        slot.hand_over(1, true);
        let _ = slot.write(5, taken(5));
        let sent = ledger.counts().total;
        assert_eq!(
            (sent.sent_tokens, sent.complete, sent.complete_prompt_tokens),
            (3, 1, 5)
        );
    }

    #[test]
    fn an_answer_that_the_simulator_breaks_is_not_a_hang_up() {
        let ledger = Arc::new(Ledger::default());
        let slot = ledger.connect();
        slot.open(call("a"));
        slot.answer(200, 3);
        slot.break_off(true);
        slot.disconnect();
        assert_eq!(
            (ledger.counts().total.hang_ups, ledger.calls()[0].complete),
            (0, false)
        );
    }

    #[test]
    fn refused_calls_cost_no_prompt() {
        let ledger = Arc::new(Ledger::default());
        let slot = ledger.connect();
        slot.open(call("a"));
        slot.answer(429, 0);
        slot.hand_over(0, true);
        let _ = slot.write(5, taken(5));
        let tally = &ledger.counts().models["a"];
        assert_eq!(
            (tally.prompt_tokens, tally.answers[&429], tally.complete),
            (0, 1, 0)
        );
    }

    #[test]
    fn memory_is_bounded_in_calls_and_models() {
        let ledger = Ledger::default();
        for number in 0..CALLS_MAX + 5 {
            ledger.enter(call(&format!("model-{}", number % (MODELS_MAX + 10))));
        }
        assert_eq!(ledger.calls().len(), CALLS_MAX);
        assert_eq!(ledger.counts().models.len(), MODELS_MAX + 1);
        assert_eq!(ledger.counts().total.calls, CALLS_MAX as u64 + 5);
    }
}
