//! From the tree to the sections of a file, with every problem found on the way.
//!
//! `section!` declares what an operator may write, once: the struct, how it is read, its schema and
//! the reference page all come from the same lines. A field that cannot be read is reported and
//! stands for its default, so that one mistake never hides another.

mod budget;
mod list;
mod map;
mod money;
mod name;
mod pem;
mod section;
mod suggest;
mod text;
mod value;
mod words;

use std::collections::HashMap;
use std::sync::Arc;

use schemars::{Schema, SchemaGenerator};

pub(crate) use budget::{Money, Threshold};
pub(crate) use list::List;
pub(crate) use map::{Map, Named};
pub(crate) use money::{Amount, Discount, Exchange, MarkUp, When};
pub(crate) use name::{
    AlertName, BudgetName, Declared, GuardName, IssuerName, LimitName, Named as Known, Reference,
};
pub(crate) use pem::Pem;
pub(crate) use section::{Fields, Properties, Section, section, written};
pub(crate) use suggest::suggestion;
pub(crate) use text::{Cel, KeyText, Path, SecretText, Text};
pub(crate) use value::{Days, Share, Size, Span, Temperature, Ttl, Whole};
pub(crate) use words::words;

use crate::Environment;
use crate::expression::{Expression, Fault};
use crate::interpolate::{self, Filled};
use crate::problem::{Place, Problems, Written};
use crate::tree::{Content, Node, Scalar};

/// Something that can be written after a field's name.
pub(crate) trait Field: Sized {
    /// `None` after a problem was reported.
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self>;

    /// What a field that is not written means; `None`: it must be written.
    fn absent() -> Option<Self> {
        None
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema;
}

pub(crate) struct Reader<'a> {
    pub problems: Problems,
    environment: &'a Environment<'a>,
    path: Vec<Step>,
    names: name::Names,
    /// By source text: a thousand subscriptions with one counter key compile it once.
    expressions: HashMap<String, Result<Arc<Expression>, Fault>>,
}

/// One step of the way to a field.
pub(crate) enum Step {
    Field(&'static str),
    /// In a list: its name where it has one, else its index.
    Item(String),
}

impl<'a> Reader<'a> {
    pub fn new(problems: Problems, environment: &'a Environment<'a>) -> Self {
        Self {
            problems,
            environment,
            path: Vec::new(),
            names: name::Names::default(),
            expressions: HashMap::new(),
        }
    }

    /// Reports what is referred to but was never declared.
    pub fn report_dangling(&mut self) {
        self.names.report_dangling(&mut self.problems);
    }

    pub fn error(&mut self, place: Place, problem: impl Into<String>, fix: impl Into<String>) {
        let field = self.field();
        self.problems.error(place, &field, problem, fix);
    }

    pub fn warning(&mut self, place: Place, problem: impl Into<String>, fix: impl Into<String>) {
        let field = self.field();
        self.problems.warning(place, &field, problem, fix);
    }

    /// A scalar with its references filled in; anything else is a problem.
    pub fn scalar<'n>(
        &mut self,
        node: &'n Node,
        wanted: &str,
        fix: &str,
    ) -> Option<(&'n Scalar, Filled<'n>)> {
        let Content::Scalar(scalar) = &node.content else {
            self.error(
                node.place,
                format!("expected {wanted}, found {}", node.described()),
                fix,
            );
            return None;
        };
        match interpolate::fill(&scalar.text, self.environment) {
            Ok(filled) => Some((scalar, filled)),
            Err(unfilled) => {
                self.error(node.place, unfilled.problem, unfilled.fix);
                None
            }
        }
    }

    /// An environment variable that platforms set; empty ones are not set.
    pub fn variable(&self, name: &str) -> Option<String> {
        (self.environment.variables)(name).filter(|value| !value.is_empty())
    }

    pub fn expression(&mut self, source: &str) -> Result<Arc<Expression>, Fault> {
        if let Some(compiled) = self.expressions.get(source) {
            return compiled.clone();
        }
        let compiled = Expression::compile(source).map(Arc::new);
        self.expressions.insert(source.to_owned(), compiled.clone());
        compiled
    }

    /// What a problem with this value would say of its place, for those who find it later.
    pub fn written(&self, place: Place) -> Written {
        self.problems.written(place, self.field())
    }

    /// The text of a file that the configuration names.
    pub fn file(&self, path: &str) -> Result<String, String> {
        (self.environment.files)(path)
    }

    /// `backends[eastus].timeout.idle`
    fn field(&self) -> String {
        let mut field = String::new();
        for step in &self.path {
            match step {
                Step::Field(name) => {
                    if !field.is_empty() {
                        field.push('.');
                    }
                    field.push_str(name);
                }
                Step::Item(name) => {
                    field.push('[');
                    field.push_str(name);
                    field.push(']');
                }
            }
        }
        field
    }

    pub fn within<T>(&mut self, step: Step, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        let value = read(self);
        self.path.pop();
        value
    }
}

/// A value as a problem may quote it: short, and not from outside.
pub(crate) fn quoted(filled: &Filled<'_>) -> String {
    const CHARACTERS_MAX: usize = 40;
    if filled.is_foreign || filled.text.chars().count() > CHARACTERS_MAX {
        return "this value".to_owned();
    }
    format!("`{}`", filled.text.escape_debug())
}

/// A value whose own place problems name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed<T> {
    pub value: T,
    pub place: Place,
}

impl<T: Field> Field for Placed<T> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        T::read(node, reader).map(|value| Self {
            value,
            place: node.place,
        })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }
}

impl<T: Field> Field for Option<T> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        T::read(node, reader).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }
}
