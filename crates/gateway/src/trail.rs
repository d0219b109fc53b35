//! What is known of one call so far. Every call leaves one, whether answered, refused or cut off.

use std::sync::Arc;
use std::time::Duration;

use dialect::{Dialect, Encoding, Request};
use domain::price::{Ceiling, PriceList};
use domain::record::{
    AttemptFailure, AttemptRecord, CacheOutcome, CallRecord, Cost, Opening, Outcome, Verdict, Who,
};
use domain::{BackendId, CallId, Metered, ModelName, Mono, Nanos, Now, Price, Usage};
use http::{HeaderValue, StatusCode};
use smallvec::SmallVec;
use store::Ledger;
use store::counters::Reservation;
use store::ledger::Entry;

use crate::admission::{self, Admitted, BudgetLevels, Downgraded, RateLevels};
use crate::audit::Recording;
use crate::cache::Part;
use crate::estimates::Precedent;
use crate::gateway::Gateway;
use crate::identity::Caller;
use crate::overload::Place;
use crate::said::Said;
use crate::telemetry::{TraceContext, UsageSeries};

/// Facts fill in as the pipeline learns them. They are optional because a call may be refused
/// before any of them is known; code that decides takes them as arguments instead.
pub struct Facts {
    pub origin: Origin,
    /// The call's id, as the client and the backends are told it.
    pub request_id: HeaderValue,
    pub caller: Option<Caller>,
    pub call: Option<Request>,
    pub held: Option<Held>,
    /// Of guards that found something, or could not look.
    pub verdicts: Vec<Verdict>,
    /// Of a call that goes on the audit record.
    pub recording: Option<Box<Recording>>,
    /// Of a call that the cache may answer, or be told the answer of.
    pub cached: Option<Box<Part>>,
    pub said: Said,
    /// Where the product's dimensions count it.
    pub series: Option<Arc<UsageSeries>>,
    pub ending: Option<Ending>,
}

/// Known from the first line of `handle`.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    pub id: CallId,
    pub started: Now,
    pub dialect: Dialect,
    pub revision: u64,
    /// Absent while nothing is traced.
    pub trace: Option<TraceContext>,
}

/// What the client was told in the end. Absent when it left before it was told anything.
#[derive(Clone, Debug)]
pub struct Ending {
    pub status: StatusCode,
    pub outcome: Outcome,
    pub rule: Option<Arc<str>>,
}

/// What a call holds from admission until it settles, and what its attempts did meanwhile.
pub struct Held {
    pub encoding: Encoding,
    /// Exact where it was counted, else by the learned ratio.
    pub prompt_tokens: u64,
    pub prompt_is_exact: bool,
    /// The room that a backend must have left for this call.
    pub reserved_tokens: u64,
    pub rates: RateLevels,
    pub budgets: Option<Box<BudgetLevels>>,
    pub downgraded: Option<Box<Downgraded>>,
    prices: Arc<PriceList>,
    precedent: Precedent,
    reservation: Reservation,
    opening: Opening,
    entry: Entry,
    pub attempts: Vec<AttemptRecord>,
    /// The dialect of the backend that was tried last.
    pub asked: Option<Dialect>,
    /// A backend has the request and has not answered. Still set on drop: the client hung up then.
    pub at_upstream: Option<(BackendId, Mono)>,
    /// When each attempt was sent.
    pub sent_at: SmallVec<[Mono; 2]>,
    /// The backend whose answer the client gets, and when its first byte came.
    pub answered: Option<BackendId>,
    pub first_byte: Option<Duration>,
    /// The last attempt's answer is here and was metered, and nobody was told of it yet.
    pub has_crossed: bool,
}

impl Held {
    /// Opens the call's ledger entry: from here on a crash leaves a trace of it.
    pub fn open(
        origin: &Origin,
        caller: &Caller,
        call: &Request,
        admitted: Admitted,
        ledger: &Ledger,
    ) -> Self {
        let Admitted {
            encoding,
            prompt_tokens,
            prompt_is_exact,
            reserved_tokens,
            rates,
            budgets,
            downgraded,
            prices,
            precedent,
            reservation,
        } = admitted;
        let ask = admission::price_ask(call, prompt_tokens);
        let ceiling = prices.ceiling(origin.started.wall, &ask).ok();
        if let Some(ceiling) = &ceiling {
            remember(&ceiling.price, ledger);
        }
        let opening = Opening {
            prompt_tokens,
            charges: reservation.charges(),
            price: ceiling.as_ref().map(Ceiling::opening),
            asked_model: downgraded
                .as_ref()
                .map(|downgraded| downgraded.from.clone()),
            ..opening(origin, caller, call.model.clone(), call.stream)
        };
        let entry = ledger.begin(&opening);
        Self {
            encoding,
            prompt_tokens,
            prompt_is_exact,
            reserved_tokens,
            rates,
            budgets,
            downgraded,
            prices,
            precedent,
            reservation,
            opening,
            entry,
            attempts: Vec::new(),
            asked: None,
            at_upstream: None,
            sent_at: SmallVec::new(),
            answered: None,
            first_byte: None,
            has_crossed: false,
        }
    }

    /// What was asked of a provider that said nothing of it: counted now if nobody needed to before.
    pub fn count_prompt(&mut self, call: &Request) -> u64 {
        if !self.prompt_is_exact {
            self.prompt_tokens = call.prompt_tokens(self.encoding);
            self.prompt_is_exact = true;
        }
        self.prompt_tokens
    }

    /// The backend has the prompt, and nobody stayed to hear the answer.
    pub fn prompt_only(&mut self, call: &Request) -> Metered {
        Metered::Estimated(Usage {
            prompt: self.count_prompt(call),
            ..Usage::default()
        })
    }

    /// What usage at a backend costs. By the price of when the call began, as providers bill.
    pub fn cost(&self, backend: &BackendId, metered: &Metered) -> Cost {
        let (cost, _) = self.prices.cost(backend, self.opening.at, metered.usage());
        cost
    }

    /// What is owed for an answer that is here.
    pub fn crossed(&self) -> Option<Metered> {
        let last = self.attempts.last().filter(|_| self.has_crossed);
        last.map(|attempt| attempt.metered)
    }

    /// Tells the journal how much of the answer passed, before it does.
    pub fn progress(&self, ledger: &Ledger, completion_tokens: u64) {
        ledger.progress(&self.entry, completion_tokens);
    }
}

impl Facts {
    fn new(origin: Origin, request_id: HeaderValue) -> Self {
        Self {
            origin,
            request_id,
            caller: None,
            call: None,
            held: None,
            verdicts: Vec::new(),
            recording: None,
            cached: None,
            said: Said::default(),
            series: None,
            ending: None,
        }
    }

    pub fn end(&mut self, status: StatusCode, outcome: Outcome) {
        self.ending = Some(Ending {
            status,
            outcome,
            rule: None,
        });
    }

    /// Takes the facts apart for settling. No record without a caller: who is not authenticated is
    /// counted elsewhere, never on the ledger.
    pub fn into_settlement(self, metered: Metered, now: Now) -> Settlement {
        let Self {
            origin,
            request_id: _,
            caller,
            call,
            held,
            verdicts,
            recording,
            cached,
            said,
            series,
            ending,
        } = self;
        let Ending {
            status,
            outcome,
            rule,
        } = ending.unwrap_or(Ending {
            status: StatusCode::default(),
            outcome: if std::thread::panicking() {
                Outcome::GatewayError
            } else {
                Outcome::HungUp
            },
            rule: None,
        });
        let downgraded = held.as_ref().and_then(|held| held.downgraded.as_ref());
        let rule = rule.or_else(|| downgraded.map(|downgraded| downgraded.rule()));
        let status = if outcome == Outcome::HungUp
            && held.as_ref().is_none_or(|held| held.answered.is_none())
        {
            0
        } else {
            status.as_u16()
        };
        let Some(caller) = caller else {
            return Settlement {
                origin,
                record: None,
                call: None,
                kept: None,
                recording: None,
                cached: None,
                said: Said::default(),
                series: None,
            };
        };
        let mut kept = None;
        let (opening, attempts, backend, first_byte) = match held {
            Some(held) => {
                let Held {
                    opening,
                    prices,
                    precedent,
                    reservation,
                    entry,
                    attempts,
                    asked,
                    answered,
                    first_byte,
                    sent_at,
                    reserved_tokens,
                    ..
                } = held;
                kept = Some(Kept {
                    prices,
                    reservation,
                    reserved_tokens,
                    entry,
                    precedent,
                    asked,
                    sent_at,
                });
                (opening, attempts, answered, first_byte)
            }
            None => {
                // A name that no model has is the client's text, not a name: records keep none of it.
                let is_known = rule.as_deref() != Some("model_not_found");
                let model = call.as_ref().filter(|_| is_known);
                let model = model.map_or_else(|| ModelName::from(""), |call| call.model.clone());
                let stream = call.as_ref().is_some_and(|call| call.stream);
                let opening = opening(&origin, &caller, model, stream);
                (opening, Vec::new(), None, None)
            }
        };
        // Tokens that the call is charged for are those of the attempt that was last.
        let (mut cost, mut saved) = match (attempts.last(), &kept) {
            (Some(last), Some(kept)) => {
                kept.prices.cost(&last.backend, opening.at, metered.usage())
            }
            _ => (Cost::without_price(metered.usage()), Nanos::ZERO),
        };
        let spared = cached.as_ref().and_then(|part| part.spared());
        if let (Some(spared), Some(kept)) = (&spared, &kept) {
            (cost, saved) = kept.prices.spared(opening.at, &spared.usage);
        }
        // A shared stream that broke off has spared nobody anything.
        let mut saved_tokens = spared.as_ref().map_or(0, |spared| spared.usage.total());
        if outcome == Outcome::Cut {
            (saved, saved_tokens) = (Nanos::ZERO, 0);
        }
        let record = CallRecord {
            opening,
            outcome,
            status,
            rule,
            backend,
            cache: cached
                .as_ref()
                .map_or(CacheOutcome::Off, |part| part.outcome()),
            metered,
            cost,
            saved,
            saved_tokens,
            similarity: spared.and_then(|spared| spared.similarity),
            latency: now.mono.since(origin.started.mono),
            first_byte,
            attempts,
            verdicts,
        };
        Settlement {
            origin,
            record: Some(record),
            call,
            kept,
            recording,
            cached,
            said,
            series,
        }
    }
}

/// What settling works on.
pub struct Settlement {
    pub origin: Origin,
    pub record: Option<CallRecord>,
    pub call: Option<Request>,
    pub kept: Option<Kept>,
    pub recording: Option<Box<Recording>>,
    pub cached: Option<Box<Part>>,
    pub said: Said,
    pub series: Option<Arc<UsageSeries>>,
}

/// What is left of [`Held`] beside the record.
pub struct Kept {
    /// By which its attempts were priced.
    pub prices: Arc<PriceList>,
    pub reservation: Reservation,
    pub reserved_tokens: u64,
    pub entry: Entry,
    pub precedent: Precedent,
    pub asked: Option<Dialect>,
    pub sent_at: SmallVec<[Mono; 2]>,
}

/// So that the ledger can say for ever what its records were priced by.
pub fn remember_prices(prices: &PriceList, record: &CallRecord, ledger: &Ledger) {
    for attempt in &record.attempts {
        let is_priced = attempt.cost.price().is_some();
        let price = prices.price(&attempt.backend, record.opening.at);
        if let Some(price) = price.filter(|_| is_priced) {
            remember(price, ledger);
        }
    }
    // A hit has no attempts, and the price by which it saved may be a backend's that was never asked.
    if record.attempts.is_empty()
        && let Some(id) = record.cost.price()
        && let Some(price) = prices.named(id, record.opening.at)
    {
        remember(price, ledger);
    }
}

fn remember(price: &Price, ledger: &Ledger) {
    ledger.remember_price(&price.id, || price.text.to_string());
}

fn opening(origin: &Origin, caller: &Caller, model: ModelName, stream: bool) -> Opening {
    Opening {
        id: origin.id,
        at: origin.started.wall,
        who: Who {
            subscription: caller.subscription.id.clone(),
            product: caller.subscription.product.id.clone(),
            application: caller.application.clone(),
            caller: caller.label(),
            user: caller.user.clone(),
        },
        model,
        asked_model: None,
        stream,
        revision: origin.revision,
        prompt_tokens: 0,
        charges: Vec::new(),
        price: None,
    }
}

/// Settles exactly once: through `settle`, or on drop when the call's future or its answer's body
/// went away before its end.
pub struct Trail {
    gateway: Arc<Gateway>,
    facts: Box<Facts>,
    settled: bool,
    _place: Place,
}

impl Trail {
    pub fn open(gateway: Arc<Gateway>, dialect: Dialect, place: Place) -> Self {
        let started = gateway.clock.now();
        let origin = Origin {
            id: gateway.chance.call_id(started.wall),
            started,
            dialect,
            revision: 0,
            trace: None,
        };
        let request_id = HeaderValue::from_bytes(&origin.id.digits());
        let request_id = request_id.unwrap_or(HeaderValue::from_static(""));
        gateway.telemetry.call_opened();
        Self {
            gateway,
            facts: Box::new(Facts::new(origin, request_id)),
            settled: false,
            _place: place,
        }
    }

    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Empty but for their origin and id once settled.
    pub fn facts(&mut self) -> &mut Facts {
        &mut self.facts
    }

    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// The first call counts; later ones do nothing.
    pub fn settle(&mut self, metered: Metered) {
        if !std::mem::replace(&mut self.settled, true) {
            let (origin, request_id) = (self.facts.origin, self.facts.request_id.clone());
            let facts = std::mem::replace(&mut *self.facts, Facts::new(origin, request_id));
            self.gateway.settle(facts, metered);
        }
    }
}

impl Drop for Trail {
    /// The client left, or the call's task panicked. A backend that has the request bills us for
    /// its prompt, so the client pays for that.
    fn drop(&mut self) {
        self.gateway.telemetry.call_closed();
        if self.settled {
            return;
        }
        let mut metered = Metered::NOTHING;
        if let Some(held) = &self.facts.held
            && let Some(crossed) = held.crossed()
        {
            // Its answer was here, with a guard, when the client left.
            metered = crossed;
        } else if let (Some(held), Some(call)) = (&mut self.facts.held, &self.facts.call)
            && let Some((backend, since)) = held.at_upstream.take()
        {
            metered = held.prompt_only(call);
            held.attempts.push(AttemptRecord {
                cost: held.cost(&backend, &metered),
                backend,
                status: 0,
                failure: Some(AttemptFailure::HungUp),
                metered,
                latency: self.gateway.clock.mono().since(since),
            });
        }
        self.settle(metered);
    }
}
