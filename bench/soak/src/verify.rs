//! Looks every answer that a client read to its end up on the ledger, while the gateway runs.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Result;
use domain::record::{CallRecord, Outcome};

use crate::gate;

/// An answer that a client read to its end.
#[derive(Clone, Debug)]
pub struct Finished {
    pub id: String,
    /// By the answer's own word.
    pub tokens: Option<u64>,
    /// False of one that ended with an error event.
    pub is_whole: bool,
}

#[derive(Default)]
pub struct Verifier {
    waiting: HashMap<String, Finished>,
    pub found: u64,
    faults: Vec<String>,
}

/// Faults that are told.
const FAULTS_MAX: usize = 20;
/// Records looked at beside those of calls that wait: refused ones, those of clients that left, and
/// those that begin long before they end.
const MORE_RECORDS: usize = 20_000;
/// At the end the ledger may still be catching up with its journal.
const LAST_LOOKS: usize = 50;

impl Verifier {
    pub fn take(&mut self, finished: Vec<Finished>) {
        for answer in finished {
            self.waiting.insert(answer.id.clone(), answer);
        }
    }

    /// What is not there yet waits for the next look.
    pub async fn look(&mut self, data: &Path) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let (data, count) = (data.to_owned(), self.waiting.len() * 2 + MORE_RECORDS);
        let read = move || store::ledger::recent(&data, count);
        for record in tokio::task::spawn_blocking(read).await?? {
            if let Some(answer) = self.waiting.remove(&record.opening.id.to_string()) {
                self.compare(&answer, &record);
            }
        }
        Ok(())
    }

    fn compare(&mut self, answer: &Finished, record: &CallRecord) {
        self.found += 1;
        let wanted = if answer.is_whole {
            Outcome::Ok
        } else {
            Outcome::Cut
        };
        let charged = record.metered.usage().total();
        if record.outcome != wanted || answer.tokens.is_some_and(|tokens| tokens != charged) {
            self.fault(format!(
                "a client read {answer:?}, the ledger says {} and {charged} tokens",
                record.outcome.as_str()
            ));
        }
    }

    /// After the gateway stopped: everything must be there now.
    pub async fn finish(&mut self, data: &Path) -> Result<Vec<String>> {
        for _ in 0..LAST_LOOKS {
            self.look(data).await?;
            if self.waiting.is_empty() {
                break;
            }
            gate::pause().await;
        }
        for id in std::mem::take(&mut self.waiting).into_keys() {
            self.fault(format!(
                "{id} was read by its client and is not on the ledger"
            ));
        }
        Ok(std::mem::take(&mut self.faults))
    }

    fn fault(&mut self, fault: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }
}
