//! Where people come for audit records: who they are, what their roles allow, and the entry that each
//! visit leaves on the log, refused ones too. Blocks: use it on a thread that may.

mod cached;

use std::collections::BTreeSet;

use ::audit::{
    Actor, Archive, AuditError, Details, Entry, Erased, Found, Hold, Options, Page, Placed, Purged,
    Query, Read, Report, Scope, State,
};
use config::Snapshot;
use config::snapshot::{Access, AuditStore};
use domain::access::{self, Deed, Reach};
use domain::{CallId, SubscriptionId, Wall};
use subtle::ConstantTimeEq;

use super::stores;
use crate::credentials::Credentials;

/// Who comes, what proves it, and why.
#[derive(Clone, Copy)]
pub struct Visitor<'v> {
    pub id: &'v str,
    pub token: &'v str,
    pub reason: Option<&'v str>,
}

/// One visitor at one store.
pub struct Desk {
    archive: Archive,
    access: Access,
    reason: Option<String>,
    now: Wall,
}

#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// Is an entry of the log.
    #[error("{0}")]
    Denied(String),
    /// Is an entry of the log.
    #[error("say why, with `--reason`: it becomes part of the audit log, as does this refusal")]
    NoReason,
    #[error("{0}")]
    NotFound(String),
    #[error(transparent)]
    Audit(#[from] AuditError),
}

/// Records as this visitor may see them.
pub struct Seen {
    pub page: Page,
    /// Over whose records what guards found, and which rules refused, may be shown.
    pub verdicts: Option<Reach>,
}

/// What an operator asks of a store.
pub struct Stats {
    pub region: String,
    pub head: String,
    pub public_key: [u8; 32],
    pub oldest: Option<Wall>,
    pub holds: Vec<Placed>,
    /// Who read, held, erased and purged; newest first.
    pub events: Vec<Entry>,
}

impl Desk {
    /// Opens the store for one who proves to be who they say.
    pub fn admit(
        snapshot: &Snapshot,
        store: &AuditStore,
        visitor: Visitor<'_>,
        credentials: &Credentials,
        now: Wall,
    ) -> Result<Self, DeskError> {
        let archive = stores::archive(store, credentials, now)?;
        Self::with(archive, snapshot, visitor, now)
    }

    /// Of a store that this process has open.
    pub fn with(
        mut archive: Archive,
        snapshot: &Snapshot,
        visitor: Visitor<'_>,
        now: Wall,
    ) -> Result<Self, DeskError> {
        let Visitor { id, token, reason } = visitor;
        let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
        let known = snapshot
            .auditing
            .access
            .iter()
            .find(|access| access.id.as_str() == id);
        // Compared even where nobody is called so: how long it takes tells nothing.
        let given = config::key_hash(token).0;
        let wanted = known.map_or([0; 32], |access| access.token.0);
        let is_proved = bool::from(given.ct_eq(&wanted));
        match known {
            Some(access) if is_proved => Ok(Self {
                archive,
                access: access.clone(),
                reason: reason.map(ToOwned::to_owned),
                now,
            }),
            _ => {
                let actor = Actor {
                    by: shortened(id),
                    role: "none".to_owned(),
                    reason: reason.map(shortened).unwrap_or_default(),
                };
                archive.note(Read::Refused, "not proved by the token", &actor, now)?;
                Err(DeskError::Denied(
                    "nobody under `access` has this id and this token; the refusal is on the audit log".to_owned(),
                ))
            }
        }
    }

    pub fn search(&mut self, query: &Query) -> Result<Seen, DeskError> {
        let deed = deed_of(query);
        let about = format!("search {}", self.archive.about(query, None));
        let (actor, reach) = self.may(deed, about.trim_end())?;
        if query.verdict.is_some() {
            self.may(Deed::ReadVerdicts, &about)?;
        }
        let mut scope = scope(reach);
        if query.verdict.is_some()
            && let Some(verdicts) = self.verdicts()
        {
            scope = narrowed(scope, verdicts);
        }
        let page = self.archive.search(query, &scope, &actor, self.now)?;
        Ok(Seen {
            page,
            verdicts: self.verdicts(),
        })
    }

    /// Whether this visitor's roles are over the subscription that a search names.
    pub fn reaches(&self, query: &Query) -> bool {
        let reach = access::reach(&self.access.grants, deed_of(query)).map(|(_, reach)| reach);
        let id = query.subscription.as_ref();
        id.is_none_or(|id| reach.is_some_and(|reach| reach.holds(id)))
    }

    /// One call: with its content for those who may read it, else its metadata.
    pub fn show(&mut self, call: CallId, with_content: bool) -> Result<Seen, DeskError> {
        let found = if with_content {
            let (actor, reach) = self.may(Deed::ReadContent, &format!("show {call}"))?;
            self.archive.show(call, &scope(reach), &actor, self.now)?
        } else {
            let (actor, reach) = self.may(Deed::ReadUsage, &format!("show {call}"))?;
            let query = Query {
                call: Some(call),
                limit: 1,
                ..Query::default()
            };
            let page = self
                .archive
                .search(&query, &scope(reach), &actor, self.now)?;
            page.found.into_iter().next()
        };
        let Some(found) = found else {
            return Err(DeskError::NotFound(format!(
                "no record of call {call} that you may read"
            )));
        };
        Ok(Seen {
            page: Page {
                found: vec![found],
                next: None,
                opened: u64::from(with_content),
            },
            verdicts: self.verdicts(),
        })
    }

    /// Every page of a search, one after the other; what leaves is noted as such first.
    pub fn export(
        &mut self,
        query: &Query,
        mut give: impl FnMut(&[Found], Option<&Reach>) -> Result<(), DeskError>,
    ) -> Result<u64, DeskError> {
        let deed = if query.with_content {
            Deed::ReadContent
        } else {
            Deed::ReadUsage
        };
        let about = self.archive.about(query, None);
        let (actor, _) = self.may(deed, format!("export {about}").trim_end())?;
        self.archive.note(Read::Export, &about, &actor, self.now)?;
        let mut query = Query {
            limit: Query::LIMIT_MAX,
            ..query.clone()
        };
        let mut given = 0;
        loop {
            let Seen { page, verdicts } = self.search(&query)?;
            give(&page.found, verdicts.as_ref())?;
            given += page.found.len() as u64;
            match page.next {
                Some(next) => query.before = Some(next),
                None => return Ok(given),
            }
        }
    }

    /// Before a sink is given records once more.
    pub fn replay(&mut self, sink: &str, with_content: bool) -> Result<(), DeskError> {
        let deed = if with_content {
            Deed::ReadContent
        } else {
            Deed::ReadUsage
        };
        let content = if with_content {
            "with content"
        } else {
            "metadata"
        };
        let about = format!("replay sink {sink}, {content}");
        let actor = self.may_everywhere(deed, &about)?;
        self.archive.note(Read::Export, &about, &actor, self.now)?;
        Ok(())
    }

    pub fn verify(&mut self, options: &Options) -> Result<Report, DeskError> {
        let actor = self.may_everywhere(Deed::Verify, "verify")?;
        let options = Options {
            now: Some(self.now),
            ..options.clone()
        };
        let report = self.archive.verify(&options)?;
        let about = if report.is_sound() {
            format!("{} entries, sound", report.entries)
        } else {
            let problems = report.problems.len() as u64 + report.more_problems;
            format!("{} entries, {problems} problems", report.entries)
        };
        // A log that was tampered with may take no entry: what was found is told all the same.
        let noted = self.archive.note(Read::Verify, &about, &actor, self.now);
        if report.is_sound() {
            noted?;
        }
        Ok(report)
    }

    /// Returns the hold's number.
    pub fn hold(&mut self, hold: &Hold) -> Result<u64, DeskError> {
        let about = match hold {
            Hold::Subscription(id) => format!("hold subscription {id}"),
            Hold::Call(call) => format!("hold call {call}"),
            Hold::Person(_) => "hold a person's records".to_owned(),
            Hold::Time { since, until } => {
                format!("hold since_ms={} until_ms={}", since.0, until.0)
            }
        };
        let actor = match hold {
            Hold::Subscription(id) => self.may_over(Deed::Hold, id, &about)?,
            Hold::Call(call) => {
                let (actor, reach) = self.may(Deed::Hold, &about)?;
                if !self.archive.has(*call, &scope(reach))? {
                    self.archive.note(Read::Refused, &about, &actor, self.now)?;
                    return Err(DeskError::NotFound(format!(
                        "no record of call {call} that you may hold"
                    )));
                }
                actor
            }
            Hold::Person(_) | Hold::Time { .. } => self.may_everywhere(Deed::Hold, &about)?,
        };
        Ok(self.archive.hold(hold, &actor, self.now)?)
    }

    pub fn hold_person(&mut self, person: &str) -> Result<u64, DeskError> {
        let actor = self.may_everywhere(Deed::Hold, "hold a person's records")?;
        Ok(self.archive.hold_person(person, &actor, self.now)?)
    }

    /// How many records a hold covers so far, for whoever just placed it.
    pub fn covered(&self, number: u64) -> Result<u64, DeskError> {
        Ok(self.archive.covered(number)?)
    }

    pub fn release(&mut self, number: u64) -> Result<(), DeskError> {
        let about = format!("release hold {number}");
        let placed = self.archive.holds()?;
        let held = placed.into_iter().find(|placed| placed.number == number);
        let actor = match held.map(|placed| placed.hold) {
            Some(Hold::Subscription(id)) => self.may_over(Deed::Release, &id, &about)?,
            _ => self.may_everywhere(Deed::Release, &about)?,
        };
        Ok(self.archive.release(number, &actor, self.now)?)
    }

    pub fn erase_person(&mut self, person: &str) -> Result<Erased, DeskError> {
        // Who it was stands on no entry: that would undo the erasure.
        let actor = self.may_everywhere(Deed::Erase, "erase a person's records")?;
        Ok(self.archive.erase_person(person, &actor, self.now)?)
    }

    pub fn erase_subscription(&mut self, id: &SubscriptionId) -> Result<Erased, DeskError> {
        let actor = self.may_over(Deed::Erase, id, &format!("erase subscription {id}"))?;
        Ok(self.archive.erase_subscription(id, &actor, self.now)?)
    }

    pub fn purge(&mut self) -> Result<Purged, DeskError> {
        let actor = self.may_everywhere(Deed::Purge, "purge")?;
        let purged = self.archive.purge(&actor, self.now)?;
        if purged == Purged::default() {
            self.archive.note_empty_purge(&actor, self.now)?;
        }
        Ok(purged)
    }

    pub fn rotate_keys(&mut self) -> Result<(), DeskError> {
        let actor = self.may_everywhere(Deed::RotateKeys, "rotate keys")?;
        Ok(self.archive.rotate(&actor, self.now)?)
    }

    pub fn stats(&mut self, events: usize) -> Result<Stats, DeskError> {
        let actor = self.may_everywhere(Deed::ReadState, "stats")?;
        let reads_content = access::reach(&self.access.grants, Deed::ReadContent)
            .is_some_and(|(_, reach)| reach == Reach::All);
        let mut entries = self.archive.events(None, events)?;
        if !reads_content {
            for entry in &mut entries {
                entry.details = entry.details.take().map(Details::for_others);
            }
        }
        let about = format!("stats events={}", entries.len());
        self.archive.note(Read::Show, &about, &actor, self.now)?;
        let head = self.archive.head(self.now)?;
        Ok(Stats {
            region: self.archive.region().to_owned(),
            head: head.to_string(),
            public_key: self.archive.public_key(),
            oldest: self.archive.oldest()?,
            holds: self.archive.holds()?,
            events: entries,
        })
    }

    fn verdicts(&self) -> Option<Reach> {
        access::reach(&self.access.grants, Deed::ReadVerdicts).map(|(_, reach)| reach)
    }

    /// As whom, and over whose records. A refusal is an entry of the log.
    fn may(&mut self, deed: Deed, about: &str) -> Result<(Actor, Reach), DeskError> {
        let Some((role, reach)) = access::reach(&self.access.grants, deed) else {
            return Err(self.refuse(deed, "here", about)?);
        };
        let actor = self.actor(role.as_str());
        if deed.needs_reason() && self.reason.is_none() {
            let about = format!("{about}: no reason given");
            self.archive.note(Read::Refused, &about, &actor, self.now)?;
            return Err(DeskError::NoReason);
        }
        Ok((actor, reach))
    }

    /// For what concerns the whole store.
    fn may_everywhere(&mut self, deed: Deed, about: &str) -> Result<Actor, DeskError> {
        let (actor, reach) = self.may(deed, about)?;
        if reach == Reach::All {
            return Ok(actor);
        }
        Err(self.refuse(
            deed,
            "here: that takes a role over all subscriptions",
            about,
        )?)
    }

    fn may_over(
        &mut self,
        deed: Deed,
        subscription: &SubscriptionId,
        about: &str,
    ) -> Result<Actor, DeskError> {
        let (actor, reach) = self.may(deed, about)?;
        if reach.holds(subscription) {
            return Ok(actor);
        }
        Err(self.refuse(deed, "here", about)?)
    }

    fn refuse(&mut self, deed: Deed, place: &str, about: &str) -> Result<DeskError, DeskError> {
        let mut roles: Vec<&str> = self
            .access
            .grants
            .iter()
            .map(|grant| grant.role.as_str())
            .collect();
        roles.dedup();
        let roles = roles.join(", ");
        let actor = self.actor(&roles);
        self.archive.note(Read::Refused, about, &actor, self.now)?;
        let id = &self.access.id;
        Ok(DeskError::Denied(format!(
            "`{id}` ({roles}) may not {} {place}; the refusal is on the audit log",
            deed.as_str()
        )))
    }

    fn actor(&self, role: &str) -> Actor {
        Actor {
            by: self.access.id.to_string(),
            role: role.to_owned(),
            reason: self.reason.as_deref().map(shortened).unwrap_or_default(),
        }
    }
}

/// What a search takes: words and people are content.
fn deed_of(query: &Query) -> Deed {
    if query.with_content || query.text.is_some() || query.person.is_some() {
        Deed::ReadContent
    } else {
        Deed::ReadUsage
    }
}

/// Whether a record's verdicts and rule may be shown.
pub fn shows_verdicts(found: &Found, reach: Option<&Reach>) -> bool {
    reach.is_some_and(|reach| reach.holds(&found.skeleton.subscription))
}

/// What has become of a record's content, in a word or two.
pub fn content_state(found: &Found) -> String {
    let has_content =
        found.skeleton.prompt_bytes.is_some() || found.skeleton.answer_bytes.is_some();
    match &found.content {
        State::Gone { by } => format!("gone by {by}"),
        State::Unreadable => "unreadable".to_owned(),
        _ if !has_content => "none".to_owned(),
        State::Here(_) => "here".to_owned(),
        State::Closed => "closed".to_owned(),
    }
}

fn scope(reach: Reach) -> Scope {
    match reach {
        Reach::All => Scope::All,
        Reach::Subscriptions(ids) => Scope::Subscriptions(ids),
    }
}

fn narrowed(scope: Scope, reach: Reach) -> Scope {
    match (scope, reach) {
        (scope, Reach::All) => scope,
        (Scope::All, Reach::Subscriptions(ids)) => Scope::Subscriptions(ids),
        (Scope::Subscriptions(ids), Reach::Subscriptions(others)) => {
            let both: BTreeSet<SubscriptionId> = ids.intersection(&others).cloned().collect();
            Scope::Subscriptions(both)
        }
    }
}

/// What a visitor writes must not fill the log.
fn shortened(text: &str) -> String {
    const BYTES_MAX: usize = 1024;
    text[..text.floor_char_boundary(BYTES_MAX)].to_owned()
}
