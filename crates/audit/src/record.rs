//! What is kept of one call: as the gateway hands it in, and as a reader gets it back.

use std::fmt;
use std::sync::Arc;

use domain::record::Outcome;
use domain::{CallId, SubscriptionId, Wall};

use crate::bytes::{self, Malformed, Reader};
use crate::keys::KeyId;

/// One call, to be sealed. Prompt and answer come after redaction: what is handed in is kept.
#[derive(Clone, Copy)]
pub struct Draft<'a> {
    pub call: CallId,
    /// When the call began.
    pub at: Wall,
    pub subscription: &'a SubscriptionId,
    pub product: &'a str,
    pub application: Option<&'a str>,
    /// The person behind the call, if a claim says who. Sealed, and the reach of an erasure.
    pub user: Option<&'a str>,
    /// Which credential proved the call. Sealed; where no user is known it takes the user's place, so
    /// that a token's subject can be erased too.
    pub caller: &'a str,
    pub model: &'a str,
    pub backend: Option<&'a str>,
    pub outcome: Outcome,
    pub status: u16,
    /// How the gateway's own cache found the answer, if it gave it.
    pub hit: Option<Hit>,
    /// What refused the call, e.g. `product/standard/guard/pii`.
    pub rule: Option<&'a str>,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    /// For people: `0.001234 EUR`. Empty if unknown.
    pub cost: &'a str,
    /// What guards found, as kinds and counts, never as found.
    pub verdicts: &'a str,
    /// Text, or JSON that holds it: escapes in JSON are understood by searches. Absent at the level
    /// `metadata`. What is longer than `Settings::content_bytes_max` is cut, and the record says so.
    pub prompt: Option<&'a [u8]>,
    /// As the prompt. A stream's pieces belong joined, else words that were split are not found.
    pub answer: Option<&'a [u8]>,
    /// Content goes this many days after `at`.
    pub retention_days: u32,
    /// The call would have been refused, had it not been recorded.
    pub required: bool,
}

/// What stands in the clear, and is part of the chain: metadata that names no person. A record whose
/// content is gone still has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skeleton {
    pub call: CallId,
    pub at: Wall,
    pub recorded_at: Wall,
    pub subscription: SubscriptionId,
    pub product: Arc<str>,
    pub application: Option<Arc<str>>,
    pub model: Arc<str>,
    pub backend: Option<Arc<str>>,
    pub outcome: Outcome,
    pub status: u16,
    /// As the draft had it; older records never say it.
    pub hit: Option<Hit>,
    pub rule: Option<Arc<str>>,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub cost: Arc<str>,
    pub verdicts: Arc<str>,
    pub retention_days: u32,
    pub required: bool,
    /// How long they were before they were cut; `None` if they were not recorded.
    pub prompt_bytes: Option<u64>,
    pub answer_bytes: Option<u64>,
    pub prompt_cut: bool,
    pub answer_cut: bool,
    /// Sealed under this key.
    pub key: KeyId,
}

/// An answer that was made for an earlier call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hit {
    /// To just the same call.
    Exact,
    /// To a question that means the same.
    Semantic,
}

impl Hit {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Semantic => "semantic",
        }
    }
}

/// What is sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    pub user: Option<Arc<str>>,
    pub caller: Arc<str>,
    pub prompt: Option<Vec<u8>>,
    pub answer: Option<Vec<u8>>,
}

const DAY_MS: i64 = 86_400_000;
const PROMPT: u8 = 1;
const ANSWER: u8 = 2;
const PROMPT_CUT: u8 = 4;
const ANSWER_CUT: u8 = 8;
const REQUIRED: u8 = 16;
const HIT: u8 = 32;
/// Beside [`HIT`].
const SEMANTIC: u8 = 64;
/// A name that a client chose does not make a header longer than this.
const TEXT_BYTES_MAX: usize = 1024;
/// Of a skeleton's numbers, which stand before its texts.
const NUMBERS_BYTES: usize = 16 + 3 * 8 + 4 + 2 + 2 + 4 * 8;
/// In a header: behind its mark, the call's id and two times.
const KEY_AT: usize = 2 + 16 + 8 + 8;

impl Draft<'_> {
    /// Whose key seals it.
    pub(crate) fn person(&self) -> &str {
        self.user.unwrap_or(self.caller)
    }

    /// Whether what is kept says whose key seals it.
    pub(crate) fn tells_person(&self) -> bool {
        self.person().len() <= TEXT_BYTES_MAX
    }

    /// As much of prompt and answer as is kept.
    pub(crate) fn texts(&self, content_bytes_max: usize) -> [&[u8]; 2] {
        [self.prompt, self.answer].map(|text| cut(text.unwrap_or_default(), content_bytes_max))
    }
}

impl Skeleton {
    /// When its content may go.
    pub fn expires_at(&self) -> Wall {
        let kept = i64::from(self.retention_days).saturating_mul(DAY_MS);
        Wall(self.at.0.saturating_add(kept))
    }

    /// Whether a search for words may look for it.
    pub(crate) fn has_text(&self) -> bool {
        self.prompt_bytes.is_some_and(|bytes| bytes > 0)
            || self.answer_bytes.is_some_and(|bytes| bytes > 0)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Glance::read(reader)?.to_skeleton())
    }
}

/// A skeleton, borrowed from its header: searches look at a million and keep a hundred.
pub(crate) struct Glance<'a> {
    pub(crate) numbers: Numbers,
    pub(crate) outcome: Outcome,
    status: u16,
    prompt_tokens: u64,
    completion_tokens: u64,
    prompt_bytes: u64,
    answer_bytes: u64,
    pub(crate) subscription: &'a str,
    pub(crate) product: &'a str,
    pub(crate) application: Option<&'a str>,
    pub(crate) model: &'a str,
    backend: Option<&'a str>,
    rule: Option<&'a str>,
    cost: &'a str,
    pub(crate) verdicts: &'a str,
}

impl<'a> Glance<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(Self {
            numbers: Numbers::read(reader)?,
            outcome: outcome(reader.u8()?)?,
            status: reader.u16()?,
            prompt_tokens: reader.u64()?,
            completion_tokens: reader.u64()?,
            prompt_bytes: reader.u64()?,
            answer_bytes: reader.u64()?,
            subscription: reader.text()?,
            product: reader.text()?,
            application: reader.optional_text()?,
            model: reader.text()?,
            backend: reader.optional_text()?,
            rule: reader.optional_text()?,
            cost: reader.text()?,
            verdicts: reader.text()?,
        })
    }

    pub(crate) fn to_skeleton(&self) -> Skeleton {
        let numbers = &self.numbers;
        let flag = |flag: u8| numbers.flags & flag != 0;
        Skeleton {
            call: numbers.call,
            at: numbers.at,
            recorded_at: numbers.recorded_at,
            subscription: self.subscription.into(),
            product: self.product.into(),
            application: self.application.map(Into::into),
            model: self.model.into(),
            backend: self.backend.map(Into::into),
            outcome: self.outcome,
            status: self.status,
            hit: match (flag(HIT), flag(SEMANTIC)) {
                (false, _) => None,
                (true, false) => Some(Hit::Exact),
                (true, true) => Some(Hit::Semantic),
            },
            rule: self.rule.map(Into::into),
            prompt_tokens: self.prompt_tokens,
            completion_tokens: self.completion_tokens,
            cost: self.cost.into(),
            verdicts: self.verdicts.into(),
            retention_days: numbers.retention_days,
            required: flag(REQUIRED),
            prompt_bytes: flag(PROMPT).then_some(self.prompt_bytes),
            answer_bytes: flag(ANSWER).then_some(self.answer_bytes),
            prompt_cut: flag(PROMPT_CUT),
            answer_cut: flag(ANSWER_CUT),
            key: numbers.key,
        }
    }
}

/// A skeleton's beginning: all that chaining and indexing need, without a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    pub(crate) call: CallId,
    pub(crate) at: Wall,
    pub(crate) recorded_at: Wall,
    pub(crate) key: KeyId,
    pub(crate) retention_days: u32,
    flags: u8,
}

impl Numbers {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            call: CallId(u128::from_be_bytes(reader.array()?)),
            at: Wall(reader.i64()?),
            recorded_at: Wall(reader.i64()?),
            key: KeyId(reader.u64()?),
            retention_days: reader.u32()?,
            flags: reader.u8()?,
        })
    }

    pub(crate) fn has_texts(&self) -> bool {
        self.flags & (PROMPT | ANSWER) != 0
    }

    pub(crate) fn expires_at(&self) -> Wall {
        let kept = i64::from(self.retention_days).saturating_mul(DAY_MS);
        Wall(self.at.0.saturating_add(kept))
    }
}

/// Writes what stands in the clear of a draft. `content_bytes_max` says what will be cut.
pub(crate) fn put_skeleton(
    header: &mut Vec<u8>,
    draft: &Draft<'_>,
    key: KeyId,
    content_bytes_max: usize,
    recorded_at: Wall,
) {
    let len = |content: Option<&[u8]>| content.map_or(0, <[u8]>::len);
    let mut flags = 0;
    let mut set = |flag: u8, is_set: bool| flags |= if is_set { flag } else { 0 };
    set(PROMPT, draft.prompt.is_some());
    set(ANSWER, draft.answer.is_some());
    set(PROMPT_CUT, len(draft.prompt) > content_bytes_max);
    set(ANSWER_CUT, len(draft.answer) > content_bytes_max);
    set(REQUIRED, draft.required);
    set(HIT, draft.hit.is_some());
    set(SEMANTIC, draft.hit == Some(Hit::Semantic));
    // At once: many short pieces take longer than what they hold.
    let mut numbers = [0; NUMBERS_BYTES];
    let pieces: [&[u8]; 11] = [
        &draft.call.0.to_be_bytes(),
        &draft.at.0.to_be_bytes(),
        &recorded_at.0.to_be_bytes(),
        &key.0.to_be_bytes(),
        &draft.retention_days.to_be_bytes(),
        &[flags, outcome_code(draft.outcome)],
        &draft.status.to_be_bytes(),
        &draft.prompt_tokens.to_be_bytes(),
        &draft.completion_tokens.to_be_bytes(),
        &(len(draft.prompt) as u64).to_be_bytes(),
        &(len(draft.answer) as u64).to_be_bytes(),
    ];
    let mut at = 0;
    for piece in pieces {
        numbers[at..at + piece.len()].copy_from_slice(piece);
        at += piece.len();
    }
    header.extend_from_slice(&numbers[..at]);
    bytes::put_text(header, bounded(draft.subscription.as_str()));
    bytes::put_text(header, bounded(draft.product));
    bytes::put_optional_text(header, draft.application.map(bounded));
    bytes::put_text(header, bounded(draft.model));
    bytes::put_optional_text(header, draft.backend.map(bounded));
    bytes::put_optional_text(header, draft.rule.map(bounded));
    bytes::put_text(header, bounded(draft.cost));
    bytes::put_text(header, bounded(draft.verdicts));
}

/// In a record's header that was written before its key was known.
pub(crate) fn set_key(header: &mut [u8], key: KeyId) {
    header[KEY_AT..KEY_AT + 8].copy_from_slice(&key.0.to_be_bytes());
}

/// Writes what is to be sealed of a draft.
pub(crate) fn put_content(sealed: &mut Vec<u8>, draft: &Draft<'_>, content_bytes_max: usize) {
    bytes::put_optional_text(sealed, draft.user.map(bounded));
    bytes::put_text(sealed, bounded(draft.caller));
    for content in [draft.prompt, draft.answer] {
        sealed.push(u8::from(content.is_some()));
        if let Some(content) = content {
            bytes::put_bytes(sealed, cut(content, content_bytes_max));
        }
    }
}

/// Borrowed from what was opened, so that a search copies nothing.
pub(crate) struct Opened<'a> {
    pub(crate) user: Option<&'a str>,
    pub(crate) caller: &'a str,
    pub(crate) prompt: Option<&'a [u8]>,
    pub(crate) answer: Option<&'a [u8]>,
}

impl<'a> Opened<'a> {
    /// As `Draft::person`.
    pub(crate) fn person(&self) -> &'a str {
        self.user.unwrap_or(self.caller)
    }

    /// As `Draft::texts`.
    pub(crate) fn texts(&self) -> [&'a [u8]; 2] {
        [self.prompt, self.answer].map(Option::unwrap_or_default)
    }

    pub(crate) fn read(plain: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(plain);
        let opened = Self {
            user: reader.optional_text()?,
            caller: reader.text()?,
            prompt: if reader.bool()? {
                Some(reader.bytes()?)
            } else {
                None
            },
            answer: if reader.bool()? {
                Some(reader.bytes()?)
            } else {
                None
            },
        };
        reader.end()?;
        Ok(opened)
    }

    pub(crate) fn to_content(&self) -> Content {
        Content {
            user: self.user.map(Into::into),
            caller: self.caller.into(),
            prompt: self.prompt.map(<[u8]>::to_vec),
            answer: self.answer.map(<[u8]>::to_vec),
        }
    }
}

fn bounded(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

/// At a character, if it is text.
fn cut(content: &[u8], max: usize) -> &[u8] {
    let Some(piece) = content.get(..max) else {
        return content;
    };
    let is_continuation = |at: &usize| content.get(*at).is_some_and(|byte| byte & 0xC0 == 0x80);
    let end = (max.saturating_sub(3)..=max)
        .rev()
        .find(|at| !is_continuation(at));
    &piece[..end.unwrap_or(max)]
}

fn outcome_code(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Ok => 1,
        Outcome::ClientError => 2,
        Outcome::Refused => 3,
        Outcome::UpstreamFailed => 4,
        Outcome::Cut => 5,
        Outcome::HungUp => 6,
        Outcome::Interrupted => 7,
        Outcome::GatewayError => 8,
    }
}

fn outcome(code: u8) -> Result<Outcome, Malformed> {
    Outcome::ALL
        .into_iter()
        .find(|outcome| outcome_code(*outcome) == code)
        .ok_or(Malformed)
}

/// Neither content nor people are printed by accident.
impl fmt::Debug for Draft<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft")
            .field("call", &self.call)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Content(..)")
    }
}
