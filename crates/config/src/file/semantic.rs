//! `cache.semantic` and `caching.embedder`: answers to questions that mean the same.

use domain::ModelName;

use crate::read::{Cel, List, Path, Placed, Reference, Share, Span, Text, Ttl, Whole, section};

section! {
    /// Answers to questions that mean the same: the last user turn in other words, and all else of the call
    /// as it was. Needs what `caching.embedder` says: the local model, if nothing does.
    pub struct SemanticCache {
        /// From which similarity (cosine, 0 to 1) on an answer is given: higher is stricter. 0.65 with
        /// `guard`, if nothing is said: fewer than 1% wrong answers to near misses. 0.85
        /// for questions that the local model has not read.
        pub min_similarity: Option<Placed<Share<false>>>,
        /// Instead of `min_similarity`: how many of the calls that an answer is near to may be answered
        /// wrongly, as a share. Each answer is tried, asked anew and compared, until its record allows
        /// that, and now and then after it.
        pub max_error_rate: Option<Placed<Share<false>>>,
        /// How long an answer may be given for another question.
        pub ttl: Placed<Ttl> = "1h",
        /// In the place of the cache's `vary_by`, for such answers.
        pub vary_by: Option<Placed<List<Cel>>>,
        /// How many turns of the user a chat may have. What was said before the last one must be the same.
        pub max_turns: Whole<1, 64> = "1",
        /// Give no answer whose question differs in a number, a date, a unit, a name, a negation, a
        /// direction, in code or in language.
        pub guard: bool = "true",
        /// Give nothing: compare what would be given with what the provider answers, and count both.
        pub shadow: bool = "false",
    }
}

section! {
    /// What makes vectors of questions: one of both. Without it, `local`.
    pub struct Embedder {
        /// A small sentence model within the gateway.
        pub local: Option<LocalEmbedder>,
        /// A deployment of embeddings. The tokens that it reads are on the ledger, as the asker's.
        pub backend: Option<Placed<BackendEmbedder>>,
    }
}

section! {
    /// One of `models`, asked for vectors as any other model is asked: its pool, credentials, breakers,
    /// timeouts, retries and prices. Whoever asks a question need not be granted it.
    pub struct BackendEmbedder {
        /// Its name.
        pub model: Reference<ModelName>,
        /// Where its backends are, as a label like those of audit stores. Whoever requires a region
        /// (`audit.region`) has questions read there only.
        pub region: Option<Text>,
        /// How long a call waits for its vector. Past it the call goes on as if nothing were like it.
        pub timeout: Placed<Span> = "1s",
        /// How many questions may be asked at once. Past it, calls go on as if nothing were like them. No
        /// subscription takes more than its share: this number, divided by the subscriptions that are asking
        /// and one more, if there are others.
        pub max_concurrent: Whole<1, 1024> = "16",
    }
}

section! {
    /// all-MiniLM-L6-v2 on processors of this machine: `tollgate cache install-model`. Loaded by the first
    /// question that needs it.
    pub struct LocalEmbedder {
        /// How many questions are read at once, each on a thread of its own. Needs a restart to change.
        pub threads: Whole<1, 64> = "1",
        /// The folder of the model's file. Without it, `models` of `data_dir`, then the user's cache.
        /// Needs a restart to change.
        pub models: Option<Path>,
        /// How long a call waits for its vector. Past it the call goes on as if nothing were like it.
        pub timeout: Span = "500ms",
    }
}
