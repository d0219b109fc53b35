//! Which calls may be given one answer.

use std::borrow::Cow;
use std::sync::Arc;

use ::cache::{Key, Partition};
use config::Expression;
use config::snapshot::{CacheRule, SemanticRule};
use dialect::shape::{Question, Shape};
use sha2::{Digest, Sha256};

use crate::refusal::Refusal;
use crate::router::Errand;

/// The shape of the call, the product, the model with what stands behind its name, and what the rule
/// tells calls apart by.
pub fn of(shape: &Shape, rule: &CacheRule, errand: &Errand<'_>) -> Result<Key, Refusal> {
    let mut hash = Sha256::new();
    hash.update(shape.digest);
    put_scope(&mut hash, (rule, &rule.vary_by), errand)?;
    Ok(Key(hash.finalize().into()))
}

/// The same of everything but the text of the last user turn, and of what makes vectors of that.
pub fn partition(
    around: &Question,
    (rule, semantic): (&CacheRule, &SemanticRule),
    errand: &Errand<'_>,
) -> Result<Partition, Refusal> {
    let mut hash = Sha256::new();
    put(&mut hash, embed::NAME);
    hash.update(around.around);
    put_scope(&mut hash, (rule, &semantic.vary_by), errand)?;
    Ok(Partition(hash.finalize().into()))
}

/// Everything that answers never cross and that does not stand in the call's body.
fn put_scope(
    hash: &mut Sha256,
    (rule, vary_by): (&CacheRule, &[Arc<Expression>]),
    errand: &Errand<'_>,
) -> Result<(), Refusal> {
    let product = errand.context.product.map(|product| product.id.as_str());
    put(hash, product.unwrap_or_default());
    let model = errand.plan.model;
    put(hash, model.name.as_str());
    // Another deployment under the same name is another model.
    for member in &model.pool.members {
        put(hash, member.backend.as_str());
        put(hash, model.deployment_at(&member.backend));
    }
    put(hash, "vary_by");
    for expression in vary_by {
        let value: Cow<'_, str> =
            expression
                .text(errand.context)
                .map_err(|fault| Refusal::PolicyFault {
                    rule: rule.rule.clone(),
                    message: fault.message,
                })?;
        put(hash, expression.source());
        put(hash, &value);
    }
    Ok(())
}

/// With its length before it, so that no two lists of texts are one.
fn put(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}
