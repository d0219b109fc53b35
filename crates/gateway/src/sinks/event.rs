//! A record as other systems read it: JSON whose form is documented and has a version.
//!
//! Within a version, fields are added and never removed, renamed or given another meaning.

use ::audit::{Content, Hit, State};
use bytes::Bytes;
use config::snapshot::Envelope;
use domain::record::{AttemptFailure, AttemptRecord, CacheOutcome, CallRecord, Cost, Verdict};
use domain::{CallId, Metered, Wall};
use jiff::Timestamp;
use serde::Serialize;

pub const USAGE_SCHEMA: &str = "tollgate.usage/1";
pub const AUDIT_SCHEMA: &str = "tollgate.audit/1";
pub const TEST_SCHEMA: &str = "tollgate.test/1";

/// One event, ready to be sent.
#[derive(Clone, Debug)]
pub struct Event {
    /// Unique, and the same each time the event is sent.
    pub id: CallId,
    /// Same key, same order: the subscription.
    pub key: Bytes,
    /// When the call began.
    pub at: Wall,
    pub json: Bytes,
    /// It has a prompt or an answer in it: on no disk of ours in the clear.
    pub has_content: bool,
}

impl Event {
    pub fn of_audit(found: &::audit::Found, envelope: Envelope) -> Self {
        let skeleton = &found.skeleton;
        Self {
            id: skeleton.call,
            key: Bytes::copy_from_slice(skeleton.subscription.as_str().as_bytes()),
            at: skeleton.at,
            json: enveloped(&AuditEvent::of(found), envelope),
            has_content: matches!(found.content, State::Here(_)),
        }
    }

    pub fn of_call(record: &CallRecord, envelope: Envelope) -> Self {
        let opening = &record.opening;
        Self {
            id: opening.id,
            key: Bytes::copy_from_slice(opening.who.subscription.as_str().as_bytes()),
            at: opening.at,
            json: enveloped(&UsageEvent::of(record), envelope),
            has_content: false,
        }
    }

    /// Tells by its schema that it is no call's.
    pub fn of_test(id: CallId, at: Wall, envelope: Envelope) -> Self {
        let event = TestEvent {
            schema: TEST_SCHEMA,
            id: id.to_string(),
            time: rfc3339(at),
            message: "a test by `tollgate sinks test`: no call was made",
        };
        Self {
            id,
            key: Bytes::from_static(b"test"),
            at,
            json: enveloped(&event, envelope),
            has_content: false,
        }
    }
}

/// What an envelope takes from the event in it.
trait Enclosed: Serialize {
    fn schema(&self) -> &'static str;
    fn id(&self) -> &str;
    fn time(&self) -> &str;
    fn subject(&self) -> Option<&str>;
}

fn enveloped<T: Enclosed>(event: &T, envelope: Envelope) -> Bytes {
    let json = match envelope {
        Envelope::None => serde_json::to_vec(event),
        Envelope::CloudEvents => serde_json::to_vec(&CloudEvent {
            specversion: "1.0",
            id: event.id(),
            source: "tollgate",
            r#type: event.schema(),
            time: event.time(),
            subject: event.subject(),
            datacontenttype: "application/json",
            data: event,
        }),
    };
    // Texts and whole numbers always become JSON.
    json.unwrap_or_default().into()
}

/// The JSON format of CloudEvents 1.0.
#[derive(Serialize)]
struct CloudEvent<'e, T> {
    specversion: &'static str,
    id: &'e str,
    source: &'static str,
    r#type: &'static str,
    time: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'e str>,
    datacontenttype: &'static str,
    data: &'e T,
}

#[derive(Serialize)]
struct TestEvent {
    schema: &'static str,
    id: String,
    time: String,
    message: &'static str,
}

impl Enclosed for TestEvent {
    fn schema(&self) -> &'static str {
        self.schema
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn time(&self) -> &str {
        &self.time
    }

    fn subject(&self) -> Option<&str> {
        None
    }
}

/// All fields are always there but those of the content, which are there if the sink sends it and the
/// record has it.
#[derive(Serialize)]
struct AuditEvent<'r> {
    schema: &'static str,
    id: String,
    time: String,
    /// Of the entry on the store's chain.
    number: u64,
    subscription: &'r str,
    product: &'r str,
    application: Option<&'r str>,
    model: &'r str,
    backend: Option<&'r str>,
    outcome: &'static str,
    status: u16,
    cache: Option<&'static str>,
    hit: Option<&'static str>,
    rule: Option<&'r str>,
    prompt_tokens: u64,
    completion_tokens: u64,
    cost: &'r str,
    verdicts: &'r str,
    retention_days: u32,
    required: bool,
    prompt_cut: bool,
    answer_cut: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Said<'r>>,
}

#[derive(Serialize)]
struct Said<'r> {
    user: Option<&'r str>,
    caller: &'r str,
    prompt: Option<std::borrow::Cow<'r, str>>,
    answer: Option<std::borrow::Cow<'r, str>>,
}

impl Enclosed for AuditEvent<'_> {
    fn schema(&self) -> &'static str {
        self.schema
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn time(&self) -> &str {
        &self.time
    }

    fn subject(&self) -> Option<&str> {
        Some(self.subscription)
    }
}

impl<'r> AuditEvent<'r> {
    fn of(found: &'r ::audit::Found) -> Self {
        let skeleton = &found.skeleton;
        Self {
            schema: AUDIT_SCHEMA,
            id: skeleton.call.to_string(),
            time: rfc3339(skeleton.at),
            number: found.sequence,
            subscription: skeleton.subscription.as_str(),
            product: &skeleton.product,
            application: skeleton.application.as_deref(),
            model: &skeleton.model,
            backend: skeleton.backend.as_deref(),
            outcome: skeleton.outcome.as_str(),
            status: skeleton.status,
            cache: skeleton.hit.map(|_| CacheOutcome::Hit.as_str()),
            hit: skeleton.hit.map(Hit::as_str),
            rule: skeleton.rule.as_deref(),
            prompt_tokens: skeleton.prompt_tokens,
            completion_tokens: skeleton.completion_tokens,
            cost: &skeleton.cost,
            verdicts: &skeleton.verdicts,
            retention_days: skeleton.retention_days,
            required: skeleton.required,
            prompt_cut: skeleton.prompt_cut,
            answer_cut: skeleton.answer_cut,
            content: match &found.content {
                State::Here(content) => Some(Said::of(content)),
                State::Closed | State::Gone { .. } | State::Unreadable => None,
            },
        }
    }
}

impl<'r> Said<'r> {
    fn of(content: &'r Content) -> Self {
        let text = |bytes: &'r Option<Vec<u8>>| bytes.as_deref().map(String::from_utf8_lossy);
        Self {
            user: content.user.as_deref(),
            caller: &content.caller,
            prompt: text(&content.prompt),
            answer: text(&content.answer),
        }
    }
}

/// All fields are always there; what a call does not have is `null`.
#[derive(Serialize)]
struct UsageEvent<'r> {
    schema: &'static str,
    id: String,
    time: String,
    subscription: &'r str,
    product: &'r str,
    application: Option<&'r str>,
    caller: &'r str,
    user: Option<&'r str>,
    model: &'r str,
    asked_model: Option<&'r str>,
    backend: Option<&'r str>,
    stream: bool,
    outcome: &'static str,
    status: u16,
    rule: Option<&'r str>,
    cache: &'static str,
    usage: Tokens,
    cost: Money<'r>,
    saved: String,
    saved_tokens: u64,
    /// Of the question to the one that was answered before, as a cosine.
    similarity: Option<f64>,
    latency_ms: u64,
    first_byte_ms: Option<u64>,
    attempts: Vec<Attempt<'r>>,
    verdicts: Vec<Judged<'r>>,
    config_revision: u64,
}

#[derive(Serialize)]
struct Tokens {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    cached_prompt_tokens: u64,
    cache_write_tokens: u64,
    cache_write_1h_tokens: u64,
    reasoning_tokens: u64,
    audio_prompt_tokens: u64,
    audio_completion_tokens: u64,
    images: u64,
    tier: &'static str,
    estimated: bool,
}

#[derive(Serialize)]
struct Money<'r> {
    state: &'static str,
    /// Decimal text, because JSON's numbers are floats to most readers.
    amount: Option<String>,
    currency: Option<String>,
    price: Option<&'r str>,
}

#[derive(Serialize)]
struct Attempt<'r> {
    backend: &'r str,
    status: u16,
    failure: Option<&'static str>,
    usage: Tokens,
    cost: Money<'r>,
    latency_ms: u64,
}

#[derive(Serialize)]
struct Judged<'r> {
    guard: &'r str,
    on: &'static str,
    verdict: &'static str,
    findings: Vec<Found<'r>>,
    failure: Option<&'r str>,
}

#[derive(Serialize)]
struct Found<'r> {
    kind: &'r str,
    amount: u32,
}

impl Enclosed for UsageEvent<'_> {
    fn schema(&self) -> &'static str {
        self.schema
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn time(&self) -> &str {
        &self.time
    }

    fn subject(&self) -> Option<&str> {
        Some(self.subscription)
    }
}

impl<'r> UsageEvent<'r> {
    fn of(record: &'r CallRecord) -> Self {
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
        let who = &opening.who;
        Self {
            schema: USAGE_SCHEMA,
            id: opening.id.to_string(),
            time: rfc3339(opening.at),
            subscription: who.subscription.as_str(),
            product: who.product.as_str(),
            application: who.application.as_ref().map(|name| name.as_str()),
            caller: &who.caller,
            user: who.user.as_deref(),
            model: opening.model.as_str(),
            asked_model: opening.asked_model.as_ref().map(|model| model.as_str()),
            backend: backend.as_ref().map(|backend| backend.as_str()),
            stream: opening.stream,
            outcome: outcome.as_str(),
            status: *status,
            rule: rule.as_deref(),
            cache: cache.as_str(),
            usage: Tokens::of(metered),
            cost: Money::of(cost),
            saved: saved.to_string(),
            saved_tokens: *saved_tokens,
            similarity: similarity.map(|thousandths| f64::from(thousandths) / 1_000.0),
            latency_ms: milliseconds(*latency),
            first_byte_ms: first_byte.map(milliseconds),
            attempts: attempts.iter().map(Attempt::of).collect(),
            verdicts: verdicts.iter().map(Judged::of).collect(),
            config_revision: opening.revision,
        }
    }
}

impl<'r> Attempt<'r> {
    fn of(attempt: &'r AttemptRecord) -> Self {
        let AttemptRecord {
            backend,
            status,
            failure,
            metered,
            cost,
            latency,
        } = attempt;
        Self {
            backend: backend.as_str(),
            status: *status,
            failure: failure.map(AttemptFailure::as_str),
            usage: Tokens::of(metered),
            cost: Money::of(cost),
            latency_ms: milliseconds(*latency),
        }
    }
}

impl<'r> Judged<'r> {
    fn of(verdict: &'r Verdict) -> Self {
        let Verdict {
            guard,
            on,
            verdict,
            findings,
            failure,
        } = verdict;
        let found = |(kind, amount): &'r (std::sync::Arc<str>, u32)| Found {
            kind,
            amount: *amount,
        };
        Self {
            guard,
            on: on.as_str(),
            verdict: verdict.as_str(),
            findings: findings.iter().map(found).collect(),
            failure: failure.as_deref(),
        }
    }
}

impl Tokens {
    fn of(metered: &Metered) -> Self {
        let usage = metered.usage();
        let domain::Usage {
            tier,
            prompt,
            completion,
            cached_prompt,
            cache_write,
            cache_write_1h,
            reasoning,
            audio_prompt,
            audio_completion,
            images,
        } = *usage;
        Self {
            prompt_tokens: prompt,
            completion_tokens: completion,
            total_tokens: usage.total(),
            cached_prompt_tokens: cached_prompt,
            cache_write_tokens: cache_write,
            cache_write_1h_tokens: cache_write_1h,
            reasoning_tokens: reasoning,
            audio_prompt_tokens: audio_prompt,
            audio_completion_tokens: audio_completion,
            images,
            tier: tier.as_str(),
            estimated: metered.is_estimated(),
        }
    }
}

impl<'r> Money<'r> {
    fn of(cost: &'r Cost) -> Self {
        let (state, amount) = match cost {
            Cost::Nothing => ("nothing", None),
            Cost::Priced { amount, .. } => ("priced", Some(amount.to_string())),
            Cost::Unpriced => ("unpriced", None),
        };
        Self {
            state,
            amount,
            currency: cost.currency().map(|currency| currency.to_string()),
            price: cost.price().map(|price| &*price.0),
        }
    }
}

fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// With milliseconds, in UTC. A time that no calendar has is the epoch's.
fn rfc3339(at: Wall) -> String {
    let at = Timestamp::from_millisecond(at.0).unwrap_or_default();
    format!("{at:.3}")
}

#[cfg(test)]
mod tests;
