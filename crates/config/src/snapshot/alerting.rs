//! Alerts: what is told, and where it is sent.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use domain::ChannelId;
use domain::limit::Period;

use super::Secret;

#[derive(Clone, Debug, Default)]
pub struct Alerting {
    pub channels: HashMap<ChannelId, Arc<Channel>>,
    /// In the order in which they are written.
    pub rules: Vec<Arc<AlertRule>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    pub id: ChannelId,
    pub target: ChannelTarget,
}

/// Debug prints no secret: Slack's and Teams' whole URL is one.
#[derive(Clone, Debug, PartialEq)]
pub enum ChannelTarget {
    Webhook {
        url: PrivateUrl,
        key: Option<SigningKey>,
    },
    Slack {
        url: PrivateUrl,
    },
    Teams {
        url: PrivateUrl,
    },
    Smtp(Smtp),
}

/// A URL whose path and query may be a secret. Shown without them.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateUrl(pub url::Url);

impl fmt::Display for PrivateUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())
    }
}

impl fmt::Debug for PrivateUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateUrl({self}/..)")
    }
}

/// What webhooks are signed with: the bytes, not their text.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(pub Arc<[u8]>);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smtp {
    pub host: String,
    pub port: u16,
    pub tls: MailTls,
    pub login: Option<(String, Secret)>,
    pub from: String,
    pub to: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// Begins in the clear and must become TLS before anything is said.
    Starttls,
    /// TLS from the first byte.
    Implicit,
    None,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AlertRule {
    pub name: Arc<str>,
    pub condition: AlertCondition,
    pub notify: Vec<ChannelId>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum AlertCondition {
    /// A budget will be used up before its period ends, with at least this probability.
    Forecast {
        certainty: f64,
        /// By name; none: all.
        budgets: Vec<Arc<str>>,
    },
    /// An hour unlike the same hours of earlier days.
    Pace {
        of: PaceSubject,
        measure: PaceMeasure,
        factor: f64,
        direction: Direction,
    },
    /// A model without a price was called; told once for each model and period.
    Unpriced {
        every: Period,
    },
    BreakerOpen {
        lasting: Duration,
    },
    /// Tokens for backends or keys of issuers cannot be fetched.
    CredentialFailure {
        lasting: Duration,
    },
    /// A sink fails, or is behind.
    SinkTrouble {
        lasting: Duration,
    },
    /// The journal or the database cannot be written.
    LedgerFault {
        lasting: Duration,
    },
    /// An audit store cannot take records, or cannot chain them.
    AuditFault {
        lasting: Duration,
    },
}

impl AlertCondition {
    /// As it is written in the configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Forecast { .. } => "forecast",
            Self::Pace { .. } => "pace",
            Self::Unpriced { .. } => "unpriced",
            Self::BreakerOpen { .. } => "breaker_open",
            Self::CredentialFailure { .. } => "credential_failure",
            Self::SinkTrouble { .. } => "sink_trouble",
            Self::LedgerFault { .. } => "ledger_fault",
            Self::AuditFault { .. } => "audit_fault",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PaceSubject {
    Subscription,
    Application,
}

impl PaceSubject {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subscription => "subscription",
            Self::Application => "application",
        }
    }
}

/// What an hour is measured by, and below what amount it is never told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PaceMeasure {
    /// In nanos of the ledger's currency.
    Cost {
        minimum: u64,
    },
    Tokens {
        minimum: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Faster,
    Slower,
    Either,
}
