//! Why something was not sent, and whether that may pass.

use crate::wire::Malformed;

/// For logs: names hosts and topics, never a credential.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{broker}` cannot be reached")]
    Unreachable {
        broker: String,
        #[source]
        source: std::io::Error,
    },
    #[error("`{broker}` is no host with a port")]
    Address { broker: String },
    #[error("`{broker}` did not answer within {seconds} s")]
    TimedOut { broker: String, seconds: u64 },
    #[error("the connection to `{broker}` broke")]
    Broken {
        broker: String,
        #[source]
        source: std::io::Error,
    },
    #[error("`{broker}` does not speak Kafka as expected: is it a TLS port, or another protocol?")]
    Malformed { broker: String },
    #[error("`{broker}` does not speak version {version} of {api}")]
    Version {
        broker: String,
        api: &'static str,
        version: i16,
    },
    #[error("`{broker}` refused the login: {reason}")]
    Login { broker: String, reason: String },
    #[error("`{broker}` does not offer the login {wanted}, but: {offered}")]
    Mechanism {
        broker: String,
        wanted: &'static str,
        offered: String,
    },
    #[error("topic `{topic}`: {code}")]
    Topic { topic: String, code: Code },
    #[error("topic `{topic}`, partition {partition}: {code}")]
    Partition {
        topic: String,
        partition: i32,
        code: Code,
    },
    #[error("records could not be compressed")]
    Compression(#[source] std::io::Error),
}

impl Error {
    pub(crate) fn malformed(broker: &str) -> impl Fn(Malformed) -> Self {
        |Malformed| Self::Malformed {
            broker: broker.to_owned(),
        }
    }

    /// Whether trying again with fresh connections and metadata may help at once.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Broken { .. } => true,
            Self::Topic { code, .. } | Self::Partition { code, .. } => code.may_pass(),
            Self::Address { .. }
            | Self::Malformed { .. }
            | Self::Version { .. }
            | Self::Login { .. }
            | Self::Mechanism { .. }
            | Self::Compression(_) => false,
        }
    }

    /// The broker did not accept who we are: a token may have ended early.
    pub fn is_login(&self) -> bool {
        matches!(self, Self::Login { .. })
    }
}

/// A broker's error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(pub i16);

impl Code {
    pub const NONE: Self = Self(0);
    pub const MESSAGE_TOO_LARGE: Self = Self(10);
    pub const RECORD_LIST_TOO_LARGE: Self = Self(18);
    pub const INVALID_RECORD: Self = Self(87);

    /// The names of those that a producer meets, and what to do.
    fn named(self) -> Option<&'static str> {
        Some(match self.0 {
            -1 => "the broker failed for an unknown reason",
            2 => "a batch arrived damaged",
            3 => "unknown topic: create it, or allow the broker to",
            5 => "it has no leader at the moment",
            6 => "the leader has moved",
            7 => "the broker ran out of time",
            8 => "the broker is not available",
            9 => "the replica is not available",
            10 => "the message is larger than the topic takes",
            13 => "the broker lost its controller",
            17 => "the topic's name is not valid",
            18 => "the batch is larger than a log segment",
            19 => "too few replicas are in sync",
            20 => "too few replicas were in sync: some may have it",
            29 => {
                "not permitted to write to the topic: grant this login `Write` (Event Hubs: the role `Azure Event Hubs Data Sender`)"
            }
            31 => "not permitted to write to the cluster",
            33 => "the broker does not know this login mechanism",
            34 => "the broker expected a login: set `sasl`",
            35 => "the broker does not know this request's version",
            44 => "a policy of the broker refuses it",
            56 => "the broker's disk failed",
            58 => "the login was refused",
            76 => "the broker does not know this compression",
            87 => {
                "the topic refuses the record: compacted topics need keys, and validation may apply"
            }
            _ => return None,
        })
    }

    fn may_pass(self) -> bool {
        matches!(self.0, -1 | 2 | 3 | 5..=9 | 13 | 19 | 20 | 56)
    }

    /// Of this very record, not of the way to the broker.
    pub(crate) fn is_about_size(self) -> bool {
        self == Self::MESSAGE_TOO_LARGE || self == Self::RECORD_LIST_TOO_LARGE
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.named() {
            Some(name) => write!(f, "{name} (code {})", self.0),
            None => write!(f, "the broker answered with error code {}", self.0),
        }
    }
}
