//! The ledger database's layout, one step for each version. Forward only: a step that was released
//! is never edited.

use rusqlite::{Connection, TransactionBehavior};

const STEPS: [&str; 2] = [
    "
    -- One per call. Times in ms (`at`) and µs (durations), UTC.
    CREATE TABLE calls (
        id BLOB NOT NULL UNIQUE,
        at INTEGER NOT NULL,
        subscription TEXT NOT NULL,
        product TEXT NOT NULL,
        application TEXT,
        caller TEXT NOT NULL,
        model TEXT NOT NULL,
        stream INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        opening_prompt_tokens INTEGER NOT NULL,
        charges BLOB NOT NULL,
        outcome TEXT NOT NULL,
        status INTEGER NOT NULL,
        rule TEXT,
        backend TEXT,
        cache TEXT NOT NULL,
        estimated INTEGER NOT NULL,
        prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        cached_prompt_tokens INTEGER NOT NULL,
        cache_write_tokens INTEGER NOT NULL,
        reasoning_tokens INTEGER NOT NULL,
        audio_prompt_tokens INTEGER NOT NULL,
        audio_completion_tokens INTEGER NOT NULL,
        images INTEGER NOT NULL,
        latency_us INTEGER NOT NULL,
        first_byte_us INTEGER,
        attempts INTEGER NOT NULL
    );
    CREATE INDEX calls_at ON calls (at);

    CREATE TABLE attempts (
        call BLOB NOT NULL,
        number INTEGER NOT NULL,
        backend TEXT NOT NULL,
        status INTEGER NOT NULL,
        failure TEXT,
        estimated INTEGER NOT NULL,
        prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        cached_prompt_tokens INTEGER NOT NULL,
        cache_write_tokens INTEGER NOT NULL,
        reasoning_tokens INTEGER NOT NULL,
        audio_prompt_tokens INTEGER NOT NULL,
        audio_completion_tokens INTEGER NOT NULL,
        images INTEGER NOT NULL,
        latency_us INTEGER NOT NULL,
        PRIMARY KEY (call, number)
    ) WITHOUT ROWID;

    -- Sums of calls by UTC hour; absent names are ''. `folded` = 1: calls that have no row in
    -- `calls`, because neither disk nor memory had room for them.
    CREATE TABLE usage_hourly (
        hour INTEGER NOT NULL,
        subscription TEXT NOT NULL,
        product TEXT NOT NULL,
        application TEXT NOT NULL,
        model TEXT NOT NULL,
        backend TEXT NOT NULL,
        outcome TEXT NOT NULL,
        cache TEXT NOT NULL,
        folded INTEGER NOT NULL,
        calls INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        cached_prompt_tokens INTEGER NOT NULL,
        reasoning_tokens INTEGER NOT NULL,
        total_tokens INTEGER NOT NULL,
        estimated_tokens INTEGER NOT NULL,
        PRIMARY KEY (hour, subscription, product, application, model, backend, outcome, cache, folded)
    ) WITHOUT ROWID;

    -- What quotas were charged, so that a start continues where the last one ended.
    CREATE TABLE quota_levels (
        quota TEXT NOT NULL,
        key TEXT NOT NULL,
        period_start INTEGER NOT NULL,
        tokens INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        PRIMARY KEY (quota, key, period_start)
    ) WITHOUT ROWID;

    -- How far the journal has been applied. One row.
    CREATE TABLE applied (segment INTEGER NOT NULL, offset INTEGER NOT NULL);
    INSERT INTO applied VALUES (0, 0);
    ",
    "
    -- How far each sink has come: behind `call`, which stood in row `row` of `calls`.
    CREATE TABLE sink_cursors (
        sink TEXT PRIMARY KEY,
        row INTEGER NOT NULL,
        call BLOB,
        at INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        moved_at INTEGER NOT NULL
    ) WITHOUT ROWID;
    ",
];

pub(super) const VERSION: i64 = STEPS.len() as i64;

#[derive(Debug, thiserror::Error)]
pub(super) enum MigrationError {
    #[error(
        "it has layout {found}, and this version of Tollgate knows layouts up to {VERSION}: use the version that wrote it, or a newer one"
    )]
    Newer { found: i64 },
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
}

pub(super) fn migrate(connection: &mut Connection) -> Result<(), MigrationError> {
    let found = version(connection)?;
    if found > VERSION {
        return Err(MigrationError::Newer { found });
    }
    let done = usize::try_from(found).unwrap_or(0);
    for (step, number) in STEPS.iter().zip(1..).skip(done) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}
