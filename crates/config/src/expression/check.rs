//! What an expression reads of a call, found when it is compiled. Names that no call has are faults.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue, operators};

use super::Fault;
use super::member::Member;

/// The values that an expression names.
#[derive(Debug, Default)]
pub(super) struct Needs {
    pub members: Vec<Member>,
    pub claims: Wanted,
    pub headers: Wanted,
}

/// What is read of a map whose keys are not fixed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// As written.
    pub names: Vec<String>,
    /// Some key is computed, or the map is walked over.
    pub whole: bool,
}

impl Needs {
    pub fn is_nothing(&self) -> bool {
        let Self {
            members,
            claims,
            headers,
        } = self;
        members.is_empty() && claims.is_nothing() && headers.is_nothing()
    }
}

impl Wanted {
    pub fn is_nothing(&self) -> bool {
        self.names.is_empty() && !self.whole
    }

    fn add(&mut self, name: &str) {
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
    }
}

/// Deeper is refused: the interpreter recurses, and its stack is a worker thread's.
const DEPTH_MAX: usize = 48;

/// Macros aside. Whatever the interpreter may know more of is not promised.
const FUNCTIONS: [&str; 11] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "string",
    "int",
    "uint",
    "double",
    "bool",
    "dyn",
];

const OPERATORS: [&str; 18] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
    operators::INDEX,
    operators::IN,
];

pub(super) fn needs(expression: &IdedExpr) -> Result<Needs, Fault> {
    let mut walk = Walk {
        needs: Needs::default(),
        bound: Vec::new(),
        is_in_macro: false,
    };
    walk.expression(expression, 0)?;
    Ok(walk.needs)
}

struct Walk<'e> {
    needs: Needs,
    /// Variables of macros.
    bound: Vec<&'e str>,
    is_in_macro: bool,
}

impl<'e> Walk<'e> {
    fn expression(&mut self, expression: &'e IdedExpr, depth: usize) -> Result<(), Fault> {
        if depth > DEPTH_MAX {
            return Err(Fault::of(format!("nested deeper than {DEPTH_MAX}")));
        }
        if let Some((operand, name)) = member(&expression.expr) {
            return self.member(operand, name, depth + 1);
        }
        match &expression.expr {
            Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.whole(name),
            Expr::Select(select) => self.expression(&select.operand, depth + 1),
            Expr::Call(call) => self.call(call, depth + 1),
            Expr::List(list) => list
                .elements
                .iter()
                .try_for_each(|element| self.expression(element, depth + 1)),
            Expr::Map(map) => {
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else {
                        return Err(Fault::of("a struct where a map is meant"));
                    };
                    self.expression(&entry.key, depth + 1)?;
                    self.expression(&entry.value, depth + 1)?;
                }
                Ok(())
            }
            Expr::Comprehension(comprehension) => {
                self.expression(&comprehension.iter_range, depth + 1)?;
                self.expression(&comprehension.accu_init, depth + 1)?;
                if self.is_in_macro {
                    return Err(Fault::of(
                        "a macro such as `exists` inside another: its cost would multiply",
                    ));
                }
                self.is_in_macro = true;
                let before = self.bound.len();
                self.bound.push(&comprehension.iter_var);
                self.bound.extend(comprehension.iter_var2.as_deref());
                self.bound.push(&comprehension.accu_var);
                for part in [
                    &comprehension.loop_cond,
                    &comprehension.loop_step,
                    &comprehension.result,
                ] {
                    self.expression(part, depth + 1)?;
                }
                self.bound.truncate(before);
                self.is_in_macro = false;
                Ok(())
            }
            Expr::Struct(_) => Err(Fault::of("there are no struct types here")),
            Expr::Unspecified => Err(Fault::of("an empty expression")),
        }
    }

    /// `operand.name` or `operand["name"]`.
    fn member(&mut self, operand: &'e IdedExpr, name: &'e str, depth: usize) -> Result<(), Fault> {
        if let Some(map) = self.open_map(operand) {
            map.add(name);
            return Ok(());
        }
        let Expr::Ident(root) = &operand.expr else {
            return self.expression(operand, depth);
        };
        if self.bound.contains(&root.as_str()) {
            return Ok(());
        }
        if root == "request" && name == "headers" {
            self.needs.headers.whole = true;
            return Ok(());
        }
        if let Some(member) = Member::find(root, name) {
            self.needs.members.push(member);
            return Ok(());
        }
        let known = members_of(root);
        if known.is_empty() {
            return self.whole(root);
        }
        Err(Fault::of(format!(
            "`{root}` has no `{name}`; it has {}",
            known.join(", ")
        )))
    }

    fn call(&mut self, call: &'e CallExpr, depth: usize) -> Result<(), Fault> {
        let name = &*call.func_name;
        if let (operators::IN, [key, map]) = (name, &*call.args)
            && let Some(key) = literal(key)
            && let Some(map) = self.open_map(map)
        {
            map.add(key);
            return Ok(());
        }
        let is_known = FUNCTIONS.contains(&name)
            || OPERATORS.contains(&name)
            || name == operators::NOT_STRICTLY_FALSE;
        if !is_known {
            return Err(Fault::of(format!(
                "there is no function `{name}`; there are {}",
                FUNCTIONS.join(", ")
            )));
        }
        if name == operators::SUBSTRACT
            && let Some(header) = self.hyphenated(call)
        {
            return Err(Fault::of(format!(
                "`-` is minus, and a header is no number; write `request.headers[\"{header}\"]`"
            )));
        }
        if let Some(target) = &call.target {
            self.expression(target, depth)?;
        }
        call.args
            .iter()
            .try_for_each(|argument| self.expression(argument, depth))
    }

    /// The header that was meant by `request.headers.x-session-id`.
    fn hyphenated(&self, call: &CallExpr) -> Option<String> {
        let [from, taken] = &*call.args else {
            return None;
        };
        let begins = match &from.expr {
            Expr::Call(call) if call.func_name == operators::SUBSTRACT => self.hyphenated(call)?,
            Expr::Select(select) if self.is_headers(&select.operand) => select.field.clone(),
            _ => return None,
        };
        match &taken.expr {
            Expr::Ident(name) => Some(format!("{begins}-{name}")),
            Expr::Literal(LiteralValue::Int(number)) => {
                Some(format!("{begins}-{}", number.inner()))
            }
            _ => None,
        }
    }

    fn is_headers(&self, expression: &IdedExpr) -> bool {
        let Some((operand, name)) = member(&expression.expr) else {
            return false;
        };
        let is_request = matches!(&operand.expr, Expr::Ident(root) if root == "request");
        is_request && name == "headers" && !self.bound.contains(&"request")
    }

    /// A name by itself.
    fn whole(&mut self, name: &str) -> Result<(), Fault> {
        if self.bound.contains(&name) {
            return Ok(());
        }
        if name == "claims" {
            self.needs.claims.whole = true;
            return Ok(());
        }
        let known = members_of(name);
        if known.is_empty() {
            let roots = "subscription, product, application, caller, claims, model, request";
            return Err(Fault::of(format!(
                "nothing is called `{name}`; there are {roots}"
            )));
        }
        Err(Fault::of(format!(
            "`{name}` is no value by itself; it has {}",
            known.join(", ")
        )))
    }

    /// The maps whose keys a call brings: `claims` and `request.headers`.
    fn open_map(&mut self, expression: &IdedExpr) -> Option<&mut Wanted> {
        match &expression.expr {
            Expr::Ident(name) if name == "claims" && !self.bound.contains(&"claims") => {
                Some(&mut self.needs.claims)
            }
            _ => self
                .is_headers(expression)
                .then_some(&mut self.needs.headers),
        }
    }
}

/// `operand.name` and `operand["name"]` are the same.
fn member(expression: &Expr) -> Option<(&IdedExpr, &str)> {
    match expression {
        Expr::Select(select) => Some((&select.operand, &select.field)),
        Expr::Call(call) if call.func_name == operators::INDEX => match (&call.target, &*call.args)
        {
            (None, [operand, key]) => Some((operand, literal(key)?)),
            _ => None,
        },
        _ => None,
    }
}

fn literal(expression: &IdedExpr) -> Option<&str> {
    match &expression.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

fn members_of(root: &str) -> Vec<&'static str> {
    let mut members: Vec<&str> = Member::ALL
        .into_iter()
        .map(Member::root_and_name)
        .filter(|(of, _)| *of == root)
        .map(|(_, name)| name)
        .collect();
    if root == "request" {
        members.push("headers");
    }
    members
}
