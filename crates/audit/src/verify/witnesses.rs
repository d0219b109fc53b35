//! Heads that are kept outside the database: in the key file, in `heads.log`, and with others.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};

use rusqlite::{Connection, OptionalExtension};

use super::Verifier;
use crate::chain::Hash;
use crate::head::Head;
use crate::keys::Keyring;
use crate::witness::heads_path;

/// A longer line is no head.
const LINE_BYTES_MAX: u64 = 4_096;

impl Verifier<'_> {
    /// What stands outside the database.
    pub(super) fn witnesses(&mut self, connection: &Connection, last: u64) -> rusqlite::Result<()> {
        match self.keyring.map_or(Ok(None), Keyring::witness) {
            Ok(Some(witness)) => {
                self.hold_against(
                    connection,
                    "the key file",
                    witness.sequence,
                    &witness.hash,
                    last,
                )?;
            }
            Ok(None) if self.report.heads > 0 && self.keyring.is_some() => self.report.tell(
                None,
                "the key file knows of no head, and the log has some: its witness was removed",
            ),
            Ok(None) => {}
            Err(error) => self.report.tell(None, error.to_string()),
        }
        if let Some(head) = &self.options.head.clone() {
            self.head_from("the head given", connection, head, last)?;
        }
        let told = self.heads_log(connection, last)?;
        if told < self.report.heads {
            let missing = self.report.heads - told;
            self.report.tell(None, format!("{missing} of {} heads are missing in heads.log: it was cut, replaced or removed", self.report.heads));
        }
        Ok(())
    }

    /// Returns how many heads of the chain it has.
    fn heads_log(&mut self, connection: &Connection, last: u64) -> rusqlite::Result<u64> {
        let Ok(file) = File::open(heads_path(&self.settings.dir)) else {
            return Ok(0);
        };
        let mut reader = BufReader::new(file);
        let mut told = 0;
        let mut highest = 0;
        let mut line = String::new();
        for number in 1_u64.. {
            line.clear();
            match reader.by_ref().take(LINE_BYTES_MAX).read_line(&mut line) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    self.report.tell(
                        None,
                        format!("heads.log line {number}: it cannot be read: {error}"),
                    );
                    break;
                }
            }
            let Ok(head) = line.parse::<Head>() else {
                self.report
                    .tell(None, format!("heads.log line {number}: it is no head"));
                continue;
            };
            let from = format!("heads.log line {number}");
            let is_here = self.head_from(&from, connection, &head, last)?;
            // A line that is told twice is no second head, and one of another chain is none of this.
            if is_here && head.sequence > highest {
                told += 1;
                highest = head.sequence;
            }
        }
        Ok(told)
    }

    /// True if the chain has it.
    fn head_from(
        &mut self,
        from: &str,
        connection: &Connection,
        head: &Head,
        last: u64,
    ) -> rusqlite::Result<bool> {
        if !head.is_signed_by(&self.public_key) {
            self.report.tell(
                None,
                format!("{from}: its signature is false: it was forged or changed"),
            );
            return Ok(false);
        }
        if head.store != self.store {
            self.report
                .tell(None, format!("{from}: it is of another store"));
            return Ok(false);
        }
        self.hold_against(connection, from, head.sequence, &head.hash, last)
    }

    /// True if the chain has that entry.
    fn hold_against(
        &mut self,
        connection: &Connection,
        from: &str,
        sequence: u64,
        hash: &Hash,
        last: u64,
    ) -> rusqlite::Result<bool> {
        if sequence > last {
            self.report.tell(last + 1, format!("{from} knows {sequence} entries and the log has {last}: the end was cut off, or the log was rolled back"));
            return Ok(false);
        }
        let stored: Option<Vec<u8>> = connection
            .prepare_cached("SELECT hash FROM chain WHERE sequence = ?")?
            .query_row([sequence.cast_signed()], |row| row.get(0))
            .optional()?;
        let is_here = stored.as_deref() == Some(&hash[..]);
        if !is_here {
            self.report.tell(
                sequence,
                format!("{from} has another hash for it: the log was rewritten up to here"),
            );
        }
        Ok(is_here)
    }
}
