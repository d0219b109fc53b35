//! Holds, as the chain placed and released them, and as the table has them in force; keys that it says are
//! destroyed, and as the key file has them.

use foldhash::HashSet;
use rusqlite::{Connection, OptionalExtension};

use super::Verifier;
use crate::event::Event;
use crate::keys::KeyId;

impl Verifier<'_> {
    /// What is derived from the chain must fit it: a hold that only the table lost would be lost.
    pub(super) fn tables(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let live = self.live_keys();
        let mut select = connection.prepare(
            "SELECT sequence, header FROM chain WHERE segment IS NULL ORDER BY sequence",
        )?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let sequence: i64 = row.get(0)?;
            let Ok(event) = Event::from_header(row.get_ref(1)?.as_blob().unwrap_or_default())
            else {
                continue;
            };
            let mut held = connection
                .prepare_cached("SELECT hold, released_by FROM holds WHERE sequence = ?")?;
            let mut held = |sequence: i64| {
                held.query_row([sequence], |row| {
                    Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Option<i64>>(1)?))
                })
                .optional()
            };
            match event {
                Event::Held(hold) => {
                    let mut bytes = Vec::new();
                    hold.put(&mut bytes);
                    let stored = held(sequence)?;
                    if stored.as_ref().is_none_or(|(stored, _)| *stored != bytes) {
                        self.report.tell(
                            sequence.cast_unsigned(),
                            "the hold that it placed is not in force as it says",
                        );
                    }
                    if let Some((_, Some(by))) = stored
                        && !is_release(connection, by, sequence)?
                    {
                        self.report.tell(
                            sequence.cast_unsigned(),
                            "its hold is released, and no entry says so",
                        );
                    }
                }
                Event::Released { hold }
                    if held(hold.cast_signed())?.is_none_or(|(_, by)| by != Some(sequence)) =>
                {
                    self.report.tell(
                        sequence.cast_unsigned(),
                        "the hold that it released is in force",
                    );
                }
                Event::Erased { keys, .. } | Event::Purged { keys, .. } => {
                    for key in keys.iter().filter(|key| live.contains(key)) {
                        self.report.tell(sequence.cast_unsigned(), format!("the key {key} that it destroyed is live: an older key file was put back; the next start, or the next head, destroys it again"));
                    }
                }
                _ => {}
            }
        }
        self.holds_of_no_entry(connection)
    }

    /// One that only the table has keeps what must go.
    fn holds_of_no_entry(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut select = connection.prepare("SELECT holds.sequence, chain.header FROM holds LEFT JOIN chain USING (sequence) WHERE released_by IS NULL")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let sequence: i64 = row.get(0)?;
            let header: Option<Vec<u8>> = row.get(1)?;
            let event = header.and_then(|header| Event::from_header(&header).ok());
            if !matches!(event, Some(Event::Held(_))) {
                self.report.tell(
                    sequence.cast_unsigned(),
                    "a hold is in force that it is said to have placed, and did not",
                );
            }
        }
        Ok(())
    }

    /// None without the keys.
    fn live_keys(&mut self) -> HashSet<KeyId> {
        let Some(keyring) = self.keyring else {
            return HashSet::default();
        };
        // Whoever said on the chain that keys are destroyed is waited for, until they are.
        if let Err(error) = keyring.exclusive() {
            self.report.tell(None, error.to_string());
        }
        keyring.live().into_iter().map(|(id, _)| id).collect()
    }
}

fn is_release(connection: &Connection, by: i64, hold: i64) -> rusqlite::Result<bool> {
    let header: Option<Vec<u8>> = connection
        .prepare_cached("SELECT header FROM chain WHERE sequence = ?")?
        .query_row([by], |row| row.get(0))
        .optional()?;
    let event = header.and_then(|header| Event::from_header(&header).ok());
    Ok(event
        == Some(Event::Released {
            hold: hold.cast_unsigned(),
        }))
}
