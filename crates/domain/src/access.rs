//! Who may do what with audit records: roles, what each allows, and over whose records.
//!
//! Whoever reads content cannot erase it, and whoever erases cannot read it: so that nobody can
//! remove what they have seen, or look at what they are asked to remove.

use std::collections::BTreeSet;

use crate::SubscriptionId;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads content, with a reason; puts records on hold.
    Auditor,
    /// Erases, purges and rotates keys; reads metadata.
    Admin,
    /// Reads what calls used and cost.
    Finance,
    /// Reads metadata.
    Viewer,
    /// Reads metadata of subscriptions of their own.
    Owner,
}

/// Something that can be done with audit records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// Who called which model when, how it ended, its tokens and its cost.
    ReadUsage,
    /// What guards found and which rules refused calls.
    ReadVerdicts,
    /// Prompts, answers and people; searches by words and by person.
    ReadContent,
    Verify,
    Hold,
    Release,
    Erase,
    Purge,
    RotateKeys,
    ReadState,
}

/// Over whose records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    All,
    Subscriptions(BTreeSet<SubscriptionId>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub role: Role,
    pub reach: Reach,
}

impl Role {
    pub const ALL: [Self; 5] = [
        Self::Auditor,
        Self::Admin,
        Self::Finance,
        Self::Viewer,
        Self::Owner,
    ];

    /// As it is configured, and as the audit log has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auditor => "auditor",
            Self::Admin => "admin",
            Self::Finance => "finance",
            Self::Viewer => "viewer",
            Self::Owner => "owner",
        }
    }

    pub fn may(self, deed: Deed) -> bool {
        match deed {
            Deed::ReadUsage => true,
            Deed::ReadVerdicts => !matches!(self, Self::Finance),
            Deed::ReadContent | Deed::Hold | Deed::Release => matches!(self, Self::Auditor),
            Deed::Erase | Deed::Purge | Deed::RotateKeys => matches!(self, Self::Admin),
            Deed::Verify => matches!(self, Self::Auditor | Self::Admin),
            Deed::ReadState => matches!(self, Self::Auditor | Self::Admin | Self::Viewer),
        }
    }
}

impl Deed {
    pub const ALL: [Self; 10] = [
        Self::ReadUsage,
        Self::ReadVerdicts,
        Self::ReadContent,
        Self::Verify,
        Self::Hold,
        Self::Release,
        Self::Erase,
        Self::Purge,
        Self::RotateKeys,
        Self::ReadState,
    ];

    /// Whether one must say why: content is looked into, or something changes.
    pub fn needs_reason(self) -> bool {
        match self {
            Self::ReadContent
            | Self::Hold
            | Self::Release
            | Self::Erase
            | Self::Purge
            | Self::RotateKeys => true,
            Self::ReadUsage | Self::ReadVerdicts | Self::Verify | Self::ReadState => false,
        }
    }

    /// Follows "may not".
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadUsage => "read records",
            Self::ReadVerdicts => "read what guards found",
            Self::ReadContent => "read content",
            Self::Verify => "verify the log",
            Self::Hold => "hold records",
            Self::Release => "release a hold",
            Self::Erase => "erase records",
            Self::Purge => "purge content",
            Self::RotateKeys => "rotate keys",
            Self::ReadState => "read the log's state",
        }
    }
}

impl Reach {
    pub fn holds(&self, subscription: &SubscriptionId) -> bool {
        match self {
            Self::All => true,
            Self::Subscriptions(ids) => ids.contains(subscription),
        }
    }

    fn joined(self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, _) | (_, Self::All) => Self::All,
            (Self::Subscriptions(mut ids), Self::Subscriptions(more)) => {
                ids.extend(more.iter().cloned());
                Self::Subscriptions(ids)
            }
        }
    }
}

/// The first role that allows it, and the reach of all those that do; `None`: none does.
pub fn reach(grants: &[Grant], deed: Deed) -> Option<(Role, Reach)> {
    let mut allowing = grants.iter().filter(|grant| grant.role.may(deed));
    let first = allowing.next()?;
    let reach = allowing.fold(first.reach.clone(), |reach, grant| {
        reach.joined(&grant.reach)
    });
    Some((first.role, reach))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(ids: &[&str]) -> Reach {
        Reach::Subscriptions(ids.iter().map(|id| SubscriptionId::from(*id)).collect())
    }

    #[test]
    fn content_is_for_auditors_alone_and_nobody_both_reads_and_erases_it() {
        for role in Role::ALL {
            assert_eq!(
                role.may(Deed::ReadContent),
                role == Role::Auditor,
                "{role:?}"
            );
            let removes = [Deed::Erase, Deed::Purge].map(|deed| role.may(deed));
            assert!(
                !(role.may(Deed::ReadContent) && removes.contains(&true)),
                "{role:?}"
            );
        }
    }

    #[test]
    fn finance_sees_usage_and_nothing_that_hints_at_content() {
        let allowed: Vec<Deed> = Deed::ALL
            .into_iter()
            .filter(|deed| Role::Finance.may(*deed))
            .collect();
        assert_eq!(allowed, [Deed::ReadUsage]);
    }

    #[test]
    fn reach_is_that_of_all_roles_that_allow_it_and_of_no_other() {
        let grants = [
            Grant {
                role: Role::Owner,
                reach: only(&["search"]),
            },
            Grant {
                role: Role::Auditor,
                reach: only(&["hr"]),
            },
        ];
        assert_eq!(
            reach(&grants, Deed::ReadUsage),
            Some((Role::Owner, only(&["hr", "search"])))
        );
        assert_eq!(
            reach(&grants, Deed::ReadContent),
            Some((Role::Auditor, only(&["hr"])))
        );
        assert_eq!(reach(&grants, Deed::Erase), None);
        assert_eq!(reach(&[], Deed::ReadUsage), None);
    }
}
