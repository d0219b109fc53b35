//! Words, patterns and topics, in this process.

use content::lists::Action;

use super::GuardedContent;
use crate::read::{List, Map, Placed, Text, Whole, section, words};
use crate::snapshot::OnError;

section! {
    /// Words, patterns and topics. Odd spellings of a word (full-width or decorated letters, characters
    /// without width) are that word.
    pub struct Lists {
        /// Words and phrases, found whole and in any case.
        pub words: List<Text> = "[]",
        /// Regular expressions, without look-around and back-references. `(?i)` makes one blind to
        /// case.
        pub patterns: List<Text> = "[]",
        /// Subjects, by the phrases that speak of them.
        pub topics: Map<Topic> = "{}",
        /// What becomes of words and patterns. Topics always block.
        pub action: ListAction = "block",
        /// Where it looks. Without it: `[prompt, answer]`.
        pub r#where: Option<Placed<List<GuardedContent>>>,
        /// Of content that cannot be read.
        pub on_error: OnError = "block",
    }
}

section! {
    /// A subject: a text is about it when enough of its phrases stand near each other.
    pub struct Topic {
        /// Phrases, and how much each adds to the score. A phrase counts once in a window.
        pub phrases: Map<Whole<1, 1_000>>,
        /// The score from which on the topic is there.
        pub threshold: Whole<1, 1_000_000>,
        /// How near to each other phrases count together, in characters.
        pub window: Whole<16, 100_000> = "1000",
    }
}

/// What becomes of what lists name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListAction(pub Action);

words! { ListAction, "action":
    /// The call is refused with 400 `content_filter`.
    "block" => ListAction(Action::Block),
    /// `[REDACTED]` stands in its place.
    "redact" => ListAction(Action::Redact),
}
