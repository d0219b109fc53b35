//! Names that sections declare, and names that refer to them.

use std::collections::HashMap;
use std::sync::Arc;

use domain::{
    AccessId, ApplicationName, AuditStoreId, BackendId, ChannelId, ModelName, PoolId, ProductId,
    SinkId, SubscriptionId,
};
use schemars::{Schema, SchemaGenerator, json_schema};

use super::suggest::nearest;
use super::{Field, Reader};
use crate::problem::{Place, Problems};
use crate::tree::Node;

/// A kind of thing that has a name.
pub(crate) trait Named: for<'t> From<&'t str> {
    const WHAT: &'static str;
    /// Where it is declared.
    const SECTION: &'static str;
    const ALPHABET: Alphabet;
}

#[derive(Clone, Copy)]
pub(crate) enum Alphabet {
    /// Letters, digits, `.`, `_`, `-` and `:`. It stands in headers and between the slashes of a
    /// limit's id.
    Id,
    /// Also `/`, `@` and `+`, as providers' model names have them.
    Model,
    /// Whatever clients call themselves: printable text.
    Printable,
}

/// Longer names are refused: they stand in every record.
const NAME_BYTES_MAX: usize = 128;

/// The name of the thing that is being described.
#[derive(Clone, Debug)]
pub(crate) struct Declared<K> {
    pub id: K,
    pub place: Place,
}

/// The name of a thing that is described elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Reference<K> {
    pub id: K,
    pub place: Place,
}

#[derive(Default)]
pub(crate) struct Names {
    /// By section.
    declared: HashMap<&'static str, HashMap<String, Place>>,
    references: Vec<Referred>,
}

struct Referred {
    what: &'static str,
    section: &'static str,
    name: String,
    is_foreign: bool,
    place: Place,
    field: String,
}

impl Names {
    pub fn report_dangling(&self, problems: &mut Problems) {
        for Referred {
            what,
            section,
            name,
            is_foreign,
            place,
            field,
        } in &self.references
        {
            let declared = self.declared.get(section);
            if declared.is_some_and(|declared| declared.contains_key(name)) {
                continue;
            }
            // Sorted, so that the same file always gets the same answer.
            let mut known: Vec<&str> = declared
                .into_iter()
                .flatten()
                .map(|(name, _)| name.as_str())
                .collect();
            known.sort_unstable();
            let fix = match nearest(name, known.into_iter()) {
                Some(near) if !is_foreign => format!("did you mean `{near}`?"),
                _ => format!("add it under `{section}`"),
            };
            let problem = if *is_foreign {
                format!("no {what} has this name")
            } else {
                format!("no {what} is called `{name}`")
            };
            problems.error(*place, field, problem, fix);
        }
    }
}

impl<K: Named> Field for Declared<K> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Name { name, .. } = read_name(K::WHAT, K::ALPHABET, node, reader)?;
        let id = K::from(&name);
        let declared = reader.names.declared.entry(K::SECTION).or_default();
        if let Some(first) = declared.get(&name).copied() {
            let problem = format!(
                "the {} `{name}` is declared twice, first at {}",
                K::WHAT,
                reader.problems.at(first)
            );
            reader.error(node.place, problem, "rename or remove one of them");
        } else {
            declared.insert(name, node.place);
        }
        Some(Self {
            id,
            place: node.place,
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        K::ALPHABET.schema()
    }
}

impl<K: Named> Field for Reference<K> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Name { name, is_foreign } = read_name(K::WHAT, K::ALPHABET, node, reader)?;
        let id = K::from(&name);
        let field = reader.field();
        reader.names.references.push(Referred {
            what: K::WHAT,
            section: K::SECTION,
            name,
            is_foreign,
            place: node.place,
            field,
        });
        Some(Self {
            id,
            place: node.place,
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        K::ALPHABET.schema()
    }
}

/// Names a limit within its scope.
#[derive(Clone, Debug)]
pub(crate) struct LimitName {
    pub name: Arc<str>,
    pub place: Place,
}

impl Field for LimitName {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Name { name, .. } = read_name("limit", Alphabet::Id, node, reader)?;
        Some(Self {
            name: name.into(),
            place: node.place,
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        Alphabet::Id.schema()
    }
}

/// Names a guard within its list.
#[derive(Clone, Debug)]
pub(crate) struct GuardName {
    pub name: Arc<str>,
    pub place: Place,
}

impl Field for GuardName {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Name { name, .. } = read_name("guard", Alphabet::Id, node, reader)?;
        Some(Self {
            name: name.into(),
            place: node.place,
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        Alphabet::Id.schema()
    }
}

struct Name {
    name: String,
    /// Came from `${…}`.
    is_foreign: bool,
}

fn read_name(what: &str, alphabet: Alphabet, node: &Node, reader: &mut Reader<'_>) -> Option<Name> {
    let (_, filled) = reader.scalar(node, "a name", "write one name")?;
    let fits = !filled.text.is_empty()
        && filled.text.len() <= NAME_BYTES_MAX
        && filled.text.chars().all(|c| alphabet.has(c));
    if !fits {
        let problem = format!("this cannot be the name of a {what}");
        reader.error(
            node.place,
            problem,
            format!(
                "use 1 to {NAME_BYTES_MAX} bytes of {}",
                alphabet.described()
            ),
        );
        return None;
    }
    Some(Name {
        is_foreign: filled.is_foreign,
        name: filled.text.into_owned(),
    })
}

impl Alphabet {
    fn has(self, c: char) -> bool {
        match self {
            Self::Id => c.is_ascii_alphanumeric() || "._-:".contains(c),
            Self::Model => c.is_ascii_alphanumeric() || "._-:/@+".contains(c),
            Self::Printable => !c.is_control(),
        }
    }

    fn described(self) -> &'static str {
        match self {
            Self::Id => "letters, digits, `.`, `_`, `-`, `:`",
            Self::Model => "letters, digits, `.`, `_`, `-`, `:`, `/`, `@`, `+`",
            Self::Printable => "printable text",
        }
    }

    fn schema(self) -> Schema {
        match self {
            Self::Id => {
                json_schema!({ "type": "string", "maxLength": NAME_BYTES_MAX, "pattern": "^([A-Za-z0-9._:-]|\\$\\{[^}]*\\})+$" })
            }
            Self::Model => {
                json_schema!({ "type": "string", "maxLength": NAME_BYTES_MAX, "pattern": "^([A-Za-z0-9._:/@+-]|\\$\\{[^}]*\\})+$" })
            }
            Self::Printable => {
                json_schema!({ "type": "string", "minLength": 1, "maxLength": NAME_BYTES_MAX })
            }
        }
    }
}

macro_rules! named {
    ($($type:ty: $what:literal in $section:literal, $alphabet:ident;)*) => {$(
        impl Named for $type {
            const WHAT: &'static str = $what;
            const SECTION: &'static str = $section;
            const ALPHABET: Alphabet = Alphabet::$alphabet;
        }
    )*};
}

named! {
    BackendId: "backend" in "backends", Id;
    PoolId: "pool" in "pools", Id;
    ModelName: "model" in "models", Model;
    ProductId: "product" in "products", Id;
    SubscriptionId: "subscription" in "subscriptions", Id;
    ApplicationName: "application" in "applications", Printable;
    IssuerName: "issuer" in "identity.jwt", Id;
    ChannelId: "channel" in "notify", Id;
    AlertName: "alert" in "alerts", Id;
    SinkId: "sink" in "sinks", Id;
    AuditStoreId: "audit store" in "audit_stores", Id;
    AccessId: "person" in "access", Id;
    BudgetName: "budget" in "budgets", Id;
}

/// The name of a budget.
#[derive(Clone, Debug)]
pub(crate) struct BudgetName(pub Arc<str>);

impl From<&str> for BudgetName {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

/// The name of a token issuer.
#[derive(Clone, Debug)]
pub(crate) struct IssuerName(pub Arc<str>);

impl From<&str> for IssuerName {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

/// The name of a rule under `alerts`.
#[derive(Clone, Debug)]
pub(crate) struct AlertName(pub Arc<str>);

impl From<&str> for AlertName {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}
