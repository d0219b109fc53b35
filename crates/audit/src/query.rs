//! What a reader asks, what the reader may see, and what comes back.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::record::Outcome;
use domain::{CallId, SubscriptionId, Wall};

use crate::record::{Content, Glance, Skeleton};

/// Every condition that is given must hold. Newest first.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Calls that began at or after it, and before it.
    pub since: Option<Wall>,
    pub until: Option<Wall>,
    pub subscription: Option<SubscriptionId>,
    pub product: Option<Arc<str>>,
    pub application: Option<Arc<str>>,
    pub model: Option<Arc<str>>,
    pub outcome: Option<Outcome>,
    /// The user, or where none was known the caller.
    pub person: Option<String>,
    /// Part of what guards found: `pii`, say.
    pub verdict: Option<String>,
    pub call: Option<CallId>,
    /// Words that must all stand in the prompt or the answer, and phrases in quotes.
    pub text: Option<String>,
    /// Of an earlier page's `next`: goes on behind it.
    pub before: Option<u64>,
    /// At most `Query::LIMIT_MAX`; 0 stands for 100.
    pub limit: usize,
    /// Without it, metadata alone comes back.
    pub with_content: bool,
}

/// Which subscriptions' records a reader may see. Applied before anything is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    All,
    Subscriptions(BTreeSet<SubscriptionId>),
}

#[derive(Clone, Debug, Default)]
pub struct Page {
    pub found: Vec<Found>,
    /// There may be more: ask again with it as `before`.
    pub next: Option<u64>,
    /// Records that were opened to look into them.
    pub opened: u64,
}

#[derive(Clone, Debug)]
pub struct Found {
    pub sequence: u64,
    pub skeleton: Skeleton,
    pub content: State,
}

/// What has become of a record's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Here(Content),
    /// Was not asked for.
    Closed,
    /// By this entry: a purge or an erasure.
    Gone {
        by: u64,
    },
    /// It should be there, and cannot be opened: `verify` says more.
    Unreadable,
}

impl Query {
    pub const LIMIT_MAX: usize = 1_000;

    /// What the chain says was asked. A person is there by pseudonym, and words stand last: see
    /// [`Details::for_others`](crate::Details::for_others).
    pub(crate) fn describe(
        &self,
        found: Option<usize>,
        pseudonym: impl Fn(&str) -> String,
    ) -> String {
        let mut told = Vec::new();
        let mut tell = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                told.push(format!("{name}={value}"));
            }
        };
        let ms = |wall: Option<Wall>| wall.map(|wall| wall.0.to_string());
        tell("since_ms", ms(self.since).as_deref());
        tell("until_ms", ms(self.until).as_deref());
        tell(
            "subscription",
            self.subscription.as_ref().map(SubscriptionId::as_str),
        );
        tell("product", self.product.as_deref());
        tell("application", self.application.as_deref());
        tell("model", self.model.as_deref());
        tell("outcome", self.outcome.map(Outcome::as_str));
        tell("who", self.person.as_deref().map(pseudonym).as_deref());
        tell("verdict", self.verdict.as_deref());
        tell("call", self.call.map(|call| call.to_string()).as_deref());
        tell(
            "before",
            self.before.map(|before| before.to_string()).as_deref(),
        );
        tell("content", self.with_content.then_some("yes"));
        tell("found", found.map(|found| found.to_string()).as_deref());
        tell("text", self.text.as_deref());
        told.join(" ")
    }

    pub(crate) fn fits(&self, record: &Glance<'_>) -> bool {
        let numbers = &record.numbers;
        let is = |wanted: &Option<Arc<str>>, has: Option<&str>| {
            wanted.as_ref().is_none_or(|wanted| Some(&**wanted) == has)
        };
        let subscription = self.subscription.as_ref().map(|id| &id.0);
        self.since.is_none_or(|since| since <= numbers.at)
            && self.until.is_none_or(|until| numbers.at < until)
            && self.call.is_none_or(|call| call == numbers.call)
            && self.outcome.is_none_or(|outcome| outcome == record.outcome)
            && subscription.is_none_or(|id| **id == *record.subscription)
            && is(&self.product, Some(record.product))
            && is(&self.application, record.application)
            && is(&self.model, Some(record.model))
            && self
                .verdict
                .as_ref()
                .is_none_or(|part| record.verdicts.contains(part.as_str()))
    }
}

impl Scope {
    pub(crate) fn holds(&self, subscription: &str) -> bool {
        match self {
            Self::All => true,
            Self::Subscriptions(ids) => ids.contains(subscription),
        }
    }
}
