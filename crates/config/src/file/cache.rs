//! `cache`: which answers may be given again. `caching`: what that may take of the machine.

use dialect::shape::Ignored;
use domain::AuditStoreId;

use super::semantic::{Embedder, SemanticCache};
use crate::read::{Cel, List, Placed, Reference, Size, Temperature, Ttl, section, words};

section! {
    /// Which answers may be given again, and to whom. The narrowest scope that says something wins as a
    /// whole: application, subscription, then product. Without it, or with nothing in it, nothing is
    /// cached.
    pub struct Cache {
        /// CEL whose values must be the same for an answer to be given again, beside the product, the
        /// model and everything that shapes the answer. Without it, `[subscription.id]`; `[product.id]`
        /// shares answers among a product's subscriptions.
        pub vary_by: Option<Placed<List<Cel>>>,
        /// Calls of a higher temperature want another answer each time: they are left alone. One that
        /// says nothing has 1.
        pub max_temperature: Temperature = "1",
        /// Fields of a call that shape no answer.
        pub ignore: List<Ignored> = "[]",
        /// Answer calls that ask just the same.
        pub exact: Option<ExactCache>,
        /// Answer chats whose last question means the same.
        pub semantic: Option<SemanticCache>,
    }
}

section! {
    /// Answers to calls that ask just the same.
    pub struct ExactCache {
        /// How long an answer may be given again.
        pub ttl: Placed<Ttl> = "1h",
    }
}

section! {
    /// What answers that may be given again take of the machine.
    pub struct Caching {
        /// Of everything that is kept in memory. Past it, what is least used goes. Needs a restart to
        /// change.
        pub memory: Size<1_048_576, 1_099_511_627_776> = "256MiB",
        /// Where answers are kept beside memory, sealed. Without it, they are gone after a restart. Needs
        /// a restart to change.
        pub disk: Option<Placed<CachingDisk>>,
        /// Larger answers are not kept.
        pub max_entry: Size<1_024, 1_048_576> = "1MiB",
        /// What compares questions by their meaning, for `semantic`.
        pub embedder: Embedder = "{}",
    }
}

section! {
    /// A database, `cache.db` in `data_dir`.
    pub struct CachingDisk {
        /// Of its pages in use. Past it, what was not used for longest goes. Beside them stands SQLite's log
        /// of some MiB.
        pub bytes: Size<1_048_576, 1_125_899_906_842_624> = "4GiB",
        /// The audit store whose keys seal what is kept: what an erasure there makes unreadable is gone
        /// here too. Its region is where answers live: calls of a product that requires another cannot be
        /// cached. Without it, the only store there is.
        pub store: Option<Reference<AuditStoreId>>,
    }
}

words! { Ignored, "ignorable field":
    /// The end user's name.
    "user" => Ignored::User,
    /// Labels for the provider's own dashboards.
    "metadata" => Ignored::Metadata,
    /// The end user's pseudonym, for abuse detection.
    "safety_identifier" => Ignored::SafetyIdentifier,
    /// A hint for the provider's prompt cache.
    "prompt_cache_key" => Ignored::PromptCacheKey,
}
