//! A response body that counts tokens as it passes, lets guards look at what is left, and settles its
//! call once, however it ends: before its last byte, and after its guards' last verdict.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dialect::{Encoding, Operation, StreamMeter};
use domain::record::{AttemptFailure, AttemptRecord, Outcome};
use domain::{Metered, Mono, Usage};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use crate::body::Cut;
use crate::guards::Blocked;
use crate::guards::stream::StreamGuard;
use crate::refusal::Refusal;
use crate::router::Serving;
use crate::trail::Trail;
use crate::upstream::AnswerBody;

/// One write takes at most this much of what is already there.
const COALESCE_BYTES_MAX: usize = 64 * 1024;

/// An answer on its way through. What the upstream sent in several pieces and is readable now
/// leaves in one; nothing waits for more.
pub struct MeteredBody {
    upstream: AnswerBody,
    tally: Tally,
    trail: Trail,
    serving: Serving,
    watch: Watch,
    /// Absent where nobody looks at the answer.
    guard: Option<Box<StreamGuard>>,
    /// The upstream's end or break, while what came before it is on its way.
    end: Option<Option<Result<Bytes, AttemptFailure>>>,
    ended: Option<Ended>,
    state: State,
}

/// How an answer's call ended.
#[derive(Clone, Debug)]
pub struct Ended {
    pub outcome: Outcome,
    pub rule: Option<Arc<str>>,
    pub metered: Metered,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Flowing,
    /// The upstream's body is at its end, and guards have what they still hold of it.
    Draining,
    Ended,
}

/// How an answer is counted.
pub enum Tally {
    Stream(StreamMeter),
    /// A unary answer too large to hold: usage is looked for in its head and its tail.
    Large(LargeAnswer),
}

/// Silence and length limits of the answer. One timer, re-armed only when it fires.
struct Watch {
    timer: Pin<Box<Sleep>>,
    heard: Mono,
    idle: Duration,
    deadline: Mono,
}

impl MeteredBody {
    /// `first` was read already, to know that the answer had begun.
    pub fn new(
        mut upstream: AnswerBody,
        first: Bytes,
        tally: Tally,
        serving: Serving,
        trail: Trail,
    ) -> Self {
        let now = trail.gateway().clock.mono();
        let timeouts = serving.backend.definition().timeouts;
        let deadline = serving.sent_at + timeouts.total;
        let timer = Box::pin(tokio::time::sleep(timeouts.idle.min(deadline.since(now))));
        upstream.unread(first);
        let watch = Watch {
            timer,
            heard: now,
            idle: timeouts.idle,
            deadline,
        };
        Self {
            upstream,
            tally,
            trail,
            serving,
            watch,
            guard: None,
            end: None,
            ended: None,
            state: State::Flowing,
        }
    }

    /// Lets `guard` look at what the client gets. It is metered before.
    pub fn guarded(mut self, guard: Option<Box<StreamGuard>>) -> Self {
        self.guard = guard;
        if let (Some(guard), true) = (&mut self.guard, self.trail.facts().said.is_wanted()) {
            guard.keep();
        }
        self
    }

    /// Known once its call was settled, which is before its last byte leaves.
    pub fn how_it_ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// Everything that is readable now, metered; empty when all of it is held back.
    fn poll_pieces(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, AttemptFailure>>> {
        if let Some(end) = self.end.take() {
            return Poll::Ready(end);
        }
        let mut out = Bytes::new();
        loop {
            match self.upstream.poll_data(cx) {
                Poll::Ready(Some(Ok(data))) => {
                    self.watch.heard = self.trail.gateway().clock.mono();
                    let passed = self.tally.push(data);
                    out = joined(out, passed);
                    if out.len() >= COALESCE_BYTES_MAX {
                        return Poll::Ready(Some(Ok(out)));
                    }
                }
                Poll::Ready(end) if out.is_empty() => return Poll::Ready(end),
                // What came before it leaves first.
                Poll::Ready(end) => {
                    self.end = Some(end);
                    return Poll::Ready(Some(Ok(out)));
                }
                Poll::Pending if out.is_empty() => {
                    let failure = ready!(self.watch.poll(cx, &self.trail));
                    return Poll::Ready(Some(Err(failure)));
                }
                Poll::Pending => return Poll::Ready(Some(Ok(out))),
            }
        }
    }

    /// Settles as soon as the answer is known to be whole: before its last byte leaves.
    fn settle_if_whole(&mut self) {
        let whole = match &self.tally {
            Tally::Stream(meter) => meter.is_complete(),
            Tally::Large(_) => false,
        };
        let is_judged = self.guard.as_ref().is_none_or(|guard| guard.is_idle());
        if whole && is_judged {
            self.settle(None, None);
        }
    }

    /// `failure`: why the answer ended before its end. `refused`: the guard that ended it.
    fn settle(&mut self, failure: Option<AttemptFailure>, refused: Option<Arc<str>>) {
        self.keep(&[]);
        let now = self.trail.gateway().clock.mono();
        let status = self.serving.status;
        let facts = self.trail.facts();
        if let Some(guard) = &mut self.guard {
            guard.tell(&mut facts.verdicts);
            if let (true, Some(part)) = (guard.has_own_masks(), &mut facts.cached) {
                part.keep_nothing();
            }
        }
        let (Some(held), Some(call)) = (&mut facts.held, &facts.call) else {
            return;
        };
        // Clients leave when they read of an error within a stream: the backend ended that call.
        let failure = match failure {
            None | Some(AttemptFailure::HungUp) if self.tally.saw_error() => {
                Some(AttemptFailure::Cut)
            }
            other => other,
        };
        let outcome = match failure {
            None if refused.is_some() => Outcome::Refused,
            None if status.is_success() => Outcome::Ok,
            None => Outcome::ClientError,
            Some(AttemptFailure::HungUp) => Outcome::HungUp,
            Some(_) => Outcome::Cut,
        };
        if outcome == Outcome::Cut {
            self.serving.failed();
        }
        let encoding = held.encoding;
        let metered = if status.is_success() {
            self.tally
                .metered(call.operation, encoding, || held.count_prompt(call))
        } else {
            Metered::NOTHING
        };
        held.attempts.push(AttemptRecord {
            backend: self.serving.backend.id().clone(),
            status: status.as_u16(),
            failure,
            metered,
            cost: held.cost(self.serving.backend.id(), &metered),
            latency: now.since(self.serving.sent_at),
        });
        facts.end(status, outcome);
        self.ended = Some(Ended {
            outcome,
            rule: refused.clone(),
            metered,
        });
        if let Some(ending) = &mut facts.ending {
            ending.rule = refused;
        }
        self.trail.settle(metered);
    }

    /// A guard ends the stream; its client hears of it as of any failure.
    fn blocked(&mut self, blocked: Blocked) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        self.state = State::Ended;
        if self.trail.is_settled() {
            // The client has the whole answer.
            return Poll::Ready(None);
        }
        let origin = self.trail.facts().origin;
        self.settle(None, Some(blocked.rule.clone()));
        let event = Refusal::Blocked(blocked).event(origin.dialect, &origin.id.to_string());
        Poll::Ready(Some(Ok(Frame::data(event))))
    }

    /// The upstream broke off. A stream's client hears of it in its dialect, as the last event; what
    /// was held of an unfinished one is dropped. Anything else is cut, so that it never looks whole.
    fn broke(&mut self, failure: AttemptFailure) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        self.state = State::Ended;
        let origin = self.trail.facts().origin;
        self.settle(Some(failure), None);
        Poll::Ready(Some(match &self.tally {
            Tally::Stream(_) => {
                let event = Refusal::UpstreamCut.event(origin.dialect, &origin.id.to_string());
                Ok(Frame::data(event))
            }
            Tally::Large(_) => Err(Cut),
        }))
    }

    /// The upstream's body ended by itself. A stream that never said it was done was cut.
    fn ended(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let rest = self.tally.finish();
        let was_settled = self.trail.is_settled();
        if self.guard.is_none() && self.tally.may_end_here() {
            self.keep(&rest);
        }
        if !was_settled && !self.tally.may_end_here() {
            return self.broke(AttemptFailure::Cut);
        }
        if let Some(guard) = &mut self.guard {
            guard.push(&rest, false);
            guard.end();
            self.state = State::Draining;
            return self.poll_draining(cx);
        }
        if !was_settled {
            self.settle(None, None);
        }
        self.state = State::Ended;
        if rest.is_empty() {
            Poll::Ready(None)
        } else {
            Poll::Ready(Some(Ok(Frame::data(rest))))
        }
    }
}

impl Body for MeteredBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = &mut *self;
        loop {
            match this.state {
                State::Ended => return Poll::Ready(None),
                State::Draining => return this.poll_draining(cx),
                State::Flowing => {}
            }
            if let Some(guard) = &mut this.guard {
                match guard.poll(cx) {
                    Poll::Ready(Ok(judged)) if judged.is_empty() => {}
                    Poll::Ready(Ok(judged)) => return this.leave(judged),
                    Poll::Ready(Err(blocked)) => return this.blocked(blocked),
                    Poll::Pending if guard.has_room() => {}
                    Poll::Pending => return Poll::Pending,
                }
            }
            match ready!(this.poll_pieces(cx)) {
                Some(Ok(piece)) => {
                    let is_cut = this.tally.has_unmetered();
                    match &mut this.guard {
                        Some(guard) => guard.push(&piece, is_cut),
                        // All of it was held back or stripped: nothing to send yet.
                        None if piece.is_empty() => this.settle_if_whole(),
                        None => return this.leave(piece),
                    }
                }
                Some(Err(_)) if this.trail.is_settled() => this.state = State::Ended,
                Some(Err(failure)) => return this.broke(failure),
                None => return this.ended(cx),
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

impl MeteredBody {
    fn leave(&mut self, piece: Bytes) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        self.keep(&piece);
        self.settle_if_whole();
        self.progress();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    /// What guards still hold, then the end.
    fn poll_draining(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let Some(guard) = &mut self.guard else {
            return Poll::Ready(None);
        };
        let judged = match ready!(guard.poll(cx)) {
            Ok(judged) => judged,
            Err(blocked) => return self.blocked(blocked),
        };
        if guard.is_idle() && !self.trail.is_settled() {
            self.settle(None, None);
        }
        if judged.is_empty() {
            self.state = State::Ended;
            return Poll::Ready(None);
        }
        Poll::Ready(Some(Ok(Frame::data(judged))))
    }

    /// `piece` leaves for the client. Where guards look, what they let through is kept instead, before
    /// masked values are put back.
    fn keep(&mut self, piece: &[u8]) {
        let facts = self.trail.facts();
        if !facts.said.is_wanted() {
            return;
        }
        let let_through;
        let piece = match &mut self.guard {
            None => piece,
            Some(guard) => {
                let_through = guard.take_kept();
                &let_through
            }
        };
        match &self.tally {
            Tally::Stream(_) => facts.said.keep_events(piece),
            Tally::Large(_) => facts.said.keep_piece(piece),
        }
    }

    /// The journal knows what passed before the client does.
    fn progress(&mut self) {
        let gateway = self.trail.gateway().clone();
        if let (Tally::Stream(meter), Some(held)) = (&self.tally, &self.trail.facts().held) {
            held.progress(&gateway.ledger, meter.deltas());
        }
    }
}

impl Drop for MeteredBody {
    /// The client left mid-answer: it pays for what passed.
    fn drop(&mut self) {
        if !self.trail.is_settled() {
            self.settle(Some(AttemptFailure::HungUp), None);
        }
    }
}

impl Tally {
    fn push(&mut self, data: Bytes) -> Bytes {
        match self {
            Self::Stream(meter) => meter.push(data),
            Self::Large(answer) => {
                answer.see(&data);
                data
            }
        }
    }

    fn finish(&mut self) -> Bytes {
        match self {
            Self::Stream(meter) => meter.finish(),
            Self::Large(_) => Bytes::new(),
        }
    }

    /// A stream must have said `[DONE]` or its usage, or that it failed, of which its client need not
    /// hear twice; a large answer's end is the transport's word.
    fn may_end_here(&self) -> bool {
        match self {
            Self::Stream(meter) => {
                meter.is_complete() || meter.reported().is_some() || meter.saw_error()
            }
            Self::Large(_) => true,
        }
    }

    /// Some event was too large to be held, so that its parts pass.
    fn has_unmetered(&self) -> bool {
        match self {
            Self::Stream(meter) => meter.has_unmetered(),
            Self::Large(_) => false,
        }
    }

    /// The provider said within the answer that it failed.
    fn saw_error(&self) -> bool {
        match self {
            Self::Stream(meter) => meter.saw_error(),
            Self::Large(_) => false,
        }
    }

    pub fn metered(
        &mut self,
        operation: Operation,
        encoding: Encoding,
        prompt: impl FnOnce() -> u64,
    ) -> Metered {
        let reported = match self {
            Self::Stream(meter) => meter.reported(),
            Self::Large(answer) => answer.reported(operation),
        };
        if let Some(usage) = reported {
            return Metered::Reported(usage);
        }
        let completion = match self {
            Self::Stream(meter) => meter.completion_tokens(encoding),
            Self::Large(answer) => answer.completion_tokens(operation, encoding),
        };
        Metered::Estimated(Usage {
            prompt: prompt(),
            completion,
            ..Usage::default()
        })
    }
}

impl Watch {
    /// Ready when the upstream was silent for too long, or the answer took too long in all.
    fn poll(&mut self, cx: &mut Context<'_>, trail: &Trail) -> Poll<AttemptFailure> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = trail.gateway().clock.mono();
            let silent = now.since(self.heard);
            if now >= self.deadline {
                return Poll::Ready(AttemptFailure::TotalTimeout);
            }
            if silent >= self.idle {
                return Poll::Ready(AttemptFailure::IdleTimeout);
            }
            let wait = (self.idle - silent).min(self.deadline.since(now));
            self.timer.set(tokio::time::sleep(wait));
        }
    }
}

fn joined(first: Bytes, second: Bytes) -> Bytes {
    match (first.is_empty(), second.is_empty()) {
        (true, _) => second,
        (false, true) => first,
        (false, false) => {
            // The first piece's buffer grows in place where it can.
            let mut both = first
                .try_into_mut()
                .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
            both.extend_from_slice(&second);
            both.freeze()
        }
    }
}

/// What is kept of a unary answer larger than the gateway holds.
pub struct LargeAnswer {
    head: Arc<[u8]>,
    tail: Vec<u8>,
    passed: u64,
}

impl LargeAnswer {
    /// A usage object with its details takes a few hundred bytes.
    const TAIL_BYTES: usize = 8 * 1024;
    /// Of this much of the text the tokens are counted: the rest goes by its density.
    const HEAD_BYTES: usize = 1024 * 1024;

    pub fn new(head: &[u8]) -> Self {
        Self {
            head: head[..head.len().min(Self::HEAD_BYTES)].into(),
            tail: Vec::new(),
            passed: 0,
        }
    }

    pub fn see(&mut self, data: &[u8]) {
        self.passed += data.len() as u64;
        self.tail.extend_from_slice(data);
        if self.tail.len() > 2 * Self::TAIL_BYTES {
            self.tail.drain(..self.tail.len() - Self::TAIL_BYTES);
        }
    }

    fn reported(&self, operation: Operation) -> Option<Usage> {
        dialect::answer::usage_within(operation, &self.tail)
            .or_else(|| dialect::answer::usage_within(operation, &self.head))
    }

    /// By tokenizer for what was held, by its density for the rest.
    fn completion_tokens(&self, operation: Operation, encoding: Encoding) -> u64 {
        let held = dialect::answer::completion_tokens(operation, &self.head, encoding);
        let density = held as f64 / self.head.len().max(1) as f64;
        (self.passed.max(self.head.len() as u64) as f64 * density).ceil() as u64
    }
}
