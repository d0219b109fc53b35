//! A streamed answer's way past its guards: whole events in, whole events out.
//!
//! Each guard is a stage, in order, and what puts masked values back is the last one. A stage holds
//! back no more than it must: of a text its last words, of an answer that a service looks at the
//! window that is being judged. Between the guards' stages and the last one, the events are those
//! that a record may keep.

mod judged;
mod lists;
mod pii;
mod places;
mod restore;

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use config::snapshot::{GuardKind, Guards};
use content::redact::Masks;
use dialect::texts;
use domain::record::{Content, Ruling, Verdict};

use super::document::{NO_HASH_KEY, NO_JUDGE, rules};
use super::judges::Judges;
use super::{Blocked, Judgement, is_worth_telling};
use crate::gateway::Gateway;

use self::judged::JudgedStage;
use self::lists::ListsStage;
use self::pii::PiiStage;
use self::restore::RestoreStage;

/// Past this, nothing more is read from the provider until some of it has left.
const HELD_BYTES_MAX: usize = 1024 * 1024;

/// The stages of one answer.
pub struct StreamGuard {
    guards: Arc<Guards>,
    stages: Vec<Stage>,
    masks: Masks,
    /// How many of the masks its prompt had.
    of_prompt: usize,
    is_told: bool,
    /// For a record: what every guard let through, before masked values are put back.
    kept: Option<BytesMut>,
}

struct Stage {
    /// Its guard's place in the list; none of what puts values back.
    guard: Option<usize>,
    kind: Kind,
    /// Whole events that it has not judged: one that waits for a service leaves them here meanwhile.
    queue: BytesMut,
    /// All that comes has come.
    is_last: bool,
    /// It has given out all that there will be.
    is_over: bool,
    blocks: bool,
    /// It could not judge: everything passes, if its guard lets it.
    failure: Option<Arc<str>>,
    /// When it may judge again, if it is a service that could not.
    wait: Option<Duration>,
}

enum Kind {
    Pii(Box<PiiStage>),
    Lists(Box<ListsStage>),
    Judged(Box<JudgedStage>),
    Restore(RestoreStage),
    /// Failed before it began.
    Never,
}

/// Why a stage gives out nothing.
enum Stop {
    /// It found what may not pass.
    Blocks,
    Fails {
        why: Arc<str>,
        /// When it may judge again, if it is a service that could not.
        wait: Option<Duration>,
        /// What it was given or held back, for the case that it may pass.
        events: Vec<u8>,
    },
}

impl Stop {
    fn fails(why: &str, events: Vec<u8>) -> Self {
        Self::Fails {
            why: why.into(),
            wait: None,
            events,
        }
    }
}

impl StreamGuard {
    pub fn new(
        gateway: &Gateway,
        guards: Arc<Guards>,
        masks: Masks,
        judges: Option<&Judges>,
    ) -> Self {
        let mut stages = Vec::with_capacity(guards.list.len() + 1);
        for (index, guard) in guards.list.iter().enumerate() {
            if guard.on.answer {
                stages.push(Stage::of(index, &guards, gateway, judges));
            }
        }
        if guards.mask() {
            let stage = RestoreStage::new(guards.mask_answers());
            stages.push(Stage::new(None, Kind::Restore(stage)));
        }
        Self {
            guards,
            stages,
            of_prompt: masks.len(),
            masks,
            is_told: false,
            kept: None,
        }
    }

    /// What guards let through is kept for a record from now on.
    pub fn keep(&mut self) {
        self.kept.get_or_insert_default();
    }

    /// Of what has been kept, what is new.
    pub fn take_kept(&mut self) -> Bytes {
        let kept = self.kept.as_mut().map(BytesMut::split);
        kept.unwrap_or_default().freeze()
    }

    /// Values were masked in it that its prompt did not have: nobody else could put them back.
    pub fn has_own_masks(&self) -> bool {
        self.masks.len() > self.of_prompt
    }

    /// Takes whole events; `is_cut`: what comes is no longer whole ones, which no stage can read.
    pub fn push(&mut self, events: &[u8], is_cut: bool) {
        if is_cut {
            for stage in &mut self.stages {
                stage
                    .failure
                    .get_or_insert_with(|| "event too large".into());
            }
        }
        let is_judged = self.stages.iter().any(|stage| stage.guard.is_some());
        let plain = (is_judged && !is_cut).then(|| texts::plain_events(events));
        let events = plain.as_deref().unwrap_or(events);
        if let (Some(kept), false) = (&mut self.kept, is_judged) {
            kept.extend_from_slice(events);
        }
        if let Some(first) = self.stages.first_mut() {
            first.queue.extend_from_slice(events);
        }
    }

    /// Nothing more will come.
    pub fn end(&mut self) {
        if let Some(first) = self.stages.first_mut() {
            first.is_last = true;
        }
    }

    /// What may leave now; empty: nothing, until more has come. Pending while a stage waits for a
    /// judgement and nothing else may leave.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Blocked>> {
        let mut is_waiting = false;
        let mut given = Bytes::new();
        let mut is_last = false;
        let last_guard = self.stages.iter().rposition(|stage| stage.guard.is_some());
        for index in 0..self.stages.len() {
            let stage = &mut self.stages[index];
            stage.queue.extend_from_slice(&given);
            stage.is_last |= is_last;
            given = match stage.poll(&mut self.masks, cx) {
                Poll::Ready(Ok(events)) => events,
                Poll::Ready(Err(())) => return Poll::Ready(Err(self.blocked(index))),
                Poll::Pending => {
                    is_waiting = true;
                    Bytes::new()
                }
            };
            let stage = &self.stages[index];
            if self.fails_closed(stage) {
                return Poll::Ready(Err(self.blocked(index)));
            }
            is_last = stage.is_over;
            if let (Some(kept), true) = (&mut self.kept, last_guard == Some(index)) {
                kept.extend_from_slice(&given);
            }
        }
        if is_waiting && given.is_empty() {
            return Poll::Pending;
        }
        Poll::Ready(Ok(given))
    }

    /// Nothing waits in it for more than what comes next.
    pub fn is_idle(&self) -> bool {
        self.stages.iter().all(Stage::is_idle)
    }

    /// Whether more may be read from the provider.
    pub fn has_room(&self) -> bool {
        let held: usize = self.stages.iter().map(|stage| stage.queue.len()).sum();
        held < HELD_BYTES_MAX
    }

    /// What its guards found, once.
    pub fn tell(&mut self, verdicts: &mut Vec<Verdict>) {
        if std::mem::replace(&mut self.is_told, true) {
            return;
        }
        let all = self.stages.iter().filter_map(|stage| self.verdict(stage));
        verdicts.extend(all.filter(is_worth_telling));
    }

    fn verdict(&self, stage: &Stage) -> Option<Verdict> {
        let guard = self.guards.list.get(stage.guard?)?;
        Some(stage.judgement().verdict(guard, Content::Answer))
    }

    fn fails_closed(&self, stage: &Stage) -> bool {
        stage.failure.is_some()
            && self
                .verdict(stage)
                .is_some_and(|verdict| verdict.verdict == Ruling::Blocked)
    }

    fn blocked(&self, index: usize) -> Blocked {
        let verdict = self.stages.get(index).and_then(|stage| self.verdict(stage));
        verdict.as_ref().map_or_else(
            // What puts values back blocks nothing.
            || Blocked {
                rule: "".into(),
                on: Content::Answer,
                kinds: Vec::new(),
                failure: None,
                wait: None,
            },
            |verdict| Blocked::by(verdict, self.stages[index].wait),
        )
    }
}

impl Stage {
    fn new(guard: Option<usize>, kind: Kind) -> Self {
        Self {
            guard,
            kind,
            queue: BytesMut::new(),
            is_last: false,
            is_over: false,
            blocks: false,
            failure: None,
            wait: None,
        }
    }

    fn of(index: usize, guards: &Arc<Guards>, gateway: &Gateway, judges: Option<&Judges>) -> Self {
        let windows = match &guards.list[index].kind {
            GuardKind::Pii(pii) => {
                return match rules(pii, gateway) {
                    Some(rules) => {
                        Self::new(Some(index), Kind::Pii(Box::new(PiiStage::new(rules))))
                    }
                    None => Self::never(index, NO_HASH_KEY),
                };
            }
            GuardKind::Lists(_) => {
                let stage = ListsStage::new(guards.clone(), index);
                return Self::new(Some(index), Kind::Lists(Box::new(stage)));
            }
            GuardKind::ContentSafety(safety) => safety.windows.answer,
            GuardKind::Moderation(moderation) => moderation.windows.answer,
            GuardKind::Webhook(webhook) => webhook.windows,
            GuardKind::Presidio(presidio) => presidio.windows.answer,
        };
        let Some(judges) = judges else {
            return Self::never(index, NO_JUDGE);
        };
        let stage = JudgedStage::new(judges.clone(), guards.clone(), index, windows);
        Self::new(Some(index), Kind::Judged(Box::new(stage)))
    }

    /// One that fails before it begins.
    fn never(index: usize, why: &str) -> Self {
        Self {
            failure: Some(why.into()),
            ..Self::new(Some(index), Kind::Never)
        }
    }

    fn is_idle(&self) -> bool {
        let holds = match &self.kind {
            Kind::Judged(stage) => self.failure.is_none() && !stage.is_idle(),
            Kind::Pii(_) | Kind::Lists(_) | Kind::Restore(_) | Kind::Never => false,
        };
        self.queue.is_empty() && !holds
    }

    /// What it gives out of what it has; an error: it blocks.
    fn poll(&mut self, masks: &mut Masks, cx: &mut Context<'_>) -> Poll<Result<Bytes, ()>> {
        if self.failure.is_some() {
            self.is_over = self.is_last;
            return Poll::Ready(Ok(self.queue.split().freeze()));
        }
        let waits = matches!(self.kind, Kind::Judged(_));
        if self.is_over || !waits && self.queue.is_empty() && !self.is_last {
            return Poll::Ready(Ok(Bytes::new()));
        }
        let given = match &mut self.kind {
            Kind::Judged(stage) => {
                let given = ready!(stage.judge(&mut self.queue, self.is_last, masks, cx));
                self.is_over = self.is_last && self.queue.is_empty() && stage.is_idle();
                given
            }
            Kind::Pii(stage) => {
                let events = self.queue.split().freeze();
                self.is_over = self.is_last;
                stage.judge(&events, self.is_last, masks)
            }
            Kind::Lists(stage) => {
                let events = self.queue.split().freeze();
                self.is_over = self.is_last;
                stage.judge(&events, self.is_last)
            }
            Kind::Restore(stage) => {
                let events = self.queue.split().freeze();
                self.is_over = self.is_last;
                stage.restore(events, self.is_last, masks)
            }
            Kind::Never => {
                self.is_over = self.is_last;
                Ok(self.queue.split().freeze())
            }
        };
        match given {
            Ok(given) => Poll::Ready(Ok(given)),
            Err(Stop::Blocks) => {
                self.blocks = true;
                Poll::Ready(Err(()))
            }
            Err(Stop::Fails { why, wait, events }) => {
                self.failure = Some(why);
                self.wait = wait;
                self.is_over = self.is_last;
                Poll::Ready(Ok(events.into()))
            }
        }
    }

    fn judgement(&self) -> Judgement {
        let found = match &self.kind {
            Kind::Pii(stage) => stage.judgement(),
            Kind::Lists(stage) => stage.judgement(),
            Kind::Judged(stage) => stage.judgement(),
            Kind::Restore(_) | Kind::Never => Judgement::default(),
        };
        Judgement {
            blocks: self.blocks,
            failure: self.failure.clone(),
            ..found
        }
    }
}
