//! One stream for several clients. Whoever reads drives it; what came is kept until all have it, within
//! a bound.
//!
//! The leader's call lives in the stream's body, so it goes on when the leader's client leaves, and ends
//! when the last of them does. A reader that falls behind the bound is cut, and nobody else.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use domain::Metered;
use domain::record::Outcome;
use http::StatusCode;
use http_body::{Body, Frame};

use crate::body::Cut;
use crate::meter::{Ended, MeteredBody};
use crate::trail::Trail;

/// Of what came and not everybody has. Who joins gets it from the beginning, as long as that is here.
const LOG_BYTES_MAX: usize = 1024 * 1024;
/// More ask for themselves.
const READERS_MAX: usize = 1_000;

pub struct Shared {
    state: Mutex<State>,
    wakers: Arc<Wakers>,
}

struct State {
    /// Until its end, or until nobody reads it.
    body: Option<Pin<Box<MeteredBody>>>,
    log: VecDeque<Bytes>,
    log_bytes: usize,
    /// The place of the log's first piece in the stream.
    first: usize,
    /// The next piece of each reader; `None` is a free place.
    places: Vec<Option<Place>>,
    /// Nothing more comes: whether it ended well.
    end: Option<Result<(), ()>>,
    /// Once the call behind it has settled.
    ended: Option<Ended>,
}

#[derive(Clone, Copy)]
enum Place {
    At(usize),
    /// It fell behind.
    Cut,
    /// It was told that it is cut.
    Over,
}

/// Of all readers: the upstream wakes whoever wants to go on.
#[derive(Default)]
struct Wakers(Mutex<Vec<Option<Waker>>>);

impl Wakers {
    fn set(&self, at: usize, waker: &Waker) {
        let mut wakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if wakers.len() <= at {
            wakers.resize(at + 1, None);
        }
        match &mut wakers[at] {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    fn clear(&self, at: usize) {
        let mut wakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waker) = wakers.get_mut(at) {
            *waker = None;
        }
    }

    fn wake_all_but(&self, own: Option<usize>) {
        let woken: Vec<Waker> = {
            let mut wakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let others = wakers.iter_mut().enumerate();
            others
                .filter(|(at, _)| Some(*at) != own)
                .filter_map(|(_, waker)| waker.take())
                .collect()
        };
        for waker in woken {
            waker.wake();
        }
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_all_but(None);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all_but(None);
    }
}

/// One client's place in the stream.
pub struct Reader {
    shared: Arc<Shared>,
    at: usize,
}

/// What a reader gets.
enum Next {
    /// `ended` once the call behind it has settled, if this is the last piece.
    Piece {
        piece: Bytes,
        ended: Option<Ended>,
    },
    End(Option<Ended>),
    Cut,
}

impl Shared {
    pub fn of(body: MeteredBody) -> (Arc<Self>, Reader) {
        let state = State {
            body: Some(Box::pin(body)),
            log: VecDeque::new(),
            log_bytes: 0,
            first: 0,
            places: vec![Some(Place::At(0))],
            end: None,
            ended: None,
        };
        let shared = Arc::new(Self {
            state: Mutex::new(state),
            wakers: Arc::default(),
        });
        let reader = Reader {
            shared: shared.clone(),
            at: 0,
        };
        (shared, reader)
    }

    /// `None` once its beginning is gone, it ended without anybody, or too many read it.
    pub fn join(shared: &Arc<Self>) -> Option<Reader> {
        let mut state = shared.lock();
        let is_abandoned = state.body.is_none() && state.end.is_none();
        if state.first > 0 || is_abandoned {
            return None;
        }
        let free = state.places.iter().position(Option::is_none);
        let at = match free {
            Some(at) => at,
            None if state.places.len() < READERS_MAX => {
                state.places.push(None);
                state.places.len() - 1
            }
            None => return None,
        };
        state.places[at] = Some(Place::At(0));
        drop(state);
        Some(Reader {
            shared: shared.clone(),
            at,
        })
    }

    /// A panic within the body's poll ends its call; the others see what is there.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What the stream has next, into the log.
    fn drive(&mut self, wakers: &Arc<Wakers>) -> Poll<()> {
        let Some(body) = &mut self.body else {
            self.end = Some(Err(()));
            return Poll::Ready(());
        };
        let waker = Waker::from(wakers.clone());
        let came = body.as_mut().poll_frame(&mut Context::from_waker(&waker));
        let Poll::Ready(came) = came else {
            return Poll::Pending;
        };
        self.ended = body.how_it_ended().cloned();
        match came {
            // Bodies of ours have no trailers.
            Some(Ok(frame)) => self.push(frame.into_data().unwrap_or_default()),
            Some(Err(Cut)) => self.end = Some(Err(())),
            None => self.end = Some(Ok(())),
        }
        if self.end.is_some() {
            self.body = None;
        }
        Poll::Ready(())
    }

    fn push(&mut self, piece: Bytes) {
        self.log_bytes += piece.len();
        self.log.push_back(piece);
        // All of it is kept for those who may still join, up to the bound; past it, for those who read.
        while self.log_bytes > LOG_BYTES_MAX && self.log.len() > 1 {
            let Some(gone) = self.log.pop_front() else {
                break;
            };
            self.log_bytes -= gone.len();
            self.first += 1;
        }
        for place in self.places.iter_mut().flatten() {
            if matches!(place, Place::At(next) if *next < self.first) {
                *place = Place::Cut;
            }
        }
    }

    /// Told once.
    fn cut(&mut self, at: usize) -> Next {
        if let Some(place) = self.places.get_mut(at) {
            *place = Some(Place::Over);
        }
        Next::Cut
    }

    fn piece(&self, next: usize) -> Option<&Bytes> {
        self.log.get(next.checked_sub(self.first)?)
    }
}

impl Reader {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        let shared = &self.shared;
        shared.wakers.set(self.at, cx.waker());
        let mut state = shared.lock();
        let next = match state.places.get(self.at) {
            Some(Some(Place::At(next))) => *next,
            Some(Some(Place::Cut)) => return Poll::Ready(state.cut(self.at)),
            Some(Some(Place::Over) | None) | None => return Poll::Ready(Next::End(None)),
        };
        if state.piece(next).is_none() && state.end.is_none() {
            if state.drive(&shared.wakers).is_pending() {
                return Poll::Pending;
            }
            shared.wakers.wake_all_but(Some(self.at));
        }
        if let Some(piece) = state.piece(next).cloned() {
            if let Some(place) = state.places.get_mut(self.at) {
                *place = Some(Place::At(next + 1));
            }
            let is_last = state.piece(next + 1).is_none();
            let ended = state.ended.clone().filter(|_| is_last);
            return Poll::Ready(Next::Piece { piece, ended });
        }
        Poll::Ready(match state.end {
            Some(Err(())) => state.cut(self.at),
            Some(Ok(())) | None => Next::End(state.ended.clone()),
        })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.wakers.clear(self.at);
        let mut state = self.shared.lock();
        if let Some(place) = state.places.get_mut(self.at) {
            *place = None;
        }
        // Others are told by the same waker: one of them drives the stream on. Nobody is left to: the
        // call behind it ends as one whose client left, and settles outside of the lock.
        let is_last = state.places.iter().all(Option::is_none);
        let abandoned = state.body.take_if(|_| is_last);
        drop(state);
        drop(abandoned);
    }
}

/// The leader's: its call is settled by the body itself.
impl Body for Reader {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        self.poll_next(cx).map(|next| match next {
            Next::Piece { piece, .. } => Some(Ok(Frame::data(piece))),
            Next::End(_) => None,
            Next::Cut => Some(Err(Cut)),
        })
    }
}

/// A call that is answered with another's stream. It is charged nothing, and ends as that one does.
pub struct Followed {
    reader: Reader,
    trail: Trail,
}

impl Followed {
    pub fn new(reader: Reader, trail: Trail) -> Self {
        Self { reader, trail }
    }

    /// Before its last byte leaves.
    fn settle(&mut self, ended: Option<Ended>) {
        if self.trail.is_settled() {
            return;
        }
        let Some(Ended {
            outcome,
            rule,
            metered,
        }) = ended
        else {
            return self.cut();
        };
        let facts = self.trail.facts();
        if let Some(part) = &mut facts.cached {
            part.spares(*metered.usage());
        }
        facts.end(StatusCode::OK, outcome);
        if let Some(ending) = &mut facts.ending {
            ending.rule = rule;
        }
        self.trail.settle(Metered::NOTHING);
    }

    fn cut(&mut self) {
        self.trail.facts().end(StatusCode::OK, Outcome::Cut);
        self.trail.settle(Metered::NOTHING);
    }
}

impl Body for Followed {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = &mut *self;
        this.reader.poll_next(cx).map(|next| match next {
            Next::Piece { piece, ended } => {
                this.trail.facts().said.keep_events(&piece);
                if ended.is_some() {
                    this.settle(ended);
                }
                Some(Ok(Frame::data(piece)))
            }
            Next::End(ended) => {
                this.settle(ended);
                None
            }
            Next::Cut => {
                this.cut();
                Some(Err(Cut))
            }
        })
    }
}
