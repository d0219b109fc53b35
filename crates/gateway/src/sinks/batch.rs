//! Events that go together, and how far their delivery has come.

use std::time::Duration;

use super::event::Event;

/// What a destination works on. It marks what was taken, so that a retry leaves that out.
pub struct Batch {
    pub events: Vec<Event>,
    /// By event: acknowledged, or set aside.
    pub taken: Vec<bool>,
    /// New ones, until whoever looks after them takes them.
    pub refusals: Vec<Refusal>,
    /// So many at once, for destinations that take or refuse a request as a whole.
    pub piece_max: usize,
}

/// An event that its receiver says it will never take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its place in the batch.
    pub index: usize,
    pub reason: String,
}

/// Why a delivery did not happen. For logs and `/readyz`: it names hosts, and no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub text: String,
    /// As the receiver asks.
    pub retry_after: Option<Duration>,
    /// The receiver does not like what was sent: smaller pieces find out which of them it is.
    pub is_about_content: bool,
}

impl Failure {
    pub fn new(error: &dyn std::error::Error) -> Self {
        Self::because(with_sources(error))
    }

    pub fn because(text: String) -> Self {
        Self {
            text,
            retry_after: None,
            is_about_content: false,
        }
    }
}

impl Batch {
    pub fn new(events: Vec<Event>) -> Self {
        Self {
            taken: vec![false; events.len()],
            refusals: Vec::new(),
            piece_max: events.len().max(1),
            events,
        }
    }

    pub fn is_taken(&self) -> bool {
        self.waiting() == 0
    }

    /// Events that are not taken yet.
    pub fn waiting(&self) -> usize {
        self.taken.iter().filter(|taken| !**taken).count()
    }

    /// The next events to be sent, in order, by their place.
    pub fn piece(&self) -> Vec<usize> {
        let waiting = self.taken.iter().enumerate();
        let waiting = waiting.filter_map(|(index, taken)| (!taken).then_some(index));
        waiting.take(self.piece_max).collect()
    }

    /// What the receiver took. More at once again next time.
    pub fn take(&mut self, piece: &[usize]) {
        self.piece_max = self
            .piece_max
            .saturating_mul(2)
            .min(self.events.len().max(1));
        for index in piece {
            self.taken[*index] = true;
        }
    }

    pub fn refuse(&mut self, index: usize, reason: String) {
        self.taken[index] = true;
        self.refusals.push(Refusal { index, reason });
    }

    /// After a refusal of a whole piece. False if it was one event alone.
    pub fn halve(&mut self) -> bool {
        let len = self.piece().len();
        if len <= 1 {
            return false;
        }
        self.piece_max = len.div_ceil(2);
        true
    }
}

/// An error with what caused it, on one line.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some say their cause in their own text.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
