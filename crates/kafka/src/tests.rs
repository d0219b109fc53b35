//! The producer against a broker that answers as it is told. What it writes is read by an independent
//! broker in `tests/kafka`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::batch::{self, Compression, Message};
use crate::error::{Code, Error};
use crate::messages::{self, Metadata, Versions};
use crate::producer::{Options, Producer, Refused};
use crate::wire::{Reader, Writer};

/// What the broker says to a batch of so many records, by partition.
type Answering = Box<dyn Fn(i32, i32) -> i16 + Send + Sync>;

struct Broker {
    address: String,
    /// Partition and records of each batch that it took.
    taken: Arc<Mutex<Vec<(i32, i32)>>>,
    _tasks: JoinSet<()>,
}

impl Broker {
    async fn new(
        partitions: i32,
        answering: impl Fn(i32, i32) -> i16 + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let taken: Arc<Mutex<Vec<(i32, i32)>>> = Arc::default();
        let (answering, seen): (Arc<Answering>, _) = (Arc::new(Box::new(answering)), taken.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (answering, seen) = (answering.clone(), seen.clone());
                connections.spawn(async move {
                    let mut stream = stream;
                    while let Some((api, correlation, body)) = request(&mut stream).await {
                        let mut answer = Writer::default();
                        answer.int32(correlation);
                        match api {
                            18 => versions(&mut answer),
                            3 => metadata(&mut answer, address.port(), partitions),
                            _ => produced(&mut answer, &body, &answering, &seen),
                        }
                        let mut framed = Writer::default();
                        framed.bytes(&answer.0);
                        stream.write_all(&framed.0).await.unwrap();
                    }
                });
            }
        });
        Self {
            address: address.to_string(),
            taken,
            _tasks: tasks,
        }
    }

    fn producer(&self) -> Producer {
        let way = Options {
            client_id: "test".to_owned(),
            tls: None,
            timeout: Duration::from_secs(5),
        };
        Producer::new(
            way,
            vec![self.address.clone()],
            "t".to_owned(),
            Compression::None,
        )
    }

    fn taken(&self) -> i32 {
        self.taken
            .lock()
            .unwrap()
            .iter()
            .map(|(_, records)| records)
            .sum()
    }
}

async fn request(stream: &mut TcpStream) -> Option<(i16, i32, Vec<u8>)> {
    let length = stream.read_i32().await.ok()?;
    let mut bytes = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut bytes).await.ok()?;
    let mut reader = Reader::new(&bytes);
    let (api, _version) = (reader.int16().unwrap(), reader.int16().unwrap());
    let correlation = reader.int32().unwrap();
    let client = reader.string().unwrap().len();
    Some((api, correlation, bytes.split_off(10 + client)))
}

fn versions(answer: &mut Writer) {
    answer.int16(0);
    answer.length(2);
    for (api, version) in [(0, 7), (3, 4)] {
        answer.int16(api);
        answer.int16(version);
        answer.int16(version);
    }
}

fn metadata(answer: &mut Writer, port: u16, partitions: i32) {
    answer.int32(0);
    answer.length(1);
    answer.int32(1);
    answer.string("127.0.0.1");
    answer.int32(i32::from(port));
    answer.no_string();
    answer.no_string();
    answer.int32(1);
    answer.length(1);
    answer.int16(0);
    answer.string("t");
    answer.int8(0);
    answer.int32(partitions);
    for partition in 0..partitions {
        answer.int16(0);
        answer.int32(partition);
        answer.int32(1);
        answer.length(0);
        answer.length(0);
    }
}

fn produced(
    answer: &mut Writer,
    body: &[u8],
    answering: &Answering,
    seen: &Mutex<Vec<(i32, i32)>>,
) {
    let mut reader = Reader::new(body);
    assert_eq!(reader.nullable_string(), Ok(None));
    assert_eq!(reader.int16(), Ok(-1), "all replicas in sync");
    reader.int32().unwrap();
    assert_eq!(reader.int32(), Ok(1));
    reader.string().unwrap();
    let batches = reader
        .items(|item| Ok((item.int32()?, item.bytes()?.to_vec())))
        .unwrap();
    answer.length(1);
    answer.string("t");
    answer.length(batches.len());
    for (partition, batch) in batches {
        let mut head = Reader::new(&batch[57..]);
        let records = head.int32().unwrap();
        let code = answering(partition, records);
        if code == 0 {
            seen.lock().unwrap().push((partition, records));
        }
        answer.int32(partition);
        answer.int16(code);
        answer.int64(0);
        answer.int64(-1);
        answer.int64(0);
    }
    answer.int32(0);
}

fn messages(count: usize) -> Vec<Message> {
    (0..count)
        .map(|number| Message {
            key: format!("team-{number}").into(),
            value: "{}".into(),
            timestamp_ms: 1_795_348_800_000,
            headers: &[],
        })
        .collect()
}

/// Sends so many messages; tells which were acknowledged, which refused, and how it ended.
async fn send(broker: &Broker, count: usize) -> (usize, Vec<Refused>, Result<(), Error>) {
    let (mut acknowledged, mut refused) = (vec![false; count], Vec::new());
    let sent = broker
        .producer()
        .send(&messages(count), &mut acknowledged, &mut refused, None)
        .await;
    let acknowledged = acknowledged.iter().filter(|is_there| **is_there).count();
    (acknowledged, refused, sent)
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_halved_until_it_fits() {
    let broker = Broker::new(1, |_, records| if records > 30 { 10 } else { 0 }).await;
    let (acknowledged, refused, sent) = send(&broker, 100).await;
    sent.unwrap();
    assert_eq!((acknowledged, refused.len(), broker.taken()), (100, 0, 100));
}

#[tokio::test]
async fn a_message_that_is_too_large_alone_is_refused_and_the_others_arrive() {
    let broker = Broker::new(8, |partition, _| if partition == 3 { 10 } else { 0 }).await;
    let (acknowledged, refused, sent) = send(&broker, 100).await;
    sent.unwrap();
    assert_eq!(acknowledged, 100);
    assert!(!refused.is_empty());
    assert_eq!(broker.taken(), 100 - i32::try_from(refused.len()).unwrap());
    assert!(refused[0].reason.contains("larger than the topic takes"));
}

#[tokio::test]
async fn partitions_that_took_theirs_do_not_get_it_again() {
    let broker = Broker::new(8, |partition, _| if partition == 3 { 29 } else { 0 }).await;
    let (acknowledged, refused, sent) = send(&broker, 100).await;
    let error = sent.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("not permitted to write to the topic"),
        "{error}"
    );
    assert!(refused.is_empty());
    assert_eq!(broker.taken(), i32::try_from(acknowledged).unwrap());
    let mut partitions: Vec<i32> = broker
        .taken
        .lock()
        .unwrap()
        .iter()
        .map(|one| one.0)
        .collect();
    partitions.sort_unstable();
    partitions.dedup();
    assert_eq!(
        partitions.len(),
        broker.taken.lock().unwrap().len(),
        "each batch once"
    );
}

#[tokio::test]
async fn what_may_pass_is_tried_three_times() {
    let asked = Arc::new(Mutex::new(0));
    let count = asked.clone();
    let broker = Broker::new(1, move |_, _| {
        *count.lock().unwrap() += 1;
        6
    })
    .await;
    let (_, _, sent) = send(&broker, 1).await;
    assert!(matches!(sent, Err(Error::Partition { code: Code(6), .. })));
    assert_eq!(*asked.lock().unwrap(), 3);
}

/// One record, byte for byte as the protocol's guide lays a batch of format 2 out.
#[test]
fn a_batch_has_the_layout_of_format_2() {
    let message = Message {
        key: "k".into(),
        value: "v".into(),
        timestamp_ms: 1000,
        headers: &[("h", "x")],
    };
    let bytes = batch::encode(&[&message], Compression::None).unwrap();
    let record = [0, 0, 0, 2, b'k', 2, b'v', 2, 2, b'h', 2, b'x'];
    let mut tail = vec![0, 0]; // Attributes.
    tail.extend(0i32.to_be_bytes());
    tail.extend(1000i64.to_be_bytes());
    tail.extend(1000i64.to_be_bytes());
    tail.extend((-1i64).to_be_bytes());
    tail.extend((-1i16).to_be_bytes());
    tail.extend((-1i32).to_be_bytes());
    tail.extend(1i32.to_be_bytes());
    tail.push(2 * record.len() as u8);
    tail.extend(record);
    assert_eq!(bytes[21..], tail);
    assert_eq!(bytes[8..12], (tail.len() as i32 + 9).to_be_bytes());
    assert_eq!(bytes[16], 2);
    assert_eq!(bytes[17..21], crate::crc32c::crc32c(&tail).to_be_bytes());
}

proptest! {
    #[test]
    fn nothing_that_a_broker_answers_makes_a_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), version in 3..=7i16) {
        drop(Versions::read(&bytes));
        drop(Metadata::read(&bytes, "t"));
        drop(messages::read_produced(&bytes, version));
        drop(messages::read_sasl_handshake(&bytes));
        drop(messages::read_sasl_authenticate(&bytes));
    }
}
