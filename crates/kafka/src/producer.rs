//! Sends messages to the leaders of their partitions, until all of them are acknowledged.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::batch::{self, Compression, Message};
use crate::connection::{Connection, Way};
use crate::error::{Code, Error};
use crate::messages::{Api, Metadata, produce, read_produced};
use crate::partition::partition_of;
use crate::sasl::Sasl;

pub use crate::connection::Way as Options;

/// Before the caller hears of a failure that may pass: a leader that moved is found at the second.
const TRIES: u32 = 3;
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// Partitions that are added to a topic break nothing, so nothing but asking again finds them.
const METADATA_USES_MAX: u32 = 1000;

/// Connections to brokers, and who leads which partition of one topic. Cheap until it sends.
pub struct Producer {
    way: Way,
    bootstrap: Vec<String>,
    topic: String,
    compression: Compression,
    metadata: Option<Metadata>,
    /// Rounds since it was asked for.
    metadata_uses: u32,
    /// By address: to leaders, and to whom metadata was asked of.
    connections: HashMap<String, Connection>,
}

/// A message that the topic will never take, by its place among those sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub index: usize,
    pub reason: String,
}

/// One partition's messages, by their place.
type Shares = BTreeMap<usize, Vec<usize>>;

impl Producer {
    pub fn new(way: Way, bootstrap: Vec<String>, topic: String, compression: Compression) -> Self {
        Self {
            way,
            bootstrap,
            topic,
            compression,
            metadata: None,
            metadata_uses: 0,
            connections: HashMap::new(),
        }
    }

    /// Returns when all in-sync replicas have every message but the refused ones, which are added.
    /// After an error some may be there; `acknowledged` tells which need no further try.
    pub async fn send(
        &mut self,
        messages: &[Message],
        acknowledged: &mut [bool],
        refused: &mut Vec<Refused>,
        login: Option<&Sasl>,
    ) -> Result<(), Error> {
        let mut tries = 0;
        // Messages in one batch; less after a broker found a batch too large.
        let mut batch_max = messages.len().max(1);
        loop {
            let before = batch_max;
            let round = Round {
                messages,
                acknowledged: &mut *acknowledged,
                refused: &mut *refused,
                batch_max: &mut batch_max,
            };
            let Err(error) = self.round(round, login).await else {
                if acknowledged.iter().all(|is_there| *is_there) {
                    return Ok(());
                }
                continue;
            };
            // What is known may be what is wrong.
            self.metadata = None;
            if batch_max < before {
                continue;
            }
            tries += 1;
            if tries == TRIES || !error.may_pass() {
                self.connections.clear();
                return Err(error);
            }
            tokio::time::sleep(RETRY_PAUSE * tries).await;
        }
    }

    /// One request to each leader.
    async fn round(&mut self, mut round: Round<'_>, login: Option<&Sasl>) -> Result<(), Error> {
        let metadata = self.metadata(login).await?;
        let shares = round.shares(metadata.leaders.len());
        let mut by_leader: BTreeMap<&str, Shares> = BTreeMap::new();
        let addresses = addresses(&metadata);
        for (partition, share) in shares {
            let leader = metadata.leaders.get(partition).copied().flatten();
            let Some(address) = leader.and_then(|leader| addresses.get(&leader)) else {
                const NO_LEADER: Code = Code(5);
                return Err(self.partition_error(partition, NO_LEADER));
            };
            by_leader
                .entry(address)
                .or_default()
                .insert(partition, share);
        }
        let mut failed = None;
        for (address, shares) in by_leader {
            // Other leaders still get theirs.
            if let Err(error) = self.produce(address, &shares, &mut round, login).await {
                failed.get_or_insert(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn produce(
        &mut self,
        address: &str,
        shares: &Shares,
        round: &mut Round<'_>,
        login: Option<&Sasl>,
    ) -> Result<(), Error> {
        let mut batches = Vec::with_capacity(shares.len());
        for (partition, share) in shares {
            let messages: Vec<&Message> =
                share.iter().map(|index| &round.messages[*index]).collect();
            let batch = batch::encode(&messages, self.compression).map_err(Error::Compression)?;
            batches.push((i32::try_from(*partition).unwrap_or(i32::MAX), batch));
        }
        let timeout_ms = i32::try_from(self.way.timeout.as_millis()).unwrap_or(i32::MAX);
        let request = produce(&self.topic, timeout_ms, &batches);
        let mut connection = self.connection(address, login).await?;
        let version = connection.version(Api::Produce)?;
        let answer = connection.call(Api::Produce, &request).await?;
        let codes = read_produced(&answer, version).map_err(Error::malformed(address))?;
        self.connections.insert(address.to_owned(), connection);
        let codes: HashMap<i32, Code> = codes.into_iter().collect();
        let mut failed = None;
        for ((partition, share), (number, _)) in shares.iter().zip(&batches) {
            // Not a word about a partition is no acknowledgement.
            let code = codes.get(number).copied().unwrap_or(Code(-1));
            if round.settles(share, code) {
                continue;
            }
            failed.get_or_insert(self.partition_error(*partition, code));
        }
        failed.map_or(Ok(()), Err)
    }

    async fn metadata(&mut self, login: Option<&Sasl>) -> Result<Metadata, Error> {
        self.metadata_uses += 1;
        if self.metadata_uses > METADATA_USES_MAX {
            self.metadata = None;
        }
        if let Some(known) = &self.metadata {
            return Ok(known.clone());
        }
        let mut failed = None;
        // Whom we are connected to knows as well as anyone, and is there.
        let connected = self.connections.keys().cloned();
        let asked: Vec<String> = connected.chain(self.bootstrap.iter().cloned()).collect();
        for address in asked {
            match self.ask_for_metadata(&address, login).await {
                Ok(metadata) => {
                    self.metadata_uses = 0;
                    return Ok(self.metadata.insert(metadata).clone());
                }
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        Err(failed.unwrap_or_else(|| Error::Address {
            broker: String::new(),
        }))
    }

    async fn ask_for_metadata(
        &mut self,
        address: &str,
        login: Option<&Sasl>,
    ) -> Result<Metadata, Error> {
        let mut connection = self.connection(address, login).await?;
        let request = Metadata::request(&self.topic);
        let answer = connection.call(Api::Metadata, &request).await?;
        let metadata = Metadata::read(&answer, &self.topic).map_err(Error::malformed(address))?;
        self.connections.insert(address.to_owned(), connection);
        if metadata.code != Code::NONE || metadata.leaders.is_empty() {
            return Err(Error::Topic {
                topic: self.topic.clone(),
                code: metadata.code,
            });
        }
        Ok(metadata)
    }

    /// Out of the map while it is used: one that broke, or whose use was cut short, is not put back.
    async fn connection(
        &mut self,
        address: &str,
        login: Option<&Sasl>,
    ) -> Result<Connection, Error> {
        match self.connections.remove(address) {
            Some(connection) => Ok(connection),
            None => Connection::open(address, &self.way, login).await,
        }
    }

    fn partition_error(&self, partition: usize, code: Code) -> Error {
        Error::Partition {
            topic: self.topic.clone(),
            partition: i32::try_from(partition).unwrap_or(i32::MAX),
            code,
        }
    }
}

fn addresses(metadata: &Metadata) -> HashMap<i32, String> {
    let address = |host: &str, port: u16| {
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    };
    metadata
        .brokers
        .iter()
        .map(|(id, host, port)| (*id, address(host, *port)))
        .collect()
}

/// What one send is at.
struct Round<'r> {
    messages: &'r [Message],
    acknowledged: &'r mut [bool],
    refused: &'r mut Vec<Refused>,
    batch_max: &'r mut usize,
}

impl Round<'_> {
    /// The next messages of each partition, in order. One batch each, so that a batch that fails
    /// is never overtaken by a later one.
    fn shares(&self, partitions: usize) -> Shares {
        let mut shares = Shares::new();
        for (index, message) in self.messages.iter().enumerate() {
            if self.acknowledged[index] {
                continue;
            }
            let share = shares
                .entry(partition_of(&message.key, partitions))
                .or_default();
            if share.len() < *self.batch_max {
                share.push(index);
            }
        }
        shares
    }

    /// True if the broker's word on these is final.
    fn settles(&mut self, share: &[usize], code: Code) -> bool {
        if code == Code::NONE {
            for index in share {
                self.acknowledged[*index] = true;
            }
            return true;
        }
        let is_about_them = code.is_about_size() || code == Code::INVALID_RECORD;
        if !is_about_them {
            return false;
        }
        if let [index] = *share {
            self.acknowledged[index] = true;
            self.refused.push(Refused {
                index,
                reason: code.to_string(),
            });
            return true;
        }
        // Smaller batches find out which of them it is.
        *self.batch_max = (*self.batch_max).min(share.len().div_ceil(2)).max(1);
        false
    }
}
