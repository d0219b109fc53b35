//! `budgets`: money for a calendar period.

use std::marker::PhantomData;

use domain::budget::{Pattern, Patterns, Unpriced};
use domain::limit::Period;
use domain::{ChannelId, ModelName, ProductId, Reserve, SubscriptionId};
use jiff::tz::TimeZone;
use schemars::{Schema, SchemaGenerator, json_schema};

use super::limit::AMOUNT_MAX;
use crate::read::{
    BudgetName, Cel, Declared, Field, Known, List, Money, Placed, Reader, Reference, Step, Text,
    Threshold, Whole, section, words,
};
use crate::tree::{Content, Node};

section! {
    /// Money for a calendar period. Every budget that matches a call is reserved together with the
    /// limits before the call, all or none, and settled after it.
    pub struct Budget {
        /// Names it in refusals, records and metrics.
        pub name: Declared<BudgetName>,
        /// Whose calls it counts. Without it, everybody's.
        pub r#match: BudgetMatch = "{}",
        /// CEL whose value picks the counter, each of which has the whole amount: `caller.user` gives
        /// every user as much. Without it, one for everything that matches.
        pub counter_key: Option<Cel>,
        /// In the configuration's `currency`.
        pub amount: Money,
        /// When it starts anew.
        pub period: Period,
        /// The time zone whose midnight starts the period. Without it, the top level's `time_zone`.
        pub time_zone: Option<TimeZone>,
        /// How much of an answer is held before it is known.
        pub reserve: Placed<Reserve> = "learned",
        /// What becomes of a call that no longer fits.
        pub on_exceeded: OnExceeded = "alert",
        /// What becomes of a call whose model has no price. Without it, `refuse`, and `allow` where
        /// calls that do not fit are let through all the same (`on_exceeded: alert`).
        pub unpriced: Option<Unpriced>,
        /// Shares of the amount at which an alert is due, each once in a period. Without it, 0.8
        /// and 1.
        pub alert_at: Option<Placed<List<Threshold>>>,
        /// Where these alerts are sent. Without channels they are only logged and listed.
        pub notify: List<Reference<ChannelId>> = "[]",
    }
}

section! {
    /// Whose calls a budget counts. All that is written must fit: a name, a pattern with `*` (any
    /// text) and `?` (one character), or a list of these, of which one must fit.
    pub struct BudgetMatch {
        /// The subscription that pays.
        pub subscription: Option<Names<SubscriptionId>>,
        /// The subscription's product.
        pub product: Option<Names<ProductId>>,
        /// The application, as its key, token or header says. A call without one does not fit.
        pub application: Option<Names<Anything>>,
        /// The model that answers.
        pub model: Option<Names<ModelName>>,
        /// The user, as `user` of the token's issuer says. A call without one does not fit.
        pub user: Option<Names<Anything>>,
    }
}

words! { Unpriced, "way to treat unpriced models":
    /// 403 `unpriced_model`: what has no price cannot be kept within a budget.
    "refuse" => Unpriced::Refuse,
    /// Let through; it takes nothing of the budget.
    "allow" => Unpriced::Allow,
}

/// What becomes of a call that no longer fits.
#[derive(Debug)]
pub(crate) enum OnExceeded {
    Alert,
    Refuse,
    Downgrade(Reference<ModelName>),
    Throttle(u64),
}

/// Those that are one word.
#[derive(Clone, Copy, Debug)]
enum Plainly {
    Alert,
    Refuse,
}

words! { Plainly, "way to treat calls past a budget":
    /// Let through and counted.
    "alert" => Plainly::Alert,
    /// 403 `budget_exceeded` until the period ends.
    "refuse" => Plainly::Refuse,
}

section! {
    /// What happens instead. One of these.
    pub struct Instead {
        /// The model that answers instead. Calls for that one pass, so put a second budget beside
        /// this one for a last bound. Embeddings are refused: another model's do not compare.
        pub downgrade: Option<Reference<ModelName>>,
        /// Let through as far as this many tokens a minute go, counted while the budget is exceeded.
        pub throttle: Option<Whole<1, AMOUNT_MAX>>,
    }
}

impl Field for OnExceeded {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        if !matches!(node.content, Content::Map(_)) {
            return Some(match Plainly::read(node, reader)? {
                Plainly::Alert => Self::Alert,
                Plainly::Refuse => Self::Refuse,
            });
        }
        let problems = reader.problems.count();
        let Instead {
            downgrade,
            throttle,
        } = Instead::read(node, reader)?;
        match (downgrade, throttle) {
            (Some(model), None) => Some(Self::Downgrade(model)),
            (None, Some(tokens)) => Some(Self::Throttle(tokens.0)),
            (Some(_), Some(_)) => {
                let fix = "write one of them; a second budget may do the other";
                reader.error(node.place, "both `downgrade` and `throttle`", fix);
                None
            }
            (None, None) if reader.problems.count() > problems => None,
            (None, None) => {
                let fix = "write alert, refuse, { downgrade: MODEL } or { throttle: TOKENS }";
                reader.error(node.place, "neither `downgrade` nor `throttle`", fix);
                None
            }
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let words = Plainly::schema(generator);
        let mut choices = words.get("oneOf").cloned().unwrap_or_default();
        if let Some(choices) = choices.as_array_mut() {
            choices.push(Instead::schema(generator).to_value());
        }
        json_schema!({ "oneOf": choices })
    }
}

/// One name or pattern, or a list of them. Without a wildcard, what the file declares must be there.
#[derive(Debug)]
pub(crate) struct Names<K> {
    pub patterns: Patterns,
    of: PhantomData<K>,
}

/// Whatever callers are called.
#[derive(Debug)]
pub(crate) struct Anything;

pub(crate) trait Nameable {
    /// A name without wildcards.
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<String>;
}

impl Nameable for Anything {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<String> {
        Text::read(node, reader).map(|text| text.text)
    }
}

impl<K: Known + ToString> Nameable for K {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<String> {
        Reference::<K>::read(node, reader).map(|name| name.id.to_string())
    }
}

impl<K: Nameable> Field for Names<K> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        const NAMES_MAX: usize = 1000;
        let nodes = match &node.content {
            Content::List(nodes) => nodes.as_slice(),
            _ => return Some(Self::of(vec![pattern::<K>(node, reader)?])),
        };
        if nodes.is_empty() || nodes.len() > NAMES_MAX {
            let problem = format!("a list of {} names", nodes.len());
            reader.error(
                node.place,
                problem,
                format!("name 1 to {NAMES_MAX}, or leave it out"),
            );
            return None;
        }
        let mut patterns = Vec::with_capacity(nodes.len());
        for (index, node) in nodes.iter().enumerate() {
            let step = Step::Item(index.to_string());
            patterns.push(reader.within(step, |reader| pattern::<K>(node, reader)));
        }
        patterns.into_iter().collect::<Option<_>>().map(Self::of)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let name = Text::schema(generator);
        json_schema!({ "oneOf": [name, { "type": "array", "items": name }] })
    }
}

impl<K> Names<K> {
    fn of(patterns: Vec<Pattern>) -> Self {
        Self {
            patterns: Patterns(patterns),
            of: PhantomData,
        }
    }
}

fn pattern<K: Nameable>(node: &Node, reader: &mut Reader<'_>) -> Option<Pattern> {
    let is_pattern =
        matches!(&node.content, Content::Scalar(scalar) if Pattern::has_wildcard(&scalar.text));
    let text = if is_pattern {
        Text::read(node, reader)?.text
    } else {
        K::read(node, reader)?
    };
    Some(Pattern::new(&text))
}
