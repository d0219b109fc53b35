//! What leaves for the client: an answer through the meter, a refusal in its dialect, a list.

use bytes::Bytes;
use config::Snapshot;
use dialect::{Operation, Request, StreamMeter};
use domain::record::{AttemptRecord, Cost, Outcome};
use domain::{Metered, ModelName, Usage};
use http::header::{CONNECTION, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version};

use crate::admission::{RateLevel, RateLevels};
use crate::body::{self, Body};
use crate::cache::shared::{Followed, Reader};
use crate::cache::{self, Part};
use crate::guards::Told;
use crate::headers::{self, REQUEST_ID};
use crate::identity::Caller;
use crate::meter::{LargeAnswer, MeteredBody, Tally};
use crate::refusal::Refusal;
use crate::router::{Answered, Content, Source};
use crate::trail::{Facts, Held, Origin, Trail};

pub enum Reply {
    Answered(Box<Answered>, Told),
    /// Another call's stream.
    Followed(Reader),
    /// From the gateway itself: the models that the caller may use.
    Own(Bytes),
}

impl Reply {
    pub fn models(snapshot: &Snapshot, caller: &Caller) -> Self {
        Self::Own(dialect::models::list(
            &snapshot.granted_models(&caller.subscription),
        ))
    }

    pub fn model(snapshot: &Snapshot, caller: &Caller, id: &str) -> Result<Self, Refusal> {
        let granted = snapshot.granted_models(&caller.subscription);
        match granted.into_iter().find(|model| model.as_str() == id) {
            Some(model) => Ok(Self::Own(dialect::models::one(model))),
            None => Err(Refusal::UnknownModel {
                model: ModelName::from(id),
            }),
        }
    }
}

const BACKEND: HeaderName = HeaderName::from_static("x-tollgate-backend");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-tollgate-attempts");
const TOKENS: HeaderName = HeaderName::from_static("x-tollgate-tokens");
const BUDGET: HeaderName = HeaderName::from_static("x-tollgate-budget");
const BUDGET_REMAINING: HeaderName = HeaderName::from_static("x-tollgate-budget-remaining");
const BUDGET_EXCEEDED: HeaderName = HeaderName::from_static("x-tollgate-budget-exceeded");
const DOWNGRADED_FROM: HeaderName = HeaderName::from_static("x-tollgate-downgraded-from");
const COST: HeaderName = HeaderName::from_static("x-tollgate-cost");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");

pub fn send(reply: Reply, mut trail: Trail) -> Response<Body> {
    let (answered, told) = match reply {
        Reply::Answered(answered, told) => (answered, told),
        Reply::Followed(reader) => return followed(reader, trail),
        Reply::Own(bytes) => return own(bytes, trail),
    };
    let mut out = headers::to_client(&answered.headers);
    if let Source::Backend(serving) = &answered.source
        && let Some(name) = serving.backend.name()
    {
        out.insert(BACKEND, name.clone());
    }
    let facts = trail.facts();
    cache::put_headers(facts.cached.as_deref(), &mut out);
    common_headers(facts, &mut out);
    let (Some(held), Some(call)) = (&mut facts.held, &facts.call) else {
        return bare(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let is_whole = matches!(answered.content, Content::Whole { .. });
    let is_stream = matches!(answered.content, Content::Stream { .. });
    if is_whole || matches!(told, Told::Blocked(_)) {
        let metered = meter(call, held, &answered, &facts.origin);
        out.insert(ATTEMPTS, headers::number(held.attempts.len() as u64));
        out.insert(TOKENS, headers::number(metered.usage().total()));
        let cost = held.attempts.last().map(|attempt| &attempt.cost);
        if let Some(shown) = cost.and_then(cost_header) {
            out.insert(COST, shown);
        }
        return settled(*answered, told, metered, out, trail);
    }
    out.insert(ATTEMPTS, headers::number(held.attempts.len() as u64 + 1));
    let Answered {
        source: Source::Backend(serving),
        content,
        ..
    } = *answered
    else {
        return bare(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let status = serving.status;
    let (tally, first, body) = match content {
        Content::Stream { first, body } => {
            let meter = StreamMeter::new(call.operation, !call.wants_usage);
            (Tally::Stream(meter.counting(held.encoding)), first, body)
        }
        Content::Large { head, body } => (Tally::Large(LargeAnswer::new(&head)), head, body),
        Content::Whole { bytes, .. } => return response(status, out, body::full(bytes)),
    };
    let guard = match told {
        Told::Stream(guard) => Some(guard),
        Told::AsItCame | Told::Edited { .. } | Told::Blocked(_) => None,
    };
    let flight = facts.cached.as_deref().and_then(Part::flight);
    let metered = MeteredBody::new(body, first, tally, serving, trail).guarded(guard);
    let body = match flight.filter(|_| status == StatusCode::OK && is_stream) {
        Some(flight) => Body::Shared(flight.share(metered)),
        None => Body::Metered(Box::new(metered)),
    };
    response(status, out, body)
}

/// An answer that is here, or that a guard turned away: its client is told after it was settled.
fn settled(
    answered: Answered,
    told: Told,
    metered: Metered,
    mut out: HeaderMap,
    mut trail: Trail,
) -> Response<Body> {
    let facts = trail.facts();
    let status = answered.status();
    let Answered { content, .. } = answered;
    let (status, body) = match (told, content) {
        (Told::Blocked(refusal), _) => {
            let row = refusal.row();
            refusal.headers(&mut out);
            facts.end(row.status, row.outcome);
            if let Some(ending) = &mut facts.ending {
                ending.rule = refusal.rule();
            }
            let id = facts.origin.id.to_string();
            (row.status, refusal.body(facts.origin.dialect, &id))
        }
        (told, content) => {
            let outcome = if status.is_success() {
                Outcome::Ok
            } else {
                Outcome::ClientError
            };
            facts.end(status, outcome);
            if let Content::Whole { bytes, .. } = &content
                && facts.said.is_wanted()
            {
                let said = match (&facts.cached, &facts.call) {
                    (Some(part), Some(call)) if part.is_hit() => {
                        &part.recorded(call, &facts.origin, bytes)
                    }
                    _ => bytes,
                };
                facts.said.keep_whole(said);
            }
            if let Told::Edited {
                has_own_masks: true,
                ..
            } = &told
                && let Some(part) = &mut facts.cached
            {
                part.keep_nothing();
            }
            let body = match (told, content) {
                (Told::Edited { bytes, .. }, _) | (_, Content::Whole { bytes, .. }) => bytes,
                (_, Content::Stream { .. } | Content::Large { .. }) => Bytes::new(),
            };
            let body = match (&facts.cached, &facts.call) {
                (Some(part), Some(call)) if part.is_hit() => {
                    if call.stream && call.operation != Operation::Embeddings {
                        out.insert(CONTENT_TYPE, EVENTS);
                    }
                    part.given(call, &facts.origin, &body)
                }
                _ => body,
            };
            (status, body)
        }
    };
    trail.settle(metered);
    response(status, out, body::full(body))
}

/// What an answer took of which nothing more will be read, once: guards may have had it metered
/// before they looked at it.
pub fn meter(call: &Request, held: &mut Held, answered: &Answered, origin: &Origin) -> Metered {
    if let Some(crossed) = held.crossed() {
        return crossed;
    }
    let Answered {
        source, content, ..
    } = answered;
    // What the cache gives was paid for before.
    let Source::Backend(serving) = source else {
        return Metered::NOTHING;
    };
    let status = serving.status;
    let encoding = held.encoding;
    let metered = match content {
        _ if !status.is_success() => Metered::NOTHING,
        Content::Whole { bytes, answer } => match answer.usage {
            Some(usage) => Metered::Reported(usage),
            None => Metered::Estimated(Usage {
                prompt: held.count_prompt(call),
                completion: dialect::answer::completion_tokens(call.operation, bytes, encoding),
                ..Usage::default()
            }),
        },
        Content::Large { head, .. } | Content::Stream { first: head, .. } => {
            let mut answer = LargeAnswer::new(head);
            answer.see(head);
            let mut tally = Tally::Large(answer);
            tally.metered(call.operation, encoding, || held.count_prompt(call))
        }
    };
    let cost = held.cost(serving.backend.id(), &metered);
    held.attempts.push(AttemptRecord {
        backend: serving.backend.id().clone(),
        status: status.as_u16(),
        failure: None,
        metered,
        cost,
        latency: held
            .first_byte
            .unwrap_or_default()
            .saturating_sub(serving.sent_at.since(origin.started.mono)),
    });
    held.has_crossed = true;
    metered
}

pub fn refuse(refusal: &Refusal, mut trail: Trail) -> Response<Body> {
    let row = refusal.row();
    let mut out = HeaderMap::with_capacity(8);
    refusal.headers(&mut out);
    let facts = trail.facts();
    common_headers(facts, &mut out);
    if let Some(held) = &facts.held
        && !held.attempts.is_empty()
    {
        out.insert(ATTEMPTS, HeaderValue::from(held.attempts.len()));
    }
    let body = refusal.body(facts.origin.dialect, &facts.origin.id.to_string());
    facts.end(row.status, row.outcome);
    if let Some(ending) = &mut facts.ending {
        ending.rule = refusal.rule();
    }
    // Of an answer that broke off while guards waited for the rest of it.
    let crossed = facts.held.as_ref().and_then(Held::crossed);
    trail.settle(crossed.unwrap_or(Metered::NOTHING));
    response(row.status, out, body::full(body))
}

/// Says that the connection ends with this answer; HTTP/2 has no such word, and no need of it.
pub fn close_after(response: &mut Response<Body>, version: Version) {
    if version <= Version::HTTP_11 {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
}

/// Exact: `0.001234 EUR`. What has no price is not free, and where nothing is owed there is nothing to
/// show.
fn cost_header(cost: &Cost) -> Option<HeaderValue> {
    match cost {
        Cost::Nothing => None,
        Cost::Priced {
            amount, currency, ..
        } => HeaderValue::try_from(format!("{amount} {currency}")).ok(),
        Cost::Unpriced => Some(HeaderValue::from_static("unpriced")),
    }
}

/// A call that another's stream answers.
fn followed(reader: Reader, mut trail: Trail) -> Response<Body> {
    let mut out = HeaderMap::with_capacity(16);
    out.insert(CONTENT_TYPE, EVENTS);
    let facts = trail.facts();
    cache::put_headers(facts.cached.as_deref(), &mut out);
    common_headers(facts, &mut out);
    out.insert(ATTEMPTS, headers::number(0));
    let body = Body::Followed(Box::new(Followed::new(reader, trail)));
    response(StatusCode::OK, out, body)
}

/// A list is not a call of a model: it leaves no record.
fn own(bytes: Bytes, mut trail: Trail) -> Response<Body> {
    let mut out = HeaderMap::new();
    out.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let facts = trail.facts();
    common_headers(facts, &mut out);
    facts.caller = None;
    response(StatusCode::OK, out, body::full(bytes))
}

fn common_headers(facts: &Facts, out: &mut HeaderMap) {
    out.insert(REQUEST_ID, facts.request_id.clone());
    if let Some(held) = &facts.held {
        rate_headers(&held.rates, out);
        budget_headers(held, out);
    }
}

static TOKEN_RATES: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];
static REQUEST_RATES: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];

/// The tightest limits that apply, as OpenAI writes them.
fn rate_headers(rates: &RateLevels, out: &mut HeaderMap) {
    for (level, [limit_name, remaining_name, reset_name]) in [
        (rates.tokens, &TOKEN_RATES),
        (rates.requests, &REQUEST_RATES),
    ] {
        let Some(RateLevel {
            limit,
            remaining,
            reset,
        }) = level
        else {
            continue;
        };
        out.insert(limit_name, headers::number(limit));
        out.insert(remaining_name, headers::number(remaining));
        let reset = dialect::rate_limit_headers::format_reset(reset);
        if let Ok(reset) = HeaderValue::from_bytes(&reset) {
            out.insert(reset_name, reset);
        }
    }
}

/// The tightest budget that applies, those that let the call through although they had no room, and
/// the model that was asked for if another one answers.
fn budget_headers(held: &Held, out: &mut HeaderMap) {
    let mut insert = |name, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            out.insert(name, value);
        }
    };
    if let Some(levels) = &held.budgets {
        let level = &levels.tightest;
        insert(BUDGET, &level.name);
        let remaining = format!("{} {}", level.remaining, level.currency);
        insert(BUDGET_REMAINING, &remaining);
        if !levels.past.is_empty() {
            let names: Vec<&str> = levels.past.iter().map(|limit| &*limit.name).collect();
            insert(BUDGET_EXCEEDED, &names.join(", "));
        }
    }
    if let Some(downgraded) = &held.downgraded {
        insert(DOWNGRADED_FROM, downgraded.from.as_str());
        insert(BUDGET_EXCEEDED, &downgraded.budget.name);
    }
}

fn response(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn bare(status: StatusCode) -> Response<Body> {
    response(status, HeaderMap::new(), body::full(Bytes::new()))
}
