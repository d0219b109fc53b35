//! Provider wire formats. Bytes in, bytes out: no sockets, no clocks, no async.

pub mod answer;
pub mod embedding;
pub mod error_body;
pub mod models;
pub mod rate_limit_headers;
pub mod replay;
pub mod request;
pub mod route;
pub mod shape;
pub mod stream;
pub mod texts;
pub mod tokens;
pub mod transcript;

mod choice;
mod json;
mod usage;

pub use request::{Request, RequestError};
pub use route::{Route, RouteError};
pub use stream::StreamMeter;
pub use tokens::Encoding;

/// The closed set of wire formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    OpenAi,
    AzureOpenAi,
}

/// What a metered route does. A route without a meter cannot be enabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    ChatCompletions,
    Completions,
    Embeddings,
}
