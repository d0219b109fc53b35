//! Which entries a purge, or a look at the cache, is about.

use domain::{ModelName, SubscriptionId, Wall};

use crate::{Entry, Key};

/// All that is given must hold. Nothing given selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// On whose behalf the answer was bought.
    pub subscription: Option<SubscriptionId>,
    pub model: Option<ModelName>,
    /// The user, or the caller where no user was known.
    pub person: Option<String>,
    /// Stored before this.
    pub stored_before: Option<Wall>,
    /// These and no others.
    pub keys: Option<Vec<Key>>,
}

/// What a purge removed, or would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    pub entries: u64,
    pub answer_bytes: u64,
}

impl Selection {
    pub fn holds(&self, entry: &Entry) -> bool {
        let Self {
            subscription,
            model,
            person,
            stored_before,
            keys,
        } = self;
        let owner = &entry.owner;
        subscription
            .as_ref()
            .is_none_or(|id| *id == owner.subscription)
            && model.as_ref().is_none_or(|model| *model == entry.model)
            && person
                .as_ref()
                .is_none_or(|person| entry.person() == person)
            && stored_before.is_none_or(|before| entry.stored_at < before)
            && keys.as_ref().is_none_or(|keys| keys.contains(&entry.key))
    }
}

impl Purged {
    pub fn add(&mut self, entry: &Entry) {
        self.entries += 1;
        self.answer_bytes += entry.answer_bytes as u64;
    }
}
