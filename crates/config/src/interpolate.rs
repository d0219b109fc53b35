//! `${env:NAME}` and `${file:/path}` inside text; `$${` stands for `${` itself.

use std::borrow::Cow;

use crate::Environment;

/// Text with its references filled in.
pub(crate) struct Filled<'t> {
    pub text: Cow<'t, str>,
    /// Something came from outside: it may be a secret, so no problem quotes it.
    pub is_foreign: bool,
}

/// Why a reference could not be filled in, and what to do about it.
pub(crate) struct Unfilled {
    pub problem: String,
    pub fix: String,
}

pub(crate) fn fill<'t>(
    text: &'t str,
    environment: &Environment<'_>,
) -> Result<Filled<'t>, Unfilled> {
    // Most text has no `$` at all, and one byte is found faster than two.
    if !text.contains('$') {
        return Ok(Filled {
            text: Cow::Borrowed(text),
            is_foreign: false,
        });
    }
    let (mut filled, mut is_foreign, mut rest) = (String::with_capacity(text.len()), false, text);
    while let Some(start) = rest.find("${") {
        let before = &rest[..start];
        let after = &rest[start + 2..];
        if let Some(kept) = before.strip_suffix('$') {
            filled.push_str(kept);
            filled.push_str("${");
            rest = after;
            continue;
        }
        filled.push_str(before);
        let Some(end) = after.find('}') else {
            return Err(unfilled(
                "`${` without its `}`",
                "close it, or write `$${` for the characters themselves",
            ));
        };
        filled.push_str(&look_up(&after[..end], environment)?);
        is_foreign = true;
        rest = &after[end + 1..];
    }
    filled.push_str(rest);
    Ok(Filled {
        text: Cow::Owned(filled),
        is_foreign,
    })
}

fn look_up(reference: &str, environment: &Environment<'_>) -> Result<String, Unfilled> {
    if let Some(name) = reference.strip_prefix("env:") {
        return (environment.variables)(name).ok_or_else(|| {
            unfilled(
                format!("the environment variable `{name}` is not set"),
                format!("set `{name}`"),
            )
        });
    }
    if let Some(path) = reference.strip_prefix("file:") {
        return match (environment.files)(path) {
            Ok(mut text) => {
                // Secrets are written to files with a newline that is no part of them.
                text.truncate(text.trim_end_matches(['\r', '\n']).len());
                Ok(text)
            }
            Err(reason) => Err(unfilled(
                format!("cannot read `{path}`: {reason}"),
                "make the file readable to the gateway",
            )),
        };
    }
    Err(unfilled(
        "`${…}` that names neither `env:` nor `file:`",
        "write `${env:NAME}` or `${file:/path}`, or `$${` for the characters themselves",
    ))
}

fn unfilled(problem: impl Into<String>, fix: impl Into<String>) -> Unfilled {
    Unfilled {
        problem: problem.into(),
        fix: fix.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<String, String> {
        let variables = |name: &str| (name == "WHO").then(|| "search".to_owned());
        let files = |path: &str| {
            if path == "/run/key" {
                Ok("s3cret\n".to_owned())
            } else {
                Err("no such file".to_owned())
            }
        };
        let environment = Environment {
            variables: &variables,
            files: &files,
        };
        fill(text, &environment)
            .map(|filled| filled.text.into_owned())
            .map_err(|unfilled| unfilled.problem)
    }

    #[test]
    fn references_are_filled_in_anywhere_in_a_text() {
        assert_eq!(
            filled("a ${env:WHO} and ${file:/run/key}."),
            Ok("a search and s3cret.".to_owned())
        );
        assert_eq!(filled("plain $ text }"), Ok("plain $ text }".to_owned()));
    }

    #[test]
    fn a_doubled_dollar_is_the_character_itself() {
        assert_eq!(filled("$${env:WHO}"), Ok("${env:WHO}".to_owned()));
    }

    #[test]
    fn what_cannot_be_filled_in_is_named() {
        assert_eq!(
            filled("${env:NOBODY}"),
            Err("the environment variable `NOBODY` is not set".to_owned())
        );
        assert_eq!(
            filled("${file:/gone}"),
            Err("cannot read `/gone`: no such file".to_owned())
        );
        assert!(filled("${vault:x}").is_err());
        assert!(filled("${env:WHO").is_err());
    }

    #[test]
    fn only_what_came_from_outside_is_withheld_from_problems() {
        let environment = Environment {
            variables: &|_| Some("x".into()),
            files: &|_| Err("none".into()),
        };
        assert!(fill("${env:A}", &environment).is_ok_and(|filled| filled.is_foreign));
        assert!(fill("$${env:A}", &environment).is_ok_and(|filled| !filled.is_foreign));
    }
}
