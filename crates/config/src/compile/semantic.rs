//! The semantic cache's rule: what is near enough, and what makes that safe.

use std::sync::Arc;
use std::time::Duration;

use likeness::choice::{NearEnough, Rule, SAFE_BY_WORDS};

use super::cache::Bound;
use crate::expression::Expression;
use crate::file::semantic as file;
use crate::problem::Problems;
use crate::read::Placed;
use crate::snapshot::{BackendEmbedder, Embedder, LocalEmbedder, SemanticRule};

/// `field` is the section's own name; `vary_by` the exact cache's.
pub(super) fn rule(
    field: &str,
    section: file::SemanticCache,
    vary_by: &[Arc<Expression>],
    problems: &mut Problems,
) -> SemanticRule {
    let file::SemanticCache {
        min_similarity,
        max_error_rate,
        ttl,
        vary_by: own_vary_by,
        max_turns,
        guard,
        shadow,
    } = section;
    let is_assumed = min_similarity.is_none() && max_error_rate.is_none();
    let near_enough = match (min_similarity, max_error_rate) {
        (Some(least), None) => NearEnough::AtLeast(least.value.0),
        (None, Some(rate)) => NearEnough::MaxErrorRate(rate.value.0),
        (None, None) => {
            if !guard {
                problems.error(
                    ttl.place,
                    &format!("{field}.min_similarity"),
                    "missing: without `guard` no similarity is safe by itself",
                    "write `min_similarity: 0.95` or higher, or leave `guard` on",
                );
            }
            NearEnough::Safe
        }
        (Some(least), Some(_)) => {
            problems.error(
                least.place,
                &format!("{field}.min_similarity"),
                "beside `max_error_rate`: two rules for one question",
                "leave one of them out",
            );
            NearEnough::AtLeast(least.value.0)
        }
    };
    let vary_by = match own_vary_by {
        None => vary_by.to_vec(),
        Some(own) => super::cache::expressions(own, field, problems),
    };
    SemanticRule {
        choice: Rule {
            near_enough,
            guard,
            shadow,
        },
        ttl: ttl.value.0,
        vary_by,
        turns_max: u32::try_from(max_turns.0).unwrap_or(u32::MAX),
        is_assumed,
        written: problems.written(ttl.place, field.to_owned()),
    }
}

/// As the documentation of `local` has them.
const LOCAL_THREADS: u32 = 1;
const LOCAL_TIMEOUT: Duration = Duration::from_millis(500);

pub(super) fn embedder(
    section: file::Embedder,
    bound: &Bound,
    problems: &mut Problems,
) -> Embedder {
    let file::Embedder { local, backend } = section;
    let Some(Placed {
        value: backend,
        place,
    }) = backend
    else {
        return Embedder::Local(local_embedder(local));
    };
    if local.is_some() {
        problems.error(
            place,
            "caching.embedder.backend",
            "beside `local`: vectors of two embedders cannot be compared",
            "leave one of them out",
        );
    }
    let region_place = backend.region.as_ref().map(|region| region.place);
    let region = backend.region.as_ref().map(|region| &*region.text);
    bound.check_embedder(region, region_place.unwrap_or(place), problems);
    if let Some(rule) = bound.assumed.first() {
        problems.warning(
            place,
            "caching.embedder.backend",
            format!(
                "`{rule}` does not say what is near enough, and {SAFE_BY_WORDS} is what was found for the local model"
            ),
            "write `min_similarity` or `max_error_rate` there; `shadow: true` shows what would be right",
        );
    }
    let file::BackendEmbedder {
        model,
        region,
        timeout,
        max_concurrent,
    } = backend;
    if timeout.value.0.is_zero() {
        problems.error(
            timeout.place,
            "caching.embedder.backend.timeout",
            "0: no vector would ever be in time",
            "write a time such as `1s`",
        );
    }
    Embedder::Backend(BackendEmbedder {
        model: model.id,
        region: region.map(|region| region.text),
        timeout: timeout.value.0,
        max_concurrent: usize::try_from(max_concurrent.0).unwrap_or(usize::MAX),
    })
}

fn local_embedder(section: Option<file::LocalEmbedder>) -> LocalEmbedder {
    let Some(section) = section else {
        return LocalEmbedder {
            threads: LOCAL_THREADS,
            models: None,
            timeout: LOCAL_TIMEOUT,
        };
    };
    let file::LocalEmbedder {
        threads,
        models,
        timeout,
    } = section;
    LocalEmbedder {
        threads: u32::try_from(threads.0).unwrap_or(LOCAL_THREADS),
        models: models.map(|models| models.0),
        timeout: timeout.0,
    }
}
