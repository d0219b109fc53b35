//! Filters of many records at once, so that a search opens few of a million.
//!
//! What is built of a record is sealed under that record's own key: it becomes unreadable with it.

use std::ops::RangeInclusive;

use foldhash::HashSet;
use rusqlite::{Connection, params};

use crate::bytes::Reader;
use crate::database::{Database, Failed, State};
use crate::event::is_record;
use crate::filter::{Filters, candidates, put_filters};
use crate::keys::{Found, KeyId, Keyring};
use crate::record::Numbers;
use crate::segment::Place;
use crate::vault::Contents;

mod building;

pub(crate) use building::{Building, Chaining};

/// Of filters in memory. Past it they are written, and the rest waits for the next time.
const BUILD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Writes the filters of the tail once it has `tail` entries. True if there was something to do.
pub(crate) fn keep_up(
    building: &mut Building,
    database: &mut Database,
    contents: &mut Contents,
    keyring: &Keyring,
    tail: u64,
) -> Result<bool, Failed> {
    let indexed = State::read(&database.connection)?.indexed;
    let last = last_sequence(&database.connection)?;
    if last.saturating_sub(indexed) < tail.max(1) && !building.is_full() {
        return Ok(false);
    }
    building.settle(last);
    // What an earlier process left, or somebody reset, is read again; the rest was told when it was
    // chained.
    let gap_end = building.after().unwrap_or(last);
    if indexed < gap_end {
        build_up_to(database, contents, keyring, gap_end)?;
    } else {
        building.write(database, keyring)?;
    }
    Ok(true)
}

/// Indexes the tail from the contents, once it has `tail` entries. True if it did.
pub(crate) fn build(
    database: &mut Database,
    contents: &mut Contents,
    keyring: &Keyring,
    tail: u64,
) -> Result<bool, Failed> {
    let indexed = State::read(&database.connection)?.indexed;
    let last = last_sequence(&database.connection)?;
    if last.saturating_sub(indexed) < tail.max(1) {
        return Ok(false);
    }
    build_up_to(database, contents, keyring, last)?;
    Ok(true)
}

/// A part of it, if there is much.
fn build_up_to(
    database: &mut Database,
    contents: &mut Contents,
    keyring: &Keyring,
    last: u64,
) -> Result<(), Failed> {
    let indexed = State::read(&database.connection)?.indexed;
    let mut building = Building::default();
    building.begin(indexed);
    let mut sealed = Vec::new();
    let mut reached = last;
    {
        let mut select = database.connection.prepare_cached(
            "SELECT sequence, header, segment, offset, length FROM chain WHERE sequence > ? AND sequence <= ? ORDER BY sequence",
        )?;
        let mut rows = select.query([indexed.cast_signed(), last.cast_signed()])?;
        while let Some(row) = rows.next()? {
            let sequence = row.get::<_, i64>(0)?.cast_unsigned();
            let header = row.get_ref(1)?.as_blob().unwrap_or_default();
            let Some((record, place)) = readable(header, row)? else {
                continue;
            };
            // Content that was changed or purged meanwhile: `verify` tells of it.
            if contents.read_into(&place, &mut sealed).is_err() {
                continue;
            }
            let chaining = Chaining {
                sequence,
                record,
                header,
                sealed: &sealed,
            };
            building.try_add(keyring, &chaining)?;
            if building.is_full() {
                reached = sequence;
                break;
            }
        }
    }
    building.reach(reached);
    building.write(database, keyring)
}

fn last_sequence(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT coalesce(max(sequence), 0) FROM chain")?
        .query_row([], |row| row.get::<_, i64>(0).map(i64::cast_unsigned))
}

fn readable(header: &[u8], row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<(Numbers, Place)>> {
    if !is_record(header) {
        return Ok(None);
    }
    let Ok(record) = Numbers::read(&mut Reader::new(header.get(2..).unwrap_or_default())) else {
        return Ok(None);
    };
    if !record.has_texts() {
        return Ok(None);
    }
    let (Some(segment), Some(offset), Some(length)) = (
        row.get::<_, Option<i64>>(2)?,
        row.get::<_, Option<i64>>(3)?,
        row.get::<_, Option<i64>>(4)?,
    ) else {
        return Ok(None);
    };
    let place = Place {
        segment: segment.cast_unsigned(),
        offset: offset.cast_unsigned(),
        length: length.cast_unsigned(),
    };
    Ok(Some((record, place)))
}

fn aad(key: KeyId, first: u64, last: u64) -> Vec<u8> {
    [
        &b"tollgate audit filter v1"[..],
        &key.0.to_be_bytes(),
        &first.to_be_bytes(),
        &last.to_be_bytes(),
    ]
    .concat()
}

/// `row` is kept between rows.
fn insert(
    connection: &Connection,
    key: &crate::keys::DataKey,
    filters: &[(u64, &[u64])],
    row: &mut Vec<u8>,
) -> Result<(), Failed> {
    let (Some((first, _)), Some((last, _))) = (filters.first(), filters.last()) else {
        return Ok(());
    };
    row.clear();
    put_filters(row, filters);
    key.key.seal(row, 0, &aad(key.id, *first, *last))?;
    connection
        .prepare_cached("INSERT INTO filters (key, first, last, sealed) VALUES (?, ?, ?, ?)")?
        .execute(params![
            key.id.0.cast_signed(),
            first.cast_signed(),
            last.cast_signed(),
            &*row
        ])?;
    Ok(())
}

fn forget_gone(
    connection: &Connection,
    keyring: &Keyring,
    range: RangeInclusive<u64>,
) -> Result<(), Failed> {
    let gone: HashSet<u64> = connection
        .prepare_cached(
            "SELECT sequence FROM chain WHERE gone_by IS NOT NULL AND sequence BETWEEN ? AND ?",
        )?
        .query_map(
            [range.start().cast_signed(), range.end().cast_signed()],
            |row| row.get::<_, i64>(0).map(i64::cast_unsigned),
        )?
        .collect::<rusqlite::Result<_>>()?;
    if gone.is_empty() {
        return Ok(());
    }
    forget(connection, keyring, range, |sequence| {
        gone.contains(&sequence)
    })
}

/// Deletes the filters of keys that are being destroyed.
pub(crate) fn forget_keys(connection: &Connection, keys: &HashSet<KeyId>) -> rusqlite::Result<()> {
    let ids: Vec<i64> = {
        let mut select = connection.prepare_cached("SELECT id, key FROM filters")?;
        let mut rows = select.query([])?;
        let mut ids = Vec::new();
        while let Some(row) = rows.next()? {
            if keys.contains(&KeyId(row.get::<_, i64>(1)?.cast_unsigned())) {
                ids.push(row.get(0)?);
            }
        }
        ids
    };
    let mut delete = connection.prepare_cached("DELETE FROM filters WHERE id = ?")?;
    for id in ids {
        delete.execute([id])?;
    }
    Ok(())
}

/// Starts over: the writer builds the filters anew.
pub(crate) fn reset(connection: &Connection) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch("DELETE FROM filters; UPDATE state SET indexed = 0")?;
    transaction.commit()
}

/// Up to where searches need not read records one by one. Not what `indexed` says if no filter reaches so
/// far: what that skips is read.
pub(crate) fn reach(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(
            "SELECT min(indexed, coalesce((SELECT max(last) FROM filters), 0)) FROM state",
        )?
        .query_row([], |row| row.get::<_, i64>(0).map(i64::cast_unsigned))
}

/// Takes records out of the filters that cover `range`.
pub(crate) fn forget(
    connection: &Connection,
    keyring: &Keyring,
    range: RangeInclusive<u64>,
    is_gone: impl Fn(u64) -> bool,
) -> Result<(), Failed> {
    let (mut after, mut row) = (0_i64, Vec::new());
    loop {
        // One at a time: a filter may be megabytes.
        let next = connection
            .prepare_cached("SELECT id, key, first, last, sealed FROM filters WHERE id > ?1 AND +last >= ?2 AND first <= ?3 ORDER BY id LIMIT 1")?
            .query_map(params![after, range.start().cast_signed(), range.end().cast_signed()], |row| {
                Ok((row.get::<_, i64>(0)?, KeyId(row.get::<_, i64>(1)?.cast_unsigned()), row.get::<_, i64>(2)?.cast_unsigned(), row.get::<_, i64>(3)?.cast_unsigned(), row.get::<_, Vec<u8>>(4)?))
            })?
            .next();
        let Some((id, key, first, last, mut sealed)) = next.transpose()? else {
            return Ok(());
        };
        after = id;
        let kept = match keyring.find(key)? {
            Found::Key(key) => {
                let plain = key.key.open(&mut sealed, &aad(key.id, first, last));
                plain
                    .and_then(|plain| Filters::read(plain).ok())
                    .map(|filters| (key, filters))
            }
            Found::Destroyed { .. } | Found::Unknown => None,
        };
        let before = kept.as_ref().map_or(0, |(_, filters)| filters.bytes());
        let kept = kept.map(|(key, mut filters)| {
            filters.retain(|sequence| !is_gone(sequence));
            (key, filters)
        });
        match kept {
            Some((_, filters)) if filters.bytes() == before => continue,
            Some((key, filters)) if !filters.is_empty() => {
                insert(connection, &key, &filters.list(), &mut row)?;
            }
            _ => {}
        }
        connection
            .prepare_cached("DELETE FROM filters WHERE id = ?")?
            .execute([id])?;
    }
}

/// Filters with records before `before` and from `since` on, newest first; `may_open` is asked for
/// their key before anything is opened. Calls `found` with the candidates of each, and stops when it
/// says so.
pub(crate) fn search(
    connection: &Connection,
    keyring: &Keyring,
    hashes: &[u64],
    range: RangeInclusive<u64>,
    may_open: impl Fn(KeyId) -> bool,
    mut found: impl FnMut(u64),
) -> Result<(), Failed> {
    let mut select = connection.prepare_cached(
        "SELECT key, first, last, sealed FROM filters WHERE first <= ? AND last >= ?",
    )?;
    let mut rows = select.query(params![
        range.end().cast_signed(),
        range.start().cast_signed()
    ])?;
    let mut plain = Vec::new();
    while let Some(row) = rows.next()? {
        let key = KeyId(row.get::<_, i64>(0)?.cast_unsigned());
        if !may_open(key) {
            continue;
        }
        let Found::Key(key) = keyring.find(key)? else {
            continue;
        };
        let (first, last) = (
            row.get::<_, i64>(1)?.cast_unsigned(),
            row.get::<_, i64>(2)?.cast_unsigned(),
        );
        plain.clear();
        plain.extend_from_slice(row.get_ref(3)?.as_blob().unwrap_or_default());
        // One that was changed hides records: the search fails rather than saying there is nothing.
        let opened = key.key.open(&mut plain, &aad(key.id, first, last));
        let opened = opened.and_then(|opened| {
            candidates(opened, hashes, |sequence| {
                if range.contains(&sequence) {
                    found(sequence);
                }
            })
            .ok()
        });
        if opened.is_none() {
            return Err(Failed::Other(crate::AuditError::Store(format!(
                "the search index over entries {first} to {last} was changed or is damaged; run `tollgate audit verify`, which has it made anew"
            ))));
        }
    }
    Ok(())
}
