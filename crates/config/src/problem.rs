//! What is wrong with a configuration: where, why, and what to write instead.

use std::fmt;

/// One mistake. Holds no secret: a value that came from `${…}`, or that a secret field has, is never
/// quoted; nor is a field's name that could be a key without its field (`{ primary:abc123 }`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// As the source was named; `registry` for keys that `tollgate keys` made.
    pub file: String,
    /// From 1; 0 where there is no file.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// `backends[eastus].timeout.idle`; empty when the text is not YAML.
    pub field: String,
    pub problem: String,
    pub fix: String,
    pub severity: Severity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration does not load.
    Error,
    Warning,
}

impl fmt::Display for Problem {
    /// `FILE:LINE:COL: field: problem; fix`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}; {}", self.problem, self.fix)
    }
}

/// A field's name as a problem may show it: fields are words, keys hardly ever.
pub(crate) fn shown_name(name: &str) -> String {
    const BYTES_MAX: usize = 40;
    let is_word = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if is_word && name.len() <= BYTES_MAX {
        format!("`{name}`")
    } else {
        "with this name".to_owned()
    }
}

/// Where something was written, for a problem that only its user can find. All are equal: a line more above it
/// makes nothing another.
#[derive(Clone, Debug)]
pub struct Written {
    pub file: String,
    pub line: u32,
    pub column: u32,
    pub field: String,
}

impl PartialEq for Written {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Written {}

impl Written {
    pub fn error(&self, problem: impl Into<String>, fix: impl Into<String>) -> Problem {
        self.problem(problem.into(), fix.into(), Severity::Error)
    }

    pub fn warning(&self, problem: impl Into<String>, fix: impl Into<String>) -> Problem {
        self.problem(problem.into(), fix.into(), Severity::Warning)
    }

    fn problem(&self, problem: String, fix: String, severity: Severity) -> Problem {
        let Self {
            file,
            line,
            column,
            field,
        } = self.clone();
        Problem {
            file,
            line,
            column,
            field,
            problem,
            fix,
            severity,
        }
    }
}

/// Where something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Index of the source.
    pub file: u32,
    pub line: u32,
    pub column: u32,
}

impl Place {
    pub const REGISTRY: Self = Self {
        file: u32::MAX,
        line: 0,
        column: 0,
    };
}

/// Collects problems while loading goes on.
#[derive(Debug)]
pub(crate) struct Problems {
    files: Vec<String>,
    found: Vec<(Place, Problem)>,
}

impl Problems {
    pub fn of(files: Vec<String>) -> Self {
        Self {
            files,
            found: Vec::new(),
        }
    }

    pub fn error(
        &mut self,
        place: Place,
        field: &str,
        problem: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.push(place, field, (problem.into(), fix.into()), Severity::Error);
    }

    pub fn warning(
        &mut self,
        place: Place,
        field: &str,
        problem: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.push(
            place,
            field,
            (problem.into(), fix.into()),
            Severity::Warning,
        );
    }

    /// `tollgate.yaml:12`, for problems that name a second place.
    pub fn at(&self, place: Place) -> String {
        format!("{}:{}", self.file(place), place.line)
    }

    pub fn written(&self, place: Place, field: String) -> Written {
        Written {
            file: self.file(place).to_owned(),
            line: place.line,
            column: place.column,
            field,
        }
    }

    /// So far.
    pub fn count(&self) -> usize {
        self.found.len()
    }

    pub fn has_errors(&self) -> bool {
        let mut found = self.found.iter();
        found.any(|(_, problem)| problem.severity == Severity::Error)
    }

    /// Whether something is wrong with a part of this field.
    pub fn has_within(&self, field: &str) -> bool {
        let is_within = |found: &str| {
            found
                .strip_prefix(field)
                .is_some_and(|rest| rest.starts_with(['.', '[']))
        };
        let mut found = self.found.iter();
        found.any(|(_, problem)| is_within(&problem.field))
    }

    /// In file order.
    pub fn into_vec(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|(place, _)| *place);
        self.found.into_iter().map(|(_, problem)| problem).collect()
    }

    fn push(
        &mut self,
        place: Place,
        field: &str,
        (problem, fix): (String, String),
        severity: Severity,
    ) {
        let Place {
            file: _,
            line,
            column,
        } = place;
        let file = self.file(place).to_owned();
        self.found.push((
            place,
            Problem {
                file,
                line,
                column,
                field: field.to_owned(),
                problem,
                fix,
                severity,
            },
        ));
    }

    fn file(&self, place: Place) -> &str {
        self.files
            .get(place.file as usize)
            .map_or("registry", String::as_str)
    }
}
