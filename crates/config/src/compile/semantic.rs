//! The semantic cache's rule: what is near enough, and what makes that safe.

use std::sync::Arc;

use likeness::choice::{NearEnough, Rule};

use crate::expression::Expression;
use crate::file::semantic as file;
use crate::problem::Problems;
use crate::snapshot::{LocalEmbedder, SemanticRule};

/// The lowest with which the guard lets through fewer than one in a hundred near misses: `docs/cache.md` has
/// the figures.
const GUARDED_SIMILARITY_MIN: f64 = 0.95;

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
            NearEnough::AtLeast(GUARDED_SIMILARITY_MIN)
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
    }
}

pub(super) fn embedder(section: &file::Embedder) -> LocalEmbedder {
    let file::Embedder { local } = section;
    let file::LocalEmbedder {
        threads,
        models,
        timeout,
    } = local;
    LocalEmbedder {
        threads: u32::try_from(threads.0).unwrap_or(1),
        models: models.as_ref().map(|models| models.0.clone()),
        timeout: timeout.0,
    }
}
