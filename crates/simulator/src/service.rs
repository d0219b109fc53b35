//! One region: what it serves besides calls, and how it is controlled while it runs.

pub mod call;
mod judged;
mod reply;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body::Body;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::answer::Answer;
use crate::behaviour::Behaviour;
use crate::delivery::Delivery;
use crate::ledger::{Ledger, Slot};
use crate::provider_error::Failure;
use crate::question::Question;
use crate::quota::Quota;
use crate::route::{Provider, Route};
use crate::{body, clock, entra, models, route};
use call::Incoming;
use reply::{add, reply, text_of};

/// One listener: a provider's region.
pub struct Region {
    pub seed: u64,
    pub ledger: Arc<Ledger>,
    active: Mutex<Arc<Active>>,
    calls: AtomicU64,
}

/// A behaviour from the moment it was set.
struct Active {
    behaviour: Behaviour,
    since: Instant,
    calls: AtomicU64,
    quota: Mutex<Quota>,
}
/// The connection ends without a word.
#[derive(Debug)]
pub struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the call was dropped before its answer")
    }
}

impl std::error::Error for Dropped {}

type Answered = Result<Response<Delivery>, Dropped>;

impl Region {
    pub fn new(behaviour: Behaviour, seed: u64) -> Self {
        Self {
            seed,
            ledger: Arc::default(),
            active: Mutex::new(Arc::new(Active::from_now(behaviour))),
            calls: AtomicU64::new(0),
        }
    }

    /// Quotas are full again, and `fail_first` and `fail_for` begin anew.
    pub fn set(&self, behaviour: Behaviour) {
        *self.active.lock().unwrap_or_else(PoisonError::into_inner) =
            Arc::new(Active::from_now(behaviour));
    }

    fn active(&self) -> Arc<Active> {
        self.active
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub async fn serve<B: Body<Data = Bytes>>(
        &self,
        slot: &Arc<Slot>,
        request: Request<B>,
    ) -> Answered {
        let (head, body) = request.into_parts();
        let active = self.active();
        let route = route::read(&head.method, head.uri.path(), head.uri.query());
        let plain = |(status, body): (u16, Value)| Ok(reply(slot, status, HeaderMap::new(), &body));
        match route {
            Route::Call {
                provider,
                operation,
                deployment,
            } => {
                let call = Incoming {
                    provider,
                    operation,
                    deployment,
                    headers: &head.headers,
                };
                self.call(slot, &active, call, body).await
            }
            Route::Models { provider, id } => {
                plain(list_models(&active.behaviour, provider, id, &head.headers))
            }
            Route::Judge(judge) => self.judged(slot, &active, judge, &head.headers, body).await,
            Route::NoApiVersion => plain((404, Failure::NoSuchPath.body(Provider::Azure))),
            Route::MetadataToken => {
                let now = clock::unix_seconds();
                let reply =
                    entra::metadata_token(&head.headers, head.uri.query(), &active.behaviour, now);
                plain(self.identity(reply, &active.behaviour))
            }
            Route::AppToken => {
                let now = clock::unix_seconds();
                let reply =
                    entra::app_token(&head.headers, head.uri.query(), &active.behaviour, now);
                plain(self.identity(reply, &active.behaviour))
            }
            Route::TokenEndpoint => {
                let form = body::read(body).await.map_err(|_| Dropped)?;
                let now = clock::unix_seconds();
                let reply = entra::client_credentials(&head.headers, &form, &active.behaviour, now);
                plain(self.identity(reply, &active.behaviour))
            }
            Route::Counts => {
                plain(self.counts(route::parameter(head.uri.query(), "calls") != Some("no")))
            }
            Route::Behaviour => {
                let changes = body::read(body).await.map_err(|_| Dropped)?;
                plain(self.control(&head.method, &changes))
            }
            Route::Unknown => plain((404, Failure::NoSuchPath.body(Provider::OpenAi))),
        }
    }

    fn identity(&self, reply: entra::Reply, behaviour: &Behaviour) -> entra::Reply {
        if let Some(status) = behaviour.identity_status {
            return (status, json!({ "error": "temporarily_unavailable" }));
        }
        if reply.0 == 200 {
            self.ledger.identity_token_given();
        }
        reply
    }

    fn counts(&self, with_calls: bool) -> (u16, Value) {
        let mut counts = json!(self.ledger.counts());
        if with_calls {
            counts["calls"] = json!(self.ledger.calls());
        }
        (200, counts)
    }

    /// GET shows the behaviour, PUT replaces it, PATCH changes some fields.
    fn control(&self, method: &Method, changes: &[u8]) -> (u16, Value) {
        let read = match *method {
            Method::GET => return (200, json!(self.active().behaviour)),
            Method::PUT => serde_json::from_slice(changes).map_err(|error| error.to_string()),
            Method::PATCH => serde_json::from_slice(changes)
                .map_err(|error| error.to_string())
                .and_then(|changes| self.active().behaviour.with(&changes)),
            _ => return (405, json!({ "error": "GET, PUT or PATCH" })),
        };
        match read {
            Ok(behaviour) => {
                self.set(behaviour);
                (200, json!(self.active().behaviour))
            }
            Err(error) => (400, json!({ "error": error })),
        }
    }
}

impl Active {
    fn from_now(behaviour: Behaviour) -> Self {
        let since = clock::now();
        Self {
            quota: Mutex::new(Quota::of(&behaviour, since)),
            behaviour,
            since,
            calls: AtomicU64::new(0),
        }
    }

    /// A provider refuses by what a call may use; a 429 that an operator set a time for says that.
    fn take_quota(
        &self,
        behaviour: &Behaviour,
        question: &Question,
        answer: &Answer,
    ) -> Result<(), Failure> {
        let tokens = question.prompt_tokens + answer.completion_tokens();
        let mut quota = self.quota.lock().unwrap_or_else(PoisonError::into_inner);
        quota.take(tokens, clock::now()).map_err(|mut exhausted| {
            exhausted.retry_after = behaviour.retry_after.unwrap_or(exhausted.retry_after);
            Failure::Quota(exhausted)
        })
    }

    fn quota_headers(&self, provider: Provider, headers: &mut HeaderMap) {
        let mut quota = self.quota.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, value) in quota.headers(provider, clock::now()) {
            add(headers, &name, &value);
        }
    }
}
fn has_key(headers: &HeaderMap, behaviour: &Behaviour) -> bool {
    let Some(required) = &behaviour.require_api_key else {
        return true;
    };
    let bearer = text_of(headers, "authorization")
        .strip_prefix("Bearer ")
        .unwrap_or_default();
    bearer == required
        || text_of(headers, "api-key") == required
        || text_of(headers, "ocp-apim-subscription-key") == required
        || entra::accepts(bearer, clock::unix_seconds())
}

fn list_models(
    behaviour: &Behaviour,
    provider: Provider,
    id: Option<&str>,
    headers: &HeaderMap,
) -> (u16, Value) {
    let refuse = |failure: Failure| (failure.status(), failure.body(provider));
    if !has_key(headers, behaviour) {
        return refuse(Failure::BadKey);
    }
    match id {
        None => (200, models::list(&behaviour.models)),
        Some(id) if models::knows(&behaviour.models, id) => (200, models::one(id)),
        Some(id) => refuse(Failure::UnknownModel(id.to_owned())),
    }
}
