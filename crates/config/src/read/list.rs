//! Lists, whose items are reported by name.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::{Field, Reader, Step};
use crate::tree::{Content, Node};

/// The items that could be read.
#[derive(Debug)]
pub(crate) struct List<T> {
    pub items: Vec<T>,
    /// No item was left out for a problem of its own.
    pub is_whole: bool,
}

impl<T: Field> Field for List<T> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Content::List(nodes) = &node.content else {
            let fix = "write `[a, b]`, or one item a line after `- `";
            reader.error(
                node.place,
                format!("expected a list, found {}", node.described()),
                fix,
            );
            return None;
        };
        let mut list = Self {
            items: Vec::with_capacity(nodes.len()),
            is_whole: true,
        };
        for (index, node) in nodes.iter().enumerate() {
            match reader.within(Step::Item(item_name(node, index)), |reader| {
                T::read(node, reader)
            }) {
                Some(item) => list.items.push(item),
                None => list.is_whole = false,
            }
        }
        Some(list)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let items = T::schema(generator);
        json_schema!({ "type": "array", "items": items })
    }
}

impl<'l, T> IntoIterator for &'l List<T> {
    type Item = &'l T;
    type IntoIter = std::slice::Iter<'l, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

/// An operator looks for `backends[eastus]`, not for the fourth of them.
fn item_name(node: &Node, index: usize) -> String {
    const CHARACTERS_MAX: usize = 64;
    for field in ["id", "name"] {
        if let Some(Node {
            content: Content::Scalar(scalar),
            ..
        }) = node.get(field)
            && scalar.text.chars().count() <= CHARACTERS_MAX
        {
            return scalar.text.escape_debug().to_string();
        }
    }
    index.to_string()
}
