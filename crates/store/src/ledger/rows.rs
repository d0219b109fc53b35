//! A call as rows of the database, and back.

use std::sync::Arc;
use std::time::Duration;

use domain::record::{
    AttemptFailure, AttemptRecord, CacheOutcome, CallRecord, Cost, Opening, Outcome, Who,
};
use domain::{CallId, Currency, Metered, Nanos, PriceId, ServiceTier, Usage, Wall};
use rusqlite::types::Type;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};

use super::codec;
use super::sums::{kept, kept_money};
use super::verdicts;

/// What a batch inserts with. Looking a statement up costs as much as some of its work.
pub(super) struct Insert<'c> {
    connection: &'c Connection,
    call: CachedStatement<'c>,
    attempt: CachedStatement<'c>,
    charges: Vec<u8>,
}

impl<'c> Insert<'c> {
    pub(super) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            // By place: naming 37 values takes a third of the work.
            call: connection.prepare_cached(
                "INSERT INTO calls VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
                 ON CONFLICT (id) DO NOTHING",
            )?,
            attempt: connection.prepare_cached(
                "INSERT INTO attempts VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            )?,
            charges: Vec::new(),
        })
    }

    /// False if the call was there already.
    pub(super) fn call(&mut self, record: &CallRecord) -> rusqlite::Result<bool> {
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
        let Usage {
            prompt,
            completion,
            cached_prompt,
            cache_write,
            reasoning,
            audio_prompt,
            audio_completion,
            images,
            cache_write_1h,
            tier,
        } = *metered.usage();
        let id = id.0.to_be_bytes();
        self.charges.clear();
        codec::put_charges(&mut self.charges, charges);
        let inserted = self.call.execute(params![
            id,
            at.0,
            who.subscription.as_str(),
            who.product.as_str(),
            who.application.as_ref().map(|name| name.as_str()),
            &*who.caller,
            model.as_str(),
            stream,
            revision.cast_signed(),
            tokens(*prompt_tokens),
            self.charges,
            outcome.as_str(),
            status,
            rule.as_deref(),
            backend.as_ref().map(|backend| backend.as_str()),
            cache.as_str(),
            metered.is_estimated(),
            tokens(prompt),
            tokens(completion),
            tokens(cached_prompt),
            tokens(cache_write),
            tokens(reasoning),
            tokens(audio_prompt),
            tokens(audio_completion),
            tokens(images),
            micros(*latency),
            first_byte.map(micros),
            attempts.len() as i64,
            who.user.as_deref(),
            amount_owed(cost),
            cost.currency().as_ref().map(Currency::as_str),
            cost.price().map(PriceId::as_str),
            kept_money(*saved),
            tokens(cache_write_1h),
            tier.as_str(),
            asked_model.as_ref().map(|model| model.as_str()),
            verdicts.len() as i64,
        ])?;
        if inserted == 0 {
            return Ok(false);
        }
        for (attempt, number) in attempts.iter().zip(1i64..) {
            self.attempt(&id, number, attempt)?;
        }
        verdicts::insert(self.connection, &id, verdicts)?;
        Ok(true)
    }

    fn attempt(
        &mut self,
        call: &[u8],
        number: i64,
        attempt: &AttemptRecord,
    ) -> rusqlite::Result<()> {
        let AttemptRecord {
            backend,
            status,
            failure,
            metered,
            cost,
            latency,
        } = attempt;
        let Usage {
            prompt,
            completion,
            cached_prompt,
            cache_write,
            reasoning,
            audio_prompt,
            audio_completion,
            images,
            cache_write_1h,
            tier,
        } = *metered.usage();
        self.attempt.execute(params![
            call,
            number,
            backend.as_str(),
            status,
            failure.map(AttemptFailure::as_str),
            metered.is_estimated(),
            tokens(prompt),
            tokens(completion),
            tokens(cached_prompt),
            tokens(cache_write),
            tokens(reasoning),
            tokens(audio_prompt),
            tokens(audio_completion),
            tokens(images),
            micros(*latency),
            amount_owed(cost),
            cost.currency().as_ref().map(Currency::as_str),
            cost.price().map(PriceId::as_str),
            tokens(cache_write_1h),
            tier.as_str(),
        ])?;
        Ok(())
    }
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

/// A row of `calls` with its attempts and verdicts.
pub(super) fn whole(connection: &Connection, row: &Row<'_>) -> rusqlite::Result<CallRecord> {
    record(row)?.whole(connection)
}

pub(super) fn has(connection: &Connection, id: CallId) -> rusqlite::Result<bool> {
    let mut select = connection.prepare_cached("SELECT 1 FROM calls WHERE id = ?")?;
    select.exists([id.0.to_be_bytes()])
}

fn attempts(connection: &Connection, call: CallId) -> rusqlite::Result<Vec<AttemptRecord>> {
    let mut select =
        connection.prepare_cached("SELECT * FROM attempts WHERE call = ? ORDER BY number")?;
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
    has_verdicts: bool,
}

impl Found {
    fn whole(self, connection: &Connection) -> rusqlite::Result<CallRecord> {
        let Self {
            mut call,
            has_verdicts,
        } = self;
        call.attempts = attempts(connection, call.opening.id)?;
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
    let charge_bytes: Vec<u8> = row.get("charges")?;
    let call = CallRecord {
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
        latency: duration(row.get("latency_us")?),
        first_byte: first_byte_us.map(duration),
        attempts: Vec::new(),
        verdicts: Vec::new(),
    };
    Ok(Found {
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
