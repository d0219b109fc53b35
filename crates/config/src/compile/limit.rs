//! Limits of every scope, with their ids and counter keys.

use std::collections::HashMap;
use std::sync::Arc;

use domain::limit::Calendar;
use domain::{Limit, LimitId, ModelName, Reserve, Rule, Scope};
use jiff::tz::TimeZone;

use crate::expression::Expression;
use crate::file::limit::{ConcurrencyLimit, LimitLists, Quota, RequestLimit, TokenLimit};
use crate::problem::{Place, Problems};
use crate::read::{Cel, LimitName, Placed};
use crate::snapshot::{KeyedLimit, Model};

pub(super) struct LimitCompiler<'p> {
    pub problems: &'p mut Problems,
    time_zone: TimeZone,
    keys: DefaultKeys,
}

/// What picks the counter where nothing is written.
struct DefaultKeys {
    everybody: Arc<Expression>,
    subscription: Arc<Expression>,
    application: Arc<Expression>,
}

impl<'p> LimitCompiler<'p> {
    pub fn new(time_zone: &TimeZone, problems: &'p mut Problems) -> Self {
        let compiled = |source| {
            Arc::new(Expression::compile(source).expect("a constant or a plain path compiles"))
        };
        let keys = DefaultKeys {
            everybody: compiled("\"all\""),
            subscription: compiled("subscription.id"),
            application: compiled("application.name"),
        };
        Self {
            problems,
            time_zone: time_zone.clone(),
            keys,
        }
    }

    /// `reach`: the models that calls under these limits may ask for.
    pub fn compile(
        &mut self,
        scope: &Scope,
        lists: LimitLists,
        reach: &[&Model],
    ) -> Vec<KeyedLimit> {
        self.compile_with(scope, lists, &unbounded(reach))
    }

    pub fn compile_with(
        &mut self,
        scope: &Scope,
        lists: LimitLists,
        unbounded: &[ModelName],
    ) -> Vec<KeyedLimit> {
        let LimitLists {
            token_limits,
            quotas,
            request_limits,
            concurrency_limits,
        } = lists;
        let mut of_scope = OfScope {
            scope,
            compiler: self,
            names: HashMap::new(),
            limits: Vec::new(),
        };
        for TokenLimit {
            name,
            counter_key,
            tokens_per_minute,
            estimate_prompt_tokens,
            reserve,
        } in token_limits.items
        {
            of_scope.check_reserve("token_limits", &name, &reserve, unbounded);
            let (tokens_per_minute, reserve) = (tokens_per_minute.0, reserve.value);
            of_scope.add(
                "token_limits",
                name,
                counter_key,
                Rule::TokensPerMinute {
                    tokens_per_minute,
                    reserve,
                    estimate_prompt_tokens,
                },
            );
        }
        for Quota {
            name,
            counter_key,
            tokens,
            period,
            time_zone,
            reserve,
        } in quotas.items
        {
            of_scope.check_reserve("quotas", &name, &reserve, unbounded);
            let time_zone = time_zone.unwrap_or_else(|| of_scope.compiler.time_zone.clone());
            let (tokens, calendar) = (tokens.0, Calendar { period, time_zone });
            of_scope.add(
                "quotas",
                name,
                counter_key,
                Rule::TokenQuota {
                    tokens,
                    calendar,
                    reserve: reserve.value,
                },
            );
        }
        for RequestLimit {
            name,
            counter_key,
            requests_per_minute,
        } in request_limits.items
        {
            let requests_per_minute = requests_per_minute.0;
            of_scope.add(
                "request_limits",
                name,
                counter_key,
                Rule::RequestsPerMinute {
                    requests_per_minute,
                },
            );
        }
        for ConcurrencyLimit {
            name,
            counter_key,
            max_concurrent,
        } in concurrency_limits.items
        {
            of_scope.add(
                "concurrency_limits",
                name,
                counter_key,
                Rule::Concurrency {
                    max_concurrent: max_concurrent.0,
                },
            );
        }
        of_scope.limits
    }
}

/// Models whose answers have no bound of their own.
pub(super) fn unbounded(models: &[&Model]) -> Vec<ModelName> {
    let mut names: Vec<ModelName> = models
        .iter()
        .filter(|model| model.max_output_tokens.is_none())
        .map(|model| model.name.clone())
        .collect();
    names.sort_unstable();
    names
}

struct OfScope<'c, 'p> {
    scope: &'c Scope,
    compiler: &'c mut LimitCompiler<'p>,
    names: HashMap<Arc<str>, Place>,
    limits: Vec<KeyedLimit>,
}

impl OfScope<'_, '_> {
    fn add(&mut self, list: &str, name: LimitName, counter_key: Option<Cel>, rule: Rule) {
        let LimitName { name, place } = name;
        if let Some(first) = self.names.insert(name.clone(), place) {
            let first = self.compiler.problems.at(first);
            let problem = format!("another limit of this scope is called `{name}`, at {first}");
            self.compiler.problems.error(
                place,
                &self.field(list, &name),
                problem,
                "rename one of them: refusals name it",
            );
        }
        let counter_key = counter_key.map_or_else(|| self.default_key(), |cel| cel.expression);
        let id = LimitId::from(&*format!("{}/{name}", self.scope));
        let limit = Arc::new(Limit {
            id,
            scope: self.scope.clone(),
            name,
            rule,
        });
        self.limits.push(KeyedLimit { limit, counter_key });
    }

    /// The full bound of an answer cannot be held where there is none.
    fn check_reserve(
        &mut self,
        list: &str,
        name: &LimitName,
        reserve: &Placed<Reserve>,
        unbounded: &[ModelName],
    ) {
        if reserve.value != Reserve::Max || unbounded.is_empty() {
            return;
        }
        let models = unbounded
            .iter()
            .map(|model| format!("`{model}`"))
            .collect::<Vec<_>>()
            .join(", ");
        let field = format!("{}.reserve", self.field(list, &name.name));
        let problem =
            format!("`max` needs the longest answer of each model, which is not known of {models}");
        self.compiler.problems.error(
            reserve.place,
            &field,
            problem,
            "set `max_output_tokens` of these models",
        );
    }

    fn default_key(&self) -> Arc<Expression> {
        let DefaultKeys {
            everybody,
            subscription,
            application,
        } = &self.compiler.keys;
        match self.scope {
            Scope::Global | Scope::Match(_) => everybody.clone(),
            Scope::Product(_) | Scope::Subscription(_) => subscription.clone(),
            Scope::Application(_) => application.clone(),
        }
    }

    fn field(&self, list: &str, name: &str) -> String {
        let within = match self.scope {
            Scope::Global | Scope::Match(_) => return format!("{list}[{name}]"),
            Scope::Product(id) => format!("products[{id}]"),
            Scope::Subscription(id) => format!("subscriptions[{id}]"),
            Scope::Application(application) => format!("applications[{application}]"),
        };
        format!("{within}.{list}[{name}]")
    }
}
