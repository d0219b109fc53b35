//! One answer that is kept: what it answers, whose it is, and when it is over.

use std::mem::size_of;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use domain::{ModelName, ProductId, SubscriptionId, Usage, Wall};
use likeness::comparer::Reading;
use likeness::verified::{Observation, Observations};

use crate::disk::codec::{Head, Known};
use crate::index::Vector;

/// A hash of everything that shapes an answer, of its scope and of the model and deployment too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub [u8; 32]);

/// A hash of all that but the text of the last user turn, and of the embedder's name and dimensions: only
/// questions of one partition are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub [u8; 32]);

/// Unique within a cache, across restarts too; larger ones came later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub u64);

/// On whose behalf an answer was bought: what erasures and purges go by, not who may be given it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub subscription: SubscriptionId,
    pub product: ProductId,
    pub user: Option<Arc<str>>,
    pub caller: Arc<str>,
}

/// What lets an answer be found by meaning.
#[derive(Clone, Debug)]
pub struct Question {
    pub partition: Partition,
    pub text: Arc<str>,
    /// What made the vector, and of vectors that must not be compared never the same.
    pub embedder: Arc<str>,
    /// Of any length above zero: only its direction counts. All of a partition have as many dimensions.
    pub embedding: Box<[f32]>,
    /// What the comparer needs of the text, where the local model has read it. Not on disk: whoever compares the
    /// entry after a restart has it read again.
    pub reading: Option<Reading>,
}

#[derive(Clone, Debug)]
pub struct NewEntry {
    pub key: Key,
    pub question: Option<Question>,
    pub owner: Owner,
    pub model: ModelName,
    pub answer: Bytes,
    /// What the answer cost when it was bought.
    pub usage: Usage,
    pub stored_at: Wall,
    pub expires_at: Wall,
}

/// An entry as it is found. It may go at any time; what is in hand stays readable.
#[derive(Debug)]
pub struct Entry {
    pub id: EntryId,
    pub key: Key,
    pub owner: Owner,
    pub model: ModelName,
    pub usage: Usage,
    pub stored_at: Wall,
    pub expires_at: Wall,
    pub answer_bytes: usize,
    pub(crate) held: Held,
    pub(crate) asked: Option<Asked>,
    /// The key that sealed it; 0 while none has.
    pub(crate) sealed_by: AtomicU64,
    /// Where it is on its way to the disk: see [`Written`].
    written: AtomicU8,
    /// It answered something since the disk was told when it last did.
    used: AtomicBool,
    /// Its place among those that expire with it.
    pub(crate) expiry_place: AtomicU32,
    /// Set once, by who removes it from everywhere.
    gone: AtomicBool,
}

/// Where the answer is.
#[derive(Debug)]
pub(crate) enum Held {
    /// In the entry: there is no disk.
    Here(Bytes),
    /// Among the answers in memory if there is room, else on disk.
    Elsewhere,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Written {
    Waiting,
    Done,
    /// It never will be: it lives as long as its answer stays in memory.
    Never,
}

#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) partition: Partition,
    pub(crate) text: Arc<str>,
    pub(crate) embedder: Arc<str>,
    pub(crate) dimensions: usize,
    /// Its place among the vectors of its partition.
    pub(crate) place: AtomicU32,
    reading: OnceLock<Reading>,
    /// What the reading may take: counted from the start, whether it is there or comes later.
    reading_bytes: usize,
    observations: Mutex<Observations>,
}

/// What an entry answers with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Ready(Bytes),
    /// `Cache::read` has it, and blocks: use it on a thread that may.
    OnDisk,
}

/// An entry whose question is like the one that was asked.
#[derive(Clone, Debug)]
pub struct Near {
    pub entry: Arc<Entry>,
    /// The cosine of both vectors, within what eight bits a component leave: see [`Vector::error_at_most`].
    pub similarity: f32,
}

/// What an entry takes beside its texts, vector and answer: itself, its places in the map (by key, and the
/// memory of keys that were evicted lately), in the list of those that expire with it, and in its partition.
const ENTRY_BYTES: usize = size_of::<Entry>() + 16 + 176;
/// What a question takes beside its text and vector, if it is alone in its partition.
const QUESTION_BYTES: usize = 288;

impl Entry {
    pub(crate) fn new(id: EntryId, new: NewEntry, has_disk: bool) -> (Arc<Self>, Option<Vector>) {
        let NewEntry {
            key,
            question,
            owner,
            model,
            answer,
            usage,
            stored_at,
            expires_at,
        } = new;
        let (mut asked, mut vector) = (None, None);
        if let Some(question) = question {
            let Question {
                partition,
                text,
                embedder,
                embedding,
                reading,
            } = question;
            vector = Vector::of(&embedding);
            if let Some(vector) = &vector {
                let room = reading.as_ref().map_or(0, Reading::bytes);
                let new = Asked::new(partition, text, embedder, vector, room);
                asked = Some(Asked {
                    reading: reading.map(OnceLock::from).unwrap_or_default(),
                    ..new
                });
            }
        }
        let entry = Self {
            id,
            key,
            owner,
            model,
            usage,
            stored_at,
            expires_at,
            answer_bytes: answer.len(),
            held: if has_disk {
                Held::Elsewhere
            } else {
                Held::Here(answer)
            },
            asked,
            sealed_by: AtomicU64::new(0),
            written: AtomicU8::new(Written::Waiting as u8),
            used: AtomicBool::new(false),
            expiry_place: AtomicU32::new(0),
            gone: AtomicBool::new(false),
        };
        (Arc::new(entry), vector)
    }

    /// As it was before it was written, and its vector. Its answer is on disk.
    pub(crate) fn from_head(id: EntryId, head: Head) -> (Self, Option<Vector>) {
        let Head {
            key,
            owner,
            model,
            usage,
            stored_at,
            expires_at,
            answer_bytes,
            asked,
        } = head;
        let (asked, vector) = match asked {
            Some(known) => {
                let Known {
                    partition,
                    text,
                    embedder,
                    vector,
                } = known;
                let room = Reading::bytes_guess(&text);
                let asked = Asked::new(partition, text, embedder, &vector, room);
                (Some(asked), Some(vector))
            }
            None => (None, None),
        };
        let entry = Self {
            id,
            key,
            owner,
            model: ModelName(model),
            usage,
            stored_at,
            expires_at,
            answer_bytes,
            held: Held::Elsewhere,
            asked,
            sealed_by: AtomicU64::new(0),
            written: AtomicU8::new(Written::Done as u8),
            used: AtomicBool::new(false),
            expiry_place: AtomicU32::new(0),
            gone: AtomicBool::new(false),
        };
        (entry, vector)
    }

    /// The text of the question, where the entry can be found by meaning.
    pub fn text(&self) -> Option<&Arc<str>> {
        Some(&self.asked.as_ref()?.text)
    }

    /// What made its vector.
    pub fn embedder(&self) -> Option<&str> {
        Some(&self.asked.as_ref()?.embedder)
    }

    /// What the comparer needs of the question.
    pub fn reading(&self) -> Option<&Reading> {
        self.asked.as_ref()?.reading.get()
    }

    /// Whether there is room for a reading and none is there.
    pub fn lacks_reading(&self) -> bool {
        let unread = |asked: &Asked| asked.reading_bytes > 0 && asked.reading.get().is_none();
        self.asked.as_ref().is_some_and(unread)
    }

    /// Keeps it for the next who compares, unless it takes more memory than was counted for it.
    pub fn keep_reading(&self, reading: Reading) {
        if let Some(asked) = &self.asked
            && reading.bytes() <= asked.reading_bytes
        {
            // Whoever was first read the same text.
            let _ = asked.reading.set(reading);
        }
    }

    pub fn partition(&self) -> Option<&Partition> {
        Some(&self.asked.as_ref()?.partition)
    }

    /// What was seen of the answer when it was held against others, oldest first.
    pub fn observations(&self) -> Observations {
        match &self.asked {
            Some(asked) => asked.lock().clone(),
            None => Observations::default(),
        }
    }

    pub fn is_live(&self, now: Wall) -> bool {
        now < self.expires_at && !self.is_gone()
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// True for the first caller, who then takes it from everywhere.
    pub(crate) fn begin_to_go(&self) -> bool {
        !self.gone.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn written(&self) -> Written {
        match self.written.load(Ordering::Acquire) {
            0 => Written::Waiting,
            1 => Written::Done,
            _ => Written::Never,
        }
    }

    pub(crate) fn set_written(&self, written: Written) {
        self.written.store(written as u8, Ordering::Release);
    }

    pub(crate) fn note_use(&self) {
        // Most are used again before anybody looks: no write then.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was used since this was last asked.
    pub(crate) fn take_use(&self) -> bool {
        self.used.load(Ordering::Relaxed) && self.used.swap(false, Ordering::Relaxed)
    }

    /// Whose it is for erasures.
    pub(crate) fn person(&self) -> &str {
        self.owner.user.as_ref().unwrap_or(&self.owner.caller)
    }

    /// Of memory, rounded up where it depends on neighbours.
    pub(crate) fn bytes(&self) -> usize {
        let Owner { user, caller, .. } = &self.owner;
        let user = user.as_ref().map_or(0, |user| user.len() + 16);
        let asked = self.asked.as_ref().map_or(0, |asked| {
            QUESTION_BYTES
                + asked.text.len()
                + 16
                + Vector::bytes(asked.dimensions)
                + asked.reading_bytes
        });
        // A buffer that is shared has a header of its own.
        let answer = match &self.held {
            Held::Here(answer) => answer.len() + 64,
            Held::Elsewhere => 0,
        };
        ENTRY_BYTES + user + caller.len() + 16 + asked + answer
    }
}

/// What observations of one entry may take: as many as are kept, and the curve through them.
pub(crate) const OBSERVATIONS_BYTES: usize = 128 * size_of::<Observation>() + 64;

impl Asked {
    pub(crate) fn new(
        partition: Partition,
        text: Arc<str>,
        embedder: Arc<str>,
        vector: &Vector,
        reading_bytes: usize,
    ) -> Self {
        Self {
            partition,
            text,
            embedder,
            dimensions: vector.dimensions(),
            place: AtomicU32::new(0),
            reading: OnceLock::new(),
            reading_bytes,
            observations: Mutex::default(),
        }
    }

    /// `first` is asked for leave before an entry's first observation.
    pub(crate) fn observe(&self, observation: Observation, first: impl FnOnce() -> bool) -> bool {
        let mut observations = self.lock();
        if observations.is_empty() && !first() {
            return false;
        }
        observations.add(observation);
        true
    }

    pub(crate) fn has_observations(&self) -> bool {
        !self.lock().is_empty()
    }

    /// An observation is added whole or not at all.
    fn lock(&self) -> std::sync::MutexGuard<'_, Observations> {
        self.observations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
