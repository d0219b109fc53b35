//! Maps whose names an operator chooses.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::{Field, Reader, Step};
use crate::problem::Place;
use crate::tree::{Content, Node};

/// The entries that could be read, in the order in which they are written.
#[derive(Debug)]
pub(crate) struct Map<T> {
    pub entries: Vec<Named<T>>,
}

#[derive(Debug)]
pub(crate) struct Named<T> {
    pub name: String,
    pub place: Place,
    pub value: T,
}

impl<T: Field> Field for Map<T> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Content::Map(nodes) = &node.content else {
            let problem = format!("expected a map, found {}", node.described());
            reader.error(node.place, problem, "write `{ name: value }`");
            return None;
        };
        let mut entries = Vec::with_capacity(nodes.len());
        for entry in nodes {
            let step = Step::Item(entry.name.escape_debug().to_string());
            if let Some(value) = reader.within(step, |reader| T::read(&entry.value, reader)) {
                entries.push(Named {
                    name: entry.name.clone(),
                    place: entry.place,
                    value,
                });
            }
        }
        Some(Self { entries })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let value = T::schema(generator);
        json_schema!({ "type": "object", "additionalProperties": value })
    }
}
