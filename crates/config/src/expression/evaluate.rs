//! Runs the interpreter over only the values that an expression names.

use std::collections::HashMap;
use std::sync::LazyLock;

use cel::objects::Key;
use cel::{Context, ExecutionError, Program, Value};
use serde_json::Number;

use super::check::{Needs, Wanted};
use super::{CallContext, Fault, header};

/// Claims with more values than this are a fault: the work over them must stay bounded. Entra stops
/// at 200 groups.
pub(super) const CLAIM_VALUES_MAX: usize = 2048;

/// The built-in functions. Making them costs 50 µs, a scope on top of them almost nothing.
static FUNCTIONS: LazyLock<Context<'static, 'static>> = LazyLock::new(Context::default);

pub(super) fn text(
    program: &Program,
    needs: &Needs,
    call: &CallContext<'_>,
) -> Result<String, Fault> {
    let mut scope = FUNCTIONS.new_inner_scope();
    for (root, members) in objects(needs, call)? {
        scope.add_variable_from_value(root, members);
    }
    value_text(program.execute(&scope))
}

/// An expression that reads nothing of a call.
pub(super) fn constant(program: &Program) -> Result<String, Fault> {
    value_text(program.execute(&FUNCTIONS))
}

/// As the interpreter would print it, so that a plain path and a computed one give the same key.
pub(super) fn number_text(number: &Number) -> String {
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(whole), _, _) => whole.to_string(),
        (None, Some(whole), _) => whole.to_string(),
        (None, None, Some(float)) => float.to_string(),
        (None, None, None) => number.to_string(),
    }
}

type Members = HashMap<Key, Value>;

fn objects(needs: &Needs, call: &CallContext<'_>) -> Result<HashMap<&'static str, Members>, Fault> {
    let mut objects: HashMap<&'static str, Members> = HashMap::new();
    for member in &needs.members {
        let (root, name) = member.root_and_name();
        let value = member
            .of(call)
            .map_or(Value::Null, |text| Value::from(&*text));
        objects.entry(root).or_default().insert(name.into(), value);
    }
    if !needs.claims.is_nothing() {
        objects.insert("claims", claims(&needs.claims, call)?);
    }
    if !needs.headers.is_nothing() {
        let headers = headers(&needs.headers, call)?;
        objects
            .entry("request")
            .or_default()
            .insert("headers".into(), headers.into());
    }
    Ok(objects)
}

fn claims(wanted: &Wanted, call: &CallContext<'_>) -> Result<Members, Fault> {
    let Some(claims) = call.claims else {
        return Ok(Members::new());
    };
    let mut room = CLAIM_VALUES_MAX;
    let mut members = Members::new();
    for (name, value) in claims {
        if wanted.whole || wanted.names.contains(name) {
            members.insert(name.clone().into(), value_of(value, &mut room)?);
        }
    }
    Ok(members)
}

/// No deeper than the JSON parser allows.
fn value_of(json: &serde_json::Value, room: &mut usize) -> Result<Value, Fault> {
    *room = room.checked_sub(1).ok_or_else(|| {
        Fault::of(format!(
            "the token's claims hold more than {CLAIM_VALUES_MAX} values"
        ))
    })?;
    Ok(match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::String(text) => Value::from(&**text),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Value::Int(whole),
            (None, Some(whole)) => Value::UInt(whole),
            (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::Array(items) => {
            let mut values = Vec::with_capacity(items.len().min(CLAIM_VALUES_MAX));
            for item in items {
                values.push(value_of(item, room)?);
            }
            values.into()
        }
        serde_json::Value::Object(fields) => {
            let mut members = Members::new();
            for (name, value) in fields {
                members.insert(name.clone().into(), value_of(value, room)?);
            }
            members.into()
        }
    })
}

fn headers(wanted: &Wanted, call: &CallContext<'_>) -> Result<Members, Fault> {
    let mut members = Members::new();
    if wanted.whole {
        for name in call.headers.keys() {
            if let Some(text) = header(call.headers, name)? {
                members.insert(name.as_str().into(), (&*text).into());
            }
        }
    }
    // Under the spelling of the expression, which is how the interpreter will ask.
    for written in &wanted.names {
        let Ok(name) = written.parse::<http::HeaderName>() else {
            continue;
        };
        if let Some(text) = header(call.headers, &name)? {
            members.insert(written.as_str().into(), (&*text).into());
        }
    }
    Ok(members)
}

fn value_text(result: Result<Value, ExecutionError>) -> Result<String, Fault> {
    match result.map_err(|error| described(&error))? {
        Value::String(text) => Ok(text.to_string()),
        Value::Int(number) => Ok(number.to_string()),
        Value::UInt(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Bool(value) => Ok(value.to_string()),
        other => Err(Fault::of(format!(
            "the expression gives a {}, not text, a number or a boolean",
            other.type_of()
        ))),
    }
}

/// The interpreter's own words quote values; callers and logs get the kind of fault and names only.
fn described(error: &ExecutionError) -> Fault {
    Fault::of(match error {
        ExecutionError::NoSuchKey(name) => format!("`{name}` is missing"),
        ExecutionError::UndeclaredReference(name) => format!("nothing is called `{name}`"),
        ExecutionError::FunctionError { function, .. } => format!("`{function}` failed"),
        ExecutionError::NoSuchOverload(overload) => overload.to_string(),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "a number overflowed".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "an index is out of bounds".to_owned(),
        ExecutionError::ValuesNotComparable(..) | ExecutionError::UnexpectedType { .. } => {
            "values of different types were compared".to_owned()
        }
        _ => "the expression could not be evaluated".to_owned(),
    })
}
