//! `subscriptions`: who pays. `applications`: what generates the tokens.

use domain::{ApplicationName, ProductId, SubscriptionId};

use super::audit::Audit;
use super::cache::Cache;
use super::guard::GuardOfOneKind;
use super::limit::LimitLists;
use super::price::ScopedPrice;
use crate::read::{Declared, KeyText, List, Placed, Reference, Text, section, words};
use crate::snapshot::SubscriptionState;

section! {
    /// Who pays: one for each team.
    pub struct Subscription {
        /// Names it in records and limits.
        pub id: Declared<SubscriptionId>,
        /// What people call it. Without it, its id.
        pub name: Option<Text>,
        /// What it is granted.
        pub product: Reference<ProductId>,
        /// Whom to ask: a mail address, usually.
        pub owner: Option<Text>,
        /// Whether it may call.
        pub state: SubscriptionState = "active",
        /// Its keys. `tollgate keys create` makes keys outside the file.
        pub keys: Keys = "{}",
        /// What is kept of calls. Without it, as its product says.
        pub audit: Option<Placed<Audit>>,
        /// Which answers may be given again. Without it, as its product says.
        pub cache: Option<Cache>,
        /// Who looks at prompts and answers, in this order. Without it, its product's; `[]` is nobody.
        pub guards: Option<List<GuardOfOneKind>>,
        /// Prices and percentages agreed on with it.
        pub prices: List<Placed<ScopedPrice>> = "[]",
        ..limit_lists: LimitLists,
    }
}

section! {
    /// Any secret of 16 characters or more, or `sha256:` and the 64 hex digits of its hash.
    pub struct Keys {
        /// The key in use.
        pub primary: Option<KeyText>,
        /// The other one, so that the first can be changed without a pause.
        pub secondary: Option<KeyText>,
    }
}

words! { SubscriptionState, "state":
    /// It may call.
    "active" => SubscriptionState::Active,
    /// Its calls are refused with 403.
    "suspended" => SubscriptionState::Suspended,
}

section! {
    /// Limits of one application, whichever subscription calls for it.
    pub struct Application {
        /// The application's name, as its key, token or header says.
        pub name: Declared<ApplicationName>,
        /// What is kept of calls, whatever the subscription says.
        pub audit: Option<Placed<Audit>>,
        /// Which answers may be given again, whatever the subscription says.
        pub cache: Option<Cache>,
        ..limit_lists: LimitLists,
    }
}
