//! What one call has to do with the cache: what it was given, what it spared, and whether its answer is
//! kept.

use std::sync::Arc;
use std::time::Duration;

use ::cache::{Key, NewEntry, Owner};
use bytes::Bytes;
use config::snapshot::CacheRule;
use dialect::replay::{self, Given};
use dialect::{Operation, Request};
use domain::record::{CacheOutcome, CallRecord, Outcome};
use domain::{Now, Usage, Wall};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::gateway::Gateway;
use crate::headers;
use crate::identity::Caller;
use crate::reply;
use crate::router::{Answered, Content};
use crate::said::Document;
use crate::trail::{Held, Origin};

use super::flight::{Flight, Lead, Whole};
use super::semantic::{Asked, Trial};
use super::verify;

const CACHE: HeaderName = HeaderName::from_static("x-tollgate-cache");
const SIMILARITY: HeaderName = HeaderName::from_static("x-tollgate-similarity");
const AGE: HeaderName = http::header::AGE;

/// From the look into the cache to the call's settling.
pub struct Part(State);

enum State {
    Hit {
        /// Absent while a stream that it follows goes on.
        spared: Option<Spared>,
        age_s: u64,
    },
    Miss {
        keeping: Option<Keeping>,
        /// Others may wait for its answer.
        lead: Option<Lead>,
    },
    /// The call is the cache's own.
    Embedding,
}

/// What an answer took when it was made, none of it charged now.
#[derive(Clone, Copy, Debug)]
pub struct Spared {
    pub usage: Usage,
    /// Of a question that is not the same, in thousandths.
    pub similarity: Option<u16>,
}

/// What keeping the answer takes beside the answer.
pub struct Keeping {
    pub key: Key,
    pub owner: Owner,
    pub rule: Arc<CacheRule>,
    pub bytes_max: usize,
    /// What it answers, where it may be found by meaning.
    pub asked: Option<Asked>,
    /// A cached answer that it is compared with.
    pub trial: Option<Trial>,
}

impl Keeping {
    pub fn of(key: Key, rule: &Arc<CacheRule>, caller: &Caller, bytes_max: usize) -> Self {
        Self {
            key,
            owner: Owner {
                subscription: caller.subscription.id.clone(),
                product: caller.subscription.product.id.clone(),
                user: caller.user.clone(),
                caller: caller.label(),
            },
            rule: rule.clone(),
            bytes_max,
            asked: None,
            trial: None,
        }
    }

    /// How long the answer may be found, in one way or another.
    fn ttl(&self) -> Option<Duration> {
        let exact = self.rule.exact.map(|exact| exact.ttl);
        let semantic = self.rule.semantic.as_ref().filter(|_| self.asked.is_some());
        exact.max(semantic.map(|semantic| semantic.ttl))
    }
}

impl Part {
    pub fn hit(spared: Option<Spared>, age_s: u64) -> Self {
        Self(State::Hit { spared, age_s })
    }

    pub fn miss(keeping: Option<Keeping>, lead: Option<Lead>) -> Self {
        Self(State::Miss { keeping, lead })
    }

    /// Of a call for a question's vector.
    pub fn embedding() -> Self {
        Self(State::Embedding)
    }

    pub fn outcome(&self) -> CacheOutcome {
        match self.0 {
            State::Hit { .. } => CacheOutcome::Hit,
            State::Miss { .. } => CacheOutcome::Miss,
            State::Embedding => CacheOutcome::Embedding,
        }
    }

    pub fn is_hit(&self) -> bool {
        matches!(self.0, State::Hit { .. })
    }

    pub fn spared(&self) -> Option<Spared> {
        match self.0 {
            State::Hit { spared, .. } => spared,
            State::Miss { .. } | State::Embedding => None,
        }
    }

    /// A stream that it followed took this, in all.
    pub fn spares(&mut self, usage: Usage) {
        if let State::Hit { spared, .. } = &mut self.0 {
            *spared = Some(Spared {
                usage,
                similarity: None,
            });
        }
    }

    /// The answer is here, or will not come: those who wait for it are told.
    pub fn tell_followers(
        &self,
        answered: Option<&Answered>,
        call: &Request,
        held: &mut Held,
        origin: &Origin,
    ) {
        let State::Miss {
            lead: Some(lead), ..
        } = &self.0
        else {
            return;
        };
        match answered {
            Some(answered) if answered.status() == StatusCode::OK => match &answered.content {
                // What may not be given again may not be given twice either.
                Content::Whole { bytes, .. } if replay::fitness(call.operation, bytes).is_err() => {
                    lead.leave_alone();
                }
                Content::Whole { bytes, .. } => {
                    let metered = reply::meter(call, held, answered, origin);
                    lead.tell(Whole {
                        document: bytes.clone(),
                        usage: *metered.usage(),
                    });
                }
                // `reply::send` shares it.
                Content::Stream { .. } => {}
                Content::Large { .. } => lead.leave_alone(),
            },
            _ => lead.leave_alone(),
        }
    }

    /// The calls that wait for this one's stream.
    pub fn flight(&self) -> Option<Arc<Flight>> {
        match &self.0 {
            State::Miss {
                lead: Some(lead), ..
            } => Some(lead.flight()),
            State::Hit { .. } | State::Miss { lead: None, .. } | State::Embedding => None,
        }
    }

    /// An answer that guards have looked at, as the client asked for it.
    pub fn given(&self, call: &Request, origin: &Origin, document: &Bytes) -> Bytes {
        self.again(call, origin, document, |given| {
            let operation = call.operation;
            if call.stream && operation != Operation::Embeddings {
                replay::events(operation, document, given, call.wants_usage)
            } else {
                replay::whole(operation, document, given)
            }
        })
    }

    /// The same for records, which have streams whole too.
    pub fn recorded(&self, call: &Request, origin: &Origin, document: &Bytes) -> Bytes {
        self.again(call, origin, document, |given| {
            replay::whole(call.operation, document, given)
        })
    }

    fn again(
        &self,
        call: &Request,
        origin: &Origin,
        document: &Bytes,
        give: impl FnOnce(&Given<'_>) -> Vec<u8>,
    ) -> Bytes {
        let Some(spared) = self.spared() else {
            return document.clone();
        };
        let id = origin.id.to_string();
        let given = Given {
            id: &id,
            created: origin.started.wall.0 / 1_000,
            model: call.model.as_str(),
            usage: &spared.usage,
        };
        give(&given).into()
    }

    /// Nobody else may have the answer: it says what only its own call can put back.
    pub fn keep_nothing(&mut self) {
        if let State::Miss { keeping, .. } = &mut self.0 {
            *keeping = None;
        }
    }

    /// Keeps the answer, where it may be given again. Who waits for the call is told that it is over by
    /// what this lets go of, so the answer is there before that.
    pub fn settle(
        self,
        gateway: &Arc<Gateway>,
        record: &CallRecord,
        call: &Request,
        said: &Document,
        now: Now,
    ) {
        let State::Miss {
            keeping: Some(keeping),
            ..
        } = &self.0
        else {
            return;
        };
        let is_good = record.outcome == Outcome::Ok && record.status == StatusCode::OK.as_u16();
        let document = said.bytes.as_ref().filter(|_| is_good && said.is_whole);
        let (Some(document), Some(ttl)) = (document, keeping.ttl()) else {
            return;
        };
        if document.len() > keeping.bytes_max || replay::fitness(call.operation, document).is_err()
        {
            return;
        }
        let entry = |asked: Option<Asked>, ttl: Duration| {
            let ttl_ms = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
            NewEntry {
                key: keeping.key,
                question: asked.map(Asked::into_question),
                owner: keeping.owner.clone(),
                model: call.model.clone(),
                // Its own copy: the answer may be a small part of a large buffer.
                answer: Bytes::copy_from_slice(document),
                usage: *record.metered.usage(),
                stored_at: now.wall,
                expires_at: Wall(now.wall.0.saturating_add(ttl_ms)),
            }
        };
        let whole = entry(keeping.asked.clone(), ttl);
        let Some(trial) = &keeping.trial else {
            gateway.cache.entries().put(whole);
            return;
        };
        // An answer that says what the tried one does is none of its own to be found by meaning: what is learned
        // is learned of one. To just the same call it is given at once.
        let is_tried = trial.near.entry.key == keeping.key;
        if let Some(exact) = keeping.rule.exact.filter(|_| !is_tried) {
            gateway.cache.entries().put(entry(None, exact.ttl));
        }
        verify::start(gateway, trial.clone(), &record.opening, whole);
    }
}

/// What the client is told of it.
pub fn put_headers(part: Option<&Part>, out: &mut HeaderMap) {
    let said = match part.map(|part| &part.0) {
        None | Some(State::Embedding) => "off",
        Some(State::Miss { .. }) => "miss",
        Some(State::Hit { spared, age_s, .. }) => {
            out.insert(AGE, headers::number(*age_s));
            let similarity = spared.and_then(|spared| spared.similarity);
            if let Some(thousandths) = similarity {
                let text = format!("{:.3}", f64::from(thousandths) / 1_000.0);
                if let Ok(value) = HeaderValue::try_from(text) {
                    out.insert(SIMILARITY, value);
                }
            }
            "hit"
        }
    };
    out.insert(CACHE, HeaderValue::from_static(said));
}
