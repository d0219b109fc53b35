//! Audit records: which calls leave one, and what it holds.
//!
//! A call that goes on record carries a [`Recording`] from its plan to its settling, where it is
//! written once, with the usage record: what guards let through of the prompt and the answer, never
//! what came before them. A prompt that no guard has judged where one should is not written at all.
//! Calls that go on no record carry nothing. How records are sealed and chained is `audit::` the
//! crate's; who may read them is [`desk`]'s.

pub mod desk;
mod keys;
mod retention;
pub mod stores;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use ::audit::{Draft, Hit, Whose};
use bytes::Bytes;
use config::snapshot::{Audit, Guards};
use config::{CallContext, Snapshot};
use content::redact::{Findings, Masks, Rules};
use dialect::{Operation, Request, texts};
use domain::audit::Level;
use domain::record::{CacheOutcome, CallRecord, Content, Cost, Ruling, Verdict};
use domain::{ApplicationName, AuditStoreId, CallId, Now};

use crate::gateway::Gateway;
use crate::guards;
use crate::identity::Caller;
use crate::refusal::Refusal;
use crate::trail::Origin;

use self::stores::Store;

pub use self::retention::{retain, start};

/// What a call that goes on record gathers until it settles.
pub struct Recording {
    rule: Arc<Audit>,
    store: Arc<Store>,
    guards: Option<Arc<Guards>>,
    /// Guards that must look at the prompt have done so.
    prompt_is_judged: bool,
}

/// Whether a call goes on record. One that must be and cannot is refused, before it is forwarded.
pub fn begin(
    gateway: &Gateway,
    snapshot: &Snapshot,
    caller: &Caller,
    origin: &Origin,
    context: &CallContext<'_>,
) -> Result<Option<Box<Recording>>, Refusal> {
    let of_subscription = caller.subscription.audit.as_ref();
    let Some(rule) = rule_of(snapshot, caller.application.as_ref(), of_subscription) else {
        return Ok(None);
    };
    if !rule.sample.takes(origin.id) || !applies(rule, context)? {
        return Ok(None);
    }
    let Some(store) = gateway.audit.get(&rule.store) else {
        return unavailable(rule);
    };
    if rule.required && !store.can_take(whose(caller, origin, &caller.label())) {
        store.count_refused_call();
        return unavailable(rule);
    }
    let guards = caller.subscription.guards.clone();
    let is_to_be_judged = guards
        .as_ref()
        .is_some_and(|guards| guards.look_at_prompt());
    Ok(Some(Box::new(Recording {
        rule: rule.clone(),
        store,
        guards,
        prompt_is_judged: !is_to_be_judged,
    })))
}

/// Whose key will seal the record, as its [`Draft`] says later.
fn whose<'w>(caller: &'w Caller, origin: &Origin, label: &'w str) -> Whose<'w> {
    Whose {
        subscription: &caller.subscription.id,
        person: caller.user.as_deref().unwrap_or(label),
        at: origin.started.wall,
    }
}

/// The application's, else the subscription's, which has those of wider scopes in it.
fn rule_of<'s>(
    snapshot: &'s Snapshot,
    application: Option<&ApplicationName>,
    of_subscription: Option<&'s Arc<Audit>>,
) -> Option<&'s Arc<Audit>> {
    let of_application = match application {
        Some(name) if !snapshot.application_audits.is_empty() => {
            snapshot.application_audits.get(name)
        }
        _ => None,
    };
    let rule = of_application.or(of_subscription)?;
    (rule.level != Level::None).then_some(rule)
}

fn applies(rule: &Audit, context: &CallContext<'_>) -> Result<bool, Refusal> {
    let Some(when) = &rule.when else {
        return Ok(true);
    };
    let fault = |message: String| Refusal::PolicyFault {
        rule: rule.rule.clone(),
        message,
    };
    let value = when.text(context).map_err(|error| fault(error.message))?;
    match &*value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(fault(format!(
            "`{}` is neither true nor false",
            when.source()
        ))),
    }
}

fn unavailable(rule: &Arc<Audit>) -> Result<Option<Box<Recording>>, Refusal> {
    if rule.required {
        return Err(Refusal::AuditUnavailable {
            rule: rule.rule.clone(),
        });
    }
    Ok(None)
}

impl Recording {
    /// What guards let through of the prompt may be kept from now on.
    pub fn prompt_was_judged(&mut self) {
        self.prompt_is_judged = true;
    }

    /// Of the answer, as far as it is to be kept.
    pub fn answer_bytes_wanted(&self) -> usize {
        match self.rule.level {
            Level::Full => self.store.content_bytes_max(),
            Level::None | Level::Metadata => 0,
        }
    }

    /// Writes the record. A store that cannot take it has counted that; the call is over. What guards
    /// that edit records found is told of the call from now on.
    pub fn write(
        self,
        gateway: &Gateway,
        record: &mut CallRecord,
        call: Option<&Request>,
        answer: Option<Bytes>,
        now: Now,
    ) {
        let Self {
            rule,
            store,
            guards,
            prompt_is_judged,
        } = self;
        let mut contents = Contents::default();
        if rule.level == Level::Full {
            contents.prompt = call
                .filter(|_| prompt_is_judged)
                .map(|call| call.body().clone());
            // Vectors are not kept: what they were made of is.
            let is_vectors = call.is_some_and(|call| call.operation == Operation::Embeddings);
            contents.answer = answer.filter(|_| !is_vectors);
            contents.edit(guards.as_deref(), gateway, &mut record.verdicts);
        }
        append(&store, &rule, record, &contents, now);
    }
}

fn append(store: &Store, rule: &Audit, record: &CallRecord, contents: &Contents, now: Now) {
    let opening = &record.opening;
    let who = &opening.who;
    let usage = record.metered.usage();
    let draft = Draft {
        call: opening.id,
        at: opening.at,
        subscription: &who.subscription,
        product: who.product.as_str(),
        application: who.application.as_ref().map(|name| name.as_str()),
        user: who.user.as_deref(),
        caller: &who.caller,
        model: opening.model.as_str(),
        backend: record.backend.as_ref().map(|backend| backend.as_str()),
        outcome: record.outcome,
        status: record.status,
        hit: hit(record),
        rule: record.rule.as_deref(),
        prompt_tokens: usage.prompt,
        completion_tokens: usage.completion,
        cost: &cost_text(&record.cost),
        verdicts: &verdicts_text(&record.verdicts),
        prompt: contents.prompt.as_deref(),
        answer: contents.answer.as_deref(),
        retention_days: rule.retention_days,
        required: rule.required,
    };
    store.append(&draft, now.wall);
}

/// Calls that were in flight when the last process died, as the ledger knows them: who called what. What they
/// said died with it. By the rules of today, and once: one may have been written just before.
pub fn record_interrupted(gateway: &Gateway, records: &[CallRecord]) {
    let snapshot = gateway.snapshot.load();
    let mut of_stores: BTreeMap<&AuditStoreId, Vec<(&Arc<Audit>, &CallRecord)>> = BTreeMap::new();
    for record in records {
        let who = &record.opening.who;
        let subscription = snapshot.subscriptions.get(&who.subscription);
        let of_subscription = subscription.and_then(|known| known.audit.as_ref());
        let rule = rule_of(&snapshot, who.application.as_ref(), of_subscription);
        // Whether `when` held, nobody knows any more: rather a record too many.
        if let Some(rule) = rule.filter(|rule| rule.sample.takes(record.opening.id)) {
            of_stores
                .entry(&rule.store)
                .or_default()
                .push((rule, record));
        }
    }
    for (id, calls) in of_stores {
        let Some(store) = gateway.audit.get(id) else {
            continue;
        };
        let ids: Vec<CallId> = calls.iter().map(|(_, record)| record.opening.id).collect();
        let recorded = store.recorded(&ids).unwrap_or_else(|error| {
            tracing::warn!(store = %id, %error, "interrupted calls may be on the audit log twice");
            Default::default()
        });
        for (rule, record) in calls {
            if !recorded.contains(&record.opening.id) {
                append(
                    &store,
                    rule,
                    record,
                    &Contents::default(),
                    gateway.clock.now(),
                );
            }
        }
    }
}

fn hit(record: &CallRecord) -> Option<Hit> {
    let is_hit = record.cache == CacheOutcome::Hit;
    is_hit.then_some(match record.similarity {
        None => Hit::Exact,
        Some(_) => Hit::Semantic,
    })
}

/// What a record holds, once every guard that edits records has edited it.
#[derive(Default)]
struct Contents {
    prompt: Option<Bytes>,
    answer: Option<Bytes>,
}

impl Contents {
    /// `where: [audit]`. What a guard cannot edit is not kept.
    fn edit(&mut self, guards: Option<&Guards>, gateway: &Gateway, verdicts: &mut Vec<Verdict>) {
        let editing = guards.into_iter().flat_map(|guards| &guards.list);
        for guard in editing.filter(|guard| guard.on.audit) {
            // No other kind edits records: the configuration sees to it.
            let Some(pii) = guard.kind.pii() else {
                continue;
            };
            let rules = guards::document::rules(pii, gateway);
            // The same value has the same placeholder in both.
            let mut masks = Masks::default();
            let prompt = (Content::Prompt, &mut self.prompt);
            for (on, content) in [prompt, (Content::Answer, &mut self.answer)] {
                let Some(document) = content.take() else {
                    continue;
                };
                let mut verdict = Verdict {
                    guard: guard.rule.clone(),
                    on,
                    verdict: Ruling::Redacted,
                    findings: Vec::new(),
                    failure: None,
                };
                if let Some(rules) = &rules {
                    let (edited, findings) = edit(document, rules, &mut masks);
                    *content = Some(edited);
                    verdict.findings = guards::document::counts(&findings);
                } else {
                    verdict.failure = Some(guards::document::NO_HASH_KEY.into());
                }
                if !verdict.findings.is_empty() || verdict.failure.is_some() {
                    verdicts.push(verdict);
                }
            }
        }
    }
}

fn edit(document: Bytes, rules: &Rules, masks: &mut Masks) -> (Bytes, Findings) {
    let mut findings = Findings::default();
    let edited = texts::edit_called(&document, |called, text| {
        match rules.edit_called(called, text, masks, &mut findings) {
            std::borrow::Cow::Borrowed(_) => None,
            std::borrow::Cow::Owned(edited) => Some(edited),
        }
    });
    (edited.map_or(document, Bytes::from), findings)
}

/// For people: `0.001234 EUR`.
fn cost_text(cost: &Cost) -> String {
    match cost {
        Cost::Nothing => String::new(),
        Cost::Priced {
            amount, currency, ..
        } => format!("{amount} {currency}"),
        Cost::Unpriced => "unpriced".to_owned(),
    }
}

/// `product/standard/guard/pii prompt redacted email:2 iban:1; …`
fn verdicts_text(verdicts: &[Verdict]) -> String {
    let mut text = String::new();
    for verdict in verdicts {
        if !text.is_empty() {
            text.push_str("; ");
        }
        let on = match verdict.on {
            Content::Prompt => "prompt",
            Content::Answer => "answer",
        };
        let ruling = match verdict.verdict {
            Ruling::Passed => "passed",
            Ruling::Redacted => "redacted",
            Ruling::Blocked => "blocked",
        };
        // Written to a `String`, which cannot fail.
        let _ = write!(text, "{} {on} {ruling}", verdict.guard);
        for (kind, count) in &verdict.findings {
            let _ = write!(text, " {kind}:{count}");
        }
        if let Some(failure) = &verdict.failure {
            let _ = write!(text, " ({failure})");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_told_by_kind_and_number() {
        let verdict = |on, verdict, findings: &[(&str, u32)], failure: Option<&str>| Verdict {
            guard: "product/standard/guard/pii".into(),
            on,
            verdict,
            findings: findings
                .iter()
                .map(|(kind, count)| ((*kind).into(), *count))
                .collect(),
            failure: failure.map(Into::into),
        };
        let verdicts = [
            verdict(
                Content::Prompt,
                Ruling::Redacted,
                &[("email", 2), ("iban", 1)],
                None,
            ),
            verdict(Content::Answer, Ruling::Blocked, &[], Some("timeout")),
        ];
        assert_eq!(
            verdicts_text(&verdicts),
            "product/standard/guard/pii prompt redacted email:2 iban:1; product/standard/guard/pii answer blocked (timeout)"
        );
        assert_eq!(verdicts_text(&[]), "");
    }
}
