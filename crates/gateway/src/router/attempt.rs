//! One try at one backend, up to the first byte of its answer.

use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dialect::answer::Answer as Read;
use dialect::{Operation, Request, rate_limit_headers};
use domain::Metered;
use domain::record::AttemptFailure;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};

use super::{BackendState, Content, Errand};
use crate::clock::Clock;
use crate::credentials::Authorisation;
use crate::in_time::in_time;
use crate::refusal::Refusal;
use crate::trail::Held;
use crate::upstream::{self, Answer, AnswerBody};

/// Unary answers up to this size are held, so that their usage is known before their headers leave
/// and a cut one can fail over; larger ones stream through.
const HELD_BYTES_MAX: usize = 1024 * 1024;

/// An answer whose first byte is here.
pub struct Begun {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub content: Content,
}

/// Why an attempt gave no answer.
#[derive(Clone, Debug)]
pub struct Failure {
    pub kind: AttemptFailure,
    pub status: Option<StatusCode>,
    pub retry_after: Option<Duration>,
}

impl Failure {
    pub fn of(kind: AttemptFailure) -> Self {
        Self {
            kind,
            status: None,
            retry_after: None,
        }
    }

    /// What the client is told when this was the last attempt. `retry_after`: until the first of the
    /// pool's members takes calls again, if they all are at their limits.
    pub fn into_refusal(self, retry_after: Option<Duration>) -> Refusal {
        match self.kind {
            AttemptFailure::Credential => Refusal::UpstreamAuthFailed,
            AttemptFailure::Status if self.status == Some(StatusCode::TOO_MANY_REQUESTS) => {
                Refusal::UpstreamRateLimited { retry_after }
            }
            AttemptFailure::FirstByteTimeout
            | AttemptFailure::IdleTimeout
            | AttemptFailure::TotalTimeout => Refusal::UpstreamTimeout,
            AttemptFailure::Status
            | AttemptFailure::Connect
            | AttemptFailure::Tls
            | AttemptFailure::Cut
            | AttemptFailure::HungUp => Refusal::UpstreamFailed,
        }
    }

    /// What the backend may bill for it: a prompt that it took and did not turn down.
    pub fn metered(&self, held: &mut Held, call: &Request) -> Metered {
        match self.kind {
            AttemptFailure::FirstByteTimeout
            | AttemptFailure::IdleTimeout
            | AttemptFailure::TotalTimeout
            | AttemptFailure::Cut
            | AttemptFailure::HungUp => held.prompt_only(call),
            AttemptFailure::Connect
            | AttemptFailure::Tls
            | AttemptFailure::Credential
            | AttemptFailure::Status => Metered::NOTHING,
        }
    }
}

/// Sends the call to `backend` and waits until its answer has begun: a unary answer whole, a stream
/// with its first piece.
pub async fn send(
    backend: &BackendState,
    errand: &Errand<'_>,
    mut headers: HeaderMap,
    authorisation: &Authorisation,
    clock: &Clock,
) -> Result<Begun, Failure> {
    let definition = backend.definition();
    let timeouts = definition.timeouts;
    let deployment = errand.plan.model.deployment_at(&definition.id);
    authorisation.add_to(&mut headers);
    let request = upstream::path(definition, errand.call.operation, deployment)
        .and_then(|uri| upstream::request(uri, headers, errand.call.body_for(deployment)))
        .map_err(|_| Failure::of(AttemptFailure::Connect))?;

    let sent_at = clock.mono();
    let (first_byte, late) = if timeouts.total < timeouts.first_byte {
        (timeouts.total, AttemptFailure::TotalTimeout)
    } else {
        (timeouts.first_byte, AttemptFailure::FirstByteTimeout)
    };
    let work = pin!(upstream::send(backend.connections(), request));
    let answer = within(first_byte, late, work).await?;
    let now = clock.mono();
    let waited = now.since(sent_at);
    backend.note_limits(&rate_limit_headers::read(&answer.headers), now);
    if let Some(kind) = failure_of(answer.status) {
        let now = clock.now();
        let retry_after = rate_limit_headers::retry_after(&answer.headers, now.wall);
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            backend.note_throttled(retry_after, now.mono);
        }
        if answer.status == StatusCode::UNAUTHORIZED {
            backend.credential().turned_down(authorisation, clock);
        }
        answer.body.discard();
        return Err(Failure {
            kind,
            status: Some(answer.status),
            retry_after,
        });
    }

    let limits = Limits {
        first_piece: first_byte.saturating_sub(waited),
        late,
        total: timeouts.total.saturating_sub(waited),
        idle: timeouts.idle,
    };
    let status = answer.status;
    begin(answer, errand.call.operation, limits)
        .await
        .map_err(|failure| Failure {
            status: Some(status),
            ..failure
        })
}

/// What is left of an answer's time once its head is here.
#[derive(Clone, Copy)]
struct Limits {
    first_piece: Duration,
    /// What a first piece that is too late is called.
    late: AttemptFailure,
    total: Duration,
    idle: Duration,
}

async fn begin(answer: Answer, operation: Operation, limits: Limits) -> Result<Begun, Failure> {
    let Answer {
        status,
        headers,
        mut body,
    } = answer;
    let content = if status.is_success() && is_event_stream(&headers) {
        let first = {
            let piece = pin!(first_piece(&mut body));
            within(limits.first_piece, limits.late, piece).await?
        };
        match first {
            Some(first) => Content::Stream { first, body },
            None => return Err(Failure::of(AttemptFailure::Cut)),
        }
    } else {
        let late = AttemptFailure::TotalTimeout;
        let held = {
            let held = pin!(hold(&mut body, limits.idle));
            within(limits.total, late, held).await?
        };
        match held {
            Hold::Whole(bytes) => {
                let answer = if status.is_success() {
                    dialect::answer::read(operation, &bytes)
                } else {
                    Read::default()
                };
                if status.is_success() && !answer.is_whole {
                    return Err(Failure::of(AttemptFailure::Cut));
                }
                Content::Whole { bytes, answer }
            }
            Hold::Part(head) => Content::Large { head, body },
        }
    };
    Ok(Begun {
        status,
        headers,
        content,
    })
}

/// Statuses that are the backend's failure and not the client's. 401 and 403 are about our own
/// credential: the client's never got there. A redirect is no answer, and following one would carry
/// the prompt and the credential to wherever it points.
fn failure_of(status: StatusCode) -> Option<AttemptFailure> {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(AttemptFailure::Credential),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Some(AttemptFailure::Status),
        status if status.is_success() || status.is_client_error() => None,
        _ => Some(AttemptFailure::Status),
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

async fn first_piece(body: &mut AnswerBody) -> Result<Option<Bytes>, AttemptFailure> {
    body.data().await.transpose()
}

enum Hold {
    Whole(Bytes),
    Part(Bytes),
}

/// Reads a unary answer to its end, or as much as is held.
async fn hold(body: &mut AnswerBody, idle: Duration) -> Result<Hold, AttemptFailure> {
    let mut first: Option<Bytes> = None;
    let mut joined = BytesMut::new();
    loop {
        let piece = {
            let next = pin!(body.data());
            in_time(idle, next).await
        };
        let piece = piece.ok_or(AttemptFailure::IdleTimeout)?;
        match (piece.transpose()?, first.take()) {
            (None, Some(only)) => return Ok(Hold::Whole(only)),
            (None, None) => return Ok(Hold::Whole(joined.freeze())),
            // Most answers come in one read: they are never copied.
            (Some(piece), None) if joined.is_empty() => first = Some(piece),
            (Some(piece), earlier) => {
                joined.extend_from_slice(&earlier.unwrap_or_default());
                joined.extend_from_slice(&piece);
            }
        }
        let length = joined.len() + first.as_ref().map_or(0, Bytes::len);
        if length > HELD_BYTES_MAX {
            return Ok(Hold::Part(first.unwrap_or_else(|| joined.freeze())));
        }
    }
}

async fn within<T>(
    limit: Duration,
    late: AttemptFailure,
    work: Pin<&mut impl Future<Output = Result<T, AttemptFailure>>>,
) -> Result<T, Failure> {
    match in_time(limit, work).await {
        Some(done) => done.map_err(Failure::of),
        None => Err(Failure::of(late)),
    }
}
