//! Guards: what of a prompt may reach a provider, and what of its answer the client.
//!
//! A guard sees the texts of a document (`dialect::texts`) and gives a [`Judgement`]: what it found,
//! what it put in its place, whether it blocks, or why it could not judge; `on_error` then says what
//! that means. Guards look one after another, each at what the one before it left. Prompts and
//! unary answers are whole documents ([`document`]); a stream goes through a [`stream::StreamGuard`],
//! whose stages may hold it back. What was found is told of by kind and number, never by its text.
//!
//! A guard that waits for a service is one more variant of `config::snapshot::GuardKind`, with an arm
//! in [`document::judge`], which is async and may take its time, and one in `stream::Stage::of`: a
//! stage keeps the events that it was given, asks about their texts a window at a time, and gives
//! them out when its answer is there (`stream::Stage::poll`). Time limits are its own; no verdict,
//! order, refusal or record is its business.

mod asking;
pub(crate) mod document;
pub mod hash_key;
mod judges;
pub mod service;
pub mod stream;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use config::snapshot::{Guard, GuardKind, Guards, OnError};
use content::lists::Lists;
use content::redact::Masks;
use content::safety;
use dialect::{Operation, Request, texts};
use domain::record::{Content, Ruling, Verdict};

use crate::gateway::Gateway;
use crate::identity::Caller;
use crate::refusal::Refusal;
use crate::reply;
use crate::router::{self, Answered};
use crate::trail::{Held, Origin};

use self::document::Looking;
use self::judges::{Judges, Subject};
use self::service::Failure;
use self::stream::StreamGuard;

/// What one guard says of one document, or of one stream so far.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    pub is_edited: bool,
    pub blocks: bool,
    /// By kind or category: how often, or how severe.
    pub findings: Vec<(Arc<str>, u32)>,
    /// Why it could not judge, in a few words without content.
    pub failure: Option<Arc<str>>,
    /// When another try may do better, if a service could not judge.
    pub wait: Option<Duration>,
}

impl Judgement {
    pub fn failed(why: impl Into<Arc<str>>) -> Self {
        Self {
            failure: Some(why.into()),
            ..Self::default()
        }
    }

    /// What is written down of it.
    fn verdict(&self, guard: &Guard, on: Content) -> Verdict {
        let fails_closed = self.failure.is_some() && guard.on_error == OnError::Block;
        let verdict = if self.blocks || fails_closed {
            Ruling::Blocked
        } else if self.is_edited {
            Ruling::Redacted
        } else {
            Ruling::Passed
        };
        Verdict {
            guard: guard.rule.clone(),
            on,
            verdict,
            findings: self.findings.clone(),
            failure: self.failure.clone(),
        }
    }
}

/// A guard said no. What it found is told by kind.
#[derive(Clone, Debug)]
pub struct Blocked {
    pub rule: Arc<str>,
    pub on: Content,
    pub kinds: Vec<Arc<str>>,
    pub failure: Option<Arc<str>>,
    /// When another try may do better: a service could not judge, and the client did nothing wrong.
    pub wait: Option<Duration>,
}

impl Blocked {
    fn by(verdict: &Verdict, wait: Option<Duration>) -> Self {
        Self {
            rule: verdict.guard.clone(),
            on: verdict.on,
            kinds: verdict
                .findings
                .iter()
                .map(|(kind, _)| kind.clone())
                .collect(),
            failure: verdict.failure.clone(),
            wait: wait.filter(|_| verdict.failure.is_some()),
        }
    }
}

/// A prompt that passed, and what is needed to judge its answer.
pub struct Guarded {
    guards: Arc<Guards>,
    /// What was masked in the prompt, to be put back in the answer.
    masks: Masks,
    /// Absent where no guard asks a service.
    judges: Option<Judges>,
}

/// What of an answer the client is told.
pub enum Told {
    AsItCame,
    /// A unary answer that was edited.
    Edited {
        bytes: Bytes,
        /// Values were masked in it that its prompt did not have: nobody else could put them back.
        has_own_masks: bool,
    },
    Stream(Box<StreamGuard>),
    Blocked(Refusal),
}

/// Judges the prompt. `call` is then what may be forwarded.
pub async fn judge_prompt(
    gateway: &Gateway,
    guards: &Arc<Guards>,
    (caller, origin): (&Caller, &Origin),
    call: &mut Request,
    held: &mut Held,
    verdicts: &mut Vec<Verdict>,
) -> Result<Guarded, Refusal> {
    let mut masks = Masks::default();
    let judges = guards.ask_services().then(|| Judges {
        services: gateway.services.clone(),
        clock: gateway.clock.clone(),
        subject: Arc::new(Subject {
            call: origin.id.to_string(),
            subscription: caller.subscription.id.to_string(),
            product: caller.subscription.product.id.to_string(),
            application: caller.application.as_ref().map(ToString::to_string),
            model: call.model.to_string(),
        }),
    });
    if guards.look_at_prompt() {
        if guards.mask() {
            texts::each(call.body(), |text| masks.avoid(text));
        }
        let mut looking = Looking {
            gateway,
            guards,
            on: Content::Prompt,
            masks,
            judges: judges.clone(),
            verdicts,
        };
        let judged = looking.judge_all(call.body().clone()).await;
        masks = looking.masks;
        if let Some(edited) = judged.map_err(Refusal::Blocked)? {
            // The client's own bytes, and the room that they took, go with the old request.
            let mut room = gateway.overload.body_room();
            room.grow_to(edited.len() as u64)?;
            *call = call.with_body(room.keep(edited))?;
            held.prompt_is_exact = false;
        }
    }
    Ok(Guarded {
        guards: guards.clone(),
        masks,
        judges,
    })
}

impl Guarded {
    /// What its answer says is not what another's would.
    pub fn has_masked(&self) -> bool {
        !self.masks.is_empty()
    }

    /// Its answer may have values masked that its prompt did not have.
    pub fn may_mask_answer(&self) -> bool {
        self.guards.mask_answers()
    }

    /// Judges a unary answer, or gets ready to judge a stream. An answer that is here was paid for,
    /// whatever becomes of it: it is metered before anybody looks at it.
    pub async fn judge_answer(
        self,
        gateway: &Gateway,
        call: &Request,
        held: &mut Held,
        origin: &Origin,
        answered: &mut Answered,
        verdicts: &mut Vec<Verdict>,
    ) -> Result<Told, Refusal> {
        let Self {
            guards,
            mut masks,
            judges,
        } = self;
        masks.begin_answer();
        let is_vectors = call.operation == Operation::Embeddings;
        let is_text = !(is_vectors && answered.status().is_success());
        if !is_text || !guards.look_at_answer() && masks.is_empty() {
            return Ok(Told::AsItCame);
        }
        if let router::Content::Stream { .. } = answered.content {
            let stages = StreamGuard::new(gateway, guards, masks, judges.as_ref());
            return Ok(Told::Stream(Box::new(stages)));
        }
        answered.hold_on(gateway, call, held).await?;
        let router::Content::Whole { bytes, .. } = &answered.content else {
            return Ok(unreadable_answer(&guards, verdicts));
        };
        let bytes = bytes.clone();
        reply::meter(call, held, answered, origin);
        let of_prompt = masks.len();
        let mut looking = Looking {
            gateway,
            guards: &guards,
            on: Content::Answer,
            masks,
            judges,
            verdicts,
        };
        let edited = match looking.judge_all(bytes.clone()).await {
            Ok(edited) => edited,
            Err(blocked) => return Ok(Told::Blocked(Refusal::Blocked(blocked))),
        };
        // What a record keeps of the answer is what is here: masks are put back for the client alone.
        let masks = looking.masks;
        let kept = edited.clone().unwrap_or(bytes);
        let restored = document::restore(&kept, &masks).map(Bytes::from);
        if let router::Content::Whole { bytes, .. } = &mut answered.content {
            *bytes = kept;
        }
        let told = |bytes| Told::Edited {
            bytes,
            has_own_masks: masks.len() > of_prompt,
        };
        Ok(restored.or(edited).map_or(Told::AsItCame, told))
    }
}

/// Larger than may be held: it passes only if every guard says that what it cannot judge may.
fn unreadable_answer(guards: &Guards, verdicts: &mut Vec<Verdict>) -> Told {
    let mut told = Told::AsItCame;
    for guard in guards.list.iter().filter(|guard| guard.on.answer) {
        let verdict = Judgement::failed("answer too large").verdict(guard, Content::Answer);
        if verdict.verdict == Ruling::Blocked && matches!(told, Told::AsItCame) {
            told = Told::Blocked(Refusal::Blocked(Blocked::by(&verdict, None)));
        }
        verdicts.push(verdict);
    }
    told
}

fn lists_of(guards: &Guards, index: usize) -> Option<&Lists> {
    match &guards.list.get(index)?.kind {
        GuardKind::Lists(lists) => Some(lists),
        GuardKind::Pii(_)
        | GuardKind::ContentSafety(_)
        | GuardKind::Moderation(_)
        | GuardKind::Webhook(_)
        | GuardKind::Presidio(_) => None,
    }
}

fn findings(judgement: &safety::Judgement) -> Vec<(Arc<str>, u32)> {
    let findings = judgement.findings().iter();
    findings
        .map(|(category, figure)| (category.as_str().into(), *figure))
        .collect()
}

/// When a client may try again.
fn service_wait(failure: Failure) -> Duration {
    failure.retry_after().unwrap_or(Duration::from_secs(1))
}

/// Nobody wants to read of guards that found nothing.
fn is_worth_telling(verdict: &Verdict) -> bool {
    verdict.verdict != Ruling::Passed || !verdict.findings.is_empty() || verdict.failure.is_some()
}
