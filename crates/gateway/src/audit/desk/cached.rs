//! Those who look into the cache, or purge it: what it holds is what the log holds, so the same roles, the same
//! reasons and the same entries go for it.

use ::audit::{Read, Sealer};
use domain::SubscriptionId;
use domain::access::{Deed, Reach};

use super::{Desk, DeskError};

impl Desk {
    /// What opens entries, and of whose entries anything may be shown. Questions are content.
    pub fn look_into_cache(
        &mut self,
        with_texts: bool,
        about: &str,
    ) -> Result<(Sealer, Reach), DeskError> {
        let deed = if with_texts {
            Deed::ReadContent
        } else {
            Deed::ReadUsage
        };
        let about = format!("cache: {about}");
        let (actor, reach) = self.may(deed, &about)?;
        self.archive.note(Read::Search, &about, &actor, self.now)?;
        Ok((self.archive.sealer(), reach))
    }

    /// What opens entries, for one who may remove them: those of this subscription, or all.
    pub fn purge_cache(
        &mut self,
        subscription: Option<&SubscriptionId>,
        about: &str,
    ) -> Result<Sealer, DeskError> {
        let about = format!("cache: {about}");
        let actor = match subscription {
            Some(id) => self.may_over(Deed::Purge, id, &about)?,
            None => self.may_everywhere(Deed::Purge, &about)?,
        };
        self.archive.note(Read::Search, &about, &actor, self.now)?;
        Ok(self.archive.sealer())
    }
}
