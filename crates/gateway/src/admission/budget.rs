//! What budgets do to a call that a limit does not: ask for its price, let it through past them, or
//! have another model answer.

use std::sync::Arc;

use config::snapshot::{KeyedBudget, Snapshot};
use dialect::{Operation, Request};
use domain::budget::{OnExceeded, Unpriced};
use domain::limit::{LimitRefusal, Rule};
use domain::{Currency, Limit, ModelName, Nanos};
use smallvec::SmallVec;
use store::counters::{Past, Reservation};

use crate::identity::Caller;
use crate::refusal::Refusal;

/// The budgets of a call, as they stood when it was admitted.
#[derive(Clone, Debug)]
pub struct BudgetLevels {
    /// The one with the smallest share left.
    pub tightest: BudgetLevel,
    /// Those that had no room and let it through.
    pub past: SmallVec<[Arc<Limit>; 1]>,
}

#[derive(Clone, Debug)]
pub struct BudgetLevel {
    pub name: Arc<str>,
    pub currency: Currency,
    pub remaining: Nanos,
    share_left: f64,
}

/// Another model answers, because a budget had no room for the one that was asked for.
#[derive(Clone, Debug)]
pub struct Downgraded {
    pub from: ModelName,
    pub budget: Arc<Limit>,
}

impl Downgraded {
    /// As records name it.
    pub fn rule(&self) -> Arc<str> {
        format!("{}/downgrade", self.budget.id).into()
    }
}

impl BudgetLevels {
    /// `None` of a call that no budget counts.
    pub fn of(reservation: &Reservation) -> Option<Box<Self>> {
        let mut tightest: Option<BudgetLevel> = None;
        for (limit, figures) in reservation.figures() {
            let Rule::Budget(budget) = &limit.rule else {
                continue;
            };
            let level = BudgetLevel {
                name: limit.name.clone(),
                currency: budget.currency,
                remaining: Nanos::saturated(i128::from(figures.remaining)),
                share_left: figures.remaining as f64 / figures.bound.max(1) as f64,
            };
            if tightest
                .as_ref()
                .is_none_or(|other| level.share_left < other.share_left)
            {
                tightest = Some(level);
            }
        }
        Some(Box::new(Self {
            tightest: tightest?,
            past: reservation.past().cloned().collect(),
        }))
    }
}

/// What a budget's counter does with a call that it has no room for.
pub fn past<'b>(budget: &'b KeyedBudget, model: &ModelName) -> Past<'b> {
    match &budget.throttle {
        _ if budget.budget.passes(model) => Past::Pass,
        Some(throttle) => Past::Throttle(throttle),
        None => Past::Refuse,
    }
}

/// A call that costs nobody knows what cannot be kept within a budget.
pub fn refuse_unpriced<'b>(
    budgets: impl Iterator<Item = &'b KeyedBudget>,
    model: &ModelName,
) -> Result<(), Refusal> {
    for budget in budgets {
        if budget.budget.unpriced == Unpriced::Refuse {
            return Err(Refusal::Unpriced {
                budget: budget.keyed.limit.clone(),
                model: model.clone(),
            });
        }
    }
    Ok(())
}

/// The call as one for the model that a budget among those that refused has answer instead. `None`
/// if no budget does, or that model cannot: it is not granted, it was asked for already, or the call
/// is for embeddings, which do not compare with another model's.
pub fn downgrade(
    snapshot: &Snapshot,
    caller: &Caller,
    call: &Request,
    refusal: &LimitRefusal,
) -> Option<(Request, Arc<Limit>)> {
    let budget = refusal.downgrade.as_ref()?;
    let Rule::Budget(rule) = &budget.rule else {
        return None;
    };
    let OnExceeded::Downgrade(model) = &rule.on_exceeded else {
        return None;
    };
    if call.operation == Operation::Embeddings || *model == call.model {
        return None;
    }
    snapshot
        .plan(
            &caller.subscription,
            caller.application.as_ref(),
            model.as_str(),
        )
        .ok()?;
    let cheaper = call.asking_for(model).ok()?;
    Some((cheaper, budget.clone()))
}
