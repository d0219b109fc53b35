//! Every way a call can be refused or fail, and what its client is told.

use std::sync::Arc;
use std::time::Duration;

use dialect::error_body::{self, ErrorBody, Figure, Why};
use dialect::{Dialect, RequestError, RouteError};
use domain::limit::{LimitRefusal, Rule};
use domain::record::Outcome;
use domain::{Limit, ModelName, Nanos, Wall};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::guards::Blocked;
use crate::identity::AuthError;
use crate::overload::Shed;

#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("{0}")]
    Auth(#[from] AuthError),
    #[error("{0}")]
    Route(#[from] RouteError),
    #[error("{0}")]
    Request(#[from] RequestError),
    #[error("the request body is larger than {bytes_max} bytes")]
    BodyTooLarge { bytes_max: u64 },
    #[error("the request body did not arrive in time")]
    BodyTimeout,
    #[error("the request body is damaged: {reason}")]
    BodyBroken { reason: String },
    #[error(
        "content encoding `{encoding}` is not supported: send identity, gzip, br, zstd or deflate"
    )]
    UnsupportedEncoding { encoding: String },
    #[error("the model `{model}` does not exist: GET /v1/models lists what you may use")]
    UnknownModel { model: ModelName },
    #[error(
        "the model `{model}` is not in the product of this subscription: GET /v1/models lists what you may use"
    )]
    ModelNotGranted { model: ModelName },
    #[error("the rule `{rule}` could not be evaluated for this call: {message}")]
    PolicyFault { rule: Arc<str>, message: String },
    #[error("{}", limit_message(.0))]
    Limit(Box<LimitRefusal>),
    #[error(
        "the model `{model}` has no price, which the budget `{}` of {} needs: ask the gateway's operator for one, or use another model",
        .budget.name, .budget.scope
    )]
    Unpriced {
        budget: Arc<Limit>,
        model: ModelName,
    },
    #[error("{}", blocked_message(.0))]
    Blocked(Blocked),
    #[error("the call could not be recorded, which `{rule}` requires: try again in a minute")]
    AuditUnavailable { rule: Arc<str> },
    #[error("the gateway is at its capacity: try again in a second")]
    Overloaded(Shed),
    #[error("the gateway counts too many distinct keys at the moment")]
    CountersFull,
    #[error("no backend of this model can take the call now")]
    NoHealthyBackend { retry_after: Option<Duration> },
    #[error("the backend could not answer the call")]
    UpstreamFailed,
    #[error("the gateway's own credential was refused by the backend")]
    UpstreamAuthFailed,
    #[error("every backend of this model is at its own rate limit")]
    UpstreamRateLimited { retry_after: Option<Duration> },
    #[error("the backend did not begin to answer in time")]
    UpstreamTimeout,
    #[error("the backend broke off its answer")]
    UpstreamCut,
}

impl From<Shed> for Refusal {
    fn from(shed: Shed) -> Self {
        Self::Overloaded(shed)
    }
}

/// What a refusal is to the protocol: one row of the table that DESIGN calls the wire contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub status: StatusCode,
    pub code: &'static str,
    /// OpenAI's `type`.
    pub kind: &'static str,
    pub outcome: Outcome,
}

const INVALID: &str = "invalid_request_error";
const AUTHENTICATION: &str = "authentication_error";
const PERMISSION: &str = "permission_error";
const RATE: &str = "rate_limit_error";
const SERVER: &str = "server_error";

impl Refusal {
    pub fn row(&self) -> Row {
        use Outcome::{GatewayError, Refused, UpstreamFailed};
        let row = |status, code, kind, outcome| Row {
            status,
            code,
            kind,
            outcome,
        };
        match self {
            Self::Auth(error) => {
                let (status, code) = error.describe();
                row(status, code, kind_of(status), Refused)
            }
            Self::Route(RouteError::NotFound) => {
                row(StatusCode::NOT_FOUND, "unknown_route", INVALID, Refused)
            }
            Self::Route(RouteError::MethodNotAllowed { .. }) => row(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                INVALID,
                Refused,
            ),
            Self::Route(RouteError::NoApiVersion) | Self::Request(_) | Self::BodyBroken { .. } => {
                row(
                    StatusCode::BAD_REQUEST,
                    "invalid_request_error",
                    INVALID,
                    Refused,
                )
            }
            Self::BodyTooLarge { .. } => row(
                StatusCode::PAYLOAD_TOO_LARGE,
                "invalid_request_error",
                INVALID,
                Refused,
            ),
            Self::BodyTimeout => row(
                StatusCode::REQUEST_TIMEOUT,
                "request_timeout",
                INVALID,
                Refused,
            ),
            Self::UnsupportedEncoding { .. } => row(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "invalid_request_error",
                INVALID,
                Refused,
            ),
            Self::UnknownModel { .. } => {
                row(StatusCode::NOT_FOUND, "model_not_found", INVALID, Refused)
            }
            Self::ModelNotGranted { .. } => {
                row(StatusCode::FORBIDDEN, "not_permitted", PERMISSION, Refused)
            }
            Self::PolicyFault { .. } => {
                row(StatusCode::BAD_REQUEST, "policy_fault", INVALID, Refused)
            }
            Self::Limit(refusal) => {
                let (status, code, kind) = limit_row(refusal);
                row(status, code, kind, Refused)
            }
            Self::Unpriced { .. } => {
                row(StatusCode::FORBIDDEN, "unpriced_model", PERMISSION, Refused)
            }
            Self::Blocked(Blocked { wait: Some(_), .. }) => row(
                StatusCode::SERVICE_UNAVAILABLE,
                "guard_unavailable",
                SERVER,
                Refused,
            ),
            Self::Blocked(_) => row(StatusCode::BAD_REQUEST, "content_filter", INVALID, Refused),
            Self::AuditUnavailable { .. } => row(
                StatusCode::SERVICE_UNAVAILABLE,
                "audit_unavailable",
                SERVER,
                GatewayError,
            ),
            Self::Overloaded(_) => row(
                StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                SERVER,
                Refused,
            ),
            Self::CountersFull => row(
                StatusCode::SERVICE_UNAVAILABLE,
                "counters_full",
                SERVER,
                GatewayError,
            ),
            Self::NoHealthyBackend { .. } => row(
                StatusCode::SERVICE_UNAVAILABLE,
                "no_healthy_backend",
                SERVER,
                UpstreamFailed,
            ),
            Self::UpstreamFailed | Self::UpstreamCut => row(
                StatusCode::BAD_GATEWAY,
                "upstream_failed",
                SERVER,
                UpstreamFailed,
            ),
            Self::UpstreamAuthFailed => row(
                StatusCode::BAD_GATEWAY,
                "upstream_auth_failed",
                SERVER,
                UpstreamFailed,
            ),
            Self::UpstreamRateLimited { .. } => row(
                StatusCode::TOO_MANY_REQUESTS,
                "upstream_rate_limited",
                RATE,
                UpstreamFailed,
            ),
            Self::UpstreamTimeout => row(
                StatusCode::GATEWAY_TIMEOUT,
                "upstream_timeout",
                SERVER,
                UpstreamFailed,
            ),
        }
    }

    /// The rule that refused, for the record.
    pub fn rule(&self) -> Option<Arc<str>> {
        match self {
            Self::Limit(refusal) => Some(refusal.limit.id.0.clone()),
            Self::Unpriced { budget, .. } => Some(budget.id.0.clone()),
            Self::PolicyFault { rule, .. } | Self::AuditUnavailable { rule } => Some(rule.clone()),
            Self::Blocked(blocked) => Some(blocked.rule.clone()),
            other => Some(other.row().code.into()),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Limit(refusal) => refusal.retry_after,
            Self::NoHealthyBackend { retry_after } | Self::UpstreamRateLimited { retry_after } => {
                *retry_after
            }
            Self::CountersFull | Self::Overloaded(_) => Some(Duration::from_secs(1)),
            Self::AuditUnavailable { .. } => Some(Duration::from_secs(60)),
            Self::Blocked(blocked) => blocked.wait,
            Self::Auth(error) => error.retry_after(),
            Self::Route(_)
            | Self::Request(_)
            | Self::BodyTooLarge { .. }
            | Self::BodyTimeout
            | Self::BodyBroken { .. }
            | Self::UnsupportedEncoding { .. }
            | Self::UnknownModel { .. }
            | Self::ModelNotGranted { .. }
            | Self::PolicyFault { .. }
            | Self::Unpriced { .. }
            | Self::UpstreamFailed
            | Self::UpstreamAuthFailed
            | Self::UpstreamTimeout
            | Self::UpstreamCut => None,
        }
    }

    fn param(&self) -> Option<&str> {
        match self {
            Self::Request(error) => error.param.as_deref(),
            Self::UnknownModel { .. } | Self::ModelNotGranted { .. } | Self::Unpriced { .. } => {
                Some("model")
            }
            Self::Route(RouteError::NoApiVersion) => Some("api-version"),
            Self::Auth(_)
            | Self::Route(_)
            | Self::BodyTooLarge { .. }
            | Self::BodyTimeout
            | Self::BodyBroken { .. }
            | Self::UnsupportedEncoding { .. }
            | Self::PolicyFault { .. }
            | Self::Limit(_)
            | Self::Blocked(_)
            | Self::AuditUnavailable { .. }
            | Self::Overloaded(_)
            | Self::CountersFull
            | Self::NoHealthyBackend { .. }
            | Self::UpstreamFailed
            | Self::UpstreamAuthFailed
            | Self::UpstreamRateLimited { .. }
            | Self::UpstreamTimeout
            | Self::UpstreamCut => None,
        }
    }

    /// The body in the caller's dialect.
    pub fn body(&self, dialect: Dialect, request_id: &str) -> bytes::Bytes {
        self.written(request_id, |error| error_body::error_body(dialect, error))
    }

    /// The last event of a stream that failed after its first byte.
    pub fn event(&self, dialect: Dialect, request_id: &str) -> bytes::Bytes {
        self.written(request_id, |error| error_body::error_event(dialect, error))
    }

    fn written(
        &self,
        request_id: &str,
        write: impl FnOnce(&ErrorBody<'_>) -> bytes::Bytes,
    ) -> bytes::Bytes {
        let row = self.row();
        let message = self.to_string();
        let scope;
        let resets_at;
        let why = match self {
            Self::Limit(refusal) => {
                scope = refusal.limit.scope.to_string();
                resets_at = refusal.resets_at.map(rfc3339);
                let (figure, currency): (fn(u64) -> Figure, _) = match &refusal.limit.rule {
                    Rule::Budget(budget) => {
                        (|amount| Figure::Money(nanos(amount)), Some(budget.currency))
                    }
                    Rule::TokensPerMinute { .. }
                    | Rule::RequestsPerMinute { .. }
                    | Rule::Concurrency { .. }
                    | Rule::TokenQuota { .. } => (Figure::Count, None),
                };
                Some(Why {
                    rule: &refusal.limit.name,
                    scope: &scope,
                    limit: Some(figure(refusal.bound)),
                    used: Some(figure(refusal.used)),
                    reserved: Some(figure(refusal.reserved)),
                    currency,
                    resets_at: resets_at.as_deref(),
                })
            }
            Self::Unpriced { budget, .. } => {
                scope = budget.scope.to_string();
                Some(Why {
                    rule: &budget.name,
                    scope: &scope,
                    ..Why::default()
                })
            }
            Self::PolicyFault { rule, .. } | Self::AuditUnavailable { rule } => Some(Why {
                rule,
                ..Why::default()
            }),
            Self::Blocked(Blocked { rule, .. }) => Some(Why {
                rule,
                scope: rule.split("/guard/").next().unwrap_or_default(),
                ..Why::default()
            }),
            _ => None,
        };
        write(&ErrorBody {
            message: &message,
            kind: row.kind,
            code: row.code,
            param: self.param(),
            request_id,
            why,
        })
    }

    /// The headers that the wire contract gives this refusal.
    pub fn headers(&self, headers: &mut HeaderMap) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(wait) = self.retry_after() {
            // Whole seconds, rounded up: who waits that long is let in.
            headers.insert(
                RETRY_AFTER,
                HeaderValue::from(wait.as_millis().div_ceil(1000) as u64),
            );
            headers.insert("retry-after-ms", HeaderValue::from(ceil_millis(wait)));
        }
        if let Self::Route(RouteError::MethodNotAllowed { allow }) = self {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if let Self::Auth(error) = self
            && let Some(challenge) = error.challenge()
        {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
    }
}

fn kind_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => AUTHENTICATION,
        403 => PERMISSION,
        500.. => SERVER,
        _ => INVALID,
    }
}

fn limit_row(refusal: &LimitRefusal) -> (StatusCode, &'static str, &'static str) {
    if refusal.retry_after.is_none() {
        return (StatusCode::BAD_REQUEST, "exceeds_limit", INVALID);
    }
    match refusal.limit.rule {
        Rule::TokensPerMinute { .. } => (StatusCode::TOO_MANY_REQUESTS, "token_limit", RATE),
        Rule::RequestsPerMinute { .. } | Rule::Concurrency { .. } => {
            (StatusCode::TOO_MANY_REQUESTS, "request_limit", RATE)
        }
        Rule::TokenQuota { .. } => (StatusCode::FORBIDDEN, "quota_exceeded", PERMISSION),
        Rule::Budget(_) => (StatusCode::FORBIDDEN, "budget_exceeded", PERMISSION),
    }
}

fn limit_message(refusal: &LimitRefusal) -> String {
    let LimitRefusal {
        limit,
        bound,
        used,
        reserved,
        wanted,
        retry_after,
        ..
    } = refusal;
    let what = match limit.rule {
        Rule::TokensPerMinute { .. } => "tokens a minute",
        Rule::RequestsPerMinute { .. } => "requests a minute",
        Rule::Concurrency { .. } => "calls at once",
        Rule::TokenQuota { .. } => "tokens in this period",
        Rule::Budget(_) => "in this period",
    };
    let figure = |amount: u64| match &limit.rule {
        Rule::Budget(budget) => format!("{} {}", nanos(amount), budget.currency),
        Rule::TokensPerMinute { .. }
        | Rule::RequestsPerMinute { .. }
        | Rule::Concurrency { .. }
        | Rule::TokenQuota { .. } => amount.to_string(),
    };
    let [bound, used, reserved, wanted] = [*bound, *used, *reserved, *wanted].map(figure);
    let head = format!("`{}` of {} allows {bound} {what}", limit.name, limit.scope);
    match retry_after {
        None => format!(
            "{head}, and this call alone needs {wanted}: shorten the prompt or lower max_tokens"
        ),
        Some(wait) => format!(
            "{head}: {used} used, {reserved} reserved by calls in flight, this call needs {wanted}; try again in {} s",
            wait.as_millis().div_ceil(1000)
        ),
    }
}

/// Names kinds, never what was found.
fn blocked_message(blocked: &Blocked) -> String {
    let Blocked {
        rule,
        on,
        kinds,
        failure,
        wait: _,
    } = blocked;
    let on = on.as_str();
    match failure {
        Some(why) => format!("the {on} could not be judged by `{rule}`: {why}"),
        None if kinds.is_empty() => format!("the {on} was blocked by `{rule}`"),
        None => format!(
            "the {on} was blocked by `{rule}`: it holds {}",
            kinds.join(", ")
        ),
    }
}

fn nanos(amount: u64) -> Nanos {
    Nanos::saturated(i128::from(amount))
}

fn ceil_millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

fn rfc3339(at: Wall) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| String::new(), |at| format!("{at:.0}"))
}
