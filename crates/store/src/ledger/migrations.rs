//! The ledger database's layout, one step for each version. Forward only: a step that was released
//! is never edited.

use rusqlite::{Connection, TransactionBehavior};

const STEPS: [&str; 12] = [
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
    -- Money, in billionths of the currency's unit. `cost` is NULL where tokens passed for which no
    -- price is known; where nothing is owed it is 0 and has no currency. So are calls before this.
    ALTER TABLE calls ADD COLUMN user TEXT;
    ALTER TABLE calls ADD COLUMN cost INTEGER;
    ALTER TABLE calls ADD COLUMN currency TEXT;
    ALTER TABLE calls ADD COLUMN price TEXT;
    ALTER TABLE calls ADD COLUMN saved INTEGER NOT NULL DEFAULT 0;
    UPDATE calls SET cost = 0 WHERE max(prompt_tokens, completion_tokens, cached_prompt_tokens,
        cache_write_tokens, reasoning_tokens, audio_prompt_tokens, audio_completion_tokens, images) = 0;

    ALTER TABLE attempts ADD COLUMN cost INTEGER;
    ALTER TABLE attempts ADD COLUMN currency TEXT;
    ALTER TABLE attempts ADD COLUMN price TEXT;
    UPDATE attempts SET cost = 0 WHERE max(prompt_tokens, completion_tokens, cached_prompt_tokens,
        cache_write_tokens, reasoning_tokens, audio_prompt_tokens, audio_completion_tokens, images) = 0;

    -- What `price` stands for, as JSON.
    CREATE TABLE prices (id TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;

    ALTER TABLE usage_hourly RENAME TO usage_hourly_1;
    CREATE TABLE usage_hourly (
        hour INTEGER NOT NULL,
        subscription TEXT NOT NULL,
        product TEXT NOT NULL,
        application TEXT NOT NULL,
        model TEXT NOT NULL,
        backend TEXT NOT NULL,
        outcome TEXT NOT NULL,
        cache TEXT NOT NULL,
        currency TEXT NOT NULL,
        price TEXT NOT NULL,
        folded INTEGER NOT NULL,
        calls INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        cached_prompt_tokens INTEGER NOT NULL,
        cache_write_tokens INTEGER NOT NULL,
        reasoning_tokens INTEGER NOT NULL,
        audio_prompt_tokens INTEGER NOT NULL,
        audio_completion_tokens INTEGER NOT NULL,
        images INTEGER NOT NULL,
        total_tokens INTEGER NOT NULL,
        estimated_tokens INTEGER NOT NULL,
        unpriced_calls INTEGER NOT NULL,
        unpriced_tokens INTEGER NOT NULL,
        cost INTEGER NOT NULL,
        estimated_cost INTEGER NOT NULL,
        saved INTEGER NOT NULL,
        PRIMARY KEY (hour, subscription, product, application, model, backend, outcome, cache,
            currency, price, folded)
    ) WITHOUT ROWID;
    INSERT INTO usage_hourly
        SELECT at - at % 3600000, subscription, product, ifnull(application, ''), model,
            ifnull(backend, ''), outcome, cache, '', '', 0, count(*), sum(attempts),
            sum(prompt_tokens), sum(completion_tokens), sum(cached_prompt_tokens),
            sum(cache_write_tokens), sum(reasoning_tokens), sum(audio_prompt_tokens),
            sum(audio_completion_tokens), sum(images), sum(prompt_tokens + completion_tokens),
            sum(estimated * (prompt_tokens + completion_tokens)), sum(cost IS NULL),
            sum((cost IS NULL) * (prompt_tokens + completion_tokens)), 0, 0, 0
        FROM calls GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;
    -- Of calls without detail, only these kinds of tokens were kept.
    INSERT INTO usage_hourly
        SELECT hour, subscription, product, application, model, backend, outcome, cache, '', '', 1,
            calls, attempts, prompt_tokens, completion_tokens, cached_prompt_tokens, 0,
            reasoning_tokens, 0, 0, 0, total_tokens, estimated_tokens, calls * (total_tokens > 0),
            total_tokens, 0, 0, 0
        FROM usage_hourly_1 WHERE folded;
    DROP TABLE usage_hourly_1;

    -- What budgets were charged: by period, so that a start continues where the last one ended, and
    -- by hour, for forecasts.
    CREATE TABLE budget_levels (
        budget TEXT NOT NULL,
        key TEXT NOT NULL,
        period_start INTEGER NOT NULL,
        currency TEXT NOT NULL,
        nanos INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        PRIMARY KEY (budget, key, period_start, currency)
    ) WITHOUT ROWID;
    CREATE TABLE budget_hourly (
        budget TEXT NOT NULL,
        key TEXT NOT NULL,
        period_start INTEGER NOT NULL,
        hour INTEGER NOT NULL,
        currency TEXT NOT NULL,
        nanos INTEGER NOT NULL,
        PRIMARY KEY (budget, key, period_start, hour, currency)
    ) WITHOUT ROWID;
    ",
    "
    -- What a price depends on besides the kinds of tokens above.
    ALTER TABLE calls ADD COLUMN cache_write_1h_tokens INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE calls ADD COLUMN tier TEXT NOT NULL DEFAULT 'standard';
    ALTER TABLE attempts ADD COLUMN cache_write_1h_tokens INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE attempts ADD COLUMN tier TEXT NOT NULL DEFAULT 'standard';
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
    "
    -- Beside calls, which are never edited: in their hour and under their names.
    CREATE TABLE adjustments (
        made_at INTEGER NOT NULL,
        reason TEXT NOT NULL,
        hour INTEGER NOT NULL,
        subscription TEXT NOT NULL,
        product TEXT NOT NULL,
        application TEXT NOT NULL,
        model TEXT NOT NULL,
        backend TEXT NOT NULL,
        calls INTEGER NOT NULL,
        currency TEXT NOT NULL,
        nanos INTEGER NOT NULL
    );
    CREATE INDEX adjustments_hour ON adjustments (hour);
    ",
    "
    -- Sums of calls by day, of hours before `until`. `day` is when it starts, in the zone; only days
    -- that hours of UTC add up to are here.
    CREATE TABLE usage_daily (
        day INTEGER NOT NULL,
        subscription TEXT NOT NULL,
        product TEXT NOT NULL,
        application TEXT NOT NULL,
        model TEXT NOT NULL,
        backend TEXT NOT NULL,
        outcome TEXT NOT NULL,
        cache TEXT NOT NULL,
        currency TEXT NOT NULL,
        price TEXT NOT NULL,
        calls INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        cached_prompt_tokens INTEGER NOT NULL,
        cache_write_tokens INTEGER NOT NULL,
        reasoning_tokens INTEGER NOT NULL,
        audio_prompt_tokens INTEGER NOT NULL,
        audio_completion_tokens INTEGER NOT NULL,
        images INTEGER NOT NULL,
        total_tokens INTEGER NOT NULL,
        estimated_tokens INTEGER NOT NULL,
        unpriced_calls INTEGER NOT NULL,
        unpriced_tokens INTEGER NOT NULL,
        cost INTEGER NOT NULL,
        estimated_cost INTEGER NOT NULL,
        saved INTEGER NOT NULL,
        PRIMARY KEY (day, subscription, product, application, model, backend, outcome, cache,
            currency, price)
    ) WITHOUT ROWID;
    CREATE TABLE usage_daily_by_user (
        day INTEGER NOT NULL,
        user TEXT NOT NULL,
        subscription TEXT NOT NULL,
        product TEXT NOT NULL,
        application TEXT NOT NULL,
        model TEXT NOT NULL,
        currency TEXT NOT NULL,
        calls INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        cached_prompt_tokens INTEGER NOT NULL,
        cache_write_tokens INTEGER NOT NULL,
        reasoning_tokens INTEGER NOT NULL,
        audio_prompt_tokens INTEGER NOT NULL,
        audio_completion_tokens INTEGER NOT NULL,
        images INTEGER NOT NULL,
        total_tokens INTEGER NOT NULL,
        estimated_tokens INTEGER NOT NULL,
        unpriced_calls INTEGER NOT NULL,
        unpriced_tokens INTEGER NOT NULL,
        cost INTEGER NOT NULL,
        estimated_cost INTEGER NOT NULL,
        saved INTEGER NOT NULL,
        PRIMARY KEY (day, user, subscription, product, application, model, currency)
    ) WITHOUT ROWID;
    CREATE TABLE rollup (zone TEXT NOT NULL, until INTEGER NOT NULL);
    INSERT INTO rollup VALUES ('UTC', 0);
    ",
    "
    -- What a downgraded call asked for; NULL for all others, so that the index has only those.
    ALTER TABLE calls ADD COLUMN asked_model TEXT;
    CREATE INDEX calls_downgraded ON calls (at) WHERE asked_model IS NOT NULL;
    ",
    "
    -- What guards found, or why they could not look; `calls.verdicts` says how many there are.
    -- `findings` has a line for each: how many or how severe, a space, the kind.
    ALTER TABLE calls ADD COLUMN verdicts INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE verdicts (
        call BLOB NOT NULL,
        number INTEGER NOT NULL,
        guard TEXT NOT NULL,
        content TEXT NOT NULL,
        ruling TEXT NOT NULL,
        findings TEXT NOT NULL,
        failure TEXT,
        PRIMARY KEY (call, number)
    ) WITHOUT ROWID;
    ",
    "
    -- The last call that sums of hours, quotas and budgets know of: `call`, which stood in row `row`
    -- of `calls`. One row.
    CREATE TABLE summed (row INTEGER NOT NULL, call BLOB);
    INSERT INTO summed
        SELECT ifnull(max(rowid), 0), (SELECT id FROM calls ORDER BY rowid DESC LIMIT 1) FROM calls;
    ",
    "
    -- Of calls that the cache answered: what their answers took when they were made, and how like
    -- the questions were, in thousandths; NULL where they were the same.
    ALTER TABLE calls ADD COLUMN saved_tokens INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE calls ADD COLUMN similarity INTEGER;
    ALTER TABLE usage_hourly ADD COLUMN saved_tokens INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE usage_daily ADD COLUMN saved_tokens INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE usage_daily_by_user ADD COLUMN saved_tokens INTEGER NOT NULL DEFAULT 0;
    ",
    "
    -- Cached answers that would have been given, held against the provider's.
    ALTER TABLE usage_hourly ADD COLUMN compared INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE usage_hourly ADD COLUMN compared_wrong INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE usage_daily ADD COLUMN compared INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE usage_daily ADD COLUMN compared_wrong INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE usage_daily_by_user ADD COLUMN compared INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE usage_daily_by_user ADD COLUMN compared_wrong INTEGER NOT NULL DEFAULT 0;
    ",
    "
    -- Of a call with one attempt, which answered it and of which the call's own columns tell all else: how
    -- long it took. NULL: the call's attempts are in `attempt_rows`. `attempts` has both.
    ALTER TABLE calls ADD COLUMN attempt_us INTEGER;
    ALTER TABLE attempts RENAME TO attempt_rows;
    CREATE VIEW attempts AS
        SELECT call, number, backend, status, failure, estimated, prompt_tokens, completion_tokens,
            cached_prompt_tokens, cache_write_tokens, reasoning_tokens, audio_prompt_tokens,
            audio_completion_tokens, images, latency_us, cost, currency, price, cache_write_1h_tokens, tier
        FROM attempt_rows
        UNION ALL
        SELECT id, 1, backend, status, NULL, estimated, prompt_tokens, completion_tokens,
            cached_prompt_tokens, cache_write_tokens, reasoning_tokens, audio_prompt_tokens,
            audio_completion_tokens, images, attempt_us, cost, currency, price, cache_write_1h_tokens, tier
        FROM calls WHERE attempt_us IS NOT NULL;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_1_keeps_its_sums_and_its_tokens_are_unpriced() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(STEPS[0]).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        let call = |id: u8, application: &str, images: u8, prompt: u8| {
            format!(
                "INSERT INTO calls VALUES (x'{id:02x}', 3600000 + {id}, 'search', 'standard', {application}, 'key',
                    'gpt-4o', 0, 1, 0, x'0100', 'ok', 200, NULL, 'east', 'off', {id} = 2, {prompt}, 20, 4, 3, 5, 0, 0,
                    {images}, 9, NULL, 1);"
            )
        };
        let refused = "INSERT INTO calls VALUES (x'ff', 3600009, 'search', 'standard', 'chat', 'key', 'gpt-4o', 0, 1,
            0, x'0100', 'refused', 429, 'tpm', NULL, 'off', 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, NULL, 0);";
        let rows = [
            call(1, "'chat'", 0, 100),
            call(2, "'chat'", 2, 50),
            call(3, "NULL", 0, 7),
        ];
        let sums = "INSERT INTO usage_hourly VALUES (3600000, 'search', 'standard', 'chat', 'gpt-4o', 'east', 'ok',
            'off', 0, 2, 2, 150, 40, 8, 10, 190, 70);
            INSERT INTO usage_hourly VALUES (3600000, 'search', 'standard', 'chat', 'gpt-4o', 'east', 'ok',
            'off', 1, 10, 10, 1000, 0, 0, 0, 1000, 0);";
        for row in &rows {
            connection.execute_batch(row).unwrap();
        }
        connection.execute_batch(refused).unwrap();
        connection.execute_batch(sums).unwrap();

        migrate(&mut connection).unwrap();

        let mut select = connection
            .prepare(
                "SELECT application || folded || outcome, calls, prompt_tokens, cache_write_tokens,
                    images, estimated_tokens, unpriced_calls, unpriced_tokens
                 FROM usage_hourly ORDER BY 1",
            )
            .unwrap();
        let sums: Vec<(String, [i64; 7])> = select
            .query_map([], |row| {
                let mut numbers = [0; 7];
                for (number, column) in numbers.iter_mut().zip(1..) {
                    *number = row.get(column)?;
                }
                Ok((row.get(0)?, numbers))
            })
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let named = |name: &str, numbers| (name.to_owned(), numbers);
        assert_eq!(
            sums,
            [
                named("0ok", [1, 7, 3, 0, 0, 1, 27]),
                named("chat0ok", [2, 150, 6, 2, 70, 2, 190]),
                named("chat0refused", [1, 0, 0, 0, 0, 0, 0]),
                named("chat1ok", [10, 1000, 0, 0, 0, 10, 1000]),
            ]
        );
        let unpriced = "SELECT count(*) FROM calls WHERE cost IS NULL";
        assert_eq!(
            connection.query_one(unpriced, [], |row| row.get::<_, i64>(0)),
            Ok(3)
        );
    }
}
