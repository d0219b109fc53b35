//! The cache's rules: the narrowest scope wins as a whole.

use std::sync::Arc;

use domain::Scope;

use super::audit::Audits;
use crate::expression::Expression;
use crate::file::cache as file;
use crate::problem::{Place, Problems, Written};
use crate::read::{Cel, List, Placed};
use crate::snapshot::{
    AuditStore, CacheRule, Caching, CachingDisk, Embedder, ExactRule, Expected, OnDisk,
};

/// Each is evaluated for each call.
const VARY_BY_MAX: usize = 8;

/// What a scope says, else what the wider one does.
pub(super) fn rule(
    scope: &Scope,
    written: Option<file::Cache>,
    wider: Option<&Arc<CacheRule>>,
    problems: &mut Problems,
) -> Option<Arc<CacheRule>> {
    match written {
        Some(section) => Some(Arc::new(compile(scope, section, problems))),
        None => wider.cloned(),
    }
}

fn compile(scope: &Scope, section: file::Cache, problems: &mut Problems) -> CacheRule {
    let file::Cache {
        vary_by,
        max_temperature,
        ignore,
        exact,
        semantic,
    } = section;
    let field = match scope {
        Scope::Global | Scope::Match(_) => "cache".to_owned(),
        Scope::Product(id) => format!("products[{id}].cache"),
        Scope::Subscription(id) => format!("subscriptions[{id}].cache"),
        Scope::Application(name) => format!("applications[{name}].cache"),
    };
    if let Some(written) = &vary_by
        && exact.is_none()
        && semantic.is_none()
    {
        problems.warning(
            written.place,
            &format!("{field}.vary_by"),
            "without `exact` and `semantic`, nothing is cached",
            "add `exact: {}` or `semantic: {}`, or leave it out",
        );
    }
    let vary_by = match vary_by {
        Some(written) => expressions(written, &field, problems),
        None => Expression::compile("subscription.id")
            .map(Arc::new)
            .into_iter()
            .collect(),
    };
    let exact = exact.map(|section| {
        let Placed { value: ttl, place } = section.ttl;
        if ttl.0.is_zero() {
            problems.error(
                place,
                &format!("{field}.exact.ttl"),
                "0: no answer would ever be given again",
                "write a time such as `1h`, or leave `exact` out",
            );
        }
        ExactRule { ttl: ttl.0 }
    });
    let semantic = semantic.map(|section| {
        let field = format!("{field}.semantic");
        super::semantic::rule(&field, section, &vary_by, problems)
    });
    CacheRule {
        rule: format!("{scope}/cache").into(),
        vary_by,
        max_temperature: max_temperature.0,
        ignored: ignore.items,
        exact,
        semantic,
    }
}

pub(super) fn expressions(
    written: Placed<List<Cel>>,
    field: &str,
    problems: &mut Problems,
) -> Vec<Arc<Expression>> {
    let Placed {
        value: vary_by,
        place,
    } = written;
    if vary_by.items.is_empty() && vary_by.is_whole {
        problems.error(
            place,
            &format!("{field}.vary_by"),
            "empty: it does not say who may share answers",
            "write `[subscription.id]`, or `[product.id]` to share them within the product",
        );
    }
    if vary_by.items.len() > VARY_BY_MAX {
        let problem = format!("more than {VARY_BY_MAX} expressions");
        problems.error(
            place,
            &format!("{field}.vary_by"),
            problem,
            "leave some out",
        );
    }
    let expressions = vary_by.items.into_iter();
    expressions.map(|cel| cel.expression).collect()
}

/// Who caches, and has to stay in a region, or assumes something.
#[derive(Default)]
pub(super) struct Bound {
    regions: Vec<Region>,
    /// Rules that do not say what is near enough, and give answers by it.
    pub(super) assumed: Vec<Arc<str>>,
    /// The first rule that compares questions by meaning.
    by_meaning: Option<Written>,
}

/// What a scope that caches is bound to.
struct Region {
    region: String,
    scope: String,
    /// It compares questions.
    is_by_meaning: bool,
}

impl Bound {
    pub fn note(&mut self, cache: Option<&Arc<CacheRule>>) {
        let Some(rule) = cache else { return };
        let semantic = rule.semantic.as_ref();
        if self.by_meaning.is_none() {
            self.by_meaning = semantic.map(|semantic| semantic.written.clone());
        }
        if semantic.is_some_and(|semantic| semantic.is_assumed && !semantic.choice.shadow)
            && !self.assumed.contains(&rule.rule)
        {
            self.assumed.push(rule.rule.clone());
        }
    }

    pub fn add(&mut self, cache: Option<&Arc<CacheRule>>, scope: &Scope, region: Option<&str>) {
        if let (Some(rule), Some(region)) = (cache.filter(|rule| rule.is_on()), region) {
            self.regions.push(Region {
                region: region.to_owned(),
                scope: scope.to_string(),
                is_by_meaning: rule.semantic.is_some(),
            });
        }
    }

    /// The local model, where questions are compared by it.
    pub fn local_model(&self, caching: &Caching) -> Option<Expected> {
        match &caching.embedder {
            Embedder::Local(local) => Some(Expected {
                written: self.by_meaning.clone()?,
                what: OnDisk::LocalModel(local.clone()),
            }),
            Embedder::Backend(_) => None,
        }
    }

    /// A deployment that reads questions must be where they may be read.
    pub(super) fn check_embedder(
        &self,
        written: Option<&str>,
        place: Place,
        problems: &mut Problems,
    ) {
        let mut bound = self.regions.iter().filter(|bound| bound.is_by_meaning);
        let Some(Region { region, scope, .. }) = bound.find(|bound| written != Some(&bound.region))
        else {
            return;
        };
        let is_where = match written {
            Some(written) => format!("the deployment is in region `{written}`"),
            None => "nothing says where the deployment is".to_owned(),
        };
        let problem =
            format!("{is_where}, and `{scope}`, whose questions it reads, requires `{region}`");
        let fix = format!(
            "write `region: {region}` if that is where it is; else leave `semantic` out of the cache of {scope}, or use `local`"
        );
        problems.error(place, "caching.embedder.backend.region", problem, fix);
    }

    fn check(&self, store: &AuditStore, place: Place, problems: &mut Problems) {
        let mut bound = self.regions.iter();
        if let Some(Region { region, scope, .. }) = bound.find(|bound| bound.region != store.region)
        {
            let problem = format!(
                "the store `{}` is in region `{}`, and `{scope}`, whose answers are cached, requires `{region}`",
                store.id, store.region
            );
            let fix = format!("name a store in `{region}`, or write `cache: {{}}` for {scope}");
            problems.error(place, "caching.disk.store", problem, fix);
        }
    }
}

pub(super) fn caching(
    section: file::Caching,
    audits: &mut Audits,
    bound: &Bound,
    problems: &mut Problems,
) -> Caching {
    let file::Caching {
        memory,
        disk,
        max_entry,
        embedder,
    } = section;
    let disk = disk.and_then(|Placed { value, place }| {
        let place = value.store.as_ref().map_or(place, |store| store.place);
        let id = match value.store {
            Some(store) => store.id,
            None => audits.only_store(place, "caching.disk", problems)?,
        };
        // One that is none is reported where it is named.
        bound.check(audits.named(&id)?, place, problems);
        Some(CachingDisk {
            bytes_max: value.bytes.0,
            store: id,
        })
    });
    Caching {
        disk,
        embedder: super::semantic::embedder(embedder, bound, problems),
        memory_bytes: memory.0,
        entry_bytes_max: usize::try_from(max_entry.0).unwrap_or(usize::MAX),
    }
}
