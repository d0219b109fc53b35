//! What an entry of the chain says: its header, in the clear and hashed, and its sealed details.
//!
//! A header names no person. Who did it and why is sealed under the log's own key.

use std::fmt;
use std::ops::RangeInclusive;

use domain::{CallId, SubscriptionId, Wall};

use crate::AuditError;
use crate::bytes::{self, Malformed, Reader};
use crate::head::Head;
use crate::keys::{DataKey, KeyId};
use crate::record::Skeleton;

const VERSION: u8 = 1;

/// One entry's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Record(Skeleton),
    /// The log begins.
    Opened {
        store: [u8; 16],
        region: String,
        public_key: [u8; 32],
    },
    Read(Read),
    Held(Hold),
    /// The hold that was placed by this entry.
    Released {
        hold: u64,
    },
    Erased {
        subject: Subject,
        /// HMAC-SHA256 of the subject's name under a salt that only the receipt has.
        commitment: [u8; 32],
        keys: Vec<KeyId>,
        records: u64,
    },
    Purged {
        /// Entries whose content went.
        ranges: Vec<RangeInclusive<u64>>,
        /// Keys that sealed nothing any more.
        keys: Vec<KeyId>,
    },
    Head(Head),
    /// The key-encryption key's id before and after.
    Rotated {
        from: String,
        to: String,
    },
    /// Places in a segment that could not be read when their records were to be chained.
    Damaged {
        segment: u64,
        places: u64,
    },
    /// The chain lacked what the key file knew of it: entry `known` with that hash.
    RolledBack {
        known: u64,
        hash: [u8; 32],
    },
}

/// What somebody looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    Search,
    Show,
    Export,
    Verify,
    /// Copies went to a sink.
    Forward,
    /// Somebody asked for what their role does not allow, or proved nothing.
    Refused,
}

/// Whose records an erasure destroys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Subscription,
    Person,
}

/// What must not be purged or erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    Subscription(SubscriptionId),
    /// By pseudonym: `Archive::hold_person` makes it of a name.
    Person([u8; 16]),
    Call(CallId),
    /// Calls that began in it, of all subscriptions.
    Time {
        since: Wall,
        until: Wall,
    },
}

/// Who did it, in which role, and why.
#[derive(Clone, PartialEq, Eq)]
pub struct Actor {
    pub by: String,
    pub role: String,
    pub reason: String,
}

/// What is sealed of an entry that is no record.
#[derive(Clone, PartialEq, Eq)]
pub struct Details {
    pub actor: Actor,
    /// What was asked for: a query, ids, a path.
    pub about: String,
}

/// One entry of the chain, with its details if the key is at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub sequence: u64,
    pub at: Wall,
    pub event: Event,
    pub details: Option<Details>,
}

/// As JSON numbers of kinds would be: never reused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Record = 1,
    Opened = 2,
    Read = 3,
    Held = 4,
    Released = 5,
    Erased = 6,
    Purged = 7,
    Head = 8,
    Rotated = 9,
    Damaged = 10,
    RolledBack = 11,
}

/// Where a record's skeleton begins.
pub(crate) fn put_record_mark(header: &mut Vec<u8>) {
    header.extend_from_slice(&[Kind::Record as u8, VERSION]);
}

pub(crate) fn is_record(header: &[u8]) -> bool {
    header.first() == Some(&(Kind::Record as u8))
}

impl Event {
    /// Records are written by `put_skeleton`: for them this is empty.
    pub(crate) fn to_header(&self) -> Vec<u8> {
        let mut header = Vec::with_capacity(64);
        let mut begin = |kind: Kind| header.extend_from_slice(&[kind as u8, VERSION]);
        match self {
            Self::Record(_) => {}
            Self::Opened {
                store,
                region,
                public_key,
            } => {
                begin(Kind::Opened);
                header.extend_from_slice(store);
                bytes::put_text(&mut header, region);
                header.extend_from_slice(public_key);
            }
            Self::Read(read) => {
                begin(Kind::Read);
                header.push(read_code(*read));
            }
            Self::Held(hold) => {
                begin(Kind::Held);
                hold.put(&mut header);
            }
            Self::Released { hold } => {
                begin(Kind::Released);
                bytes::put_u64(&mut header, *hold);
            }
            Self::Erased {
                subject,
                commitment,
                keys,
                records,
            } => {
                begin(Kind::Erased);
                header.push(match subject {
                    Subject::Subscription => 1,
                    Subject::Person => 2,
                });
                header.extend_from_slice(commitment);
                bytes::put_u64(&mut header, *records);
                put_keys(&mut header, keys);
            }
            Self::Purged { ranges, keys } => {
                begin(Kind::Purged);
                bytes::put_u32(&mut header, ranges.len() as u32);
                for range in ranges {
                    bytes::put_u64(&mut header, *range.start());
                    bytes::put_u64(&mut header, *range.end());
                }
                put_keys(&mut header, keys);
            }
            Self::Head(head) => {
                begin(Kind::Head);
                head.put(&mut header);
            }
            Self::Rotated { from, to } => {
                begin(Kind::Rotated);
                bytes::put_text(&mut header, from);
                bytes::put_text(&mut header, to);
            }
            Self::Damaged { segment, places } => {
                begin(Kind::Damaged);
                bytes::put_u64(&mut header, *segment);
                bytes::put_u64(&mut header, *places);
            }
            Self::RolledBack { known, hash } => {
                begin(Kind::RolledBack);
                bytes::put_u64(&mut header, *known);
                header.extend_from_slice(hash);
            }
        }
        header
    }

    pub(crate) fn from_header(header: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(header);
        let kind = reader.u8()?;
        if reader.u8()? != VERSION {
            return Err(Malformed);
        }
        let event = match kind {
            1 => Self::Record(Skeleton::read(&mut reader)?),
            2 => Self::Opened {
                store: reader.array()?,
                region: reader.text()?.to_owned(),
                public_key: reader.array()?,
            },
            3 => Self::Read(read(reader.u8()?)?),
            4 => Self::Held(Hold::read(&mut reader)?),
            5 => Self::Released {
                hold: reader.u64()?,
            },
            6 => Self::Erased {
                subject: match reader.u8()? {
                    1 => Subject::Subscription,
                    2 => Subject::Person,
                    _ => return Err(Malformed),
                },
                commitment: reader.array()?,
                records: reader.u64()?,
                keys: keys(&mut reader)?,
            },
            7 => {
                let count = reader.u32()?;
                let mut ranges = Vec::new();
                for _ in 0..count {
                    ranges.push(reader.u64()?..=reader.u64()?);
                }
                Self::Purged {
                    ranges,
                    keys: keys(&mut reader)?,
                }
            }
            8 => Self::Head(Head::read(&mut reader)?),
            9 => Self::Rotated {
                from: reader.text()?.to_owned(),
                to: reader.text()?.to_owned(),
            },
            10 => Self::Damaged {
                segment: reader.u64()?,
                places: reader.u64()?,
            },
            11 => Self::RolledBack {
                known: reader.u64()?,
                hash: reader.array()?,
            },
            _ => return Err(Malformed),
        };
        reader.end()?;
        Ok(event)
    }
}

fn put_keys(header: &mut Vec<u8>, keys: &[KeyId]) {
    bytes::put_u32(header, keys.len() as u32);
    for key in keys {
        bytes::put_u64(header, key.0);
    }
}

fn keys(reader: &mut Reader<'_>) -> Result<Vec<KeyId>, Malformed> {
    Ok(reader.u64s()?.into_iter().map(KeyId).collect())
}

fn read_code(read: Read) -> u8 {
    match read {
        Read::Search => 1,
        Read::Show => 2,
        Read::Export => 3,
        Read::Verify => 4,
        Read::Forward => 5,
        Read::Refused => 6,
    }
}

fn read(code: u8) -> Result<Read, Malformed> {
    [
        Read::Search,
        Read::Show,
        Read::Export,
        Read::Verify,
        Read::Forward,
        Read::Refused,
    ]
    .into_iter()
    .find(|read| read_code(*read) == code)
    .ok_or(Malformed)
}

impl Hold {
    pub(crate) fn put(&self, header: &mut Vec<u8>) {
        match self {
            Self::Subscription(id) => {
                header.push(1);
                bytes::put_text(header, id.as_str());
            }
            Self::Person(pseudonym) => {
                header.push(2);
                header.extend_from_slice(pseudonym);
            }
            Self::Call(id) => {
                header.push(3);
                header.extend_from_slice(&id.0.to_be_bytes());
            }
            Self::Time { since, until } => {
                header.push(4);
                header.extend_from_slice(&since.0.to_be_bytes());
                header.extend_from_slice(&until.0.to_be_bytes());
            }
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match reader.u8()? {
            1 => Self::Subscription(reader.text()?.into()),
            2 => Self::Person(reader.array()?),
            3 => Self::Call(CallId(u128::from_be_bytes(reader.array()?))),
            4 => Self::Time {
                since: Wall(reader.i64()?),
                until: Wall(reader.i64()?),
            },
            _ => return Err(Malformed),
        })
    }

    /// `person` is the pseudonym of the record's key, unless that is destroyed.
    pub(crate) fn covers(&self, record: &Skeleton, person: Option<[u8; 16]>) -> bool {
        match self {
            Self::Subscription(id) => *id == record.subscription,
            Self::Person(pseudonym) => Some(*pseudonym) == person,
            Self::Call(id) => *id == record.call,
            Self::Time { since, until } => *since <= record.at && record.at < *until,
        }
    }
}

impl Details {
    /// As those may read it who may not read content: words that were searched for are content.
    #[must_use]
    pub fn for_others(mut self) -> Self {
        // Earlier versions told people by name.
        let hidden = ["text=", "person="].into_iter().filter_map(|name| {
            let at = self.about.match_indices(name).map(|(at, _)| at);
            let mut at = at.filter(|at| *at == 0 || self.about[..*at].ends_with(' '));
            at.next()
        });
        if let Some(end) = hidden.min() {
            self.about.truncate(end);
            self.about.push('…');
        }
        self
    }

    fn to_bytes(&self) -> Vec<u8> {
        let Self {
            actor: Actor { by, role, reason },
            about,
        } = self;
        let mut plain = Vec::new();
        for text in [by, role, reason, about] {
            bytes::put_text(&mut plain, text);
        }
        plain
    }

    /// Under the log's own key, for the entry with that header.
    pub(crate) fn sealed(&self, key: &DataKey, header: &[u8]) -> Result<Vec<u8>, AuditError> {
        let mut sealed = self.to_bytes();
        key.key.seal(&mut sealed, 0, header)?;
        Ok(sealed)
    }

    pub(crate) fn read(plain: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(plain);
        let mut text = || reader.text().map(ToOwned::to_owned);
        let actor = Actor {
            by: text()?,
            role: text()?,
            reason: text()?,
        };
        let details = Self {
            actor,
            about: text()?,
        };
        reader.end()?;
        Ok(details)
    }
}

/// Reasons and queries may name people.
impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Actor(..)")
    }
}

impl fmt::Debug for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Details(..)")
    }
}
