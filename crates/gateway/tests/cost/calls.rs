//! One governed call, and one event of a stream.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use allocation_counter::AllocationInfo;
use gateway::server::{Face, serve};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::gate::{Gate, Size, chat, key_of};

const CALLS: usize = 200;
const EVENTS: usize = 200;

/// Allocations and their bytes, at most.
struct Bound {
    allocations: u64,
    bytes: u64,
}

/// `Gateway::handle` of a chat call of 1 KB under four limits, with the connection to its backend.
const CALL: Bound = Bound {
    allocations: 38,
    bytes: 16_900,
};
/// The same through a listener: with HTTP/1.1 on the client's side.
const CALL_ON_A_CONNECTION: Bound = Bound {
    allocations: 40,
    bytes: 25_300,
};
/// One more event of a stream that comes by itself.
const EVENT: Bound = Bound {
    allocations: 2,
    bytes: 8_800,
};

/// A governed call whose prompt and answer are looked at for personal data, and hold none.
const GUARDED_CALL: Bound = Bound {
    allocations: 36,
    bytes: 18_800,
};
/// One more event of a stream that is looked at, twice: what puts values back must know where each text stands
/// before the first one is masked.
const GUARDED_EVENT: Bound = Bound {
    allocations: 17,
    bytes: 10_050,
};

impl Bound {
    /// `times` of it cost `cost`. Half an allocation for each is left for what comes now and then, such
    /// as a table that grows; a whole one more is one too many.
    fn check(&self, what: &str, times: usize, cost: AllocationInfo) {
        let Self { allocations, bytes } = *self;
        let times = times as u64;
        let per = |total: u64| total as f64 / times as f64;
        let said = format!(
            "{what}: {:.2} allocations, {:.0} bytes (at most {allocations} and {bytes})",
            per(cost.count_total),
            per(cost.bytes_total)
        );
        println!("{said}");
        assert!(
            cost.count_total <= allocations * times + times / 2,
            "{said}"
        );
        assert!(cost.bytes_total <= bytes * times + times * 64, "{said}");
    }
}

/// What the second of two runs cost above the first: beginnings and ends cancel out.
fn difference(longer: AllocationInfo, shorter: AllocationInfo) -> AllocationInfo {
    AllocationInfo {
        count_total: longer.count_total - shorter.count_total,
        bytes_total: longer.bytes_total - shorter.bytes_total,
        ..AllocationInfo::default()
    }
}

#[test]
fn a_governed_call_allocates_no_more_than_it_did() {
    let gate = Gate::of(Size::ONE);
    let calls = || (0..CALLS).map(|_| chat(0, 0, "")).collect();
    let _first_ones = gate.cost_of(calls());
    CALL.check("a governed call", CALLS, gate.cost_of(calls()));
}

#[test]
fn an_event_of_a_stream_allocates_no_more_than_it_did() {
    let gate = Gate::of(Size::ONE);
    let _first_one = gate.cost_of_stream(EVENTS);
    let short = gate.cost_of_stream(EVENTS);
    let long = gate.cost_of_stream(2 * EVENTS);
    EVENT.check("an event of a stream", EVENTS, difference(long, short));
}

#[test]
fn a_guarded_call_allocates_no_more_than_it_did() {
    let gate = Gate::guarded();
    let calls = || (0..CALLS).map(|_| chat(0, 0, "")).collect();
    let _first_ones = gate.cost_of(calls());
    GUARDED_CALL.check("a guarded call", CALLS, gate.cost_of(calls()));
}

#[test]
fn an_event_of_a_guarded_stream_allocates_no_more_than_it_did() {
    let gate = Gate::guarded();
    let _first_one = gate.cost_of_stream(EVENTS);
    let short = gate.cost_of_stream(EVENTS);
    let long = gate.cost_of_stream(2 * EVENTS);
    GUARDED_EVENT.check(
        "an event of a guarded stream",
        EVENTS,
        difference(long, short),
    );
}

#[test]
fn a_governed_call_on_a_connection_allocates_no_more_than_it_did() {
    let gate = Gate::of(Size::ONE);
    let _first_ones = cost_of_connection(&gate, CALLS);
    let short = cost_of_connection(&gate, CALLS);
    let long = cost_of_connection(&gate, 2 * CALLS);
    CALL_ON_A_CONNECTION.check(
        "a governed call on a connection",
        CALLS,
        difference(long, short),
    );
}

/// Of a listener and one connection on which so many calls are made, one after another.
fn cost_of_connection(gate: &Gate, calls: usize) -> AllocationInfo {
    allocation_counter::measure(|| {
        gate.runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let stop = CancellationToken::new();
            let client = std::thread::spawn({
                let stop = stop.clone();
                move || {
                    converse(address, calls);
                    stop.cancel();
                }
            });
            serve(gate.gateway.clone(), listener, Face::Public, stop).await;
            client.join().unwrap();
        });
    })
}

fn converse(gateway: SocketAddr, calls: usize) {
    let mut connection = TcpStream::connect(gateway).unwrap();
    connection.set_nodelay(true).unwrap();
    let text = "one two three four ".repeat(45);
    let body = format!(
        r#"{{"model":"model-0000","max_tokens":256,"messages":[{{"role":"user","content":"{text}"}}]}}"#
    );
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\nx-app-name: cost\r\ncontent-length: {}\r\n\r\n{body}",
        key_of(0),
        body.len()
    );
    let mut answer = Vec::new();
    let mut piece = [0; 16 * 1024];
    for _ in 0..calls {
        connection.write_all(request.as_bytes()).unwrap();
        answer.clear();
        while !is_whole(&answer) {
            let read = connection.read(&mut piece).unwrap();
            assert!(read > 0, "closed after {answer:?}");
            answer.extend_from_slice(&piece[..read]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    }
}

fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = memchr::memmem::find(answer, b"\r\n\r\n") else {
        return false;
    };
    let text = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
    let length: Option<usize> = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    length.is_some_and(|length| answer.len() >= head + 4 + length)
}
