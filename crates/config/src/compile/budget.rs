//! Budgets: their rules, whose calls they count, and whether they can be kept.

use std::collections::HashMap;
use std::sync::Arc;

use domain::budget::{self, CallMatch, OnExceeded, PerMille, Unpriced};
use domain::limit::Calendar;
use domain::{Budget, Currency, Limit, LimitId, ModelName, Reserve, Rule, Scope};
use jiff::tz::TimeZone;

use super::limit::unbounded;
use crate::expression::Expression;
use crate::file::budget as file;
use crate::problem::{Place, Problems};
use crate::read::{List, Placed, Threshold};
use crate::snapshot::{KeyedBudget, KeyedLimit, Model, Subscription};

const ALERT_AT: [PerMille; 2] = [PerMille(800), PerMille(1000)];

/// What every budget of a configuration has in common.
pub(super) struct Common<'c> {
    pub models: &'c HashMap<ModelName, Arc<Model>>,
    pub currency: Currency,
    pub time_zone: &'c TimeZone,
}

/// A budget, and where its downgrade is written.
pub(super) struct Compiled {
    pub keyed: KeyedBudget,
    downgrade: Option<(ModelName, Place)>,
}

pub(super) fn budgets(
    sections: Vec<file::Budget>,
    common: &Common<'_>,
    problems: &mut Problems,
) -> Vec<Compiled> {
    let everything = Expression::compile("\"all\"").expect("a constant compiles");
    let everything = Arc::new(everything);
    let compile = |section| compile(section, common, &everything, problems);
    sections.into_iter().map(compile).collect()
}

fn compile(
    section: file::Budget,
    common: &Common<'_>,
    everything: &Arc<Expression>,
    problems: &mut Problems,
) -> Compiled {
    let file::Budget {
        name,
        r#match,
        counter_key,
        amount,
        period,
        time_zone,
        reserve,
        on_exceeded,
        unpriced,
        alert_at,
        notify,
    } = section;
    let (name, place) = (name.id.0, name.place);
    let field = format!("budgets[{name}]");
    let matching = matching(r#match);
    check_reserve(&field, &reserve, &matching, common, problems);
    if let Some(cel) = &counter_key
        && cel.expression.source().trim() == "caller.user"
        && matching.user.is_none()
    {
        problems.warning(
            cel.place,
            &format!("{field}.counter_key"),
            "calls without a user (with a key alone, say) are refused: they have no counter",
            "add `match: { user: \"*\" }`, so that the budget counts calls with a user only",
        );
    }
    let (on_exceeded, downgrade) = match on_exceeded {
        file::OnExceeded::Alert => (OnExceeded::Alert, None),
        file::OnExceeded::Refuse => (OnExceeded::Refuse, None),
        file::OnExceeded::Downgrade(model) => (
            OnExceeded::Downgrade(model.id.clone()),
            Some((model.id, model.place)),
        ),
        file::OnExceeded::Throttle(tokens_per_minute) => {
            (OnExceeded::Throttle { tokens_per_minute }, None)
        }
    };
    // An alert needs no price to let a call through.
    let unpriced = unpriced.unwrap_or(match on_exceeded {
        OnExceeded::Alert => Unpriced::Allow,
        OnExceeded::Refuse | OnExceeded::Downgrade(_) | OnExceeded::Throttle { .. } => {
            Unpriced::Refuse
        }
    });
    let scope = Scope::Match(matching.to_string().into());
    let id = LimitId::from(&*format!("budget/{name}"));
    let throttle = throttle(&on_exceeded, &id, &scope, &name);
    let budget = Arc::new(Budget {
        amount: amount.0,
        currency: common.currency,
        calendar: Calendar {
            period,
            time_zone: time_zone.unwrap_or_else(|| common.time_zone.clone()),
        },
        reserve: reserve.value,
        on_exceeded,
        unpriced,
        alert_at: thresholds(&field, place, alert_at, problems),
        raises: Arc::default(),
    });
    let limit = Limit {
        id,
        scope,
        name: name.clone(),
        rule: Rule::Budget(budget.clone()),
    };
    let keyed = KeyedLimit {
        limit: Arc::new(limit),
        counter_key: counter_key.map_or_else(|| everything.clone(), |cel| cel.expression),
    };
    Compiled {
        keyed: KeyedBudget {
            name,
            budget,
            keyed,
            matching,
            throttle,
            notify: notify.items.into_iter().map(|channel| channel.id).collect(),
        },
        downgrade,
    }
}

fn matching(section: file::BudgetMatch) -> CallMatch {
    let file::BudgetMatch {
        subscription,
        product,
        application,
        model,
        user,
    } = section;
    CallMatch {
        subscription: subscription.map(|names| names.patterns),
        product: product.map(|names| names.patterns),
        application: application.map(|names| names.patterns),
        model: model.map(|names| names.patterns),
        user: user.map(|names| names.patterns),
    }
}

fn throttle(
    on_exceeded: &OnExceeded,
    budget: &LimitId,
    scope: &Scope,
    name: &str,
) -> Option<Arc<Limit>> {
    let OnExceeded::Throttle { tokens_per_minute } = *on_exceeded else {
        return None;
    };
    Some(Arc::new(Limit {
        id: LimitId::from(&*format!("{budget}/throttle")),
        scope: scope.clone(),
        name: format!("{name}/throttle").into(),
        rule: Rule::TokensPerMinute {
            tokens_per_minute,
            reserve: Reserve::Learned,
            estimate_prompt_tokens: true,
        },
    }))
}

fn thresholds(
    field: &str,
    budget: Place,
    written: Option<Placed<List<Threshold>>>,
    problems: &mut Problems,
) -> Arc<[PerMille]> {
    const THRESHOLDS_MAX: usize = 20;
    let Some(Placed { value: list, place }) = written else {
        return ALERT_AT.into();
    };
    let mut shares: Vec<PerMille> = list.items.iter().map(|share| share.0).collect();
    shares.sort_unstable();
    shares.dedup();
    if shares.len() < list.items.len() {
        problems.warning(
            place,
            &format!("{field}.alert_at"),
            "a share is written twice",
            "write each once: it alerts once",
        );
    }
    if shares.len() > THRESHOLDS_MAX {
        problems.error(
            budget,
            &format!("{field}.alert_at"),
            format!("{} shares", shares.len()),
            format!("write at most {THRESHOLDS_MAX}"),
        );
    }
    shares.into()
}

/// The full bound of an answer cannot be held where there is none.
fn check_reserve(
    field: &str,
    reserve: &Placed<Reserve>,
    matching: &CallMatch,
    common: &Common<'_>,
    problems: &mut Problems,
) {
    if reserve.value != Reserve::Max {
        return;
    }
    let within_reach: Vec<&Model> = common
        .models
        .values()
        .map(|model| &**model)
        .filter(|model| matching.fits_model(&model.name))
        .collect();
    let unbounded = unbounded(&within_reach);
    if unbounded.is_empty() {
        return;
    }
    let models: Vec<String> = unbounded.iter().map(|model| format!("`{model}`")).collect();
    let problem = format!(
        "`max` needs the longest answer of each model, which is not known of {}",
        models.join(", ")
    );
    problems.error(
        reserve.place,
        &format!("{field}.reserve"),
        problem,
        "set `max_output_tokens` of these models",
    );
}

/// The budgets that may count a subscription's calls.
pub(super) fn of_tenant(
    budgets: &[Compiled],
    subscription: &domain::SubscriptionId,
    product: &domain::ProductId,
) -> Vec<usize> {
    let fits = |budget: &Compiled| budget.keyed.matching.fits_tenant(subscription, product);
    (0..budgets.len())
        .filter(|&index| fits(&budgets[index]))
        .collect()
}

/// Subscriptions whose product does not grant the model that shall answer instead.
pub(super) fn check_downgrades(
    budgets: &[Compiled],
    models: &HashMap<ModelName, Arc<Model>>,
    subscriptions: &HashMap<domain::SubscriptionId, Arc<Subscription>>,
    problems: &mut Problems,
) {
    for (index, budget) in budgets.iter().enumerate() {
        let Some((model, place)) = &budget.downgrade else {
            continue;
        };
        // One that does not exist is reported where it is named.
        if !models.contains_key(model) {
            continue;
        }
        let mut products: Vec<&str> = subscriptions
            .values()
            .filter(|subscription| subscription.budgets.contains(&index))
            .map(|subscription| &subscription.product)
            .filter(|product| !product.models.contains(model))
            .map(|product| product.id.as_str())
            .collect();
        products.sort_unstable();
        products.dedup();
        if !products.is_empty() {
            problems.warning(
                *place,
                &format!("budgets[{}].on_exceeded.downgrade", budget.keyed.name),
                format!(
                    "`{model}` is not granted by {}: their calls are refused instead",
                    products.join(", ")
                ),
                "add it to `models` of these products",
            );
        }
    }
}

impl KeyedBudget {
    /// The rule with other raises.
    pub(crate) fn raised(&self, raises: Vec<budget::Raise>) -> Self {
        let budget = Arc::new(Budget {
            raises: raises.into(),
            ..Budget::clone(&self.budget)
        });
        let limit = Limit {
            rule: Rule::Budget(budget.clone()),
            ..Limit::clone(&self.keyed.limit)
        };
        let mut raised = self.clone();
        raised.keyed.limit = Arc::new(limit);
        raised.budget = budget;
        raised
    }
}
