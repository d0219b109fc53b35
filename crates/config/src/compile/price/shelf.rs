//! What the catalogue lists of the configuration's models.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use domain::price::book::{Entry, Term};
use domain::{BackendId, ModelName};

use super::Compiled;
use crate::catalogue::{Catalogue, Listed};
use crate::snapshot::Model;

/// A catalogue, and where it was read.
pub(super) struct Shelf {
    catalogue: Catalogue,
    written: Arc<str>,
}

impl Shelf {
    pub fn of_file(catalogue: Catalogue, path: &str) -> Self {
        let written = path.into();
        Self { catalogue, written }
    }

    /// Of what ships with Tollgate, as much as is asked for: the rest is never read.
    pub fn shipped(compiled: &Compiled<'_>) -> Self {
        let mut wanted: HashMap<&str, HashSet<&str>> = HashMap::new();
        for (model, backend, provider) in listed_pairs(compiled) {
            let names = wanted.entry(provider).or_default();
            names.extend(names_of(model, backend));
        }
        let wants = |provider: &str, model: Option<&str>| {
            let names = wanted.get(provider);
            names.is_some_and(|names| model.is_none_or(|model| names.contains(model)))
        };
        Self {
            catalogue: Catalogue::shipped_some(&wants),
            written: "shipped with Tollgate".into(),
        }
    }

    /// `2026-11-22, made of litellm 1.109.1 on 2026-11-22`
    pub fn described(&self) -> String {
        let source = &self.catalogue.source;
        format!(
            "{}, made of {} {} on {}",
            self.catalogue.version, source.name, source.version, source.taken
        )
    }

    /// What is listed of each model at each backend: under the name that the model says, else that of
    /// its deployment, else its own.
    pub fn entries(&self, compiled: &Compiled<'_>) -> HashMap<(ModelName, BackendId), Vec<Entry>> {
        let mut entries = HashMap::new();
        for (model, backend, provider) in listed_pairs(compiled) {
            let found = names_of(model, backend)
                .find_map(|name| Some((name, self.catalogue.get(provider, name)?)));
            if let Some((name, listed)) = found {
                let pair = (model.name.clone(), backend.clone());
                entries.insert(pair, self.of(provider, name, listed));
            }
        }
        entries
    }

    fn of(&self, provider: &str, name: &str, listed: &[Listed]) -> Vec<Entry> {
        let origin = format!("catalogue {}: {provider}/{name}", self.catalogue.version);
        let origin: Arc<str> = origin.into();
        let entry = |listed: &Listed| Entry {
            origin: origin.clone(),
            written: self.written.clone(),
            models: None,
            since: listed.since,
            until: None,
            term: Term::Rates {
                card: listed.card.clone(),
                currency: self.catalogue.currency,
            },
        };
        listed.iter().map(entry).collect()
    }
}

/// Models and the backends that may answer them, where somebody's list prices are paid.
fn listed_pairs<'c>(
    compiled: &'c Compiled<'_>,
) -> impl Iterator<Item = (&'c Model, &'c BackendId, &'c str)> {
    compiled.models.values().flat_map(|model| {
        model.pool.members.iter().filter_map(|member| {
            let backend = compiled.backends.get(&member.backend)?;
            Some((&**model, &backend.id, backend.catalogue.as_deref()?))
        })
    })
}

fn names_of<'m>(model: &'m Model, backend: &BackendId) -> impl Iterator<Item = &'m str> + use<'m> {
    let names = match &model.catalogue {
        Some(name) => [Some(&**name), None],
        None => [
            Some(model.deployment_at(backend)),
            Some(model.name.as_str()),
        ],
    };
    names.into_iter().flatten()
}
