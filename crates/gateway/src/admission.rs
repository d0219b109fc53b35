//! What applies to a call, and the reservation that it must get before it may go on.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use config::snapshot::{KeyedLimit, Model, Snapshot, TokenizerName};
use config::{CallContext, Plan, PlanError};
use dialect::{Encoding, Request};
use domain::Now;
use domain::limit::Rule;
use domain::price::PriceList;
use http::HeaderMap;
use smallvec::SmallVec;
use store::counters::{Ask, Reservation, ReserveError, Reserved};

use crate::estimates::Precedent;
use crate::gateway::Gateway;
use crate::identity::Caller;
use crate::refusal::Refusal;

/// Longer bodies are counted off the I/O threads: 32 KB of text take about a millisecond.
const COUNT_INLINE_BYTES_MAX: usize = 32 * 1024;

/// Limits that apply to one call, usually: more are counted on the heap.
const LIMITS_INLINE: usize = 8;

/// What admission gives to a call that may go on.
pub struct Admitted {
    pub encoding: Encoding,
    pub prompt_tokens: u64,
    pub prompt_is_exact: bool,
    pub reserved_tokens: u64,
    pub rates: RateLevels,
    /// What each backend that may answer it costs.
    pub prices: Arc<PriceList>,
    pub precedent: Precedent,
    pub reservation: Reservation,
}

/// The tightest limits that apply, as they stood at admission.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateLevels {
    pub tokens: Option<RateLevel>,
    pub requests: Option<RateLevel>,
}

#[derive(Clone, Copy, Debug)]
pub struct RateLevel {
    pub limit: u64,
    pub remaining: u64,
    pub reset: Duration,
}

/// Everything that applies to this caller and model.
pub fn plan<'s>(
    snapshot: &'s Snapshot,
    caller: &'s Caller,
    call: &Request,
) -> Result<Plan<'s>, Refusal> {
    snapshot
        .plan(
            &caller.subscription,
            caller.application.as_ref(),
            call.model.as_str(),
        )
        .map_err(|error| match error {
            PlanError::UnknownModel => Refusal::UnknownModel {
                model: call.model.clone(),
            },
            PlanError::NotGranted => Refusal::ModelNotGranted {
                model: call.model.clone(),
            },
        })
}

/// What this call's expressions see.
pub fn context<'a>(
    caller: &'a Caller,
    call: &'a Request,
    headers: &'a HeaderMap,
    ip: IpAddr,
) -> CallContext<'a> {
    CallContext {
        subscription: Some(&caller.subscription),
        product: Some(&caller.subscription.product),
        application: caller.application.as_ref(),
        key_id: caller.key_id.as_deref(),
        issuer: caller.issuer.as_deref(),
        subject: caller.subject.as_deref(),
        claims: caller.claims.as_deref(),
        model: Some(&call.model),
        headers,
        ip: Some(ip),
    }
}

/// Reserves in every limit of the plan or in none. Counts the prompt exactly only when a limit says
/// that the cheap bound will not do.
pub async fn reserve(
    gateway: &Gateway,
    plan: &Plan<'_>,
    context: &CallContext<'_>,
    call: &Request,
    now: Now,
) -> Result<Admitted, Refusal> {
    let encoding = encoding_of(plan.model);
    let mut keys: SmallVec<[(&KeyedLimit, Cow<'_, str>); LIMITS_INLINE]> = SmallVec::new();
    for keyed in plan.limits() {
        let key = keyed
            .counter_key
            .text(context)
            .map_err(|fault| Refusal::PolicyFault {
                rule: keyed.limit.id.0.clone(),
                message: fault.message,
            })?;
        keys.push((keyed, key));
    }
    let asks: SmallVec<[Ask<'_>; LIMITS_INLINE]> = keys
        .iter()
        .map(|(keyed, key)| Ask {
            limit: &keyed.limit,
            key,
        })
        .collect();

    let precedent = gateway
        .estimates
        .precedent(context.application, &plan.model.name);
    let mut demand = precedent.demand(plan.model, call);
    loop {
        match gateway.counters.reserve(&asks, &demand, now).await {
            Ok(Reserved::Admitted(reservation)) => {
                let prompt_tokens = demand.prompt_exact.unwrap_or(demand.prompt_likely);
                return Ok(Admitted {
                    encoding,
                    prompt_tokens,
                    prompt_is_exact: demand.prompt_exact.is_some(),
                    reserved_tokens: prompt_tokens.saturating_add(demand.answer_likely),
                    rates: RateLevels::tightest(&reservation),
                    prices: Arc::clone(plan.prices),
                    precedent,
                    reservation,
                });
            }
            Ok(Reserved::CountFirst) => demand.prompt_exact = Some(count(call, encoding).await),
            Err(ReserveError::Refused(refusal)) => return Err(Refusal::Limit(refusal)),
            Err(ReserveError::Full) => return Err(Refusal::CountersFull),
        }
    }
}

async fn count(call: &Request, encoding: Encoding) -> u64 {
    if call.body_len() <= COUNT_INLINE_BYTES_MAX {
        return call.prompt_tokens(encoding);
    }
    let copy = call.clone();
    let counted = tokio::task::spawn_blocking(move || copy.prompt_tokens(encoding)).await;
    // Only shutdown cancels it; the bound is safe then.
    counted.unwrap_or_else(|_| call.prompt_tokens_bound())
}

fn encoding_of(model: &Model) -> Encoding {
    match model.tokenizer {
        TokenizerName::O200k => Encoding::O200k,
        TokenizerName::Cl100k => Encoding::Cl100k,
    }
}

impl RateLevels {
    /// Of each kind the level with the smallest share left.
    fn tightest(reservation: &Reservation) -> Self {
        let mut rates = Self::default();
        for (limit, figures) in reservation.figures() {
            let slot = match limit.rule {
                Rule::TokensPerMinute { .. } => &mut rates.tokens,
                Rule::RequestsPerMinute { .. } => &mut rates.requests,
                Rule::Concurrency { .. } | Rule::TokenQuota { .. } => continue,
            };
            let rate = RateLevel {
                limit: figures.bound,
                remaining: figures.remaining,
                reset: figures.reset,
            };
            if slot.is_none_or(|other| rate.share_left() < other.share_left()) {
                *slot = Some(rate);
            }
        }
        rates
    }
}

impl RateLevel {
    fn share_left(&self) -> f64 {
        self.remaining as f64 / self.limit.max(1) as f64
    }
}
