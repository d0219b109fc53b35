//! What an operator writes, section by section. Doc comments here are the schema and the reference.

pub(crate) mod access;
pub(crate) mod alert;
pub(crate) mod audit;
pub(crate) mod auth;
pub(crate) mod backend;
pub(crate) mod budget;
pub(crate) mod cache;
pub(crate) mod guard;
pub(crate) mod identity;
pub(crate) mod kafka;
pub(crate) mod limit;
pub(crate) mod listen;
pub(crate) mod model;
pub(crate) mod notify;
pub(crate) mod pool;
pub(crate) mod price;
pub(crate) mod product;
pub(crate) mod semantic;
pub(crate) mod sink;
pub(crate) mod subscription;
pub(crate) mod telemetry;
pub(crate) mod tls;

use domain::Currency;
use jiff::tz::TimeZone;

use self::access::Access;
use self::alert::Alert;
use self::audit::{Audit, AuditStore};
use self::backend::Backend;
use self::budget::Budget;
use self::cache::Caching;
use self::guard::GuardOfOneKind;
use self::identity::Identity;
use self::limit::LimitLists;
use self::listen::Listen;
use self::model::Model;
use self::notify::Channel;
use self::pool::Pool;
use self::price::{ExchangeRate, Prices};
use self::product::Product;
use self::sink::SinkOfOneKind;
use self::subscription::{Application, Subscription};
use self::telemetry::{Metrics, Telemetry};
use crate::read::{List, Path, Placed, Size, Span, Whole, section, words};

section! {
    /// One Tollgate configuration. `${env:NAME}` and `${file:/path}` stand for their value in any
    /// text (a file's last line break aside); `$${` stands for `${` itself. Several files are merged:
    /// lists are joined, and a value that two of them set is an error.
    ///
    /// Expressions are CEL over `subscription.{id,name,owner}`, `product.{id,name}`,
    /// `application.name` (empty if unknown), `caller.{key_id,issuer,subject,user}`, `claims`,
    /// `model.name` and `request.{headers,ip}`. Headers are looked up in any case, their several
    /// values joined with `, `. What is missing refuses the call: guard it, as in
    /// `"x-team" in request.headers ? request.headers["x-team"] : "none"`.
    pub struct File {
        /// Where clients call: an address, or a map with `tls`.
        pub listen: Listen = "127.0.0.1:8080",
        /// The admin listener. Off when absent.
        pub admin: Option<Admin>,
        /// Bounds of what clients may ask and hold, and how long a stopping gateway waits.
        pub limits: RequestBounds = "{}",
        /// The folder of the ledger and the key registry. Needs a restart to change.
        pub data_dir: Path = "./data",
        /// Where usage records and keys are kept.
        pub store: Store = "sqlite",
        /// Where limits count.
        pub counters: Counters = "memory",
        /// The time zone whose midnight starts calendar periods and prices: a name of the IANA
        /// database.
        pub time_zone: TimeZone = "UTC",
        /// What costs are in.
        pub currency: Currency = "USD",
        /// For prices in other currencies.
        pub exchange_rates: Placed<List<ExchangeRate>> = "[]",
        /// Where list prices come from.
        pub prices: Prices = "{}",
        /// Who may prove a caller besides subscription keys.
        pub identity: Identity = "{}",
        /// Where models are hosted.
        pub backends: List<Backend> = "[]",
        /// Backends that share calls.
        pub pools: List<Pool> = "[]",
        /// The names that clients ask for.
        pub models: List<Model> = "[]",
        /// Bundles of models and limits that subscriptions are granted.
        pub products: List<Product> = "[]",
        /// Who pays: one for each team.
        pub subscriptions: List<Subscription> = "[]",
        /// Limits of single applications, whichever subscription calls for them.
        pub applications: List<Application> = "[]",
        /// What is kept of calls whose application, subscription and product say nothing of it.
        pub audit: Option<Placed<Audit>>,
        /// Where audit records live.
        pub audit_stores: List<AuditStore> = "[]",
        /// What answers that may be given again take of the machine. Which may be is said by products,
        /// subscriptions and applications.
        pub caching: Caching = "{}",
        /// Who may read and govern audit records.
        pub access: List<Access> = "[]",
        /// Who looks at prompts and answers, in this order, where neither the subscription nor its
        /// product says otherwise.
        pub guards: Option<List<GuardOfOneKind>>,
        /// Money for calendar periods.
        pub budgets: List<Budget> = "[]",
        /// Where copies of usage records are sent.
        pub sinks: List<SinkOfOneKind> = "[]",
        /// Token metrics by dimensions of your own.
        pub metrics: Metrics = "{}",
        /// Where alerts are sent.
        pub notify: List<Channel> = "[]",
        /// What is told beside the thresholds that budgets have of their own.
        pub alerts: List<Alert> = "[]",
        /// OpenTelemetry: traces and metrics to a collector. Off until `otlp` is set.
        pub telemetry: Telemetry = "{}",
        ..limit_lists: LimitLists,
    }
}

section! {
    /// The listener for operators.
    pub struct Admin {
        /// Where the admin API and `/metrics` are: an address, or a map with `tls`.
        pub listen: Placed<Listen>,
    }
}

section! {
    /// Bounds of every client's request, and of all of them together.
    pub struct RequestBounds {
        /// The largest request body, after decompression.
        pub body: Size<1, 1_073_741_824> = "32MiB",
        /// The largest request head.
        pub headers: Size<1_024, 1_048_576> = "64KiB",
        /// How long a client may take to send its request's head.
        pub header_timeout: Span = "10s",
        /// How long a client may take to send its request's body.
        pub body_timeout: Span = "60s",
        /// How long a client may take to receive anything of what waits to be sent to it. Past it,
        /// its connection is closed, and its calls settle with what passed.
        pub write_timeout: Span = "60s",
        /// How long a connection may stay open between calls, or ahead of the first. Clients must
        /// close theirs sooner: a call that is sent while the gateway closes is lost. The pools of Go
        /// and of Rust's clients keep theirs for 90 s.
        pub idle_timeout: Span = "120s",
        /// Connections open at once on one listener. Further ones wait until one is closed. Needs a
        /// restart to change.
        pub connections: Whole<1, 1_000_000> = "16384",
        /// Calls in flight, streams until their last byte. Past it: 503 `overloaded`.
        pub calls: Whole<1, 10_000_000> = "10000",
        /// Request bodies held at once, all together; those of up to 16 KiB are not counted. Past
        /// it: 503 `overloaded`.
        pub bodies_in_memory: Placed<Size<1_048_576, 1_099_511_627_776>> = "512MiB",
        /// How long work may wait for a processor. While it waits longer than that for as long
        /// again, a growing share of new calls is answered 503 `overloaded`.
        pub queue_delay: Span = "500ms",
        /// How long a gateway that is told to stop waits for calls in flight.
        pub drain: Span = "30s",
    }
}

/// Where usage records and keys are kept. Only one so far, so nothing is remembered of it.
#[derive(Debug)]
pub(crate) struct Store;

words! { Store, "store":
    /// SQLite behind a crash-safe journal, in `data_dir`.
    "sqlite" => Store,
}

/// Where limits count. Only one so far, so nothing is remembered of it.
#[derive(Debug)]
pub(crate) struct Counters;

words! { Counters, "kind of counters":
    /// In this process, restored from the ledger at start.
    "memory" => Counters,
}
