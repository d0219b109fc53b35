//! `models`: the names that clients ask for.

use domain::{BackendId, ModelName, PoolId};
use schemars::{Schema, SchemaGenerator, json_schema};

use super::price::Price;
use crate::problem::Place;
use crate::read::{
    Declared, Field, List, Placed, Reader, Reference, Step, Text, Whole, section, words,
};
use crate::snapshot::TokenizerName;
use crate::tree::{Content, Node};

section! {
    /// A name that clients ask for, and where it is answered.
    pub struct Model {
        /// What clients write as `model`.
        pub name: Declared<ModelName>,
        /// The pool that answers it. Either this or `backend`.
        pub pool: Option<Reference<PoolId>>,
        /// The only backend that answers it. Either this or `pool`.
        pub backend: Option<Reference<BackendId>>,
        /// The provider's name for it, or `{ BACKEND_ID: NAME }` where the backends differ. Without
        /// it, the model's own name.
        pub deployment: Option<Deployment>,
        /// The longest answer in tokens, which bounds a call that sets no bound of its own. Limits
        /// with `reserve: max` need it; 0 for models that write none, such as embeddings.
        pub max_output_tokens: Option<Whole<0, 1_000_000_000>>,
        /// Counts its tokens. Without it, that of the model's family, else `o200k`.
        pub tokenizer: Option<TokenizerName>,
        /// What it costs. Without it, the catalogue says.
        pub price: Option<Placed<Price>>,
        /// What it costs from several dates on.
        pub prices: List<Placed<Price>> = "[]",
        /// Its name in the catalogue, if that is neither the deployment's nor its own.
        pub catalogue: Option<Text>,
    }
}

words! { TokenizerName, "tokenizer":
    /// GPT-4o, GPT-4.1, GPT-5, o-series.
    "o200k" => TokenizerName::O200k,
    /// GPT-4, GPT-3.5, text-embedding-3, text-embedding-ada-002.
    "cl100k" => TokenizerName::Cl100k,
}

/// The provider's name for a model.
#[derive(Debug)]
pub(crate) enum Deployment {
    Everywhere(Text),
    /// Backends as they are written: whether the model's pool has them is found when it compiles.
    By(Vec<DeploymentAt>),
}

#[derive(Debug)]
pub(crate) struct DeploymentAt {
    pub backend: String,
    pub place: Place,
    pub name: Text,
}

impl Field for Deployment {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Content::Map(entries) = &node.content else {
            return Text::read(node, reader).map(Self::Everywhere);
        };
        let mut by = Vec::with_capacity(entries.len());
        for entry in entries {
            let step = Step::Item(entry.name.escape_debug().to_string());
            if let Some(name) = reader.within(step, |reader| Text::read(&entry.value, reader)) {
                by.push(DeploymentAt {
                    backend: entry.name.clone(),
                    place: entry.place,
                    name,
                });
            }
        }
        Some(Self::By(by))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let name = Text::schema(generator);
        json_schema!({ "oneOf": [name, { "type": "object", "additionalProperties": name }] })
    }
}
