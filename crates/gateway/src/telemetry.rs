//! What the gateway counts of itself, for `/metrics`. Labels are bounded: configured names and
//! closed sets, never what a client chose.

use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::record::CallRecord;
use domain::{Mono, Now};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::gateway::Gateway;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    subscription: String,
    model: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    subscription: String,
    model: String,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    backend: String,
    failure: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabels {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LearnedLabels {
    application: String,
    model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BackendLabels {
    backend: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct IdentityLabels {
    identity: String,
}

pub struct Telemetry {
    registry: Registry,
    calls: Family<CallLabels, Counter>,
    tokens: Family<TokenLabels, Counter>,
    attempts: Family<AttemptLabels, Counter>,
    unauthenticated: Family<CodeLabels, Counter>,
    learned_answer: Family<LearnedLabels, Gauge<f64, AtomicU64>>,
    learned_observations: Family<LearnedLabels, Gauge>,
    breaker_open: Family<BackendLabels, Gauge>,
    token_expiry: Family<IdentityLabels, Gauge>,
    token_failures: Family<IdentityLabels, Counter>,
    ledger_behind_bytes: Gauge,
    ledger_records_in_memory: Gauge,
    ledger_folded: Gauge,
    ledger_faults: Gauge,
    config_revision: Gauge,
    security: Mutex<SecurityLog>,
}

impl Default for Telemetry {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("tollgate");
        let calls = Family::default();
        registry.register(
            "calls",
            "Calls of authenticated callers, by how they ended",
            calls.clone(),
        );
        let tokens = Family::default();
        registry.register("tokens", "Tokens metered, by kind", tokens.clone());
        let attempts = Family::default();
        registry.register(
            "attempts",
            "Attempts at backends; failure is `none` for those that answered",
            attempts.clone(),
        );
        let unauthenticated = Family::default();
        registry.register(
            "unauthenticated",
            "Requests refused before their caller was known",
            unauthenticated.clone(),
        );
        let learned_answer = Family::default();
        registry.register(
            "learned_answer_tokens",
            "Answer length that `reserve: learned` holds, for each application and model",
            learned_answer.clone(),
        );
        let learned_observations = Family::default();
        registry.register(
            "learned_answer_observations",
            "Answers that the learned length rests on, old ones fading",
            learned_observations.clone(),
        );
        let breaker_open = Family::default();
        registry.register(
            "breaker_open",
            "1 while a backend's breaker lets no ordinary call through",
            breaker_open.clone(),
        );
        let token_expiry = Family::default();
        registry.register(
            "upstream_token_expiry_seconds",
            "Until the token that backends get ends; 0 while there is none",
            token_expiry.clone(),
        );
        let token_failures = Family::default();
        registry.register(
            "upstream_token_fetch_failures",
            "Tokens that could not be fetched",
            token_failures.clone(),
        );
        let ledger_behind_bytes = Gauge::default();
        registry.register(
            "ledger_behind_bytes",
            "Journal that the database does not have yet",
            ledger_behind_bytes.clone(),
        );
        let ledger_records_in_memory = Gauge::default();
        registry.register(
            "ledger_records_in_memory",
            "Records waiting in memory because the journal cannot be written",
            ledger_records_in_memory.clone(),
        );
        let ledger_folded = Gauge::default();
        registry.register(
            "ledger_folded",
            "Calls whose detail was folded into sums",
            ledger_folded.clone(),
        );
        let ledger_faults = Gauge::default();
        registry.register(
            "ledger_faults",
            "Parts of the ledger that are failing now: journal, database",
            ledger_faults.clone(),
        );
        let config_revision = Gauge::default();
        registry.register(
            "config_revision",
            "Revision of the configuration in force",
            config_revision.clone(),
        );
        Self {
            registry,
            calls,
            tokens,
            attempts,
            unauthenticated,
            learned_answer,
            learned_observations,
            breaker_open,
            token_expiry,
            token_failures,
            ledger_behind_bytes,
            ledger_records_in_memory,
            ledger_folded,
            ledger_faults,
            config_revision,
            security: Mutex::default(),
        }
    }
}

impl Telemetry {
    pub fn count(&self, record: &CallRecord) {
        let subscription = record.opening.who.subscription.as_str();
        // A name that was refused is the client's invention: it is no label.
        let model = if record.rule.as_deref() == Some("model_not_found") {
            ""
        } else {
            record.opening.model.as_str()
        };
        let outcome = record.outcome.as_str();
        self.calls
            .get_or_create(&CallLabels {
                subscription: subscription.into(),
                model: model.into(),
                outcome,
            })
            .inc();
        let usage = record.metered.usage();
        let kinds = [
            ("prompt", usage.prompt),
            ("completion", usage.completion),
            ("cached_prompt", usage.cached_prompt),
            ("reasoning", usage.reasoning),
            (
                "estimated",
                if record.metered.is_estimated() {
                    usage.total()
                } else {
                    0
                },
            ),
        ];
        for (kind, amount) in kinds.into_iter().filter(|(_, amount)| *amount > 0) {
            self.tokens
                .get_or_create(&TokenLabels {
                    subscription: subscription.into(),
                    model: model.into(),
                    kind,
                })
                .inc_by(amount);
        }
        for attempt in &record.attempts {
            let failure = attempt.failure.map_or("none", |failure| failure.as_str());
            self.attempts
                .get_or_create(&AttemptLabels {
                    backend: attempt.backend.to_string(),
                    failure,
                })
                .inc();
        }
    }

    /// Never on the ledger: a metric, and a line in a log that cannot be flooded.
    pub fn count_unauthenticated(&self, code: &'static str, ip: IpAddr, now: Now) {
        self.unauthenticated
            .get_or_create(&CodeLabels { code })
            .inc();
        let admitted = self
            .security
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .admits(now.mono);
        if let Some(suppressed) = admitted {
            tracing::warn!(target: "security", code, %ip, suppressed, "request refused before its caller was known");
        }
    }

    /// The exposition text. Gauges are read from their owners here, not kept up to date meanwhile.
    pub fn expose(&self, gateway: &Gateway) -> String {
        self.config_revision
            .set(gateway.snapshot.load().revision as i64);
        let health = gateway.ledger.health();
        self.ledger_behind_bytes.set(health.behind_bytes as i64);
        self.ledger_records_in_memory
            .set(health.records_in_memory as i64);
        self.ledger_folded.set(health.folded as i64);
        let faults = [&health.journal_fault, &health.database_fault];
        self.ledger_faults
            .set(faults.iter().filter(|fault| fault.is_some()).count() as i64);
        self.learned_answer.clear();
        self.learned_observations.clear();
        for learned in gateway.estimates.lock().list() {
            let application = learned
                .application
                .map_or_else(String::new, ToString::to_string);
            let labels = LearnedLabels {
                application,
                model: learned.model.to_string(),
            };
            self.learned_answer
                .get_or_create(&labels)
                .set(learned.answer_tokens as f64);
            self.learned_observations
                .get_or_create(&labels)
                .set(learned.observations as i64);
        }
        self.breaker_open.clear();
        for backend in gateway.router.backends().all() {
            let open = i64::from(backend.is_tripped());
            self.breaker_open
                .get_or_create(&BackendLabels {
                    backend: backend.id().to_string(),
                })
                .set(open);
        }
        self.token_expiry.clear();
        self.token_failures.clear();
        for followed in gateway.router.backends().identities() {
            let identity = &followed.identity;
            let labels = IdentityLabels {
                identity: identity.name().to_owned(),
            };
            let left = identity.expires_in(gateway.clock.now().mono);
            self.token_expiry
                .get_or_create(&labels)
                .set(left.unwrap_or_default().as_secs() as i64);
            self.token_failures
                .get_or_create(&labels)
                .inner()
                .store(identity.failed_fetches(), Ordering::Relaxed);
        }
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(_) => String::new(),
        }
    }
}

/// Ten lines a second; what is more is counted and said with the next line.
#[derive(Debug, Default)]
struct SecurityLog {
    second: u64,
    lines: u32,
    suppressed: u64,
}

impl SecurityLog {
    const LINES_PER_SECOND: u32 = 10;

    /// Whether a line may be written now, and how many were not since the last one.
    fn admits(&mut self, now: Mono) -> Option<u64> {
        let second = now.0 / 1_000_000_000;
        if second != self.second {
            self.second = second;
            self.lines = 0;
        }
        if self.lines == Self::LINES_PER_SECOND {
            self.suppressed += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_bad_keys_writes_ten_lines_a_second_and_says_what_it_left_out() {
        let mut log = SecurityLog::default();
        let written = (0..1000)
            .filter(|_| log.admits(Mono::from_secs(5)).is_some())
            .count();
        assert_eq!(written, 10);
        assert_eq!(log.admits(Mono::from_secs(6)), Some(990));
    }
}
