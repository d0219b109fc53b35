//! YAML as a tree that knows where each value stands.
//!
//! Values stay text here: what a `5` means is decided by the field that it is written for. Reading
//! text into a tree is `parse`; several files into one tree, `merge`.

mod merge;
mod parse;

use std::rc::Rc;

pub(crate) use merge::merge;
pub(crate) use parse::parse;

use crate::problem::Place;

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub place: Place,
    pub content: Content,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// `null`, `~` or nothing at all: the same as a field that is not written.
    Null,
    Scalar(Scalar),
    /// Shared, so that an alias costs nothing.
    List(Vec<Rc<Node>>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    /// As written, before `${…}` is filled in.
    pub text: String,
    /// Without quotes: only such text can be a number or a boolean.
    pub plain: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub name: String,
    pub place: Place,
    pub value: Rc<Node>,
}

impl Node {
    pub fn is_null(&self) -> bool {
        matches!(self.content, Content::Null)
    }

    pub fn get(&self, name: &str) -> Option<&Node> {
        let Content::Map(entries) = &self.content else {
            return None;
        };
        entries
            .iter()
            .find(|entry| entry.name == name)
            .map(|entry| &*entry.value)
    }

    /// What it is, for a problem: never the value itself.
    pub fn described(&self) -> &'static str {
        match &self.content {
            Content::Null => "nothing",
            Content::Scalar(scalar)
                if scalar.plain && matches!(&*scalar.text, "true" | "false") =>
            {
                "a boolean"
            }
            Content::Scalar(scalar) if scalar.plain && scalar.text.parse::<f64>().is_ok() => {
                "a number"
            }
            Content::Scalar(_) => "text",
            Content::List(_) => "a list",
            Content::Map(_) => "a map",
        }
    }
}
