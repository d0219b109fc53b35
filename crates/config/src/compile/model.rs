//! Pools and models.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use domain::pool::{Member, Pool, RetryRule};
use domain::{BackendId, ModelName, PoolId};

use crate::expression::Expression;
use crate::file::{model, pool};
use crate::problem::Problems;
use crate::read::Placed;
use crate::snapshot::{Backend, DeploymentNames, Model, TokenizerName};

struct Pooled {
    pool: Arc<Pool>,
    affinity: Option<Arc<Expression>>,
    /// Every member could be read, so what is no member of it is a mistake.
    is_whole: bool,
}

pub(super) fn models(
    pools: Vec<pool::Pool>,
    sections: Vec<model::Model>,
    backends: &HashMap<BackendId, Arc<Backend>>,
    problems: &mut Problems,
) -> HashMap<ModelName, Arc<Model>> {
    let mut pooled = HashMap::new();
    for section in pools {
        pooled.insert(section.id.id.clone(), compile_pool(section, problems));
    }
    // One for each backend that models name directly.
    let mut alone: HashMap<BackendId, Arc<Pool>> = HashMap::new();
    let mut models = HashMap::new();
    for section in sections {
        let name = section.name.id.clone();
        let of_pool = match (&section.pool, &section.backend) {
            (Some(pool), None) => pooled.get(&pool.id),
            (None, Some(backend)) => {
                if backends.contains_key(&backend.id) {
                    let pool = alone
                        .entry(backend.id.clone())
                        .or_insert_with(|| Arc::new(pool_of_one(&backend.id)));
                    let affinity = None;
                    let one = Pooled {
                        pool: pool.clone(),
                        affinity,
                        is_whole: true,
                    };
                    models.insert(name, Arc::new(compile_model(section, &one, problems)));
                }
                continue;
            }
            (Some(_), Some(_)) | (None, None) => {
                let field = format!("models[{name}]");
                let problem = match section.pool {
                    Some(_) => "both `pool` and `backend`",
                    None => "neither `pool` nor `backend`",
                };
                problems.error(
                    section.name.place,
                    &field,
                    problem,
                    "name the pool or the one backend that answers it",
                );
                continue;
            }
        };
        if let Some(of_pool) = of_pool {
            models.insert(name, Arc::new(compile_model(section, of_pool, problems)));
        }
    }
    models
}

fn compile_pool(section: pool::Pool, problems: &mut Problems) -> Pooled {
    let pool::Pool {
        id,
        members: Placed {
            value: members,
            place,
        },
        retry,
        affinity,
    } = section;
    let id = id.id;
    if members.items.is_empty() && members.is_whole {
        problems.error(
            place,
            &format!("pools[{id}].members"),
            "no members",
            "name at least one backend",
        );
    }
    let mut seen = HashSet::new();
    for member in &members {
        if !seen.insert(member.backend.id.clone()) {
            let field = format!("pools[{id}].members");
            let problem = format!("`{}` is a member twice", member.backend.id);
            problems.error(
                member.backend.place,
                &field,
                problem,
                "name it once, with the weights added up",
            );
        }
    }
    let is_whole = members.is_whole;
    let members = members
        .items
        .into_iter()
        .map(
            |pool::Member {
                 backend,
                 priority,
                 weight,
             }| Member {
                backend: backend.id,
                priority: priority.as_u32(),
                weight: weight.as_u32(),
            },
        )
        .collect();
    let retry = RetryRule {
        attempts: retry.attempts.as_u32(),
        budget: retry.budget.0,
    };
    Pooled {
        pool: Arc::new(Pool { id, members, retry }),
        affinity: affinity.map(|cel| cel.expression),
        is_whole,
    }
}

/// No pool in a file can have a name with a slash.
fn pool_of_one(backend: &BackendId) -> Pool {
    Pool {
        id: PoolId::from(&*format!("backend/{backend}")),
        members: vec![Member {
            backend: backend.clone(),
            priority: 1,
            weight: 1,
        }],
        retry: RetryRule::default(),
    }
}

fn compile_model(section: model::Model, pooled: &Pooled, problems: &mut Problems) -> Model {
    let model::Model {
        name,
        pool: _,
        backend: _,
        deployment,
        max_output_tokens,
        tokenizer,
        // `price::written` has read these.
        price: _,
        prices: _,
        catalogue,
    } = section;
    let name = name.id;
    let deployment = match deployment {
        None => DeploymentNames::Everywhere(name.0.clone()),
        Some(model::Deployment::Everywhere(text)) => DeploymentNames::Everywhere(text.text.into()),
        Some(model::Deployment::By(names)) => {
            DeploymentNames::By(deployments(&name, names, pooled, problems))
        }
    };
    Model {
        pool: pooled.pool.clone(),
        affinity: pooled.affinity.clone(),
        deployment,
        max_output_tokens: max_output_tokens.map(|tokens| tokens.0),
        tokenizer: tokenizer.unwrap_or_else(|| tokenizer_of(&name)),
        catalogue: catalogue.map(|name| name.text.into()),
        name,
    }
}

fn deployments(
    model: &ModelName,
    names: Vec<model::DeploymentAt>,
    pooled: &Pooled,
    problems: &mut Problems,
) -> HashMap<BackendId, Arc<str>> {
    let members = &pooled.pool.members;
    let mut deployments = HashMap::new();
    for model::DeploymentAt {
        backend,
        place,
        name,
    } in names
    {
        if pooled.is_whole
            && !members
                .iter()
                .any(|member| member.backend.as_str() == backend)
        {
            let known: Vec<&str> = members
                .iter()
                .map(|member| member.backend.as_str())
                .collect();
            let problem = format!(
                "`{}` is no backend of the model's pool",
                backend.escape_debug()
            );
            let fix = format!("use one of: {}", known.join(", "));
            problems.error(place, &format!("models[{model}].deployment"), problem, fix);
        }
        deployments.insert(BackendId::from(&*backend), Arc::from(name.text));
    }
    deployments
}

fn tokenizer_of(model: &ModelName) -> TokenizerName {
    match dialect::Encoding::of_model(model.as_str()).unwrap_or(dialect::Encoding::O200k) {
        dialect::Encoding::O200k => TokenizerName::O200k,
        dialect::Encoding::Cl100k => TokenizerName::Cl100k,
    }
}
