//! Every metric: its name, unit, labels and meaning. `/metrics`, OTLP and `docs/telemetry.md` are
//! made of these lines, so that none of them can know a metric that the others do not.
//!
//! Labels are configured names and closed sets, or are bounded where they are counted; never what
//! a client chose alone.

pub struct Metric {
    /// As Prometheus knows it, without a counter's `_total`.
    pub name: &'static str,
    /// As OpenTelemetry knows it.
    pub otel: &'static str,
    pub kind: Kind,
    /// In UCUM, as OpenTelemetry writes units.
    pub unit: &'static str,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Labels whose OpenTelemetry name Prometheus cannot write.
const OTEL_LABELS: [(&str, &str); 5] = [
    ("gen_ai_operation_name", "gen_ai.operation.name"),
    ("gen_ai_provider_name", "gen_ai.provider.name"),
    ("gen_ai_request_model", "gen_ai.request.model"),
    ("gen_ai_token_type", "gen_ai.token.type"),
    ("error_type", "error.type"),
];

pub fn otel_label(name: &str) -> &str {
    OTEL_LABELS
        .iter()
        .find(|(written, _)| *written == name)
        .map_or(name, |(_, otel)| otel)
}

macro_rules! metrics {
    ($($id:ident = $kind:ident $name:literal ($otel:literal, $unit:literal) [$($label:literal),*]: $help:literal;)*) => {
        $(pub static $id: Metric = Metric {
            name: $name,
            otel: $otel,
            kind: Kind::$kind,
            unit: $unit,
            labels: &[$($label),*],
            help: $help,
        };)*

        /// In the order of the documentation.
        pub static ALL: &[&Metric] = &[$(&$id),*];
    };
}

metrics! {
    CALLS = Counter "tollgate_calls" ("tollgate.calls", "{call}") ["subscription", "model", "outcome"]:
        "Calls of authenticated callers, by how they ended.";
    CALLS_OPEN = Gauge "tollgate_calls_open" ("tollgate.calls.open", "{call}") []:
        "Calls in flight, refused and unauthenticated ones too while they last.";
    TOKENS = Counter "tollgate_tokens" ("tollgate.tokens", "{token}") ["subscription", "model", "kind"]:
        "Tokens metered. `prompt` includes `cached_prompt` and `cache_write`, `completion` includes `reasoning`; `estimated` are those of the total that no provider reported.";
    COST = Counter "tollgate_cost" ("tollgate.cost", "{currency}") ["subscription", "model", "currency"]:
        "What calls cost, in units of the currency.";
    SAVED = Counter "tollgate_saved" ("tollgate.saved", "{currency}") ["subscription", "model", "currency"]:
        "What caches kept off the cost, in units of the currency.";
    UNPRICED = Counter "tollgate_unpriced_calls" ("tollgate.unpriced_calls", "{call}") ["subscription", "model"]:
        "Calls that used tokens for which no price is known. Their cost is in no sum.";
    REFUSALS = Counter "tollgate_refusals" ("tollgate.refusals", "{call}") ["rule"]:
        "Calls of authenticated callers that got an error of the gateway: the limit's id, else the error's code.";
    GUARD_VERDICTS = Counter "tollgate_guard_verdicts" ("tollgate.guard.verdicts", "{verdict}") ["guard", "on", "ruling"]:
        "Verdicts of guards that found something in a `prompt` or an `answer`, or could not judge it: `passed`, `redacted` or `blocked`.";
    GUARD_FAILURES = Counter "tollgate_guard_failures" ("tollgate.guard.failures", "{verdict}") ["guard", "on"]:
        "Those of them that are about content which the guard could not judge; `on_error` says what became of it.";
    SHED = Counter "tollgate_shed" ("tollgate.shed", "{call}") ["reason"]:
        "Calls turned away by overload: `calls`, `bodies` or `queue`.";
    BODY_BYTES_HELD = Gauge "tollgate_body_bytes_held" ("tollgate.body.held", "By") []:
        "Bytes of request bodies held by calls in flight; `limits.bodies_in_memory` bounds it.";
    UNAUTHENTICATED = Counter "tollgate_unauthenticated" ("tollgate.unauthenticated", "{request}") ["code"]:
        "Requests refused before their caller was known.";

    OPERATION_DURATION = Histogram "gen_ai_client_operation_duration_seconds" ("gen_ai.client.operation.duration", "s") ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "error_type"]:
        "From a call's first byte to its answer's last, retries included, of calls that reached a provider. `error_type` is empty for those that ended well.";
    FIRST_CHUNK = Histogram "gen_ai_client_operation_time_to_first_chunk_seconds" ("gen_ai.client.operation.time_to_first_chunk", "s") ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"]:
        "From a call's first byte to the first piece of its stream.";
    TOKEN_USAGE = Histogram "gen_ai_client_token_usage" ("gen_ai.client.token.usage", "{token}") ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_token_type"]:
        "Tokens of one call, `input` and `output`.";
    OVERHEAD = Histogram "tollgate_overhead_seconds" ("tollgate.overhead", "s") []:
        "The gateway's own share of a call that was answered: all of its time but that of its attempts. Reading the request from the client is in it.";

    ATTEMPTS = Counter "tollgate_attempts" ("tollgate.attempts", "{attempt}") ["backend", "failure"]:
        "Attempts at backends; `failure` is `none` for those that answered.";
    ATTEMPT_DURATION = Histogram "tollgate_attempt_duration_seconds" ("tollgate.attempt.duration", "s") ["backend"]:
        "From sending an attempt to the last byte of its answer, or to its failure.";
    FIRST_BYTE = Histogram "tollgate_time_to_first_byte_seconds" ("tollgate.time_to_first_byte", "s") ["backend"]:
        "From a call's first byte to its answer's first, by the backend that answered. Unary answers up to 1 MiB begin when they are whole.";
    RETRIES = Counter "tollgate_retries" ("tollgate.retries", "{attempt}") ["subscription", "model"]:
        "Attempts beyond a call's first.";
    BREAKER_OPEN = Gauge "tollgate_breaker_open" ("tollgate.breaker.open", "1") ["backend"]:
        "1 while a backend's breaker lets no ordinary call through: open, or half-open.";
    BREAKER_HALF_OPEN = Gauge "tollgate_breaker_half_open" ("tollgate.breaker.half_open", "1") ["backend"]:
        "1 while an open breaker's time is over and a probe may go through.";
    GUARD_BREAKER_OPEN = Gauge "tollgate_guard_breaker_open" ("tollgate.guard.breaker.open", "1") ["service"]:
        "1 while the breaker of a service that judges content lets no ordinary question through: open, or half-open. `service` is `backend/ID`, or the rule of the guard that has it to itself.";
    GUARD_BREAKER_HALF_OPEN = Gauge "tollgate_guard_breaker_half_open" ("tollgate.guard.breaker.half_open", "1") ["service"]:
        "1 while such a breaker's time is over and one question may try.";
    SATURATED = Gauge "tollgate_backend_saturated" ("tollgate.backend.saturated", "1") ["backend"]:
        "1 while a backend's own rate limit leaves no room, by its headers or its 429.";

    TOKEN_EXPIRY = Gauge "tollgate_upstream_token_expiry_seconds" ("tollgate.upstream_token.expiry", "s") ["identity"]:
        "Until the token that backends get ends; 0 while there is none.";
    TOKEN_FAILURES = Counter "tollgate_upstream_token_fetch_failures" ("tollgate.upstream_token.fetch.failures", "{fetch}") ["identity"]:
        "Tokens for backends that could not be fetched.";

    USAGE_CALLS = Counter "tollgate_usage_calls" ("tollgate.usage.calls", "{call}") []:
        "Calls that reached their limits, by the configured dimensions.";
    USAGE_TOKENS = Counter "tollgate_usage_tokens" ("tollgate.usage.tokens", "{token}") ["kind"]:
        "Tokens metered, by kind and the configured dimensions.";
    USAGE_COST = Counter "tollgate_usage_cost" ("tollgate.usage.cost", "{currency}") ["currency"]:
        "What calls cost, in units of the currency, by the configured dimensions.";
    USAGE_SAVED = Counter "tollgate_usage_saved" ("tollgate.usage.saved", "{currency}") ["currency"]:
        "What caches kept off the cost, in units of the currency, by the configured dimensions.";
    USAGE_UNPRICED = Counter "tollgate_usage_unpriced_calls" ("tollgate.usage.unpriced_calls", "{call}") []:
        "Calls that used tokens for which no price is known, by the configured dimensions.";
    DIMENSION_FAULTS = Counter "tollgate_dimension_faults" ("tollgate.dimension.faults", "{call}") ["dimension"]:
        "Calls whose dimension could not be evaluated and stands as `unknown`.";
    DIMENSION_FOLDED = Counter "tollgate_dimension_folded" ("tollgate.dimension.folded", "{call}") ["dimension"]:
        "Calls whose dimension stands as `other`, because `metrics.series_max` was reached.";
    SERIES_FOLDED = Counter "tollgate_series_folded" ("tollgate.series.folded", "{event}") ["series"]:
        "Counts that stand under `other`, because too many distinct labels were seen since the last reload.";

    BUDGET_USED_RATIO = Gauge "tollgate_budget_used_ratio" ("tollgate.budget.used_ratio", "1") ["budget"]:
        "Spent share of a budget's amount, raises included, in the current period: of the fullest of its counters.";
    BUDGET_USED = Gauge "tollgate_budget_used" ("tollgate.budget.used", "{money}") ["budget", "currency"]:
        "Spent in the current period, over all of a budget's counters, in units of the currency.";
    BUDGET_RESERVED = Gauge "tollgate_budget_reserved" ("tollgate.budget.reserved", "{money}") ["budget", "currency"]:
        "Held by calls in flight, likewise.";
    BUDGET_PAST = Counter "tollgate_budget_exceeded_calls" ("tollgate.budget.exceeded_calls", "{call}") ["budget", "action"]:
        "Calls that a budget had no room for and that went on: `passed`, `throttled` (within its tokens a minute) or `downgraded` (another model answered). Those that it refused are in `tollgate_refusals`.";

    COUNTERS = Gauge "tollgate_counters" ("tollgate.counters", "{counter}") []:
        "Counters in use, one for each limit and value of its counter key.";
    RESERVED = Gauge "tollgate_reserved_tokens" ("tollgate.reserved", "{token}") []:
        "Tokens that calls in flight have reserved.";
    LEARNED_ANSWER = Gauge "tollgate_learned_answer_tokens" ("tollgate.learned_answer.tokens", "{token}") ["application", "model"]:
        "Answer length that `reserve: learned` holds, for each application and model.";
    LEARNED_OBSERVATIONS = Gauge "tollgate_learned_answer_observations" ("tollgate.learned_answer.observations", "{answer}") ["application", "model"]:
        "Answers that the learned length rests on, old ones fading.";

    LEDGER_BEHIND = Gauge "tollgate_ledger_behind_bytes" ("tollgate.ledger.behind", "By") []:
        "Journal that the database does not have yet.";
    LEDGER_IN_MEMORY = Gauge "tollgate_ledger_records_in_memory" ("tollgate.ledger.records_in_memory", "{record}") []:
        "Records waiting in memory because the journal cannot be written.";
    LEDGER_FOLDED = Counter "tollgate_ledger_folded" ("tollgate.ledger.folded", "{record}") []:
        "Calls whose detail was folded into sums, because memory was full too.";
    LEDGER_FAULT = Gauge "tollgate_ledger_fault" ("tollgate.ledger.fault", "1") ["part"]:
        "1 while this part of the ledger fails: `journal`, `database`. /readyz says why.";

    ALERTS = Counter "tollgate_alerts" ("tollgate.alerts", "{alert}") ["type"]:
        "Alerts raised, and told to be over, whether or not anyone got them.";
    ALERT_DELIVERIES = Counter "tollgate_alert_deliveries" ("tollgate.alert.deliveries", "{delivery}") ["channel", "result"]:
        "Tries to bring an alert to a channel: `delivered`, `failed` and tried again, or `refused` for good.";
    ALERTS_DROPPED = Counter "tollgate_alert_deliveries_dropped" ("tollgate.alert.deliveries.dropped", "{delivery}") []:
        "Deliveries let go because too many waited for their channel, or for too long.";
    ALERTS_WAITING = Gauge "tollgate_alert_deliveries_waiting" ("tollgate.alert.deliveries.waiting", "{delivery}") ["channel"]:
        "Alerts that wait for their channel.";
    ALERTS_FAULT = Gauge "tollgate_alerts_fault" ("tollgate.alerts.fault", "1") []:
        "1 while alerts cannot be looked for or kept. /readyz says why.";
    SINK_LAG = Gauge "tollgate_sink_lag_records" ("tollgate.sink.lag", "{record}") ["sink"]:
        "Calls on the ledger, or records of its audit store, that the sink has not taken yet.";
    SINK_LAG_TIME = Gauge "tollgate_sink_lag_seconds" ("tollgate.sink.lag.time", "s") ["sink"]:
        "How long the oldest of them has been waiting.";
    SINK_EVENTS = Counter "tollgate_sink_events" ("tollgate.sink.events", "{event}") ["sink", "result"]:
        "Events of this process that the sink took (`delivered`) or will never take (`refused`: set aside in `data_dir/sinks`).";
    SINK_FAILURES = Counter "tollgate_sink_failures" ("tollgate.sink.failures", "{delivery}") ["sink"]:
        "Deliveries that failed; each is tried again.";
    SINK_SUCCESS = Gauge "tollgate_sink_last_success_timestamp_seconds" ("tollgate.sink.last_success", "s") ["sink"]:
        "When the sink last took an event, in seconds since 1970; 0 if it has not since the start.";
    SINK_FAILING = Gauge "tollgate_sink_failing" ("tollgate.sink.failing", "1") ["sink", "kind"]:
        "1 while the sink's latest delivery failed. /readyz says why.";
    SINK_MISSED = Counter "tollgate_sink_missed_records" ("tollgate.sink.missed", "{record}") ["sink"]:
        "Audit records whose content went by their retention before the sink, which wants it, had taken them. Counted over restarts.";

    AUDIT_RECORDS = Counter "tollgate_audit_records" ("tollgate.audit.records", "{record}") ["store", "result"]:
        "Audit records of this process: `written`, or `failed` because the store could not take them.";
    AUDIT_REFUSED = Counter "tollgate_audit_refused_calls" ("tollgate.audit.refused_calls", "{call}") ["store"]:
        "Calls refused with `audit_unavailable`, because they had to be recorded and could not be.";
    AUDIT_PURGED = Counter "tollgate_audit_purged" ("tollgate.audit.purged", "{record}") ["store"]:
        "Records whose content this process removed at the end of its retention.";
    AUDIT_ENTRIES = Gauge "tollgate_audit_chain_entries" ("tollgate.audit.chain.entries", "{entry}") ["store"]:
        "Entries of the store's chain, of all kinds.";
    AUDIT_UNSIGNED = Gauge "tollgate_audit_chain_unsigned_entries" ("tollgate.audit.chain.unsigned", "{entry}") ["store"]:
        "Entries that no signed head covers yet.";
    AUDIT_BYTES = Gauge "tollgate_audit_content_bytes" ("tollgate.audit.content", "By") ["store"]:
        "Bytes that the store's sealed contents take on disk.";
    AUDIT_BEHIND = Gauge "tollgate_audit_behind_bytes" ("tollgate.audit.behind", "By") ["store"]:
        "Bytes of records that are written and not on the chain yet.";
    AUDIT_OLDEST = Gauge "tollgate_audit_oldest_content_timestamp_seconds" ("tollgate.audit.oldest_content", "s") ["store"]:
        "When the oldest call began whose content is kept, in seconds since 1970; looked up once an hour, 0 before that and where there is none.";
    AUDIT_FAULT = Gauge "tollgate_audit_fault" ("tollgate.audit.fault", "1") ["store", "part"]:
        "1 while the store cannot take records (`records`), or cannot chain those that it took (`chain`). /readyz says why.";

    CACHE_LOOKUPS = Counter "tollgate_cache_lookups" ("tollgate.cache.lookups", "{call}") ["product", "result"]:
        "Calls of products with a cache. Answered from it: `exact`, `coalesced` (with an answer that another call waited for), `semantic` (with the answer to a question that means the same). `miss`. Left alone: `unwanted` (the client says so), `too_hot` (above `max_temperature`), `unfit` (its answer cannot be given again), `too_large`.";
    CACHE_ENTRIES = Gauge "tollgate_cache_entries" ("tollgate.cache.entries", "{entry}") []:
        "Answers that may be given again.";
    CACHE_BYTES = Gauge "tollgate_cache_memory_bytes" ("tollgate.cache.memory", "By") []:
        "Memory that they take, with what finds them; `caching.memory` bounds it.";
    CACHE_STORED = Counter "tollgate_cache_stored" ("tollgate.cache.stored", "{entry}") []:
        "Answers that were put in.";
    CACHE_GONE = Counter "tollgate_cache_gone" ("tollgate.cache.gone", "{entry}") ["reason"]:
        "Answers that went: `replaced` by a newer one, `evicted` for others, `refused` because they are larger than the memory, `expired`, `purged`, `erased` with those who bought them, `lost` on disk.";
    CACHE_COMPARED = Counter "tollgate_cache_compared" ("tollgate.cache.compared", "{answer}") ["product", "mode", "verdict"]:
        "Cached answers that were held against the provider's. `mode` is `shadow` for those that would have been given, `explored` for those whose record is not good enough yet; `verdict` is `right`, `wrong`, or `unknown` where nobody can say. `wrong` among `shadow` is the false-hit rate.";
    CACHE_PASSED_OVER = Counter "tollgate_cache_passed_over" ("tollgate.cache.passed_over", "{answer}") ["difference"]:
        "Answers to similar questions that were not given because their questions differ in their words, by the first difference.";
    CACHE_UNEMBEDDED = Counter "tollgate_cache_unembedded" ("tollgate.cache.unembedded", "{question}") ["reason"]:
        "Questions that were not compared by meaning: `too_long`, `busy` (as many as may wait or be asked for are), `late` (past the embedder's `timeout`), `failed`; of a deployment also `throttled`, `refused` (a budget has no room), `unreadable` (no vector), `other_length` (a vector of another length than the one before).";
    CACHE_EMBEDDING = Histogram "tollgate_cache_embedding_seconds" ("tollgate.cache.embedding", "s") []:
        "From asking for a question's vector to having it.";
    SAVED_TOKENS = Counter "tollgate_saved_tokens" ("tollgate.saved_tokens", "{token}") ["subscription", "model"]:
        "Tokens of answers that the cache gave, none of them charged.";

    CONFIG_REVISION = Gauge "tollgate_config_revision" ("tollgate.config.revision", "1") []:
        "Revision of the configuration in force, from 1 in each process.";
    RELOADS = Counter "tollgate_config_reloads" ("tollgate.config.reloads", "{reload}") ["result"]:
        "Loads of the configuration since the start: `ok`, or `failed` and the one in force stayed.";
    CONFIG_LOADED = Gauge "tollgate_config_last_success_timestamp_seconds" ("tollgate.config.last_success", "s") []:
        "When the configuration in force was loaded, in seconds since 1970.";

    SPANS = Counter "tollgate_otlp_spans" ("tollgate.otlp.spans", "{span}") ["result"]:
        "Spans of sampled calls: `sent`, or lost to a full queue (`queue_full`) or to a collector that did not take them (`failed`).";
    EXPORT_FAILURES = Counter "tollgate_otlp_export_failures" ("tollgate.otlp.export.failures", "{export}") ["signal"]:
        "Exports that the collector did not take, of `traces` and `metrics`.";

    BUILD = Gauge "tollgate_build_info" ("tollgate.build", "1") ["version"]:
        "Always 1; the version is in its label.";
    PROCESS_CPU = Counter "process_cpu_seconds" ("process.cpu.time", "s") []:
        "CPU time of the process, user and system. Linux.";
    PROCESS_MEMORY = Gauge "process_resident_memory_bytes" ("process.memory.usage", "By") []:
        "Memory of the process that is in RAM. Linux.";
    PROCESS_FDS = Gauge "process_open_fds" ("process.unix.file_descriptor.count", "{file_descriptor}") []:
        "File handles that the process has open. Linux.";
    PROCESS_FDS_MAX = Gauge "process_max_fds" ("process.unix.file_descriptor.limit", "{file_descriptor}") []:
        "File handles that the process may have open. Linux.";
    PROCESS_START = Gauge "process_start_time_seconds" ("process.start_time", "s") []:
        "When the process started, in seconds since 1970. Linux.";
}
