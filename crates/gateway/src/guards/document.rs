//! Whole documents, prompts and unary answers: each guard looks at what the one before it left.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use config::snapshot::{Guard, GuardKind, Guards, Pii};
use content::lists::Found;
use content::redact::{Findings, Masks, Restore, Rules};
use dialect::texts;
use domain::record::{Content, Ruling, Verdict};

use super::judges::Judges;
use super::{Blocked, Judgement, findings, is_worth_telling, lists_of, service_wait};
use crate::gateway::Gateway;

/// Longer documents are looked at off the I/O threads: this takes about half a millisecond.
const LOOK_INLINE_BYTES_MAX: usize = 64 * 1024;

/// One document's way past its guards.
pub struct Looking<'l> {
    pub gateway: &'l Gateway,
    pub guards: &'l Arc<Guards>,
    pub on: Content,
    pub masks: Masks,
    /// Absent where no guard asks a service.
    pub judges: Option<Judges>,
    pub verdicts: &'l mut Vec<Verdict>,
}

impl Looking<'_> {
    /// The document as the guards left it, if they edited it.
    pub async fn judge_all(&mut self, document: Bytes) -> Result<Option<Bytes>, Blocked> {
        let mut document = document;
        let mut is_edited = false;
        for index in 0..self.guards.list.len() {
            let guard = &self.guards.list[index];
            if !looks_at(guard, self.on) {
                continue;
            }
            let (judgement, edited) = judge(self, index, &document).await;
            let verdict = judgement.verdict(guard, self.on);
            let blocked =
                (verdict.verdict == Ruling::Blocked).then(|| Blocked::by(&verdict, judgement.wait));
            if is_worth_telling(&verdict) {
                self.verdicts.push(verdict);
            }
            if let Some(blocked) = blocked {
                return Err(blocked);
            }
            if let Some(edited) = edited {
                document = edited.into();
                is_edited = true;
            }
        }
        Ok(is_edited.then_some(document))
    }
}

type Judged = (Judgement, Option<Vec<u8>>);

fn looks_at(guard: &Guard, on: Content) -> bool {
    match on {
        Content::Prompt => guard.on.prompt,
        Content::Answer => guard.on.answer,
    }
}

/// What the guard at `index` says of the document, and the document as it edited it.
async fn judge(looking: &mut Looking<'_>, index: usize, document: &Bytes) -> Judged {
    match &looking.guards.list[index].kind {
        GuardKind::Pii(pii) => {
            let Some(rules) = rules(pii, looking.gateway) else {
                return (Judgement::failed(NO_HASH_KEY), None);
            };
            if document.len() <= LOOK_INLINE_BYTES_MAX {
                return judge_pii(&rules, looking.on, document, &mut looking.masks);
            }
            let on = looking.on;
            let (document, mut masks) = (document.clone(), std::mem::take(&mut looking.masks));
            let looked = tokio::task::spawn_blocking(move || {
                let judged = judge_pii(&rules, on, &document, &mut masks);
                (judged, masks)
            });
            match looked.await {
                Ok((judged, masks)) => {
                    looking.masks = masks;
                    judged
                }
                Err(_) => (Judgement::failed(STOPPED), None),
            }
        }
        GuardKind::Lists(_) => {
            let (guards, document) = (looking.guards.clone(), document.clone());
            if document.len() <= LOOK_INLINE_BYTES_MAX {
                return judge_lists(&guards, index, &document);
            }
            let looked =
                tokio::task::spawn_blocking(move || judge_lists(&guards, index, &document));
            let stopped = |_| (Judgement::failed(STOPPED), None);
            looked.await.unwrap_or_else(stopped)
        }
        GuardKind::ContentSafety(_)
        | GuardKind::Moderation(_)
        | GuardKind::Webhook(_)
        | GuardKind::Presidio(_) => {
            let Some(judges) = &looking.judges else {
                return (Judgement::failed(NO_JUDGE), None);
            };
            let guard = &looking.guards.list[index];
            let (kind, rule, on) = (&guard.kind, &guard.rule, looking.on);
            let judged = judges.document(kind, rule, on, document, &mut looking.masks);
            let (judged, edited) = Box::pin(judged).await;
            let judgement = Judgement {
                is_edited: edited.is_some(),
                blocks: judged.judgement.is_blocked,
                findings: findings(&judged.judgement),
                failure: judged.failure.map(|failure| failure.to_string().into()),
                wait: judged.failure.map(service_wait),
            };
            (judgement, edited)
        }
    }
}

const STOPPED: &str = "the guard was stopped";

pub const NO_JUDGE: &str = "no service";

fn judge_lists(guards: &Guards, index: usize, document: &[u8]) -> Judged {
    let Some(lists) = lists_of(guards, index) else {
        return (Judgement::default(), None);
    };
    let mut found = Found::default();
    let edited = texts::edit(document, |text| match lists.edit(text, &mut found) {
        Cow::Borrowed(_) => None,
        Cow::Owned(edited) => Some(edited),
    });
    let kinds = found.kinds().into_iter();
    let judgement = Judgement {
        is_edited: edited.is_some(),
        blocks: found.is_blocked,
        findings: kinds.map(|(kind, count)| (kind.into(), count)).collect(),
        ..Judgement::default()
    };
    (judgement, edited)
}

pub const NO_HASH_KEY: &str = "no hash key";

/// As configured, with the gateway's own key for hashes where the configuration has none.
pub fn rules(pii: &Pii, gateway: &Gateway) -> Option<Rules> {
    let rules = pii.rules.clone();
    if pii.hash_key.is_none() && rules.hashes() {
        return gateway.hash_key.get().map(|key| rules.keyed(key));
    }
    Some(rules)
}

fn judge_pii(rules: &Rules, on: Content, document: &[u8], masks: &mut Masks) -> Judged {
    let mut findings = Findings::default();
    let edit = |called: &str, text: &str| {
        let edited = rules.edit_called(called, text, masks, &mut findings);
        match edited {
            Cow::Borrowed(_) => None,
            Cow::Owned(edited) => Some(edited),
        }
    };
    let edited = match on {
        Content::Prompt => texts::edit_called(document, edit),
        Content::Answer => texts::edit_answer(document, edit),
    };
    let judgement = Judgement {
        is_edited: edited.is_some(),
        blocks: findings.blocked.is_some(),
        findings: counts(&findings),
        ..Judgement::default()
    };
    (judgement, edited)
}

pub fn counts(findings: &Findings) -> Vec<(Arc<str>, u32)> {
    let kinds = findings.kinds();
    kinds
        .map(|(kind, count)| (kind.as_str().into(), count))
        .collect()
}

/// With the values that placeholders stand for; `None` if there is none.
pub fn restore(document: &[u8], masks: &Masks) -> Option<Vec<u8>> {
    if masks.is_empty() {
        return None;
    }
    texts::edit(document, |text| match Restore::whole(text, masks) {
        Cow::Owned(restored) if restored != text => Some(restored),
        Cow::Owned(_) | Cow::Borrowed(_) => None,
    })
}
