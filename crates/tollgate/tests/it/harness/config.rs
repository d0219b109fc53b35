//! A configuration in the making. Written as JSON, which is YAML.

use std::net::SocketAddr;

use serde_json::{Value, json};

pub const SEARCH_KEY: &str = "search-primary-4f1d8b2c6a90";
pub const SEARCH_SECOND_KEY: &str = "search-secondary-77c0e5a1b3";
pub const CHAT_KEY: &str = "chat-primary-9b3e6d1f8a42";
/// The gateway's own, at every backend.
pub const PROVIDER_KEY: &str = "provider-secret-5e2a9c7d";

#[derive(Clone, Debug)]
pub struct Config(Value);

/// Two teams, `search` and `chat`, on one product; `o3` is a model that neither is granted.
pub fn config() -> Config {
    Config(json!({
        // How long work waits on a busy machine that runs tests is no sign of overload.
        "limits": { "drain": "10s", "queue_delay": "1h" },
        "backends": [],
        "pools": [{ "id": "main", "members": [] }],
        "models": [
            { "name": "gpt-4o", "pool": "main" },
            { "name": "gpt-3.5-turbo-instruct", "pool": "main" },
            { "name": "text-embedding-3-small", "pool": "main", "max_output_tokens": 0 },
            { "name": "o3", "pool": "main" },
        ],
        "products": [{
            "id": "standard",
            "models": ["gpt-4o", "gpt-3.5-turbo-instruct", "text-embedding-3-small"],
            "application": { "from_header": "X-App-Name" },
        }],
        "subscriptions": [
            {
                "id": "search",
                "name": "Search team",
                "product": "standard",
                "keys": { "primary": SEARCH_KEY, "secondary": SEARCH_SECOND_KEY },
            },
            { "id": "chat", "name": "Chat team", "product": "standard", "keys": { "primary": CHAT_KEY } },
        ],
    }))
}

impl Config {
    /// An OpenAI backend, with its place among the pool's first.
    pub fn backend(self, id: &str, address: SocketAddr) -> Self {
        self.openai(id, address).member(id, 1)
    }

    /// One that gets traffic only when those of `backend` cannot take it.
    pub fn standby(self, id: &str, address: SocketAddr) -> Self {
        self.openai(id, address).member(id, 2)
    }

    pub fn azure_backend(self, id: &str, address: SocketAddr) -> Self {
        let backend = json!({
            "id": id,
            "dialect": "azure-openai",
            "url": format!("http://{address}"),
            "api_version": "2024-10-21",
            "auth": { "api_key": PROVIDER_KEY },
        });
        self.add("/backends", backend).member(id, 1)
    }

    pub fn token_limit(self, name: &str, tokens_per_minute: u64) -> Self {
        self.add(
            "/products/0/token_limits",
            json!({ "name": name, "tokens_per_minute": tokens_per_minute }),
        )
    }

    pub fn request_limit(self, name: &str, requests_per_minute: u64) -> Self {
        let limit = json!({ "name": name, "requests_per_minute": requests_per_minute });
        self.add("/products/0/request_limits", limit)
    }

    pub fn concurrency_limit(self, name: &str, max_concurrent: u64) -> Self {
        let limit = json!({ "name": name, "max_concurrent": max_concurrent });
        self.add("/products/0/concurrency_limits", limit)
    }

    pub fn quota(self, name: &str, tokens: u64, period: &str) -> Self {
        let quota = json!({ "name": name, "tokens": tokens, "period": period });
        self.add("/products/0/quotas", quota)
    }

    /// What limits with `reserve: max` need to know of every model that is granted.
    pub fn longest_answer(self, tokens: u64) -> Self {
        self.with("/models/0/max_output_tokens", tokens.into())
            .with("/models/1/max_output_tokens", tokens.into())
    }

    pub fn retry(self, attempts: u32, budget: f64) -> Self {
        self.with(
            "/pools/0/retry",
            json!({ "attempts": attempts, "budget": budget }),
        )
    }

    /// Sets the value at a JSON pointer; objects on the way are made.
    pub fn with(mut self, pointer: &str, value: Value) -> Self {
        *place(&mut self.0, pointer) = value;
        self
    }

    /// Adds to the list at a JSON pointer, which is made if it is not there.
    pub fn add(mut self, pointer: &str, value: Value) -> Self {
        match place(&mut self.0, pointer) {
            Value::Array(list) => list.push(value),
            empty => *empty = json!([value]),
        }
        self
    }

    pub fn text(&self) -> String {
        serde_json::to_string_pretty(&self.0).unwrap()
    }

    fn openai(self, id: &str, address: SocketAddr) -> Self {
        let backend = json!({
            "id": id,
            "dialect": "openai",
            "url": format!("http://{address}/v1"),
            "auth": { "api_key": PROVIDER_KEY },
        });
        self.add("/backends", backend)
    }

    fn member(self, id: &str, priority: u32) -> Self {
        self.add(
            "/pools/0/members",
            json!({ "backend": id, "priority": priority }),
        )
    }
}

fn place<'a>(root: &'a mut Value, pointer: &str) -> &'a mut Value {
    let mut place = root;
    for name in pointer.trim_start_matches('/').split('/') {
        place = match name.parse::<usize>() {
            Ok(index) => &mut place[index],
            Err(_) => &mut place[name],
        };
    }
    place
}
