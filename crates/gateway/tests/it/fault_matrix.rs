//! Fault × trip rule × `Retry-After` × priority: who is asked, whose breaker opens, what the client
//! is told.

use bytes::Bytes;
use domain::pool::MemberState;
use domain::record::{AttemptFailure, CallRecord, Outcome};
use http::Request;
use http_body_util::Full;

use crate::scripted::{Answer, Backend, CHAT, DeadBackend, Script, provider_error};
use crate::stage::{Rules, Stage, Told, chat, streamed_chat};

#[derive(Clone, Copy, Debug)]
enum Fate {
    /// An answer, or the client's own fault: passed on byte by byte, neither retried nor counted.
    Passed,
    /// The backend's fault: retried, counted, and told like this when attempts run out.
    Failed {
        kind: AttemptFailure,
        status: u16,
        code: &'static str,
    },
}

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug)]
struct Trip {
    min_throughput: u64,
    accept_retry_after: bool,
    retry_after_s: Option<u64>,
}

impl Fate {
    fn is_rate_limited(&self) -> bool {
        matches!(self, Self::Failed { status: 429, .. })
    }
}

const TRIP_S: u64 = 30;
const FAILED: (u16, &str) = (502, "upstream_failed");
const LATE: (u16, &str) = (504, "upstream_timeout");

fn failed(kind: AttemptFailure, (status, code): (u16, &'static str)) -> Fate {
    Fate::Failed { kind, status, code }
}

fn of_status(status: u16) -> Fate {
    match status {
        401 | 403 => failed(AttemptFailure::Credential, (502, "upstream_auth_failed")),
        429 => failed(AttemptFailure::Status, (429, "upstream_rate_limited")),
        408 | 100..=199 | 300..=399 | 500.. => failed(AttemptFailure::Status, FAILED),
        _ => Fate::Passed,
    }
}

impl Trip {
    fn every() -> Vec<Self> {
        let mut all = Vec::new();
        for min_throughput in [1, 10] {
            for accept_retry_after in [true, false] {
                for retry_after_s in [None, Some(7), Some(90)] {
                    all.push(Self {
                        min_throughput,
                        accept_retry_after,
                        retry_after_s,
                    });
                }
            }
        }
        all
    }

    fn rules(&self) -> Rules {
        Rules {
            breaker: format!(
                "{{ failure_threshold: 0.5, min_throughput: {}, interval: 60s, trip_duration: {TRIP_S}s, accept_retry_after: {} }}",
                self.min_throughput, self.accept_retry_after
            ),
            ..Rules::default()
        }
    }

    /// How long one failure opens a breaker for.
    fn open_s(&self) -> Option<u64> {
        let asked = self.retry_after_s.filter(|_| self.accept_retry_after);
        (self.min_throughput == 1).then_some(asked.unwrap_or(0).max(TRIP_S))
    }

    /// What a client is told to wait for backends that answered 429: until one of them is neither
    /// open nor at its limit. A 429 that does not say counts for a second.
    fn rate_limited_s(&self) -> u64 {
        let limited = self.retry_after_s.unwrap_or(1);
        self.open_s().unwrap_or(0).max(limited)
    }
}

#[tokio::test]
async fn every_status_is_passed_on_or_retried_and_counted_whatever_the_trip_rule() {
    let passed = [200, 400, 404, 409, 413, 422, 451, 499];
    let retried = [101, 301, 307, 401, 403, 408, 429, 500, 502, 503, 504, 529];
    let backend = || Backend::answering(Answer::chat());
    let backends = [backend().await, backend().await, backend().await];
    let addresses = backends.each_ref().map(|backend| backend.address.clone());
    let mut matrix = Matrix::new();
    for status in passed.into_iter().chain(retried) {
        for trip in Trip::every() {
            let body = match status {
                200 => CHAT.to_owned(),
                _ => provider_error(status),
            };
            let answer = Answer::json(status, body).with_retry_after(trip.retry_after_s);
            for backend in &backends {
                backend.always(answer.clone());
            }
            let before = backends.each_ref().map(Backend::requests);
            let cell = Cell {
                case: format!("{status} {trip:?}"),
                request: chat(),
                timeout: "{}",
                fate: of_status(status),
                trip,
                status,
            };
            matrix.check(&addresses, cell).await;
            let asked = [0, 1, 2].map(|n| backends[n].requests() - before[n]);
            match of_status(status) {
                Fate::Passed => assert_eq!(asked, [1, 0, 0], "{status} {trip:?}"),
                Fate::Failed { .. } => assert_eq!(asked, [1, 1, 1], "{status} {trip:?}"),
            }
        }
    }
    matrix.check_records().await;
}

#[tokio::test]
async fn every_broken_answer_is_retried_and_counted() {
    let whole = Answer::chat();
    let half = Answer::json(200, r#"{"choices":["#);
    let unary = [
        ("closed before content-length", whole.clone().truncated()),
        ("reset within the body", whole.clone().reset()),
        ("closed before the last chunk", whole.clone().closed()),
        ("half an answer that claims to be whole", half),
        ("no content", Answer::json(204, "")),
        (
            "an unknown encoding",
            whole.clone().with("content-encoding", "secret"),
        ),
        (
            "not the gzip that it claims to be",
            whole.with("content-encoding", "gzip"),
        ),
        ("a client error cut short", Answer::error(400).truncated()),
    ];
    let streams = [
        ("a stream of nothing", Answer::stream(&[])),
        ("a stream reset at once", Answer::stream(&[]).reset()),
    ];
    let cut = failed(AttemptFailure::Cut, FAILED);
    let mut matrix = Matrix::new();
    matrix
        .check_script("reset before the head", Script::Reset, chat(), cut, "{}")
        .await;
    for (name, answer) in unary {
        let script = Script::Answer(answer);
        matrix.check_script(name, script, chat(), cut, "{}").await;
    }
    for (name, answer) in streams {
        let script = Script::Answer(answer);
        matrix
            .check_script(name, script, streamed_chat(), cut, "{}")
            .await;
    }
    matrix.check_records().await;
}

#[tokio::test]
async fn every_late_answer_is_retried_and_counted() {
    let late = failed(AttemptFailure::FirstByteTimeout, LATE);
    let idle = failed(AttemptFailure::IdleTimeout, LATE);
    let total = failed(AttemptFailure::TotalTimeout, LATE);
    let no_event = || Script::Answer(Answer::stream(&[]).stalled());
    let half = || Script::Answer(Answer::json(200, r#"{"choices":["#).stalled());
    let mut matrix = Matrix::new();
    for (name, script, request, fate, timeout) in [
        (
            "no head",
            Script::Silence,
            chat(),
            late,
            "{ first_byte: 50ms }",
        ),
        (
            "no head in all",
            Script::Silence,
            chat(),
            total,
            "{ total: 50ms }",
        ),
        (
            "no event",
            no_event(),
            streamed_chat(),
            late,
            "{ first_byte: 50ms }",
        ),
        ("half an answer", half(), chat(), idle, "{ idle: 50ms }"),
        ("half in all", half(), chat(), total, "{ total: 50ms }"),
    ] {
        matrix
            .check_script(name, script, request, fate, timeout)
            .await;
    }
    matrix.check_records().await;
}

#[tokio::test]
async fn a_backend_that_cannot_be_reached_is_retried_and_counted() {
    let dead = DeadBackend::new();
    let refused = vec![dead.address.clone(); 3];
    let greeting = Backend::start(Script::Greeting).await;
    let no_tls = vec![greeting.address.replace("http:", "https:"); 3];
    let silent = Backend::start(Script::Silence).await;
    let no_handshake = vec![silent.address.replace("http:", "https:"); 3];
    let connect = failed(AttemptFailure::Connect, FAILED);
    let tls = failed(AttemptFailure::Tls, FAILED);
    let mut matrix = Matrix::new();
    for (name, addresses, fate, timeout) in [
        ("refused", refused, connect, "{}"),
        ("no TLS", no_tls, tls, "{}"),
        ("no handshake", no_handshake, connect, "{ connect: 50ms }"),
    ] {
        matrix
            .check_unasked(name, &addresses, chat(), fate, timeout)
            .await;
    }
    matrix.check_records().await;
}

/// One gateway for all cells, which forgets its backends between them.
struct Matrix {
    stage: Stage,
    /// Each call's id, and what its record must say.
    calls: Vec<(String, Cell)>,
}

/// Three members that all do the same, the third of a lower priority.
struct Cell {
    case: String,
    request: Request<Full<Bytes>>,
    timeout: &'static str,
    fate: Fate,
    trip: Trip,
    /// What each attempt got; 0 if that says nothing.
    status: u16,
}

impl Matrix {
    fn new() -> Self {
        Self {
            stage: Stage::at(&Rules::default(), &vec!["http://127.0.0.1:1".into(); 3]),
            calls: Vec::new(),
        }
    }

    async fn check_script(
        &mut self,
        name: &str,
        script: Script,
        request: Request<Full<Bytes>>,
        fate: Fate,
        timeout: &'static str,
    ) {
        // One backend under three names: breakers are each one's own.
        let backend = Backend::start(script).await;
        let addresses = vec![backend.address.clone(); 3];
        self.check_unasked(name, &addresses, request, fate, timeout)
            .await;
        assert_eq!(backend.requests(), 6, "{name}: twice three attempts");
    }

    async fn check_unasked(
        &mut self,
        name: &str,
        addresses: &[String],
        request: Request<Full<Bytes>>,
        fate: Fate,
        timeout: &'static str,
    ) {
        for min_throughput in [1, 10] {
            let trip = Trip {
                min_throughput,
                accept_retry_after: true,
                retry_after_s: None,
            };
            let cell = Cell {
                case: format!("{name}, timeout {timeout}, {trip:?}"),
                request: request.clone(),
                timeout,
                fate,
                trip,
                status: 0,
            };
            self.check(addresses, cell).await;
        }
    }

    async fn check(&mut self, addresses: &[String], cell: Cell) {
        let rules = Rules {
            timeout: cell.timeout.into(),
            ..cell.trip.rules()
        };
        self.stage.renew(&rules, addresses);
        // Three retries a second are always there.
        self.stage.advance_s(1);
        let told = self.stage.call(cell.request.clone()).await;
        cell.check_told(&told);
        cell.check_backends(&self.stage);
        let id = told.header("x-request-id").unwrap().to_owned();
        self.calls.push((id, cell));
    }

    async fn check_records(self) {
        let records = self.stage.records().await;
        assert_eq!(records.len(), self.calls.len());
        for (id, cell) in &self.calls {
            let record = records
                .iter()
                .find(|record| record.opening.id.to_string() == *id);
            cell.check_record(record.expect("every call leaves one"));
        }
    }
}

impl Cell {
    fn check_told(&self, told: &Told) {
        let Self {
            case, trip, fate, ..
        } = self;
        match *fate {
            Fate::Passed => {
                assert_eq!(told.status.as_u16(), self.status, "{case}");
                assert_eq!(told.retry_after_s(), trip.retry_after_s, "{case}");
                if self.status != 200 {
                    assert_eq!(told.text(), provider_error(self.status), "{case}");
                }
                assert_eq!(told.header("x-tollgate-attempts"), Some("1"), "{case}");
                assert_eq!(told.header("x-tollgate-backend"), Some("a"), "{case}");
            }
            Fate::Failed { status, code, .. } => {
                assert_eq!(told.status.as_u16(), status, "{case}");
                assert_eq!(told.code().as_deref(), Some(code), "{case}");
                assert!(!told.text().contains("provider's own words"), "{case}");
                assert_eq!(told.header("x-tollgate-attempts"), Some("3"), "{case}");
                let waits_s = fate.is_rate_limited().then(|| trip.rate_limited_s());
                assert_eq!(told.retry_after_s(), waits_s, "{case}");
            }
        }
    }

    fn check_backends(&self, stage: &Stage) {
        let Self {
            case, trip, fate, ..
        } = self;
        let open_s = match fate {
            Fate::Passed => None,
            Fate::Failed { .. } => trip.open_s(),
        };
        let is_full = fate.is_rate_limited() && open_s.is_none();
        for id in ["a", "b", "c"] {
            assert_eq!(stage.open_s(id), open_s, "{id} {case}");
            let state = stage.state(id);
            let seen = matches!(state, MemberState::Saturated { .. });
            assert_eq!(seen, is_full, "{id} {case}");
        }
    }

    fn check_record(&self, record: &CallRecord) {
        let case = &self.case;
        let asked: Vec<_> = record
            .attempts
            .iter()
            .map(|attempt| (attempt.backend.as_str(), attempt.failure))
            .collect();
        match self.fate {
            Fate::Passed => {
                let expected = match self.status {
                    200 => Outcome::Ok,
                    _ => Outcome::ClientError,
                };
                assert_eq!(record.outcome, expected, "{case}");
                assert_eq!(asked, [("a", None)], "{case}");
            }
            Fate::Failed { kind, status, code } => {
                assert_eq!(record.outcome, Outcome::UpstreamFailed, "{case}");
                assert_eq!(record.status, status, "{case}");
                assert_eq!(record.rule.as_deref(), Some(code), "{case}");
                let in_turn = ["a", "b", "c"].map(|id| (id, Some(kind)));
                assert_eq!(asked, in_turn, "{case}: one of the same priority first");
            }
        }
        if self.status != 0 {
            let statuses = record.attempts.iter().map(|attempt| attempt.status);
            assert!(
                statuses.into_iter().all(|status| status == self.status),
                "{case}"
            );
        }
    }
}
