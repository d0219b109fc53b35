//! The five requests of a producer, each in one version that brokers from 0.11 to 4 and Event Hubs
//! know.

use std::collections::HashMap;

use crate::error::Code;
use crate::wire::{Malformed, Reader, Writer};

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    Produce,
    Metadata,
    SaslHandshake,
    Versions,
    SaslAuthenticate,
}

impl Api {
    pub fn key(self) -> i16 {
        match self {
            Self::Produce => 0,
            Self::Metadata => 3,
            Self::SaslHandshake => 17,
            Self::Versions => 18,
            Self::SaslAuthenticate => 36,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Produce => "Produce",
            Self::Metadata => "Metadata",
            Self::SaslHandshake => "SaslHandshake",
            Self::Versions => "ApiVersions",
            Self::SaslAuthenticate => "SaslAuthenticate",
        }
    }

    /// The versions that are written and read here: the lowest and the highest.
    fn ours(self) -> (i16, i16) {
        match self {
            Self::Produce => (3, 7),
            Self::Metadata => (4, 4),
            Self::SaslHandshake => (1, 1),
            Self::Versions => (0, 0),
            Self::SaslAuthenticate => (0, 1),
        }
    }
}

/// What a broker speaks.
#[derive(Clone, Debug, Default)]
pub struct Versions {
    ranges: HashMap<i16, (i16, i16)>,
}

impl Versions {
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        // A broker that does not know the request's version says so, and lists its own all the same.
        let _code = reader.int16()?;
        let ranges = reader.items(|item| Ok((item.int16()?, (item.int16()?, item.int16()?))))?;
        Ok(Self {
            ranges: ranges.into_iter().collect(),
        })
    }

    /// The highest that both speak, or the one that we would have needed.
    pub fn of(&self, api: Api) -> Result<i16, i16> {
        let (low, high) = api.ours();
        let (broker_low, broker_high) = self.ranges.get(&api.key()).copied().unwrap_or((0, -1));
        let version = high.min(broker_high);
        if version < low.max(broker_low) {
            return Err(high);
        }
        Ok(version)
    }
}

/// Of one topic.
#[derive(Clone, Debug)]
pub struct Metadata {
    /// Node id, host, port.
    pub brokers: Vec<(i32, String, u16)>,
    pub code: Code,
    /// Each with its leader, if it has one; by partition.
    pub leaders: Vec<Option<i32>>,
}

impl Metadata {
    pub fn request(topic: &str) -> Vec<u8> {
        let mut request = Writer::default();
        request.length(1);
        request.string(topic);
        request.int8(1); // The broker may create the topic, if its own settings let it.
        request.0
    }

    pub fn read(bytes: &[u8], topic: &str) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let _throttle_ms = reader.int32()?;
        let brokers = reader.items(|broker| {
            let (id, host) = (broker.int32()?, broker.string()?.to_owned());
            let port = u16::try_from(broker.int32()?).map_err(|_| Malformed)?;
            let _rack = broker.nullable_string()?;
            Ok((id, host, port))
        })?;
        let _cluster = reader.nullable_string()?;
        let _controller = reader.int32()?;
        let topics = reader.items(|topic| {
            let (code, name) = (Code(topic.int16()?), topic.string()?.to_owned());
            let _is_internal = topic.int8()?;
            let partitions = topic.items(|partition| {
                let _code = partition.int16()?;
                let (index, leader) = (partition.int32()?, partition.int32()?);
                let _replicas = partition.items(Reader::int32)?;
                let _in_sync = partition.items(Reader::int32)?;
                Ok((index, leader))
            })?;
            Ok((name, code, partitions))
        })?;
        let found = topics.into_iter().find(|(name, _, _)| name == topic);
        let (_, code, mut partitions) = found.ok_or(Malformed)?;
        partitions.sort_unstable();
        // Keys are spread by the number of partitions: there must be no gap.
        let is_whole = (0..).zip(&partitions).all(|(at, (index, _))| at == *index);
        if !is_whole {
            return Err(Malformed);
        }
        let leaders = partitions
            .into_iter()
            .map(|(_, leader)| (leader >= 0).then_some(leader))
            .collect();
        Ok(Self {
            brokers,
            code,
            leaders,
        })
    }
}

/// Batches for partitions of one topic that share a leader. All replicas in sync acknowledge.
pub fn produce(topic: &str, timeout_ms: i32, batches: &[(i32, Vec<u8>)]) -> Vec<u8> {
    const ALL_IN_SYNC: i16 = -1;
    let mut request = Writer::default();
    request.no_string(); // No transaction.
    request.int16(ALL_IN_SYNC);
    request.int32(timeout_ms);
    request.length(1);
    request.string(topic);
    request.length(batches.len());
    for (partition, batch) in batches {
        request.int32(*partition);
        request.bytes(batch);
    }
    request.0
}

/// Each partition's code.
pub fn read_produced(bytes: &[u8], version: i16) -> Result<Vec<(i32, Code)>, Malformed> {
    let mut reader = Reader::new(bytes);
    let topics = reader.items(|topic| {
        let _name = topic.string()?;
        topic.items(|partition| {
            let (index, code) = (partition.int32()?, Code(partition.int16()?));
            let _offset = partition.int64()?;
            let _append_time = partition.int64()?;
            if version >= 5 {
                let _log_start = partition.int64()?;
            }
            Ok((index, code))
        })
    })?;
    Ok(topics.into_iter().flatten().collect())
}

pub fn sasl_handshake(mechanism: &str) -> Vec<u8> {
    let mut request = Writer::default();
    request.string(mechanism);
    request.0
}

/// The code, and the mechanisms that the broker offers.
pub fn read_sasl_handshake(bytes: &[u8]) -> Result<(Code, Vec<String>), Malformed> {
    let mut reader = Reader::new(bytes);
    let code = Code(reader.int16()?);
    let offered = reader.items(|item| item.string().map(str::to_owned))?;
    Ok((code, offered))
}

pub fn sasl_authenticate(bytes: &[u8]) -> Vec<u8> {
    let mut request = Writer::default();
    request.bytes(bytes);
    request.0
}

/// The broker's part of the exchange, or why it ended it.
pub fn read_sasl_authenticate(bytes: &[u8]) -> Result<Result<Vec<u8>, String>, Malformed> {
    let mut reader = Reader::new(bytes);
    let code = Code(reader.int16()?);
    let message = reader.nullable_string()?;
    if code != Code::NONE {
        return Ok(Err(message.map_or_else(|| code.to_string(), shown)));
    }
    reader.bytes().map(|bytes| Ok(bytes.to_vec()))
}

/// A broker's own words, as a log may show them.
pub fn shown(text: &str) -> String {
    const CHARACTERS_MAX: usize = 200;
    let visible = text.chars().filter(|c| !c.is_control());
    visible.take(CHARACTERS_MAX).collect()
}
