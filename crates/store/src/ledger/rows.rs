//! A call as rows of the database, and back.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use domain::record::{
    AttemptFailure, AttemptRecord, CacheOutcome, CallRecord, Cost, Opening, Outcome, Who,
};
use domain::{CallId, Currency, Metered, Nanos, PriceId, ServiceTier, Usage, Wall};
use foldhash::HashSet;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row};
use smallvec::SmallVec;

use super::codec;
use super::kept::{self, Kept};
use super::sums::{kept, kept_money};
use super::verdicts;

/// Rows of one statement. A statement opens its tables and finds the place of its first row; the
/// other rows stand next to it.
const GROUP: usize = 16;
const CALL_COLUMNS: usize = 40;
const ATTEMPT_COLUMNS: usize = 20;

static CALL: LazyLock<String> = LazyLock::new(|| {
    let places = places(1, CALL_COLUMNS);
    format!("INSERT INTO calls VALUES {places} ON CONFLICT (id) DO NOTHING")
});
// Not `ON CONFLICT`, nor `INSERT` alone: for a statement that may have to be undone as a whole, SQLite
// keeps a copy of every page that it changes.
static CALLS: LazyLock<String> = LazyLock::new(|| {
    let places = places(GROUP, CALL_COLUMNS);
    format!("INSERT OR IGNORE INTO calls VALUES {places}")
});
static ATTEMPT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "INSERT INTO attempt_rows VALUES {}",
        places(1, ATTEMPT_COLUMNS)
    )
});
static ATTEMPTS: LazyLock<String> = LazyLock::new(|| {
    let places = places(GROUP, ATTEMPT_COLUMNS);
    format!("INSERT OR FAIL INTO attempt_rows VALUES {places}")
});

/// By place: naming the values takes a third of the work.
fn places(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(","));
    vec![row; rows].join(",")
}

/// What a batch inserts with.
pub(super) struct Insert<'c> {
    connection: &'c Connection,
    call: Kept<'c>,
    calls: Kept<'c>,
    attempt: Kept<'c>,
    attempts: Kept<'c>,
    /// The newest row of `calls`.
    last_row: i64,
    charges: Vec<u8>,
}

/// An attempt with its call and its number among the call's.
type Numbered<'r> = (CallId, i64, &'r AttemptRecord);

impl<'c> Insert<'c> {
    pub(super) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            call: Kept::new(connection, &CALL)?,
            calls: Kept::new(connection, &CALLS)?,
            attempt: Kept::new(connection, &ATTEMPT)?,
            attempts: Kept::new(connection, &ATTEMPTS)?,
            last_row: last_row(connection)?,
            charges: Vec::new(),
        })
    }

    /// Calls that are there already are left alone; `added` hears of the others.
    pub(super) fn calls<'r>(
        &mut self,
        mut records: impl Iterator<Item = &'r CallRecord>,
        mut added: impl FnMut(&'r CallRecord),
    ) -> rusqlite::Result<()> {
        let mut attempts: Vec<Numbered<'r>> = Vec::with_capacity(2 * GROUP);
        loop {
            let group: SmallVec<[&CallRecord; GROUP]> = records.by_ref().take(GROUP).collect();
            if group.is_empty() {
                break;
            }
            let are_new = self.group(&group)?;
            for (record, is_new) in group.into_iter().zip(are_new) {
                if is_new {
                    if told_by_call(record).is_none() {
                        let id = record.opening.id;
                        let numbered = record.attempts.iter().zip(1..);
                        attempts.extend(numbered.map(|(attempt, n)| (id, n, attempt)));
                    }
                    verdicts::insert(self.connection, record)?;
                    added(record);
                }
            }
            while let Some((group, _)) = attempts.split_first_chunk::<GROUP>() {
                let mut rows = self.attempts.rows();
                for attempt in group {
                    put_attempt(&mut rows, attempt)?;
                }
                rows.insert()?;
                attempts.drain(..GROUP);
            }
        }
        for attempt in &attempts {
            let mut row = self.attempt.rows();
            put_attempt(&mut row, attempt)?;
            row.insert()?;
        }
        Ok(())
    }

    /// Which of a group were not there yet.
    fn group(&mut self, group: &[&CallRecord]) -> rusqlite::Result<SmallVec<[bool; GROUP]>> {
        if group.len() < GROUP {
            return group.iter().map(|record| self.one(record)).collect();
        }
        let mut rows = self.calls.rows();
        for record in group {
            put_call(&mut rows, record, &mut self.charges)?;
        }
        let inserted = rows.insert()?;
        let mut new = self.newer_than_last_row(inserted == group.len())?;
        self.last_row += inserted as i64;
        Ok(group
            .iter()
            .map(|record| {
                new.as_mut()
                    .is_none_or(|new| new.remove(&record.opening.id))
            })
            .collect())
    }

    fn one(&mut self, record: &CallRecord) -> rusqlite::Result<bool> {
        let mut row = self.call.rows();
        put_call(&mut row, record, &mut self.charges)?;
        let inserted = row.insert()?;
        self.last_row += inserted as i64;
        Ok(inserted == 1)
    }

    /// The calls that the last statement added; `None` for all that it was given.
    fn newer_than_last_row(&self, all: bool) -> rusqlite::Result<Option<HashSet<CallId>>> {
        if all {
            return Ok(None);
        }
        let mut select = self
            .connection
            .prepare_cached("SELECT id FROM calls WHERE rowid > ?")?;
        let ids = select.query_map([self.last_row], |row| {
            Ok(CallId(u128::from_be_bytes(row.get(0)?)))
        })?;
        ids.collect::<rusqlite::Result<_>>().map(Some)
    }
}

/// Calls are numbered in the order in which they come here, without gaps.
pub(super) fn last_row(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT ifnull(max(rowid), 0) FROM calls")?
        .query_row([], |row| row.get(0))
}

fn put_call(
    row: &mut kept::Rows<'_, '_>,
    record: &CallRecord,
    charge_bytes: &mut Vec<u8>,
) -> rusqlite::Result<()> {
    let CallRecord {
        opening,
        outcome,
        status,
        rule,
        backend,
        cache,
        metered,
        cost,
        saved,
        saved_tokens,
        similarity,
        latency,
        first_byte,
        attempts,
        verdicts,
    } = record;
    let Opening {
        id,
        at,
        who,
        model,
        asked_model,
        stream,
        revision,
        prompt_tokens,
        charges,
        // Of use only until there is a cost.
        price: _,
    } = opening;
    charge_bytes.clear();
    codec::put_charges(charge_bytes, charges);
    let usage = metered.usage();
    row.blob(&id.0.to_be_bytes())?;
    row.integer(at.0)?;
    row.text(who.subscription.as_str())?;
    row.text(who.product.as_str())?;
    row.optional_text(who.application.as_ref().map(|name| name.as_str()))?;
    row.text(&who.caller)?;
    row.text(model.as_str())?;
    row.integer(i64::from(*stream))?;
    row.integer(revision.cast_signed())?;
    row.integer(tokens(*prompt_tokens))?;
    row.blob(charge_bytes)?;
    row.text(outcome.as_str())?;
    row.integer(i64::from(*status))?;
    row.optional_text(rule.as_deref())?;
    row.optional_text(backend.as_ref().map(|backend| backend.as_str()))?;
    row.text(cache.as_str())?;
    put_metered(row, metered)?;
    row.integer(micros(*latency))?;
    row.optional_integer(first_byte.map(micros))?;
    row.integer(attempts.len() as i64)?;
    row.optional_text(who.user.as_deref())?;
    put_cost(row, cost)?;
    row.integer(kept_money(*saved))?;
    row.integer(tokens(usage.cache_write_1h))?;
    row.text(usage.tier.as_str())?;
    row.optional_text(asked_model.as_ref().map(|model| model.as_str()))?;
    row.integer(verdicts.len() as i64)?;
    row.integer(tokens(*saved_tokens))?;
    row.optional_integer(similarity.map(i64::from))?;
    row.optional_integer(told_by_call(record).map(|attempt| micros(attempt.latency)))
}

/// The attempt of a call that made one and got its answer there: the call's row tells all of it but how
/// long it took. Nearly every call has one, and a row for each would double what a call costs here.
fn told_by_call(record: &CallRecord) -> Option<&AttemptRecord> {
    let [attempt] = &record.attempts[..] else {
        return None;
    };
    let AttemptRecord {
        backend,
        status,
        failure,
        metered,
        cost,
        latency: _,
    } = attempt;
    let is_told = record.backend.as_ref() == Some(backend)
        && record.status == *status
        && failure.is_none()
        && record.metered == *metered
        && record.cost == *cost;
    is_told.then_some(attempt)
}

fn put_attempt(
    row: &mut kept::Rows<'_, '_>,
    (call, number, attempt): &Numbered<'_>,
) -> rusqlite::Result<()> {
    let AttemptRecord {
        backend,
        status,
        failure,
        metered,
        cost,
        latency,
    } = attempt;
    let usage = metered.usage();
    row.blob(&call.0.to_be_bytes())?;
    row.integer(*number)?;
    row.text(backend.as_str())?;
    row.integer(i64::from(*status))?;
    row.optional_text(failure.map(AttemptFailure::as_str))?;
    put_metered(row, metered)?;
    row.integer(micros(*latency))?;
    put_cost(row, cost)?;
    row.integer(tokens(usage.cache_write_1h))?;
    row.text(usage.tier.as_str())
}

/// Without what came to the tables later and stands at their end.
fn put_metered(row: &mut kept::Rows<'_, '_>, metered: &Metered) -> rusqlite::Result<()> {
    let Usage {
        prompt,
        completion,
        cached_prompt,
        cache_write,
        reasoning,
        audio_prompt,
        audio_completion,
        images,
        cache_write_1h: _,
        tier: _,
    } = *metered.usage();
    row.integer(i64::from(metered.is_estimated()))?;
    for amount in [
        prompt,
        completion,
        cached_prompt,
        cache_write,
        reasoning,
        audio_prompt,
        audio_completion,
        images,
    ] {
        row.integer(tokens(amount))?;
    }
    Ok(())
}

fn put_cost(row: &mut kept::Rows<'_, '_>, cost: &Cost) -> rusqlite::Result<()> {
    row.optional_integer(amount_owed(cost))?;
    row.optional_text(cost.currency().as_ref().map(Currency::as_str))?;
    row.optional_text(cost.price().map(PriceId::as_str))
}

pub(super) fn find(connection: &Connection, id: CallId) -> rusqlite::Result<Option<CallRecord>> {
    let mut select = connection.prepare_cached("SELECT * FROM calls WHERE id = ?")?;
    let found = select.query_row([id.0.to_be_bytes()], record).optional()?;
    found.map(|found| found.whole(connection)).transpose()
}

/// Newest first.
pub(super) fn recent(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<CallRecord>> {
    let mut select =
        connection.prepare_cached("SELECT * FROM calls ORDER BY at DESC, id DESC LIMIT ?")?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let records = select
        .query_map([limit], record)?
        .collect::<Result<Vec<_>, _>>()?;
    let whole = records.into_iter().map(|found| found.whole(connection));
    whole.collect()
}

/// Oldest first. Attempts only of calls that name no backend: theirs is who was asked.
pub(super) fn each(
    connection: &Connection,
    since: Wall,
    until: Wall,
    each: &mut dyn FnMut(&CallRecord),
) -> rusqlite::Result<()> {
    // One view of the database, though calls are being added.
    let transaction = connection.unchecked_transaction()?;
    let mut select =
        transaction.prepare("SELECT * FROM calls WHERE at >= ? AND at < ? ORDER BY at, id")?;
    let mut rows = select.query([since.0, until.0])?;
    while let Some(row) = rows.next()? {
        let mut call = record(row)?.call;
        if call.backend.is_none() {
            call.attempts = attempts(&transaction, call.opening.id)?;
        }
        each(&call);
    }
    Ok(())
}

/// Calls that came behind a row, in their order, with their attempts.
pub(super) fn each_behind(
    connection: &Connection,
    row: i64,
    each: &mut dyn FnMut(CallRecord) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut select = connection.prepare("SELECT * FROM calls WHERE rowid > ? ORDER BY rowid")?;
    let mut rows = select.query([row])?;
    while let Some(row) = rows.next()? {
        each(whole(connection, row)?)?;
    }
    Ok(())
}

/// A row of `calls` with its attempts.
pub(super) fn whole(connection: &Connection, row: &Row<'_>) -> rusqlite::Result<CallRecord> {
    record(row)?.whole(connection)
}

pub(super) fn has(connection: &Connection, id: CallId) -> rusqlite::Result<bool> {
    let mut select = connection.prepare_cached("SELECT 1 FROM calls WHERE id = ?")?;
    select.exists([id.0.to_be_bytes()])
}

fn attempts(connection: &Connection, call: CallId) -> rusqlite::Result<Vec<AttemptRecord>> {
    let mut select =
        connection.prepare_cached("SELECT * FROM attempt_rows WHERE call = ? ORDER BY number")?;
    let rows = select.query_map([call.0.to_be_bytes()], |row| {
        let failure: Option<String> = row.get("failure")?;
        Ok(AttemptRecord {
            backend: text(row, "backend")?.as_str().into(),
            status: row.get("status")?,
            failure: failure
                .map(|name| named(&AttemptFailure::ALL, AttemptFailure::as_str, &name))
                .transpose()?,
            metered: metered(row)?,
            cost: cost(row)?,
            latency: duration(row.get("latency_us")?),
        })
    })?;
    rows.collect()
}

/// A row of `calls`, without what are rows of other tables.
struct Found {
    call: CallRecord,
    /// Otherwise the row told of it.
    has_attempt_rows: bool,
    has_verdicts: bool,
}

impl Found {
    fn whole(self, connection: &Connection) -> rusqlite::Result<CallRecord> {
        let Self {
            mut call,
            has_attempt_rows,
            has_verdicts,
        } = self;
        if has_attempt_rows {
            call.attempts = attempts(connection, call.opening.id)?;
        }
        // Nearly no call has one: nothing is looked up for the others.
        if has_verdicts {
            call.verdicts = verdicts::of(connection, call.opening.id)?;
        }
        Ok(call)
    }
}

fn record(row: &Row<'_>) -> rusqlite::Result<Found> {
    let id: [u8; 16] = row.get("id")?;
    let application: Option<String> = row.get("application")?;
    let asked_model: Option<String> = row.get("asked_model")?;
    let rule: Option<String> = row.get("rule")?;
    let backend: Option<String> = row.get("backend")?;
    let first_byte_us: Option<i64> = row.get("first_byte_us")?;
    let attempt_us: Option<i64> = row.get("attempt_us")?;
    let charge_bytes: Vec<u8> = row.get("charges")?;
    let mut call = CallRecord {
        opening: Opening {
            id: CallId(u128::from_be_bytes(id)),
            at: Wall(row.get("at")?),
            who: Who {
                subscription: text(row, "subscription")?.as_str().into(),
                product: text(row, "product")?.as_str().into(),
                application: application.map(|name| name.as_str().into()),
                caller: text(row, "caller")?.into(),
                user: row.get::<_, Option<String>>("user")?.map(Into::into),
            },
            model: text(row, "model")?.as_str().into(),
            asked_model: asked_model.map(|name| name.as_str().into()),
            stream: row.get("stream")?,
            revision: row.get::<_, i64>("revision")?.cast_unsigned(),
            prompt_tokens: amount(row, "opening_prompt_tokens")?,
            charges: codec::charges(&charge_bytes).map_err(|_| unreadable("charges"))?,
            price: None,
        },
        outcome: named(&Outcome::ALL, Outcome::as_str, &text(row, "outcome")?)?,
        status: row.get("status")?,
        rule: rule.map(Arc::from),
        backend: backend.map(|backend| backend.as_str().into()),
        cache: named(
            &CacheOutcome::ALL,
            CacheOutcome::as_str,
            &text(row, "cache")?,
        )?,
        metered: metered(row)?,
        cost: cost(row)?,
        saved: Nanos(row.get("saved")?),
        saved_tokens: amount(row, "saved_tokens")?,
        similarity: row.get("similarity")?,
        latency: duration(row.get("latency_us")?),
        first_byte: first_byte_us.map(duration),
        attempts: Vec::new(),
        verdicts: Vec::new(),
    };
    let told = attempt_us.zip(call.backend.clone());
    call.attempts
        .extend(told.map(|(us, backend)| AttemptRecord {
            backend,
            status: call.status,
            failure: None,
            metered: call.metered,
            cost: call.cost.clone(),
            latency: duration(us),
        }));
    Ok(Found {
        has_attempt_rows: call.attempts.is_empty() && row.get::<_, i64>("attempts")? > 0,
        call,
        has_verdicts: row.get::<_, i64>("verdicts")? > 0,
    })
}

fn metered(row: &Row<'_>) -> rusqlite::Result<Metered> {
    let usage = Usage {
        prompt: amount(row, "prompt_tokens")?,
        completion: amount(row, "completion_tokens")?,
        cached_prompt: amount(row, "cached_prompt_tokens")?,
        cache_write: amount(row, "cache_write_tokens")?,
        reasoning: amount(row, "reasoning_tokens")?,
        audio_prompt: amount(row, "audio_prompt_tokens")?,
        audio_completion: amount(row, "audio_completion_tokens")?,
        images: amount(row, "images")?,
        cache_write_1h: amount(row, "cache_write_1h_tokens")?,
        tier: named(&ServiceTier::ALL, ServiceTier::as_str, &text(row, "tier")?)?,
    };
    Ok(if row.get("estimated")? {
        Metered::Estimated(usage)
    } else {
        Metered::Reported(usage)
    })
}

/// No amount: unpriced. No price: nothing is owed.
fn cost(row: &Row<'_>) -> rusqlite::Result<Cost> {
    let amount: Option<i64> = row.get("cost")?;
    let price: Option<String> = row.get("price")?;
    Ok(match (amount, price) {
        (None, _) => Cost::Unpriced,
        (Some(_), None) => Cost::Nothing,
        (Some(amount), Some(price)) => Cost::Priced {
            amount: Nanos(amount),
            currency: currency(&text(row, "currency")?)?,
            price: price.as_str().into(),
        },
    })
}

fn amount_owed(cost: &Cost) -> Option<i64> {
    (!cost.is_unpriced()).then(|| kept_money(cost.amount()))
}

pub(super) fn currency(code: &str) -> rusqlite::Result<Currency> {
    code.parse().map_err(|_| unreadable(code))
}

pub(super) fn text(row: &Row<'_>, column: &str) -> rusqlite::Result<String> {
    row.get(column)
}

fn amount(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

pub(super) fn named<T: Copy>(
    all: &[T],
    name_of: fn(T) -> &'static str,
    name: &str,
) -> rusqlite::Result<T> {
    let found = all.iter().copied().find(|one| name_of(*one) == name);
    found.ok_or_else(|| unreadable(name))
}

pub(super) fn unreadable(what: &str) -> rusqlite::Error {
    let error = format!("`{what}` is not what this version writes");
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, error.into())
}

pub(super) fn tokens(tokens: u64) -> i64 {
    kept(tokens).cast_signed()
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn duration(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}
