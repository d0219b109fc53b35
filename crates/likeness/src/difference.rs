//! What sets two questions apart, in words for an operator and a label for a metric.

/// One reason why the cached answer does not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub kind: Kind,
    /// What the cached question says of it; empty if nothing.
    pub cached: String,
    /// What the asked one says.
    pub asked: String,
}

impl Difference {
    /// The same seen from the other side.
    pub(crate) fn turned(self) -> Self {
        Self {
            kind: self.kind,
            cached: self.asked,
            asked: self.cached,
        }
    }
}

/// In what two questions differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Number,
    Date,
    Unit,
    Negation,
    Entity,
    /// From or to, on or off, more or less.
    Direction,
    /// Before or after, did or will.
    Time,
    Quantifier,
    Question,
    Quote,
    Code,
    Language,
    Modality,
    /// Whose: mine or my team's, private or business.
    Scope,
    /// A word that carries content stands where another stood.
    Word,
    /// Too long to compare, and not the same to the letter.
    Length,
}

impl Kind {
    pub const ALL: [Self; 16] = [
        Self::Number,
        Self::Date,
        Self::Unit,
        Self::Negation,
        Self::Entity,
        Self::Direction,
        Self::Time,
        Self::Quantifier,
        Self::Question,
        Self::Quote,
        Self::Code,
        Self::Language,
        Self::Modality,
        Self::Scope,
        Self::Word,
        Self::Length,
    ];

    /// As a label has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Date => "date",
            Self::Unit => "unit",
            Self::Negation => "negation",
            Self::Entity => "entity",
            Self::Direction => "direction",
            Self::Time => "time",
            Self::Quantifier => "quantifier",
            Self::Question => "question",
            Self::Quote => "quote",
            Self::Code => "code",
            Self::Language => "language",
            Self::Modality => "modality",
            Self::Scope => "scope",
            Self::Word => "word",
            Self::Length => "length",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}
