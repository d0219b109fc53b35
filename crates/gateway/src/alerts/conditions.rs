//! Conditions that last: open breakers, credentials that cannot be fetched, a ledger that cannot be
//! written.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use config::snapshot::{AlertCondition, AlertRule};
use domain::Wall;
use domain::alert::{Episode, Step};
use store::alerts::{Crossing, StoredEpisode};

use super::counts::Kind;
use super::facts::Facts;
use super::message::{Message, Severity};
use super::watch::{LookError, Told, Watch};
use super::words;

/// How exact the outbox is about when an episode was last seen to hold.
const SEEN_INTERVAL: Duration = Duration::from_secs(60);
/// A crash between telling and noting the episode must not tell it again; longer ones are noted.
const REMEMBERED: Duration = Duration::from_secs(7 * 86_400);

/// A record that waits for a sink for so long is no longer on its way.
const SINK_LAG: Duration = Duration::from_secs(60);

/// Something that holds now.
struct Holding {
    subject: String,
    /// `Backend eastus`: how a title begins.
    name: String,
    cause: Option<String>,
}

/// What a rule watches, and what is so.
struct Watched<'f> {
    rule: &'f Arc<AlertRule>,
    kind: Kind,
    lasting: Duration,
    holding: Vec<Holding>,
}

impl Watch {
    pub(super) fn look_at_conditions(&mut self, facts: &Facts) -> Result<(), LookError> {
        if self.episodes.is_none() {
            let kept = self.outbox.episodes()?.into_iter();
            let episodes = kept.map(|stored| ((stored.rule, stored.subject), stored.episode));
            self.episodes = Some(episodes.collect());
        }
        let mut seen = HashSet::new();
        for rule in &facts.snapshot.alerting.rules {
            if let Some(watched) = watched(rule, facts) {
                seen.insert(rule.name.to_string());
                self.look_at(facts, &watched)?;
            }
        }
        // Rules that are no more: nobody asked for an end.
        let gone: Vec<(String, String)> = self
            .known()
            .keys()
            .filter(|(rule, _)| !seen.contains(rule))
            .cloned()
            .collect();
        for (rule, subject) in gone {
            self.forget(&rule, &subject)?;
        }
        Ok(())
    }

    fn look_at(&mut self, facts: &Facts, watched: &Watched<'_>) -> Result<(), LookError> {
        for holding in &watched.holding {
            self.observe(facts, watched, &holding.subject, Some(holding))?;
        }
        let over: Vec<String> = self
            .known()
            .keys()
            .filter(|(rule, subject)| {
                **rule == *watched.rule.name
                    && !watched.holding.iter().any(|held| held.subject == *subject)
            })
            .map(|(_, subject)| subject.clone())
            .collect();
        for subject in over {
            self.observe(facts, watched, &subject, None)?;
        }
        Ok(())
    }

    fn observe(
        &mut self,
        facts: &Facts,
        watched: &Watched<'_>,
        subject: &str,
        holding: Option<&Holding>,
    ) -> Result<(), LookError> {
        let (rule, now) = (watched.rule, facts.now);
        let key = (rule.name.to_string(), subject.to_owned());
        let known = self.known().get(&key).copied();
        let mut episode = known.unwrap_or_else(|| Episode::begin(now));
        let before = episode;
        let step = episode.observe(holding.is_some(), watched.lasting, now);
        match step {
            Step::Raise => {
                let crossing = Crossing {
                    rule: key.0.clone(),
                    subject: key.1.clone(),
                    period: episode.began,
                    mark: "began".to_owned(),
                    kept_until: now + REMEMBERED,
                };
                let told = |_: &[&Crossing]| began(facts, watched, holding, subject, episode.began);
                self.raise(facts, &[crossing], &rule.notify, told)?;
            }
            Step::Resolve => {
                let message = over(facts, watched, subject, before);
                self.tell(facts, &rule.notify, message)?;
                return self.forget(&key.0, &key.1);
            }
            Step::Forget => return self.forget(&key.0, &key.1),
            Step::Nothing => {}
        }
        let is_stale = known.is_none_or(|known| episode.seen.since(known.seen) >= SEEN_INTERVAL);
        if is_stale || step == Step::Raise {
            self.outbox.keep_episode(&StoredEpisode {
                rule: key.0.clone(),
                subject: key.1.clone(),
                episode,
            })?;
            self.known_mut().insert(key, episode);
        }
        Ok(())
    }

    fn forget(&mut self, rule: &str, subject: &str) -> Result<(), LookError> {
        self.outbox.end_episode(rule, subject)?;
        self.known_mut()
            .remove(&(rule.to_owned(), subject.to_owned()));
        Ok(())
    }

    fn known(&mut self) -> &HashMap<(String, String), Episode> {
        self.known_mut()
    }

    fn known_mut(&mut self) -> &mut HashMap<(String, String), Episode> {
        self.episodes.get_or_insert_default()
    }
}

/// `None`: the rule is of another sort.
fn watched<'f>(rule: &'f Arc<AlertRule>, facts: &'f Facts) -> Option<Watched<'f>> {
    let named = |name: &str, subjects: &[String]| -> Vec<Holding> {
        let holding = subjects.iter().map(|subject| Holding {
            subject: subject.clone(),
            name: format!("{name} {subject}"),
            cause: None,
        });
        holding.collect()
    };
    let (kind, lasting, holding) = match &rule.condition {
        AlertCondition::BreakerOpen { lasting } => (
            Kind::BreakerOpen,
            *lasting,
            named("Backend", &facts.open_breakers),
        ),
        AlertCondition::CredentialFailure { lasting } => {
            let mut holding = named("Identity", &facts.failing_identities);
            holding.extend(named("Issuer", &facts.failing_issuers));
            (Kind::CredentialFailure, *lasting, holding)
        }
        AlertCondition::SinkTrouble { lasting } => {
            let troubled = facts
                .sinks
                .iter()
                .filter(|sink| sink.failing.is_some() || sink.lag_time(facts.now) >= SINK_LAG);
            let holding = troubled.map(|sink| Holding {
                subject: sink.id.to_string(),
                name: format!("Sink {}", sink.id),
                cause: sink.failing.as_ref().map(|failing| failing.error.clone()),
            });
            (Kind::SinkTrouble, *lasting, holding.collect())
        }
        AlertCondition::LedgerFault { lasting } => {
            let parts = [
                ("journal", &facts.ledger.journal_fault),
                ("database", &facts.ledger.database_fault),
            ];
            let faults = parts.into_iter().filter_map(|(part, fault)| {
                let cause = fault.clone()?;
                Some(Holding {
                    subject: part.to_owned(),
                    name: format!("The ledger's {part}"),
                    cause: Some(cause),
                })
            });
            (Kind::LedgerFault, *lasting, faults.collect())
        }
        AlertCondition::AuditFault { lasting } => {
            let stores = facts.audit.iter();
            let faults = stores.flat_map(|store| store.faults().map(|fault| (&store.id, fault)));
            let holding = faults.filter_map(|(id, (part, fault))| {
                Some(Holding {
                    subject: format!("{id} {part}"),
                    name: format!("Audit store {id} ({part})"),
                    cause: Some(fault?.clone()),
                })
            });
            (Kind::AuditFault, *lasting, holding.collect())
        }
        AlertCondition::Forecast { .. }
        | AlertCondition::Pace { .. }
        | AlertCondition::Unpriced { .. } => return None,
    };
    Some(Watched {
        rule,
        kind,
        lasting,
        holding,
    })
}

fn began(
    facts: &Facts,
    watched: &Watched<'_>,
    holding: Option<&Holding>,
    subject: &str,
    began: Wall,
) -> Message {
    let zone = &facts.snapshot.settings.time_zone;
    let name = holding.map_or(subject, |holding| &holding.name);
    let length = words::length(facts.now.since(began));
    let since = words::moment(began, zone);
    let (state, meaning, to_do) = texts(watched.kind);
    let mut text = format!("{name} {state} since {since} ({length}). {meaning}\n{to_do}");
    if let Some(cause) = holding.and_then(|holding| holding.cause.as_deref()) {
        text = format!("{text}\nThe fault: {cause}");
    }
    let told = Told {
        kind: watched.kind,
        severity: match watched.kind {
            Kind::CredentialFailure | Kind::SinkTrouble => Severity::Warning,
            _ => Severity::Critical,
        },
        resolved: false,
        rule: watched.rule.name.to_string(),
        subject: subject.to_owned(),
        title: format!("{name} {state} for {length}"),
        text,
    };
    told.into_message()
        .fact("Since", &format!("{since} ({})", words::zone_name(zone)))
        .detail("since", words::rfc3339(began))
}

fn over(facts: &Facts, watched: &Watched<'_>, subject: &str, episode: Episode) -> Message {
    let zone = &facts.snapshot.settings.time_zone;
    let length = words::length(episode.seen.since(episode.began));
    let what = match watched.kind {
        Kind::BreakerOpen => format!("Backend {subject} is back"),
        Kind::CredentialFailure => format!("Tokens and keys of {subject} are fetched again"),
        Kind::SinkTrouble => format!("Sink {subject} takes records again"),
        Kind::AuditFault => format!("Audit store {subject} can be written again"),
        _ => format!("The ledger's {subject} can be written again"),
    };
    let until = words::moment(episode.seen, zone);
    let told = Told {
        kind: watched.kind,
        severity: Severity::Info,
        resolved: true,
        rule: watched.rule.name.to_string(),
        subject: subject.to_owned(),
        title: format!("{what} after {length}"),
        text: format!(
            "{what}: nothing was seen of the fault since {until}. It had lasted {length}."
        ),
    };
    told.into_message()
        .fact("Until", &format!("{until} ({})", words::zone_name(zone)))
        .detail("since", words::rfc3339(episode.began))
        .detail("until", words::rfc3339(episode.seen))
}

/// How it is, what that means, and what to do.
fn texts(kind: Kind) -> (&'static str, &'static str, &'static str) {
    match kind {
        Kind::BreakerOpen => (
            "has an open breaker",
            "Calls go to the other members of its pools; a pool without another member answers 503.",
            "Look at the backend's own status and at tollgate_attempts_total by failure. The breaker closes by itself with the first probe that is answered.",
        ),
        Kind::CredentialFailure => (
            "cannot be fetched from",
            "Tokens and keys that are there stay in use until they end; then calls that need them fail.",
            "The log says why, under `a token for backends was not refreshed` or `an issuer's keys were not refreshed`.",
        ),
        Kind::SinkTrouble => (
            "does not take what it is sent",
            "Nothing is lost: its records wait on the ledger, and reach it when it takes them again.",
            "`tollgate sinks list` shows what waits, `tollgate sinks test` tries it.",
        ),
        Kind::AuditFault => (
            "cannot be written",
            "Calls that require a record are refused with 503 `audit_unavailable`; others go on without one, or theirs wait to be chained.",
            "Look at the disk and at the key service. `tollgate_audit_records_total` counts what was written and what failed.",
        ),
        _ => (
            "cannot be written",
            "Calls go on. Their records wait in the journal, then in memory, then lose their detail.",
            "Make room on the disk, or end the process that locks the database: everything that waits is written by itself.",
        ),
    }
}
