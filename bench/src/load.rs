//! Calls at a fixed rate, whatever the answers' pace, for `bench/run.py`: what a proxy adds to
//! latency below its saturation. wrk asks as soon as it was answered, so it only ever shows a full one.
//!
//! `bench-load ADDRESS CALLS_PER_SECOND SECONDS CONNECTIONS BODY_FILE [HEADER…]` prints
//! `RESULT calls failed p50 p99 p99.9 max`, times in microseconds.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use memchr::memmem;

/// Not counted: connections are made and code is fetched.
const WARM_UP: Duration = Duration::from_millis(500);
/// An answer that takes longer is a failure.
const PATIENCE: Duration = Duration::from_secs(10);

#[expect(clippy::print_stdout, reason = "what it is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let mut next = |name: &str| args.next().ok_or(format!("{name} is missing"));
    let address = next("ADDRESS")?;
    let rate: f64 = next("CALLS_PER_SECOND")?.parse()?;
    let seconds: f64 = next("SECONDS")?.parse()?;
    let connections: u32 = next("CONNECTIONS")?.parse()?;
    let body = std::fs::read(next("BODY_FILE")?)?;
    let headers: Vec<String> = args.collect();

    let request = request(&address, &headers, &body);
    let plan = Plan {
        address,
        request,
        interval: Duration::from_secs_f64(f64::from(connections) / rate),
        length: WARM_UP + Duration::from_secs_f64(seconds),
    };
    let start = now() + Duration::from_millis(50);
    let callers: Vec<_> = (0..connections)
        .map(|number| {
            let plan = plan.clone();
            // Evenly apart, so that calls do not come in bursts.
            let first = start
                + plan
                    .interval
                    .mul_f64(f64::from(number) / f64::from(connections));
            thread::Builder::new()
                .stack_size(128 * 1024)
                .spawn(move || plan.run(start, first))
        })
        .collect::<io::Result<_>>()?;
    let mut took = Vec::new();
    let mut failed = 0;
    for caller in callers {
        let Ok((times, failures)) = caller.join() else {
            return Err("a caller panicked".into());
        };
        took.extend(times);
        failed += failures;
    }
    took.sort_unstable();
    let at = |share: f64| {
        let index = (took.len() as f64 * share) as usize;
        took.get(index.min(took.len().saturating_sub(1)))
            .map_or(0.0, |time| time.as_nanos() as f64 / 1e3)
    };
    println!(
        "RESULT {} {failed} {:.1} {:.1} {:.1} {:.1}",
        took.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
    Ok(())
}

fn request(address: &str, headers: &[String], body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n",
        body.len()
    );
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    [request.as_bytes(), body].concat()
}

#[derive(Clone)]
struct Plan {
    address: String,
    request: Vec<u8>,
    /// Between two calls of one connection.
    interval: Duration,
    length: Duration,
}

impl Plan {
    /// The times of the calls that were answered, and how many were not.
    fn run(&self, start: Instant, first: Instant) -> (Vec<Duration>, u64) {
        let (mut took, mut failed) = (Vec::new(), 0);
        let mut stream = None;
        let mut due = first;
        while due < start + self.length {
            let early = due.saturating_duration_since(now());
            // A call that is late because the one before it was slow is counted from when it was
            // due; one that is late because this thread slept too long, from when it was sent.
            let counted_from = if early.is_zero() {
                due
            } else {
                thread::sleep(early);
                now()
            };
            match self.call(&mut stream) {
                Ok(()) if due >= start + WARM_UP => took.push(now() - counted_from),
                Ok(()) => {}
                Err(_) => {
                    failed += 1;
                    stream = None;
                }
            }
            due += self.interval;
        }
        (took, failed)
    }

    fn call(&self, stream: &mut Option<TcpStream>) -> io::Result<()> {
        let stream = match stream {
            Some(stream) => stream,
            none => none.insert(connect(&self.address)?),
        };
        stream.write_all(&self.request)?;
        let mut answer = [0; 16 * 1024];
        let mut filled = 0;
        loop {
            let read = stream.read(&mut answer[filled..])?;
            filled += read;
            if read == 0 || filled == answer.len() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(length) = answer_length(&answer[..filled])?
                && filled >= length
            {
                return Ok(());
            }
        }
    }
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Head and body together, once the head is here. Anything but a 200 is a failure.
fn answer_length(read: &[u8]) -> io::Result<Option<usize>> {
    let Some(head) = memmem::find(read, b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&read[..head]).map_err(io::Error::other)?;
    if !text.starts_with("HTTP/1.1 200") {
        return Err(io::Error::other("not answered with 200"));
    }
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    let length = length.ok_or_else(|| io::Error::other("an answer of unknown length"))?;
    Ok(Some(head + 4 + length))
}

#[expect(clippy::disallowed_methods, reason = "it measures time")]
fn now() -> Instant {
    Instant::now()
}
