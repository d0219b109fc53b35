//! Guards: who looks at content, at which of it, and what follows.

use std::sync::Arc;

use content::lists::Lists;
use content::redact::{HashKey, Rules};

use super::{ContentSafety, GuardWebhook, Moderation, Presidio, PresidioAction};

use super::Snapshot;

/// The guards of one scope, in the order in which they look.
#[derive(Debug)]
pub struct Guards {
    /// Never empty.
    pub list: Vec<Guard>,
}

#[derive(Debug)]
pub struct Guard {
    /// As a rule is named in refusals and records: `product/standard/guard/pii`.
    pub rule: Arc<str>,
    pub on: Guarded,
    pub on_error: OnError,
    pub kind: GuardKind,
}

/// What a guard looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guarded {
    pub prompt: bool,
    pub answer: bool,
    /// Only what is kept in an audit record: client and provider get it as it is.
    pub audit: bool,
}

/// What becomes of content that a guard could not judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    Block,
    Allow,
}

#[derive(Debug)]
pub enum GuardKind {
    Pii(Box<Pii>),
    Lists(Box<Lists>),
    ContentSafety(Box<ContentSafety>),
    Moderation(Box<Moderation>),
    Webhook(Box<GuardWebhook>),
    Presidio(Box<Presidio>),
}

impl GuardKind {
    pub fn pii(&self) -> Option<&Pii> {
        match self {
            Self::Pii(pii) => Some(pii),
            Self::Lists(_)
            | Self::ContentSafety(_)
            | Self::Moderation(_)
            | Self::Webhook(_)
            | Self::Presidio(_) => None,
        }
    }
}

/// Personal data and secrets.
#[derive(Debug)]
pub struct Pii {
    /// Their hash key is [`Pii::hash_key`]; without one, whoever uses them must give them one.
    pub rules: Rules,
    pub hash_key: Option<HashKey>,
}

impl Snapshot {
    /// Whether values are hashed for which the configuration has no key.
    pub fn need_hash_key(&self) -> bool {
        let guards = self
            .subscriptions
            .values()
            .filter_map(|of| of.guards.as_ref());
        guards.into_iter().any(|guards| guards.need_hash_key())
    }
}

impl Guard {
    /// Whether it masks values, which are put back for the client.
    fn masks(&self) -> bool {
        match &self.kind {
            GuardKind::Pii(pii) => pii.rules.masks(),
            GuardKind::Presidio(presidio) => presidio.action == PresidioAction::Mask,
            GuardKind::Lists(_)
            | GuardKind::ContentSafety(_)
            | GuardKind::Moderation(_)
            | GuardKind::Webhook(_) => false,
        }
    }
}

impl Guards {
    pub fn look_at_prompt(&self) -> bool {
        self.list.iter().any(|guard| guard.on.prompt)
    }

    pub fn look_at_answer(&self) -> bool {
        self.list.iter().any(|guard| guard.on.answer)
    }

    /// Whether any of them asks somebody else.
    pub fn ask_services(&self) -> bool {
        self.list.iter().any(|guard| match guard.kind {
            GuardKind::Pii(_) | GuardKind::Lists(_) => false,
            GuardKind::ContentSafety(_)
            | GuardKind::Moderation(_)
            | GuardKind::Webhook(_)
            | GuardKind::Presidio(_) => true,
        })
    }

    /// Whether something of a prompt may have to be put back in its answer.
    pub fn mask(&self) -> bool {
        self.list.iter().any(Guard::masks)
    }

    /// Whether something of an answer may be masked that no prompt said.
    pub fn mask_answers(&self) -> bool {
        let mut of_answers = self.list.iter().filter(|guard| guard.on.answer);
        of_answers.any(Guard::masks)
    }

    fn need_hash_key(&self) -> bool {
        let mut of_pii = self.list.iter().filter_map(|guard| guard.kind.pii());
        of_pii.any(|pii| pii.hash_key.is_none() && pii.rules.hashes())
    }
}
