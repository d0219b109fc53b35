//! Recognises the expressions that need no interpreter: one string, or one plain path.

use super::Form;
use super::member::Member;

/// `None`: leave it to the interpreter, which also finds what is wrong with it.
pub(super) fn form(source: &str) -> Option<Form> {
    let source = source.trim();
    if let Some((text, "")) = string(source) {
        return Some(Form::Constant(text.to_owned()));
    }
    let (root, mut rest) = identifier(source)?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let (step, after) = match rest.strip_prefix('.') {
            Some(after) => identifier(after)?,
            None => {
                let (step, after) = string(rest.strip_prefix('[')?)?;
                (step, after.strip_prefix(']')?)
            }
        };
        steps.push(step);
        rest = after;
    }
    match (root, &*steps) {
        ("claims", [_, ..]) => Some(Form::Claim(steps.into_iter().map(str::to_owned).collect())),
        ("request", ["headers", name]) => name.parse().ok().map(Form::Header),
        (root, [name]) => Member::find(root, name).map(Form::Member),
        _ => None,
    }
}

fn identifier(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    // `claims.in` is no CEL: that is the interpreter's to say.
    let is_reserved = matches!(&text[..end], "in" | "true" | "false" | "null");
    (starts_well && !is_reserved).then(|| text.split_at(end))
}

/// A string without escapes, quotes or line breaks inside.
fn string(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (inside, after) = text[1..].split_once(quote)?;
    // `"""` opens another kind of string.
    let is_plain = !inside.contains(['\\', '\n', '\r']) && !after.starts_with(quote);
    is_plain.then_some((inside, after))
}
