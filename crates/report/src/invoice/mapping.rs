//! Which columns a header has: by the names that layouts know, or as the reader of the file says.

use std::str::FromStr;

/// What can be mapped to a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Date,
    Model,
    Kind,
    Tokens,
    InputTokens,
    CachedTokens,
    OutputTokens,
    Cost,
    Currency,
}

/// Columns by what they hold, over what a known layout says; and a currency for files that name none.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    pub columns: Vec<(Target, String)>,
    pub currency: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    #[error("write FIELD=COLUMN with one of the fields {}", Target::names())]
    Malformed,
    #[error("`{0}` is no field; known: {names}", names = Target::names())]
    UnknownTarget(String),
    #[error("the header has no column `{column}` for {target}; it has: {header}")]
    NoColumn {
        target: &'static str,
        column: String,
        header: String,
    },
    #[error("map {0}: no column of the header is known to hold it; it has: {1}")]
    Missing(&'static str, String),
    #[error("map {0} too: without one of them there is nothing to compare")]
    NothingToCompare(&'static str),
}

impl Target {
    pub const ALL: [Self; 9] = [
        Self::Date,
        Self::Model,
        Self::Kind,
        Self::Tokens,
        Self::InputTokens,
        Self::CachedTokens,
        Self::OutputTokens,
        Self::Cost,
        Self::Currency,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::Model => "model",
            Self::Kind => "kind",
            Self::Tokens => "tokens",
            Self::InputTokens => "input_tokens",
            Self::CachedTokens => "cached_tokens",
            Self::OutputTokens => "output_tokens",
            Self::Cost => "cost",
            Self::Currency => "currency",
        }
    }

    fn names() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }
}

/// `date=Usage Day`
pub fn target_and_column(text: &str) -> Result<(Target, String), MappingError> {
    let (target, column) = text.split_once('=').ok_or(MappingError::Malformed)?;
    if column.is_empty() {
        return Err(MappingError::Malformed);
    }
    let target = Target::from_str(target)?;
    Ok((target, column.to_owned()))
}

impl FromStr for Target {
    type Err = MappingError;

    fn from_str(text: &str) -> Result<Self, MappingError> {
        Self::ALL
            .into_iter()
            .find(|target| target.as_str() == text)
            .ok_or_else(|| MappingError::UnknownTarget(text.to_owned()))
    }
}

/// A header, with what is said of it.
pub(super) struct Header<'a> {
    pub(super) names: &'a [String],
    pub(super) mapping: &'a Mapping,
}

impl Header<'_> {
    pub(super) fn find(&self, candidates: &[&str]) -> Option<usize> {
        candidates.iter().find_map(|candidate| {
            self.names
                .iter()
                .position(|name| squeezed(name) == squeezed(candidate))
        })
    }

    pub(super) fn optional(
        &self,
        target: Target,
        candidates: &[&str],
    ) -> Result<Option<usize>, MappingError> {
        let mapped = self
            .mapping
            .columns
            .iter()
            .find(|(mapped, _)| *mapped == target);
        let Some((_, column)) = mapped else {
            return Ok(self.find(candidates));
        };
        let found = self.names.iter().position(|name| name == column);
        found.map(Some).ok_or_else(|| MappingError::NoColumn {
            target: target.as_str(),
            column: column.clone(),
            header: self.shown(),
        })
    }

    pub(super) fn required(
        &self,
        target: Target,
        candidates: &[&str],
    ) -> Result<usize, MappingError> {
        self.optional(target, candidates)?
            .ok_or_else(|| MappingError::Missing(target.as_str(), self.shown()))
    }

    pub(super) fn shown(&self) -> String {
        self.names.join(", ")
    }
}

/// Accounts differ in capitals and underscores.
fn squeezed(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}
