//! Maps with known fields.

use std::rc::Rc;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::suggest::suggestion;
use super::{Field, Reader, Step};
use crate::problem::Place;
use crate::tree::{Content, Entry, Node, Scalar};

/// A map whose fields are known. Written with [`section!`].
pub(crate) trait Section: Sized {
    fn names(into: &mut Vec<&'static str>);
    fn read_fields(fields: &Fields<'_>, reader: &mut Reader<'_>) -> Option<Self>;
    fn describe(generator: &mut SchemaGenerator, into: &mut Properties);
}

/// Declares a section: doc comments become the schema's descriptions, `= "…"` is the default as one
/// would write it, and `..name: Type` takes in the fields of another section.
macro_rules! section {
    (
        $(#[doc = $about:literal])*
        pub struct $name:ident {
            $( $(#[doc = $doc:literal])* pub $field:ident: $type:ty $(= $default:literal)?, )*
            $( ..$rest:ident: $rest_type:ty, )?
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug)]
        pub(crate) struct $name {
            $( $(#[doc = $doc])* pub $field: $type, )*
            $( pub $rest: $rest_type, )?
        }

        impl $crate::read::Section for $name {
            fn names(into: &mut Vec<&'static str>) {
                into.extend([$($crate::read::written(stringify!($field))),*]);
                $( <$rest_type as $crate::read::Section>::names(into); )?
            }

            fn read_fields(fields: &$crate::read::Fields<'_>, reader: &mut $crate::read::Reader<'_>) -> Option<Self> {
                // Every field is read before any is missed: one mistake must not hide another.
                $( let $field = fields.read::<$type>($crate::read::written(stringify!($field)), None $(.or(Some($default)))?, reader); )*
                $( let $rest = <$rest_type as $crate::read::Section>::read_fields(fields, reader); )?
                Some(Self { $($field: $field?,)* $($rest: $rest?,)? })
            }

            fn describe(generator: &mut schemars::SchemaGenerator, into: &mut $crate::read::Properties) {
                $( into.add::<$type>(generator, $crate::read::written(stringify!($field)), concat!($($doc, "\n"),*), None $(.or(Some($default)))?); )*
                $( <$rest_type as $crate::read::Section>::describe(generator, into); )?
            }
        }

        impl $crate::read::Field for $name {
            fn read(node: &$crate::tree::Node, reader: &mut $crate::read::Reader<'_>) -> Option<Self> {
                let fields = $crate::read::Fields::of::<Self>(node, reader)?;
                <Self as $crate::read::Section>::read_fields(&fields, reader)
            }

            fn schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                generator.subschema_for::<Self>()
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::read::Properties::of::<Self>(generator, concat!($($about, "\n"),*))
            }
        }
    };
}
pub(crate) use section;

/// A field's name as it is written: Rust's own words carry a mark.
pub(crate) fn written(name: &'static str) -> &'static str {
    name.trim_start_matches("r#")
}

/// The entries of a map that is being read as a section.
pub(crate) struct Fields<'n> {
    pub place: Place,
    entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    /// Reports what is not a map, and fields that the section does not have.
    pub fn of<S: Section>(node: &'n Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut names = Vec::new();
        S::names(&mut names);
        let entries: &[Entry] = match &node.content {
            Content::Map(entries) => entries,
            // `admin:` with nothing after it: a map without fields.
            Content::Null => &[],
            Content::Scalar(_) | Content::List(_) => {
                let problem = format!("expected a map, found {}", node.described());
                reader.error(
                    node.place,
                    problem,
                    format!("write it with its fields: {}", names.join(", ")),
                );
                return None;
            }
        };
        for entry in entries {
            if !names.contains(&&*entry.name) {
                let problem = format!("unknown field `{}`", entry.name.escape_debug());
                reader.error(entry.place, problem, suggestion(&entry.name, &names));
            }
        }
        Some(Self {
            place: node.place,
            entries,
        })
    }

    /// One field: as written, else its default. `None` only for one that had to be written.
    pub fn read<T: Field>(
        &self,
        name: &'static str,
        default: Option<&str>,
        reader: &mut Reader<'_>,
    ) -> Option<T> {
        let written = self
            .entries
            .iter()
            .find(|entry| entry.name == name && !entry.value.is_null());
        reader.within(Step::Field(name), |reader| {
            if let Some(entry) = written {
                let value = T::read(&entry.value, reader);
                if value.is_some() {
                    return value;
                }
            }
            if let Some(default) = default {
                return T::read(&default_node(default, self.place), reader);
            }
            let value = T::absent();
            if value.is_none() && written.is_none() {
                reader.error(
                    self.place,
                    format!("`{name}` is missing"),
                    format!("add `{name}`"),
                );
            }
            value
        })
    }
}

/// A default as it would be written: `{}`, `[]` or a scalar.
fn default_node(text: &str, place: Place) -> Node {
    let content = match text {
        "{}" => Content::Map(Vec::new()),
        "[]" => Content::List(Vec::<Rc<Node>>::new()),
        text => Content::Scalar(Scalar {
            text: text.to_owned(),
            plain: true,
        }),
    };
    Node { place, content }
}

/// The properties of a section's schema.
#[derive(Default)]
pub(crate) struct Properties {
    properties: Map<String, Value>,
    required: Vec<&'static str>,
}

impl Properties {
    pub fn of<S: Section>(generator: &mut SchemaGenerator, about: &str) -> Schema {
        let mut all = Self::default();
        S::describe(generator, &mut all);
        let Self {
            properties,
            required,
        } = all;
        json_schema!({
            "description": unindented(about),
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    }

    pub fn add<T: Field>(
        &mut self,
        generator: &mut SchemaGenerator,
        name: &'static str,
        doc: &str,
        default: Option<&str>,
    ) {
        let mut schema = T::schema(generator);
        schema.insert("description".to_owned(), unindented(doc).into());
        match default {
            Some("{}" | "[]") => {}
            Some(text) => {
                let plain = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
                schema.insert("default".to_owned(), plain);
            }
            None if T::absent().is_none() => self.required.push(name),
            None => {}
        }
        self.properties.insert(name.to_owned(), schema.to_value());
    }
}

/// Doc comments as one paragraph a blank line: each line starts with the space after `///`.
fn unindented(doc: &str) -> String {
    let mut text = String::new();
    for line in doc.lines().map(str::trim) {
        match line {
            "" => text.push_str("\n\n"),
            line => {
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push(' ');
                }
                text.push_str(line);
            }
        }
    }
    text.trim().to_owned()
}
