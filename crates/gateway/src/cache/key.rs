//! Which calls may be given one answer.

use std::borrow::Cow;
use std::sync::Arc;

use ::cache::{Key, Partition};
use config::snapshot::{CacheRule, Embedder, Model, SemanticRule};
use config::{Expression, Snapshot};
use dialect::shape::{Question, Shape};
use sha2::{Digest, Sha256};

use super::embedding::Embedded;
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
    (snapshot, errand): (&Snapshot, &Errand<'_>),
) -> Result<Partition, Refusal> {
    let mut hash = Sha256::new();
    hash.update(embedder(snapshot));
    hash.update(around.around);
    put_scope(&mut hash, (rule, &semantic.vary_by), errand)?;
    Ok(Partition(hash.finalize().into()))
}

/// The part of it in which are questions whose vectors can be compared. A deployment may have another model
/// behind its name tomorrow, and says so only when it answers.
pub fn made_by(partition: &Partition, embedded: &Embedded) -> Partition {
    let mut hash = Sha256::new();
    hash.update(partition.0);
    put(&mut hash, &embedded.by);
    hash.update((embedded.vector.len() as u64).to_le_bytes());
    Partition(hash.finalize().into())
}

/// What makes vectors, as far as the configuration knows.
pub fn embedder(snapshot: &Snapshot) -> [u8; 32] {
    let mut hash = Sha256::new();
    match &snapshot.caching.embedder {
        Embedder::Local(_) => put(&mut hash, embed::NAME),
        Embedder::Backend(backend) => {
            put(&mut hash, "backend");
            match snapshot.models.get(&backend.model) {
                Some(model) => put_model(&mut hash, model),
                None => put(&mut hash, backend.model.as_str()),
            }
        }
    }
    hash.finalize().into()
}

/// Everything that answers never cross and that does not stand in the call's body.
fn put_scope(
    hash: &mut Sha256,
    (rule, vary_by): (&CacheRule, &[Arc<Expression>]),
    errand: &Errand<'_>,
) -> Result<(), Refusal> {
    let product = errand.context.product.map(|product| product.id.as_str());
    put(hash, product.unwrap_or_default());
    put_model(hash, errand.plan.model);
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

/// Another deployment under the same name is another model.
fn put_model(hash: &mut Sha256, model: &Model) {
    put(hash, model.name.as_str());
    for member in &model.pool.members {
        put(hash, member.backend.as_str());
        put(hash, model.deployment_at(&member.backend));
    }
}

/// With its length before it, so that no two lists of texts are one.
pub fn put(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}
