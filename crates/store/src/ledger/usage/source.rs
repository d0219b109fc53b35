//! Where sums are read, and what their tables call the names that a report asks for.

use super::UsageBy;
use crate::ledger::sums::AMOUNTS;

/// Where sums are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Daily,
    DailyByUser,
    Hourly,
    Calls,
    /// Downgraded calls, under the model that answered: they are taken off.
    Answered,
    /// The same calls under the model that was asked for.
    Asked,
}

impl Source {
    pub(super) fn table(self) -> &'static str {
        match self {
            Self::Daily => "usage_daily",
            Self::DailyByUser => "usage_daily_by_user",
            Self::Hourly => "usage_hourly",
            Self::Calls | Self::Answered | Self::Asked => "calls",
        }
    }

    pub(super) fn is_sums(self) -> bool {
        matches!(self, Self::Daily | Self::DailyByUser | Self::Hourly)
    }

    /// Sums by user have fewer names, or there would be as many of them as calls.
    pub(super) fn tells(self, by: UsageBy) -> bool {
        let is_left_out = matches!(by, UsageBy::Backend | UsageBy::Outcome | UsageBy::Cache);
        self != Self::DailyByUser || !is_left_out
    }

    /// Constants, never a caller's text. `None`: a time, which is no column.
    pub(super) fn column(self, by: UsageBy) -> Option<&'static str> {
        Some(match (by, self) {
            (UsageBy::Subscription, _) => "subscription",
            (UsageBy::Application, source) if source.is_sums() => "application",
            (UsageBy::Application, _) => "ifnull(application, '')",
            (UsageBy::Product, _) => "product",
            (UsageBy::Model, _) => "model",
            (UsageBy::AskedModel, Self::Asked) => "asked_model",
            (UsageBy::AskedModel, _) => "model",
            (UsageBy::Backend, source) if source.is_sums() => "backend",
            (UsageBy::Backend, _) => "ifnull(backend, '')",
            (UsageBy::Outcome, _) => "outcome",
            (UsageBy::Cache, _) => "cache",
            (UsageBy::User, Self::Calls | Self::Answered | Self::Asked) => "ifnull(user, '')",
            (UsageBy::User, Self::DailyByUser) => "user",
            // Only calls without detail are looked for there: nobody knows whose they were.
            (UsageBy::User, Self::Hourly | Self::Daily) => "''",
            (UsageBy::Day | UsageBy::Hour, _) => return None,
        })
    }

    pub(super) fn sums(self) -> String {
        let sum = |(name, of_call): (&str, &str)| match self {
            Self::Daily | Self::DailyByUser | Self::Hourly => format!(", sum({name})"),
            Self::Calls | Self::Answered | Self::Asked => format!(", sum({of_call})"),
        };
        AMOUNTS.map(sum).concat()
    }
}
