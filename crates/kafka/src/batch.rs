//! Records as a broker stores them: one batch of format 2 for each partition.

use std::io::Write as _;

use bytes::Bytes;
use flate2::write::GzEncoder;

use crate::crc32c::crc32c;
use crate::wire::Writer;

/// One record.
#[derive(Clone, Debug)]
pub struct Message {
    /// Same key, same partition, and so in order.
    pub key: Bytes,
    pub value: Bytes,
    /// Milliseconds since the epoch.
    pub timestamp_ms: i64,
    pub headers: &'static [(&'static str, &'static str)],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    #[default]
    None,
    Gzip,
    /// Brokers know it since 2.1; Event Hubs does not.
    Zstd,
}

impl Compression {
    /// The low bits of a batch's attributes.
    fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Zstd => 4,
        }
    }

    fn compress(self, bytes: Vec<u8>) -> std::io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(bytes),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&bytes)?;
                encoder.finish()
            }
            Self::Zstd => zstd::bulk::compress(&bytes, 3),
        }
    }
}

/// Neither transactional nor numbered.
const NO_PRODUCER: i64 = -1;

pub fn encode(messages: &[&Message], compression: Compression) -> std::io::Result<Vec<u8>> {
    let count = i32::try_from(messages.len()).unwrap_or(i32::MAX);
    let times = messages.iter().map(|message| message.timestamp_ms);
    let first_ms = messages.first().map_or(0, |first| first.timestamp_ms);
    let mut records = Writer::default();
    for (message, offset) in messages.iter().zip(0..) {
        let record = record(message, message.timestamp_ms - first_ms, offset);
        records.var_bytes(&record);
    }
    let mut sealed = Writer::default();
    sealed.int16(compression.code());
    sealed.int32(count - 1);
    sealed.int64(first_ms);
    sealed.int64(times.max().unwrap_or(first_ms));
    sealed.int64(NO_PRODUCER);
    sealed.int16(-1); // Its epoch.
    sealed.int32(-1); // The first record's number.
    sealed.int32(count);
    sealed.0.extend(compression.compress(records.0)?);

    let mut batch = Writer::default();
    batch.int64(0); // The broker sets the offset.
    batch.length(4 + 1 + 4 + sealed.0.len());
    batch.int32(-1); // The leader's epoch, not known here.
    batch.int8(2); // The format.
    batch.0.extend(crc32c(&sealed.0).to_be_bytes());
    batch.0.extend(sealed.0);
    Ok(batch.0)
}

fn record(message: &Message, after_first_ms: i64, offset: i64) -> Vec<u8> {
    let Message {
        key,
        value,
        timestamp_ms: _,
        headers,
    } = message;
    let mut record = Writer::default();
    record.int8(0);
    record.varint(after_first_ms);
    record.varint(offset);
    record.var_bytes(key);
    record.var_bytes(value);
    record.varint(headers.len() as i64);
    for (name, value) in *headers {
        record.var_bytes(name.as_bytes());
        record.var_bytes(value.as_bytes());
    }
    record.0
}
