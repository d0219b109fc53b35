//! How long one connection may keep the gateway waiting: for a head, for the next call, or for room
//! to send. One timer for all of it; what passes by only leaves signs in atomic numbers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use config::snapshot::Settings;

/// What passed on a connection since somebody last looked.
#[derive(Debug, Default)]
pub struct Signs {
    /// Calls between their head and their last byte, and bodies of requests that are still read.
    open: AtomicU32,
    /// Heads that came, wrapping.
    heads: AtomicU32,
    /// Bytes came while no call was open: the beginning of a head.
    partial_head: AtomicBool,
    /// HTTP/2: bytes between calls are frames that tell nothing of a head.
    has_frames: AtomicBool,
    /// The client takes no more bytes.
    blocked: AtomicBool,
    /// Times that it took some after that, wrapping.
    unblocked: AtomicU32,
    /// HTTP/2 has a window for each stream: pieces that wait for theirs, by stream, with the look
    /// at which they began to. At most one for each stream.
    waiting: Mutex<HashMap<u32, u32>>,
    looks: AtomicU32,
}

impl Signs {
    /// A head came. Returns its number.
    pub fn begin(&self) -> u32 {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.partial_head.store(false, Ordering::Relaxed);
        self.heads.fetch_add(1, Ordering::Relaxed)
    }

    /// A call has a body to be read, perhaps for longer than its answer takes: of a refused one
    /// the rest is thrown away.
    pub fn begin_body(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// Of a call or of a body.
    pub fn end(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// What came so far was no head: a TLS handshake.
    pub fn shaken(&self) {
        self.partial_head.store(false, Ordering::Relaxed);
    }

    /// The connection speaks HTTP/2. Pings, settings and windows come at any time, from clients that
    /// want nothing.
    pub fn has_frames(&self) {
        if !self.has_frames.load(Ordering::Relaxed) {
            self.has_frames.store(true, Ordering::Relaxed);
            self.partial_head.store(false, Ordering::Relaxed);
        }
    }

    pub fn read(&self) {
        if self.open.load(Ordering::Relaxed) == 0
            && !self.partial_head.load(Ordering::Relaxed)
            && !self.has_frames.load(Ordering::Relaxed)
        {
            self.partial_head.store(true, Ordering::Relaxed);
        }
    }

    pub fn wrote(&self) {
        if self.blocked.load(Ordering::Relaxed) {
            self.blocked.store(false, Ordering::Relaxed);
            self.unblocked.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn blocked(&self) {
        self.blocked.store(true, Ordering::Relaxed);
    }

    /// A piece was handed over and waits for the stream's window.
    pub fn wait(&self, stream: u32) {
        let look = self.looks.load(Ordering::Relaxed);
        self.waiting().insert(stream, look);
    }

    pub fn went(&self, stream: u32) {
        self.waiting().remove(&stream);
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u32, u32>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self) -> Look {
        let look = self.looks.fetch_add(1, Ordering::Relaxed);
        let longest = self
            .waiting()
            .values()
            .map(|since| look.wrapping_sub(*since))
            .max();
        Look {
            open: self.open.load(Ordering::Relaxed),
            heads: self.heads.load(Ordering::Relaxed),
            partial_head: self.partial_head.load(Ordering::Relaxed),
            blocked: self.blocked.load(Ordering::Relaxed),
            unblocked: self.unblocked.load(Ordering::Relaxed),
            longest_wait: longest.unwrap_or(0),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Look {
    open: u32,
    heads: u32,
    partial_head: bool,
    blocked: bool,
    unblocked: u32,
    /// In looks.
    longest_wait: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Stay,
    /// Nothing was asked for long: no new call, and what is open may end.
    Idle,
    Cut(Slow),
}

/// What the client kept the gateway waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slow {
    Head,
    Reader,
}

impl Slow {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Head => "the client did not finish its request's head in time",
            Self::Reader => "the client took nothing of its answer for too long",
        }
    }
}

/// Counts in looks: the time between two of them is the precision.
#[derive(Debug)]
pub struct Patience {
    pub look_every: Duration,
    head_looks: u32,
    idle_looks: u32,
    write_looks: u32,
    last: Look,
    /// Looks at which a head was being waited for, the connection idle, the client blocked.
    head: u32,
    idle: u32,
    blocked: u32,
}

impl Patience {
    const LOOK_EVERY_MIN: Duration = Duration::from_millis(10);
    const LOOK_EVERY_MAX: Duration = Duration::from_secs(5);

    pub fn of(settings: &Settings) -> Self {
        Self::new(
            settings.header_timeout,
            settings.idle_timeout,
            settings.write_timeout,
        )
    }

    fn new(header: Duration, idle: Duration, write: Duration) -> Self {
        let look_every =
            (header.min(idle).min(write) / 4).clamp(Self::LOOK_EVERY_MIN, Self::LOOK_EVERY_MAX);
        let looks = |timeout: Duration| {
            u32::try_from(timeout.as_nanos().div_ceil(look_every.as_nanos())).unwrap_or(u32::MAX)
        };
        Self {
            look_every,
            head_looks: looks(header),
            idle_looks: looks(idle),
            write_looks: looks(write),
            last: Look::default(),
            head: 0,
            idle: 0,
            blocked: 0,
        }
    }

    /// Once every `look_every`.
    pub fn look(&mut self, signs: &Signs) -> Verdict {
        self.judge(signs.look())
    }

    fn judge(&mut self, now: Look) -> Verdict {
        let before = std::mem::replace(&mut self.last, now);
        // One that connected and said nothing is idle as well: clients open connections ahead of
        // their calls, and when two become free at once they keep the other for later.
        let awaits_head = now.open == 0 && now.partial_head;
        let is_idle = now.open == 0 && !now.partial_head;
        let heads_came = now.heads != before.heads;
        let stays_blocked = now.blocked && now.unblocked == before.unblocked;
        let counted = |count: u32, goes_on: bool| if goes_on { count + 1 } else { 0 };
        self.head = counted(self.head, awaits_head && !heads_came);
        self.idle = counted(self.idle, is_idle && !heads_came);
        self.blocked = counted(self.blocked, stays_blocked);
        // The first look came at any time within its span: it does not count.
        if self.blocked > self.write_looks || now.longest_wait > self.write_looks {
            return Verdict::Cut(Slow::Reader);
        }
        if self.head >= self.head_looks {
            return Verdict::Cut(Slow::Head);
        }
        if self.idle > self.idle_looks {
            return Verdict::Idle;
        }
        Verdict::Stay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every second.
    fn patience() -> Patience {
        Patience::new(
            Duration::from_secs(4),
            Duration::from_secs(10),
            Duration::from_secs(6),
        )
    }

    /// After how many looks the connection ends, and how; at most 100.
    fn end(patience: &mut Patience, signs: &Signs, mut meanwhile: impl FnMut()) -> (u32, Verdict) {
        for look in 1..=100 {
            match patience.look(signs) {
                Verdict::Stay => meanwhile(),
                verdict => return (look, verdict),
            }
        }
        (100, Verdict::Stay)
    }

    #[test]
    fn a_client_that_never_finishes_its_head_is_cut_at_the_header_timeout() {
        let cut = (4, Verdict::Cut(Slow::Head));
        let signs = Signs::default();
        signs.read();
        assert_eq!(end(&mut patience(), &signs, || signs.read()), cut);
    }

    #[test]
    fn a_connection_opened_ahead_of_its_first_call_waits_like_one_between_calls() {
        let idle = (11, Verdict::Idle);
        assert_eq!(end(&mut patience(), &Signs::default(), || {}), idle);
        let over_tls = Signs::default();
        over_tls.read();
        over_tls.shaken();
        assert_eq!(end(&mut patience(), &over_tls, || {}), idle);
    }

    #[test]
    fn what_is_left_of_a_refused_body_is_no_head() {
        let (signs, mut patience) = (Signs::default(), patience());
        signs.begin();
        signs.begin_body();
        signs.end(); // Its refusal was sent; the rest of what it asked still comes.
        signs.read();
        assert_eq!(patience.look(&signs), Verdict::Stay);
        signs.end();
        assert_eq!(end(&mut patience, &signs, || {}), (11, Verdict::Idle));
    }

    #[test]
    fn frames_between_http2_calls_are_no_head() {
        let (signs, mut patience) = (Signs::default(), patience());
        signs.read();
        signs.has_frames();
        signs.begin();
        signs.end();
        assert_eq!(
            end(&mut patience, &signs, || signs.read()),
            (12, Verdict::Idle)
        );
    }

    #[test]
    fn a_second_head_has_its_own_time() {
        let (signs, mut patience) = (Signs::default(), patience());
        signs.begin();
        assert_eq!(patience.look(&signs), Verdict::Stay);
        signs.end();
        signs.read();
        let cut = (4, Verdict::Cut(Slow::Head));
        assert_eq!(end(&mut patience, &signs, || signs.read()), cut);
    }

    #[test]
    fn a_quiet_connection_ends_at_the_idle_timeout_and_a_busy_one_never() {
        let (signs, mut idle) = (Signs::default(), patience());
        signs.begin();
        signs.end();
        assert_eq!(end(&mut idle, &signs, || {}), (12, Verdict::Idle));
        let signs = Signs::default();
        let call_now_and_then = || {
            signs.begin();
            signs.end();
        };
        call_now_and_then();
        let lasting = (100, Verdict::Stay);
        assert_eq!(end(&mut patience(), &signs, call_now_and_then), lasting);
    }

    #[test]
    fn a_long_call_is_neither_idle_nor_slow() {
        let signs = Signs::default();
        signs.begin();
        assert_eq!(
            end(&mut patience(), &signs, || signs.read()),
            (100, Verdict::Stay)
        );
    }

    #[test]
    fn a_client_that_takes_nothing_is_cut_and_one_that_takes_a_little_is_not() {
        let signs = Signs::default();
        signs.begin();
        signs.blocked();
        let (looks, verdict) = end(&mut patience(), &signs, || {});
        assert_eq!((looks, verdict), (7, Verdict::Cut(Slow::Reader)));

        let slow = || {
            signs.wrote();
            signs.blocked();
        };
        assert_eq!(end(&mut patience(), &signs, slow), (100, Verdict::Stay));
    }

    #[test]
    fn one_stream_without_a_window_is_enough() {
        let signs = Signs::default();
        for stream in 0..3 {
            signs.begin();
            signs.wait(stream);
        }
        let others = || {
            for stream in [0, 2] {
                signs.went(stream);
                signs.wait(stream);
            }
        };
        let (looks, verdict) = end(&mut patience(), &signs, others);
        assert_eq!((looks, verdict), (8, Verdict::Cut(Slow::Reader)));
        signs.went(1);
        assert_eq!(end(&mut patience(), &signs, others), (100, Verdict::Stay));
    }
}
