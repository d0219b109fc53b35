//! What leaves for the client: an answer through the meter, a refusal in its dialect, a list.

use bytes::Bytes;
use config::Snapshot;
use dialect::StreamMeter;
use domain::record::{AttemptRecord, Cost, Outcome};
use domain::{Metered, ModelName, Usage};
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::admission::{RateLevel, RateLevels};
use crate::body::{self, Body};
use crate::headers::{self, REQUEST_ID};
use crate::identity::Caller;
use crate::meter::{LargeAnswer, MeteredBody, Tally};
use crate::refusal::Refusal;
use crate::router::{Answered, Content};
use crate::trail::{Facts, Trail};

pub enum Reply {
    Answered(Box<Answered>),
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
const CACHE: HeaderName = HeaderName::from_static("x-tollgate-cache");
const TOKENS: HeaderName = HeaderName::from_static("x-tollgate-tokens");
const COST: HeaderName = HeaderName::from_static("x-tollgate-cost");

pub fn send(reply: Reply, mut trail: Trail) -> Response<Body> {
    let answered = match reply {
        Reply::Answered(answered) => answered,
        Reply::Own(bytes) => return own(bytes, trail),
    };
    let Answered {
        serving,
        headers: upstream_headers,
        content,
    } = *answered;
    let mut out = headers::to_client(&upstream_headers);
    out.insert(CACHE, HeaderValue::from_static("off"));
    if let Some(name) = serving.backend.name() {
        out.insert(BACKEND, name.clone());
    }
    let facts = trail.facts();
    common_headers(facts, &mut out);
    let (Some(held), Some(call)) = (&mut facts.held, &facts.call) else {
        return bare(StatusCode::INTERNAL_SERVER_ERROR);
    };
    out.insert(ATTEMPTS, headers::number(held.attempts.len() as u64 + 1));
    let status = serving.status;
    let body = match content {
        Content::Whole { bytes, answer } => {
            let metered = match answer.usage {
                _ if !status.is_success() => Metered::NOTHING,
                Some(usage) => Metered::Reported(usage),
                None => Metered::Estimated(Usage {
                    prompt: held.count_prompt(call),
                    completion: dialect::answer::completion_tokens(
                        call.operation,
                        &bytes,
                        held.encoding,
                    ),
                    ..Usage::default()
                }),
            };
            out.insert(TOKENS, headers::number(metered.usage().total()));
            let cost = held.cost(serving.backend.id(), &metered);
            if let Some(shown) = cost_header(&cost) {
                out.insert(COST, shown);
            }
            held.attempts.push(AttemptRecord {
                backend: serving.backend.id().clone(),
                status: status.as_u16(),
                failure: None,
                metered,
                cost,
                latency: held
                    .first_byte
                    .unwrap_or_default()
                    .saturating_sub(serving.sent_at.since(facts.origin.started.mono)),
            });
            facts.end(
                status,
                if status.is_success() {
                    Outcome::Ok
                } else {
                    Outcome::ClientError
                },
            );
            trail.settle(metered);
            body::full(bytes)
        }
        Content::Stream { first, body } => {
            let tally = Tally::Stream(
                StreamMeter::new(call.operation, !call.wants_usage).counting(held.encoding),
            );
            Body::Metered(Box::new(MeteredBody::new(
                body, first, tally, serving, trail,
            )))
        }
        Content::Large { head, body } => {
            let tally = Tally::Large(LargeAnswer::new(&head));
            Body::Metered(Box::new(MeteredBody::new(
                body, head, tally, serving, trail,
            )))
        }
    };
    response(status, out, body)
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
    trail.settle(Metered::NOTHING);
    response(row.status, out, body::full(body))
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

fn response(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn bare(status: StatusCode) -> Response<Body> {
    response(status, HeaderMap::new(), body::full(Bytes::new()))
}
