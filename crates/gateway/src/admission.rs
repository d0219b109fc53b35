//! What applies to a call, and the reservation that it must get before it may go on.

mod budget;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use config::snapshot::{KeyedBudget, KeyedLimit, Model, Snapshot, TokenizerName};
use config::{CallContext, Plan, PlanError};
use dialect::{Encoding, Request};
use domain::limit::{Rule, TokenRates};
use domain::price::{self, PriceList};
use domain::{Nanos, Wall};
use http::HeaderMap;
use smallvec::SmallVec;
use store::counters::{Ask, Past, Reservation, ReserveError, Reserved};

use crate::estimates::Precedent;
use crate::gateway::Gateway;
use crate::identity::Caller;
use crate::refusal::Refusal;

pub use budget::{BudgetLevel, BudgetLevels, Downgraded};

/// Longer bodies are counted off the I/O threads: 32 KB of text take about a millisecond.
const COUNT_INLINE_BYTES_MAX: usize = 32 * 1024;

/// Limits that apply to one call, usually: more are counted on the heap.
const LIMITS_INLINE: usize = 8;

/// A budget's cheaper model may be under a budget of its own, and so on; this far.
const DOWNGRADES_MAX: usize = 4;

/// What admission gives to a call that may go on.
pub struct Admitted {
    pub encoding: Encoding,
    pub prompt_tokens: u64,
    pub prompt_is_exact: bool,
    pub reserved_tokens: u64,
    pub rates: RateLevels,
    pub budgets: Option<Box<BudgetLevels>>,
    pub downgraded: Option<Box<Downgraded>>,
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
        user: caller.user.as_deref(),
        claims: caller.claims.as_deref(),
        model: Some(&call.model),
        headers,
        ip: Some(ip),
    }
}

/// Who asks to be admitted, under which configuration, and since when.
#[derive(Clone, Copy)]
pub struct Applicant<'s> {
    pub snapshot: &'s Snapshot,
    pub caller: &'s Caller,
    pub headers: &'s HeaderMap,
    pub ip: IpAddr,
    /// Prices are those of this time.
    pub began: Wall,
}

/// Reserves for the call. A budget that has no room may have another model answer: it is then a call
/// for that model, and goes by that model's plan.
pub async fn admit<'s>(
    gateway: &Gateway,
    mut plan: Plan<'s>,
    applicant: &Applicant<'s>,
    call: &mut Request,
) -> Result<(Plan<'s>, Admitted), Refusal> {
    let Applicant {
        snapshot,
        caller,
        headers,
        ip,
        began,
    } = *applicant;
    let mut downgraded: Option<Box<Downgraded>> = None;
    let mut rounds = 0;
    loop {
        let context = context(caller, call, headers, ip);
        let refusal = match reserve(gateway, &plan, &context, call, began).await {
            Ok(admitted) => {
                let admitted = Admitted {
                    downgraded,
                    ..admitted
                };
                return Ok((plan, admitted));
            }
            Err(Refusal::Limit(refusal)) => refusal,
            Err(other) => return Err(other),
        };
        rounds += 1;
        let cheaper = budget::downgrade(snapshot, caller, call, &refusal);
        let Some((cheaper, budget)) = cheaper.filter(|_| rounds <= DOWNGRADES_MAX) else {
            return Err(Refusal::Limit(refusal));
        };
        let from = downgraded.map_or_else(|| call.model.clone(), |earlier| earlier.from);
        downgraded = Some(Box::new(Downgraded { from, budget }));
        *call = cheaper;
        plan = self::plan(snapshot, caller, call)?;
    }
}

/// Reserves in every limit and budget of the plan or in none. Counts the prompt exactly only when
/// one of them says that the cheap bound will not do.
pub async fn reserve(
    gateway: &Gateway,
    plan: &Plan<'_>,
    context: &CallContext<'_>,
    call: &Request,
    began: Wall,
) -> Result<Admitted, Refusal> {
    let now = gateway.clock.now();
    let encoding = encoding_of(plan.model);
    let budgets: SmallVec<[&KeyedBudget; LIMITS_INLINE]> =
        plan.budgets(context.application, context.user).collect();
    let mut keys: SmallVec<[(&KeyedLimit, Cow<'_, str>, Past<'_>); LIMITS_INLINE]> =
        SmallVec::new();
    for keyed in plan.limits() {
        keys.push((keyed, key_of(keyed, context)?, Past::Refuse));
    }
    for budget in &budgets {
        let past = budget::past(budget, &plan.model.name);
        keys.push((&budget.keyed, key_of(&budget.keyed, context)?, past));
    }
    let asks: SmallVec<[Ask<'_>; LIMITS_INLINE]> = keys
        .iter()
        .map(|(keyed, key, past)| Ask {
            limit: &keyed.limit,
            key,
            past: *past,
        })
        .collect();

    let precedent = gateway
        .estimates
        .precedent(context.application, &plan.model.name);
    let mut demand = precedent.demand(plan.model, call);
    if !budgets.is_empty() {
        demand.rates = token_rates(plan, call, demand.prompt_bound, began);
        if demand.rates.is_none() {
            budget::refuse_unpriced(budgets.into_iter(), &plan.model.name)?;
        } else if demand.rates != token_rates(plan, call, 0, began) {
            // Long prompts cost more by the token: whether this is one has to be known.
            let tokens = count(call, encoding).await;
            demand.prompt_exact = Some(tokens);
            demand.rates = token_rates(plan, call, tokens, began);
        }
    }
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
                    budgets: BudgetLevels::of(&reservation),
                    downgraded: None,
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

fn key_of<'k>(keyed: &'k KeyedLimit, context: &CallContext<'k>) -> Result<Cow<'k, str>, Refusal> {
    keyed
        .counter_key
        .text(context)
        .map_err(|fault| Refusal::PolicyFault {
            rule: keyed.limit.id.0.clone(),
            message: fault.message,
        })
}

/// What a call with a prompt of this length may cost at the dearest backend that may answer it.
fn token_rates(
    plan: &Plan<'_>,
    call: &Request,
    prompt_tokens: u64,
    began: Wall,
) -> Option<TokenRates> {
    let ask = price_ask(call, prompt_tokens);
    let ceiling = plan.prices.ceiling(began, &ask).ok()?;
    let rate = |rate: Nanos| u64::try_from(rate.0).unwrap_or(0);
    Some(TokenRates {
        prompt: rate(ceiling.prompt_per_million),
        answer: rate(ceiling.completion_per_million),
    })
}

/// What of the call can make it dearer.
pub fn price_ask(call: &Request, prompt_tokens: u64) -> price::Ask {
    price::Ask {
        prompt_tokens,
        tier: call.tier,
        has_audio: call.has_audio,
        ..price::Ask::default()
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
                Rule::Concurrency { .. } | Rule::TokenQuota { .. } | Rule::Budget(_) => continue,
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
