//! The cache: calls that were answered before, or are being answered now, are not forwarded.
//!
//! [`asked`] says whether a call may be answered from the cache at all, and by which key: the rule of its
//! scope, the headers of its client, and what shapes its answer. [`Asked::look_up`] finds an answer, or
//! others that wait for the same one ([`flight`]). A [`Part`] is what the call has to do with the cache
//! from then on, until [`Part::settle`] keeps its answer. An answer that is found is given as one that
//! came: guards look at it, and it leaves in the form that its client asked for ([`Part::given`]).
//!
//! A call whose last question means the same as another's may be given that one's answer ([`semantic`]),
//! which is held against real ones where it is not trusted yet ([`verify`]).
//!
//! Where answers are kept is the crate `cache`'s.

mod embedding;
mod flight;
mod key;
mod part;
mod semantic;
pub mod shared;
mod verify;
mod wishes;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ::cache::{Answer, Cache, CacheError, DiskSettings, Entry, Key, Settings};
use arc_swap::ArcSwap;
use bytes::Bytes;
use config::Snapshot;
use config::snapshot::{CacheRule, Caching, LocalEmbedder};
use dialect::answer::Answer as Read;
use dialect::shape::Unshaped;
use domain::{Usage, Wall};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

use crate::audit::stores::Stores;
use crate::clock::Clock;
use crate::gateway::Gateway;
use crate::guards::Guarded;
use crate::identity::Caller;
use crate::refusal::Refusal;
use crate::router::{Answered, Content, Errand, Source};
use crate::said::Said;
use crate::trail::Origin;

use self::embedding::Embedding;
use self::embedding::backend::Vectors;
use self::embedding::local::Local;
use self::flight::{FlightKey, Flights, Joined, Landed};
use self::part::{Keeping, Spared};
use self::semantic::Inquiry;
use self::shared::Reader;
use self::wishes::Wishes;

pub use self::embedding::Unembedded;
pub use self::embedding::local::folders as model_folders;
pub use self::part::{Part, put_headers};
pub use self::verify::Verdict;

/// What all calls share of it.
pub struct ResponseCache {
    entries: ArcSwap<Cache>,
    is_on_disk: AtomicBool,
    flights: Arc<Flights>,
    /// The model within the gateway: made when a call first needs it.
    local: OnceLock<Option<Local>>,
    /// A deployment's.
    pub(crate) vectors: Arc<Vectors>,
}

impl ResponseCache {
    pub fn open(caching: &Caching, now: Wall) -> Result<Self, CacheError> {
        let settings = Settings {
            memory_bytes: caching.memory_bytes,
            disk: None,
        };
        Ok(Self {
            entries: ArcSwap::from_pointee(Cache::open(settings, now)?),
            is_on_disk: AtomicBool::new(false),
            flights: Arc::default(),
            local: OnceLock::new(),
            vectors: Arc::default(),
        })
    }

    /// The local model, started by the first call that needs it. `None` where the machine gives no threads.
    pub(crate) fn local(
        &self,
        rule: &LocalEmbedder,
        data_dir: &Path,
        clock: &Clock,
    ) -> Option<&Local> {
        let start = || {
            let started = Local::start(rule, data_dir, clock.clone());
            started
                .inspect_err(|error| {
                    tracing::error!(%error, "no question is compared by meaning: no threads for it");
                })
                .ok()
        };
        self.local.get_or_init(start).as_ref()
    }

    pub fn entries(&self) -> Arc<Cache> {
        self.entries.load_full()
    }

    /// Whether [`Self::use_disk`] has anything to do.
    pub fn wants_disk(&self, snapshot: &Snapshot) -> bool {
        snapshot.caching.disk.is_some() && !self.is_on_disk.load(Ordering::Relaxed)
    }

    /// Keeps answers on disk from now on, if that is wanted and the store whose keys seal them is open; else
    /// it is to be tried again. What was put in before stays with the calls that have it. Blocks for
    /// some milliseconds.
    pub fn use_disk(&self, snapshot: &Snapshot, stores: &Stores, now: Wall) {
        let caching = &snapshot.caching;
        let Some(disk) = &caching.disk else { return };
        let store = stores.get(&disk.store);
        let Some(log) = store.as_ref().and_then(|store| store.log()) else {
            return;
        };
        if self.is_on_disk.swap(true, Ordering::Relaxed) {
            return;
        }
        let settings = Settings {
            memory_bytes: caching.memory_bytes,
            disk: Some(DiskSettings {
                dir: snapshot.settings.data_dir.clone(),
                bytes_max: disk.bytes_max,
                sealer: log.sealer(),
            }),
        };
        match Cache::open(settings, now) {
            Ok(cache) => self.entries.store(Arc::new(cache)),
            Err(error) => tracing::error!(%error, "answers are kept in memory only"),
        }
    }
}

/// A call that may be answered from the cache, or whose answer may be kept.
pub struct Asked {
    rule: Arc<CacheRule>,
    wishes: Wishes,
    key: Key,
    flight: FlightKey,
    /// What was masked in its prompt is put back in its own answer only.
    is_masked: bool,
    /// Guards may mask more in its answer.
    may_mask_answer: bool,
    is_stream: bool,
    offers_tools: bool,
    inquiry: Option<Inquiry>,
    keeping: Keeping,
}

pub enum Found {
    Answer(Box<Answered>),
    /// Another call's stream, from its beginning.
    Stream(Reader),
}

/// `None` for calls that the cache has nothing to do with.
pub fn asked(
    gateway: &Gateway,
    snapshot: &Arc<Snapshot>,
    (caller, origin): (&Caller, &Origin),
    errand: &Errand<'_>,
    guarded: Option<&Guarded>,
) -> Result<Option<Box<Asked>>, Refusal> {
    let Some(rule) = rule_of(snapshot, caller) else {
        return Ok(None);
    };
    let product = &caller.subscription.product.id;
    let left_alone = |why| {
        gateway.telemetry.cache.count(product, why);
        Ok(None)
    };
    let Some(wishes) = wishes::read(errand.headers).map_err(Refusal::Request)? else {
        return left_alone(Looked::Unwanted);
    };
    let shape = match errand.call.shape(&rule.ignored) {
        Ok(shape) => shape,
        Err(Unshaped::TooLarge) => return left_alone(Looked::TooLarge),
        Err(_) => return left_alone(Looked::Unfit),
    };
    if shape.temperature > rule.max_temperature {
        return left_alone(Looked::TooHot);
    }
    let key = key::of(&shape, rule, errand)?;
    let is_masked = guarded.is_some_and(Guarded::has_masked);
    let inquiry = if wishes.by_meaning && !is_masked {
        let embedding = || Embedding::of(snapshot, caller, errand);
        semantic::inquiry(rule, (snapshot, errand), embedding)?
    } else {
        None
    };
    Ok(Some(Box::new(Asked {
        flight: FlightKey::of(key, errand.call, caller, origin.dialect),
        keeping: Keeping::of(key, rule, caller, snapshot.caching.entry_bytes_max),
        rule: rule.clone(),
        wishes,
        key,
        is_masked,
        may_mask_answer: guarded.is_some_and(Guarded::may_mask_answer),
        is_stream: errand.call.stream,
        offers_tools: shape.offers_tools,
        inquiry,
    })))
}

/// The application's, else the subscription's, which has those of wider scopes in it.
fn rule_of<'s>(snapshot: &'s Snapshot, caller: &'s Caller) -> Option<&'s Arc<CacheRule>> {
    let of_application = match &caller.application {
        Some(name) if !snapshot.application_caches.is_empty() => {
            snapshot.application_caches.get(name)
        }
        _ => None,
    };
    let rule = of_application.or(caller.subscription.cache.as_ref())?;
    rule.is_on().then_some(rule)
}

/// What came of a look into the cache, or why there was none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    /// The same was answered before.
    Exact,
    /// The same was being answered.
    Coalesced,
    /// A question that means the same was answered before.
    Semantic,
    Miss,
    /// The client's headers say so.
    Unwanted,
    /// Its temperature is above the rule's.
    TooHot,
    /// Its answer is none that can be given again.
    Unfit,
    TooLarge,
}

impl Looked {
    pub const ALL: [Self; 8] = [
        Self::Exact,
        Self::Coalesced,
        Self::Semantic,
        Self::Miss,
        Self::Unwanted,
        Self::TooHot,
        Self::Unfit,
        Self::TooLarge,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Coalesced => "coalesced",
            Self::Semantic => "semantic",
            Self::Miss => "miss",
            Self::Unwanted => "unwanted",
            Self::TooHot => "too_hot",
            Self::Unfit => "unfit",
            Self::TooLarge => "too_large",
        }
    }
}

impl Asked {
    /// An answer that is there or on its way. Else the call goes on, and `cached` says what is to be done
    /// with its answer.
    pub async fn look_up(
        self: Box<Self>,
        gateway: &Arc<Gateway>,
        origin: &Origin,
        cached: &mut Option<Box<Part>>,
        said: &mut Said,
    ) -> Option<Found> {
        let product = self.keeping.owner.product.clone();
        let count = |looked| gateway.telemetry.cache.count(&product, looked);
        if self.wishes.reads
            && let Some(found) = self.exact(gateway, origin, cached).await
        {
            count(Looked::Exact);
            return Some(found);
        }
        let mut lead = None;
        if self.may_share() {
            match gateway.cache.flights.join(self.flight).await {
                // Another leader may have left its answer since this call looked. Whoever waits for this
                // one finds it in the same way.
                Joined::Lead(leading) => match self.exact(gateway, origin, cached).await {
                    Some(found) => {
                        count(Looked::Exact);
                        return Some(found);
                    }
                    None => lead = Some(leading),
                },
                Joined::Landed(Landed::Whole(whole)) => {
                    count(Looked::Coalesced);
                    let spared = Some(spared(whole.usage));
                    *cached = Some(Box::new(Part::hit(spared, 0)));
                    let document = whole.document.clone();
                    return Some(Found::Answer(Box::new(answer(document))));
                }
                Joined::Landed(Landed::Stream(reader)) => {
                    count(Looked::Coalesced);
                    *cached = Some(Box::new(Part::hit(None, 0)));
                    return Some(Found::Stream(reader));
                }
                Joined::Landed(Landed::Alone) => {}
            }
        }
        let mut keeping = self.keeping;
        if let Some(inquiry) = self.inquiry {
            let found = inquiry.seek(gateway, self.wishes, origin.started).await;
            if let Some((near, document)) = found.given {
                count(Looked::Semantic);
                // Others may share the same question with fewer than those who may share this answer.
                if let Some(lead) = &lead {
                    lead.leave_alone();
                }
                let spared = Spared {
                    usage: near.entry.usage,
                    similarity: Some(semantic::thousandths(near.similarity)),
                };
                let age_s = age_s(near.entry.stored_at, origin);
                *cached = Some(Box::new(Part::hit(Some(spared), age_s)));
                return Some(Found::Answer(Box::new(answer(document))));
            }
            (keeping.asked, keeping.trial) = (found.asked, found.trial);
        }
        count(Looked::Miss);
        let keeping = self.wishes.stores.then_some(keeping);
        if let Some(keeping) = &keeping {
            said.want(keeping.bytes_max);
        }
        *cached = Some(Box::new(Part::miss(keeping, lead)));
        None
    }

    /// The answer to just the same call, if there is one.
    async fn exact(
        &self,
        gateway: &Gateway,
        origin: &Origin,
        cached: &mut Option<Box<Part>>,
    ) -> Option<Found> {
        let (entry, document) = self.entry(gateway, origin.started.wall).await?;
        let age_s = age_s(entry.stored_at, origin);
        *cached = Some(Box::new(Part::hit(Some(spared(entry.usage)), age_s)));
        Some(Found::Answer(Box::new(answer(document))))
    }

    /// What was kept under the call's key, and is young enough for it.
    async fn entry(&self, gateway: &Gateway, now: Wall) -> Option<(Arc<Entry>, Bytes)> {
        let exact = self.rule.exact?;
        let entry = gateway.cache.entries().get(&self.key, now)?;
        if !self.wishes.admits(entry.stored_at, now) || !is_fresh(&entry, exact.ttl, now) {
            return None;
        }
        let document = document(gateway, &entry).await?;
        Some((entry, document))
    }

    /// Whether it may wait for another's answer, or have others wait for its own. Of a stream nobody knows
    /// in time whether it will call a tool, or say what guards will mask; of a unary answer, each that gets
    /// it has its own guards mask it.
    fn may_share(&self) -> bool {
        self.rule.exact.is_some()
            && self.wishes.are_none()
            && !self.is_masked
            && !(self.is_stream && (self.offers_tools || self.may_mask_answer))
    }
}

/// What is kept for another question too may be over for the same one, and the other way round.
fn is_fresh(entry: &Entry, ttl: Duration, now: Wall) -> bool {
    let ttl_ms = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
    now.0 < entry.stored_at.0.saturating_add(ttl_ms)
}

/// From memory or from the disk.
async fn document(gateway: &Gateway, entry: &Arc<Entry>) -> Option<Bytes> {
    match gateway.cache.entries().answer(entry) {
        Answer::Ready(document) => Some(document),
        Answer::OnDisk => {
            let (entries, entry) = (gateway.cache.entries(), entry.clone());
            let reading = gateway.tasks.spawn_blocking(move || entries.read(&entry));
            reading.await.ok()?
        }
    }
}

fn age_s(stored_at: Wall, origin: &Origin) -> u64 {
    let age_ms = origin.started.wall.0.saturating_sub(stored_at.0);
    u64::try_from(age_ms).unwrap_or(0) / 1_000
}

fn spared(usage: Usage) -> Spared {
    Spared {
        usage,
        similarity: None,
    }
}

/// As one that came from a backend.
fn answer(document: Bytes) -> Answered {
    let mut headers = HeaderMap::with_capacity(16);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Answered {
        source: Source::Cache,
        headers,
        content: Content::Whole {
            bytes: document,
            answer: Read {
                usage: None,
                is_whole: true,
            },
        },
    }
}
