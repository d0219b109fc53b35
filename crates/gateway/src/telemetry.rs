//! What the gateway tells of its calls: metrics, traces, the access log, the security log.
//!
//! Everything is made from the record of a call that has ended, so that counting decides nothing
//! and can delay nothing. What each metric means stands in [`catalogue`].

pub mod catalogue;

mod access;
mod answers;
mod bounded;
mod budgets;
mod exposition;
mod histogram;
mod meanings;
mod money;
pub(crate) mod otlp;
mod process;
mod sample;
mod security;
mod series;
mod trace;
mod usage;

use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use config::{CallContext, Snapshot};
use domain::pool::MemberState;
use domain::{Now, Wall};
use http::HeaderMap;
use tokio_util::sync::CancellationToken;

use crate::admission::{BudgetLevels, Downgraded};
use crate::alerts::Ending;
use crate::clock::Chance;
use crate::gateway::Gateway;
use crate::overload::Shed;
use crate::router::Backends;

use answers::CacheSeries;
use bounded::Bounded;
use budgets::PastBudgets;
use meanings::SemanticSeries;
use otlp::Exporter;
use sample::{Family, Value};
use security::SecurityLog;
use series::CallSeries;
use usage::Usage;

pub use otlp::Told;
pub use series::Asked;
pub use trace::TraceContext;
pub use usage::UsageSeries;

/// Codes of errors, which are a closed set.
const CODES_MAX: usize = 100;

pub struct Telemetry {
    calls: CallSeries,
    pub cache: CacheSeries,
    /// Shared with tasks that outlive their calls.
    pub semantic: Arc<SemanticSeries>,
    past_budgets: PastBudgets,
    usage: Usage,
    exporter: Exporter,
    unauthenticated: Bounded<&'static str, AtomicU64>,
    /// In the order of [`Shed::ALL`].
    shed: [AtomicU64; Shed::ALL.len()],
    calls_open: AtomicI64,
    reserved_tokens: AtomicI64,
    reloads: AtomicU64,
    failed_reloads: AtomicU64,
    loaded_at_ms: AtomicI64,
    security: Mutex<SecurityLog>,
    started: Wall,
}

impl Telemetry {
    pub fn new(now: Now) -> Self {
        Self {
            calls: CallSeries::default(),
            cache: CacheSeries::default(),
            semantic: Arc::default(),
            usage: Usage::default(),
            exporter: Exporter::default(),
            past_budgets: PastBudgets::default(),
            unauthenticated: Bounded::new(CODES_MAX, AtomicU64::default),
            shed: Default::default(),
            calls_open: AtomicI64::new(0),
            reserved_tokens: AtomicI64::new(0),
            reloads: AtomicU64::new(0),
            failed_reloads: AtomicU64::new(0),
            loaded_at_ms: AtomicI64::new(now.wall.0),
            security: Mutex::default(),
            started: now.wall,
        }
    }

    /// Exports what the configuration in force says, until `stop`.
    pub fn start(gateway: &Arc<Gateway>, stop: CancellationToken) {
        if let Some(queue) = gateway.telemetry.exporter.take_queue() {
            let export = otlp::export(Arc::downgrade(gateway), queue, stop);
            gateway.tasks.spawn(export);
        }
    }

    /// Before a snapshot comes into force.
    pub fn sync(&self, snapshot: &Snapshot) {
        self.calls.retain(snapshot);
        self.cache.retain(snapshot);
        self.semantic.retain(snapshot);
        self.past_budgets.retain(snapshot);
        self.usage.sync(snapshot);
        self.exporter.sync(&snapshot.settings.telemetry);
    }

    pub fn count_reload(&self, now: Now) {
        self.reloads.fetch_add(1, Ordering::Relaxed);
        self.loaded_at_ms.store(now.wall.0, Ordering::Relaxed);
    }

    pub fn count_failed_reload(&self) {
        self.failed_reloads.fetch_add(1, Ordering::Relaxed);
    }

    /// Pairs with [`Telemetry::call_closed`], which the trail's drop calls.
    pub fn call_opened(&self) {
        self.calls_open.fetch_add(1, Ordering::Relaxed);
    }

    pub fn call_closed(&self) {
        self.calls_open.fetch_sub(1, Ordering::Relaxed);
    }

    /// What a call has reserved from now on; settling gives it back.
    pub fn reserved(&self, tokens: u64) {
        let tokens = i64::try_from(tokens).unwrap_or(i64::MAX);
        self.reserved_tokens.fetch_add(tokens, Ordering::Relaxed);
    }

    pub fn released(&self, tokens: u64) {
        let tokens = i64::try_from(tokens).unwrap_or(i64::MAX);
        self.reserved_tokens.fetch_sub(tokens, Ordering::Relaxed);
    }

    /// The call's place in its trace. `None`: nothing is traced, and headers pass as they are.
    pub fn trace(&self, headers: &HeaderMap, chance: &Chance) -> Option<TraceContext> {
        let ratio = self.exporter.sample_ratio()?;
        Some(TraceContext::of(headers, ratio, chance))
    }

    /// Where the configured dimensions put this call.
    pub fn usage_series(&self, call: &CallContext<'_>) -> Option<Arc<UsageSeries>> {
        let dimensions = call.product?.dimensions.as_deref()?;
        Some(self.usage.series(dimensions, call))
    }

    /// Once for each call that has a record.
    pub fn tell(&self, told: &Told<'_>, backends: &Backends) {
        self.calls.count(told.record, told.asked);
        if let Some(series) = told.series {
            series.count(told.record);
        }
        access::write(told);
        if let Some(trace) = told.origin.trace.as_ref().filter(|trace| trace.is_sampled) {
            self.exporter.push(told, trace, backends);
        }
    }

    /// Calls that a budget had no room for and that go on.
    pub fn count_past(&self, levels: Option<&BudgetLevels>, downgraded: Option<&Downgraded>) {
        self.past_budgets.count(levels, downgraded);
    }

    pub fn count_shed(&self, shed: Shed) {
        for (reason, count) in Shed::ALL.iter().zip(&self.shed) {
            if *reason == shed {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Never on the ledger: a metric, and a line in a log that cannot be flooded.
    pub fn count_unauthenticated(&self, code: &'static str, ip: IpAddr, now: Now) {
        self.unauthenticated.count(
            &code,
            || code,
            |count| {
                count.fetch_add(1, Ordering::Relaxed);
            },
        );
        let admitted = self
            .security
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .admits(now.mono);
        if let Some(suppressed) = admitted {
            tracing::warn!(target: "security", code, %ip, suppressed, "request refused before its caller was known");
        }
    }

    /// The exposition text.
    pub fn expose(&self, gateway: &Gateway) -> String {
        exposition::text(&self.families(gateway))
    }

    fn started(&self) -> Wall {
        self.started
    }

    /// Every metric. Gauges are read from their owners here, not kept up to date meanwhile.
    fn families(&self, gateway: &Gateway) -> Vec<Family> {
        let now = gateway.clock.now();
        let mut families = Vec::with_capacity(catalogue::ALL.len());
        self.calls.families(&mut families);
        let mut unauthenticated = Family::new(&catalogue::UNAUTHENTICATED);
        self.unauthenticated.for_each(|code, count| {
            unauthenticated.add(&[code], Value::Whole(count.load(Ordering::Relaxed)));
        });
        families.push(unauthenticated);
        let mut shed = Family::new(&catalogue::SHED);
        for (reason, count) in Shed::ALL.iter().zip(&self.shed) {
            shed.add(
                &[reason.as_str()],
                Value::Whole(count.load(Ordering::Relaxed)),
            );
        }
        families.push(shed);
        let mut held = Family::new(&catalogue::BODY_BYTES_HELD);
        held.add(&[], Value::Whole(gateway.overload.body_bytes()));
        families.push(held);
        for (metric, level) in [
            (&catalogue::CALLS_OPEN, &self.calls_open),
            (&catalogue::RESERVED, &self.reserved_tokens),
        ] {
            let level = u64::try_from(level.load(Ordering::Relaxed)).unwrap_or(0);
            families.push(Family::of(metric, Value::Whole(level)));
        }
        self.past_budgets.families(gateway, now, &mut families);
        let counters = Value::Whole(gateway.counters.in_use() as u64);
        families.push(Family::of(&catalogue::COUNTERS, counters));
        backend_families(gateway, now, &mut families);
        self.usage.families(&mut families);
        learned_families(gateway, &mut families);
        ledger_families(gateway, &mut families);
        alert_families(gateway, &mut families);
        sink_families(gateway, now, &mut families);
        audit_families(gateway, &mut families);
        self.cache.families(gateway, &mut families);
        self.semantic.families(&mut families);
        self.configuration_families(gateway, &mut families);
        self.exporter.families(&mut families);
        families.push(
            Family::new(&catalogue::BUILD).with(&[env!("CARGO_PKG_VERSION")], Value::Whole(1)),
        );
        families.extend(process::families());
        families
    }

    fn configuration_families(&self, gateway: &Gateway, into: &mut Vec<Family>) {
        let revision = Value::Whole(gateway.snapshot.load().revision);
        into.push(Family::of(&catalogue::CONFIG_REVISION, revision));
        let (ok, failed) = (&self.reloads, &self.failed_reloads);
        into.push(
            Family::new(&catalogue::RELOADS)
                .with(&["ok"], Value::Whole(ok.load(Ordering::Relaxed)))
                .with(&["failed"], Value::Whole(failed.load(Ordering::Relaxed))),
        );
        let loaded_s = self.loaded_at_ms.load(Ordering::Relaxed) as f64 / 1e3;
        into.push(Family::of(&catalogue::CONFIG_LOADED, Value::Real(loaded_s)));
    }
}

fn backend_families(gateway: &Gateway, now: Now, into: &mut Vec<Family>) {
    let mut open = Family::new(&catalogue::BREAKER_OPEN);
    let mut half_open = Family::new(&catalogue::BREAKER_HALF_OPEN);
    let mut saturated = Family::new(&catalogue::SATURATED);
    for backend in gateway.router.backends().all() {
        let id = backend.id().as_str();
        let is_tripped = backend.is_tripped();
        // A call of one token is the least that a backend can be asked for.
        let state = backend.state(1, now.mono);
        let is_open = matches!(state, MemberState::Open { .. });
        let is_saturated = matches!(state, MemberState::Saturated { .. });
        for (family, holds) in [
            (&mut open, is_tripped),
            (&mut half_open, is_tripped && !is_open),
            (&mut saturated, is_saturated),
        ] {
            family.add(&[id], Value::Whole(u64::from(holds)));
        }
    }
    into.extend([open, half_open, saturated]);

    let mut open = Family::new(&catalogue::GUARD_BREAKER_OPEN);
    let mut half_open = Family::new(&catalogue::GUARD_BREAKER_HALF_OPEN);
    for breaker in gateway.services.breakers(now.mono) {
        let service = &*breaker.service;
        open.add(&[service], Value::Whole(u64::from(breaker.is_tripped)));
        half_open.add(&[service], Value::Whole(u64::from(breaker.is_half_open)));
    }
    into.extend([open, half_open]);

    let mut expiry = Family::new(&catalogue::TOKEN_EXPIRY);
    let mut failures = Family::new(&catalogue::TOKEN_FAILURES);
    for followed in gateway.router.backends().identities() {
        let identity = &followed.identity;
        let left_s = identity
            .expires_in(now.mono)
            .map_or(0, |left| left.as_secs());
        expiry.add(&[identity.name()], Value::Whole(left_s));
        failures.add(&[identity.name()], Value::Whole(identity.failed_fetches()));
    }
    into.extend([expiry, failures]);
}

fn learned_families(gateway: &Gateway, into: &mut Vec<Family>) {
    let mut answer = Family::new(&catalogue::LEARNED_ANSWER);
    let mut observations = Family::new(&catalogue::LEARNED_OBSERVATIONS);
    gateway.estimates.for_each(|learned| {
        let application = learned.application.map_or("", |name| name.as_str());
        let labels = [application, learned.model.as_str()];
        answer.add(&labels, Value::Real(learned.answer_tokens as f64));
        observations.add(&labels, Value::Real(learned.observations));
    });
    into.extend([answer, observations]);
}

fn sink_families(gateway: &Gateway, now: Now, into: &mut Vec<Family>) {
    let mut lag = Family::new(&catalogue::SINK_LAG);
    let mut lag_time = Family::new(&catalogue::SINK_LAG_TIME);
    let mut events = Family::new(&catalogue::SINK_EVENTS);
    let mut failures = Family::new(&catalogue::SINK_FAILURES);
    let mut success = Family::new(&catalogue::SINK_SUCCESS);
    let mut failing = Family::new(&catalogue::SINK_FAILING);
    let mut missed = Family::new(&catalogue::SINK_MISSED);
    for health in gateway.sinks.health() {
        let id = health.id.as_str();
        lag.add(&[id], Value::Whole(health.lag.records));
        let waited_s = health.lag_time(now.wall).as_secs_f64();
        lag_time.add(&[id], Value::Real(waited_s));
        events.add(&[id, "delivered"], Value::Whole(health.delivered));
        events.add(&[id, "refused"], Value::Whole(health.refused));
        failures.add(&[id], Value::Whole(health.failures));
        let last_s = health.last_success.map_or(0.0, |at| at.0 as f64 / 1e3);
        success.add(&[id], Value::Real(last_s));
        let is_failing = u64::from(health.failing.is_some());
        failing.add(&[id, health.kind], Value::Whole(is_failing));
        missed.add(&[id], Value::Whole(health.missed));
    }
    into.extend([lag, lag_time, events, failures, success, failing, missed]);
}

fn audit_families(gateway: &Gateway, into: &mut Vec<Family>) {
    let mut records = Family::new(&catalogue::AUDIT_RECORDS);
    let mut refused = Family::new(&catalogue::AUDIT_REFUSED);
    let mut purged = Family::new(&catalogue::AUDIT_PURGED);
    let mut entries = Family::new(&catalogue::AUDIT_ENTRIES);
    let mut unsigned = Family::new(&catalogue::AUDIT_UNSIGNED);
    let mut bytes = Family::new(&catalogue::AUDIT_BYTES);
    let mut behind = Family::new(&catalogue::AUDIT_BEHIND);
    let mut oldest = Family::new(&catalogue::AUDIT_OLDEST);
    let mut fault = Family::new(&catalogue::AUDIT_FAULT);
    for health in gateway.audit.health() {
        let id = health.id.as_str();
        records.add(&[id, "written"], Value::Whole(health.written));
        records.add(&[id, "failed"], Value::Whole(health.failed));
        refused.add(&[id], Value::Whole(health.refused_calls));
        purged.add(&[id], Value::Whole(health.purged));
        entries.add(&[id], Value::Whole(health.entries));
        unsigned.add(&[id], Value::Whole(health.unsigned));
        bytes.add(&[id], Value::Whole(health.bytes));
        behind.add(&[id], Value::Whole(health.behind_bytes));
        let oldest_s = health.oldest.map_or(0.0, |at| at.0 as f64 / 1e3);
        oldest.add(&[id], Value::Real(oldest_s));
        for (part, found) in health.faults() {
            fault.add(&[id, part], Value::Whole(u64::from(found.is_some())));
        }
    }
    into.extend([
        records, refused, purged, entries, unsigned, bytes, behind, oldest, fault,
    ]);
}

fn ledger_families(gateway: &Gateway, into: &mut Vec<Family>) {
    let health = gateway.ledger.health();
    for (metric, amount) in [
        (&catalogue::LEDGER_BEHIND, health.behind_bytes),
        (&catalogue::LEDGER_IN_MEMORY, health.records_in_memory),
        (&catalogue::LEDGER_FOLDED, health.folded),
    ] {
        into.push(Family::of(metric, Value::Whole(amount)));
    }
    let mut fault = Family::new(&catalogue::LEDGER_FAULT);
    for (part, found) in [
        ("journal", &health.journal_fault),
        ("database", &health.database_fault),
    ] {
        fault.add(&[part], Value::Whole(u64::from(found.is_some())));
    }
    into.push(fault);
}

fn alert_families(gateway: &Gateway, into: &mut Vec<Family>) {
    let counts = &gateway.alerts.counts;
    let mut alerts = Family::new(&catalogue::ALERTS);
    for (kind, count) in counts.of_kinds() {
        alerts.add(&[kind.as_str()], Value::Whole(count));
    }
    let mut deliveries = Family::new(&catalogue::ALERT_DELIVERIES);
    let mut waiting = Family::new(&catalogue::ALERTS_WAITING);
    for (channel, of_channel) in counts.of_channels() {
        for (ending, count) in Ending::ALL.iter().zip(of_channel.endings) {
            let labels = [channel.as_str(), ending.as_str()];
            deliveries.add(&labels, Value::Whole(count));
        }
        waiting.add(&[channel.as_str()], Value::Whole(of_channel.waiting));
    }
    let dropped = Value::Whole(counts.all_dropped());
    let fault = Value::Whole(u64::from(counts.fault().is_some()));
    into.extend([alerts, deliveries, waiting]);
    into.push(Family::of(&catalogue::ALERTS_DROPPED, dropped));
    into.push(Family::of(&catalogue::ALERTS_FAULT, fault));
}
