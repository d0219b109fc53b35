//! The pure crates stay pure: nothing that they are built from can do I/O, wait, or roll dice.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

const PURE: [&str; 6] = [
    "domain", "dialect", "content", "config", "report", "likeness",
];

/// Runtimes, sockets, clients, databases and sources of chance. A prefix ends with `*`.
const IMPURE: [&str; 29] = [
    "tokio",
    "tokio-*",
    "async-std",
    "async-io",
    "smol",
    "mio",
    "polling",
    "socket2",
    "hyper",
    "hyper-*",
    "h2",
    "quinn*",
    "tower",
    "tower-*",
    "axum*",
    "reqwest",
    "ureq",
    "isahc",
    "curl",
    "rustls",
    "native-tls",
    "openssl",
    "rusqlite",
    "sqlx*",
    "redis",
    "notify",
    "getrandom",
    "rand",
    "fs4",
];

/// The workspace's resolved graph: normal dependencies alone, of this platform.
struct Graph {
    names: BTreeMap<String, String>,
    uses: BTreeMap<String, Vec<String>>,
}

impl Graph {
    fn read() -> Self {
        let host = host();
        let output = Command::new(env!("CARGO"))
            .args([
                "metadata",
                "--format-version",
                "1",
                "--locked",
                "--offline",
                "--filter-platform",
                &host,
            ])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
        let text = |value: &Value| value.as_str().expect("a string").to_owned();
        let list = |value: &Value| value.as_array().expect("an array").clone();
        let names = list(&metadata["packages"])
            .iter()
            .map(|package| (text(&package["id"]), text(&package["name"])))
            .collect();
        let uses = list(&metadata["resolve"]["nodes"])
            .iter()
            .map(|node| {
                let normal = list(&node["deps"]).into_iter().filter(|dep| {
                    list(&dep["dep_kinds"])
                        .iter()
                        .any(|kind| kind["kind"].is_null())
                });
                (
                    text(&node["id"]),
                    normal.map(|dep| text(&dep["pkg"])).collect(),
                )
            })
            .collect();
        Self { names, uses }
    }

    /// Names of everything that `crate_name` is built from.
    fn reached_from(&self, crate_name: &str) -> BTreeSet<&str> {
        let is_ours =
            |(id, name): &(&String, &String)| *name == crate_name && id.contains("/crates/");
        let (root, _) = self
            .names
            .iter()
            .find(is_ours)
            .expect("a crate of this workspace");
        let (mut seen, mut open) = (BTreeSet::new(), vec![root]);
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                open.extend(&self.uses[id]);
            }
        }
        seen.into_iter().map(|id| self.names[id].as_str()).collect()
    }
}

fn host() -> String {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .expect("rustc runs");
    let text = String::from_utf8(output.stdout).expect("rustc prints text");
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc names its host").to_owned()
}

fn is_impure(name: &str) -> bool {
    IMPURE.iter().any(|impure| match impure.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == *impure,
    })
}

#[test]
fn pure_crates_cannot_name_a_runtime_a_socket_or_a_client() {
    let graph = Graph::read();
    for pure in PURE {
        let impure: Vec<&str> = graph
            .reached_from(pure)
            .into_iter()
            .filter(|name| is_impure(name))
            .collect();
        assert!(
            impure.is_empty(),
            "`{pure}` is built from {impure:?}: move what needs them to store, gateway or tollgate"
        );
    }
}

#[test]
fn what_is_not_pure_is_recognised() {
    let graph = Graph::read();
    let gateway = graph.reached_from("gateway");
    for name in ["tokio", "hyper", "hyper-util", "rusqlite"] {
        assert!(gateway.contains(name) && is_impure(name), "{name}");
    }
}
