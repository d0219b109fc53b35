//! Key-encryption keys that a service keeps: it is asked when a store is opened, and by no call.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use simulator::Behaviour;

use super::{AUDITOR, Audited, audited, run, text};
use crate::harness::{Config, Reply, Seen, Upstream, chat, provider};

const VAULT_TOKEN: &str = "hvs.a-token-that-nobody-shall-read";

/// What a service does to what it wraps, and undoes.
fn turned(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.reverse();
    bytes
}

/// As Vault's transit engine speaks.
async fn vault() -> Upstream {
    Upstream::start(|seen| {
        if seen.header("x-vault-token") != VAULT_TOKEN {
            return Reply::json(r#"{"errors":["permission denied"]}"#).status(403);
        }
        let asked = seen.json();
        match seen.head.uri.path() {
            "/v1/transit/encrypt/tollgate" => {
                let plain = STANDARD
                    .decode(asked["plaintext"].as_str().unwrap())
                    .unwrap();
                let wrapped = format!("vault:v1:{}", STANDARD.encode(turned(plain)));
                Reply::json(json!({ "data": { "ciphertext": wrapped } }).to_string())
            }
            "/v1/transit/decrypt/tollgate" => {
                let wrapped = asked["ciphertext"].as_str().unwrap();
                let wrapped = STANDARD
                    .decode(wrapped.strip_prefix("vault:v1:").unwrap())
                    .unwrap();
                let plain = STANDARD.encode(turned(wrapped));
                Reply::json(json!({ "data": { "plaintext": plain } }).to_string())
            }
            _ => Reply::json(r#"{"errors":[]}"#).status(404),
        }
    })
    .await
}

fn kek_of(vault: &Upstream) -> Value {
    json!({ "id": "vault-1", "vault": {
        "url": format!("http://{}", vault.address), "key": "tollgate", "token": VAULT_TOKEN,
    } })
}

fn with_kek(config: Config, kek: Value) -> Config {
    config.with("/audit_stores/0/keys/kek", kek)
}

impl Audited {
    async fn says(&self, prompt: &str) {
        assert_eq!(self.gate.send(chat(prompt)).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn vault_wraps_the_root_is_asked_by_no_call_and_is_needed_to_read() {
    let vault = vault().await;
    let kek = kek_of(&vault);
    let audited = audited(|config| with_kek(config, kek)).await;
    audited.says("of the first heron").await;
    audited.records(1).await;
    let asked = vault.seen().len();
    for _ in 0..20 {
        audited.says("of another heron").await;
    }
    assert_eq!(vault.seen().len(), asked, "a call asked the key service");
    assert_eq!(audited.records(21).await.len(), 21);
    let log = audited.gate.log();
    assert!(!log.contains(VAULT_TOKEN), "{log}");

    // The key file alone is of no use.
    drop(vault);
    let search = ["search", "--content", "--reason", "a test"];
    let refused = run(&audited.gate.config_path(), "jane", AUDITOR, &search);
    assert!(!refused.status.success());
    assert!(!text(&refused.stdout).contains("heron"));
    let told = text(&refused.stderr);
    assert!(
        told.contains("vault-1") && !told.contains(VAULT_TOKEN),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_moves_from_the_generated_key_to_a_service_and_keeps_its_records() {
    let vault = vault().await;
    let kek = kek_of(&vault);
    let mut with_vault = None;
    let mut audited = audited(|config| {
        with_vault = Some(with_kek(config.clone(), kek));
        config
    })
    .await;
    audited.says("of an old heron").await;
    audited.records(1).await;
    assert!(audited.gate.stop().await.success());
    audited.gate.rewrite(with_vault.unwrap());
    audited.gate.restart().await;
    audited.says("of a new heron").await;
    let records = audited.records(2).await;
    for (record, word) in records.iter().zip(["new", "old"]) {
        assert!(
            record["prompt"].as_str().unwrap().contains(word),
            "{record}"
        );
    }
    let paths: Vec<String> = vault.seen().iter().map(path).collect();
    assert!(
        paths.contains(&"/v1/transit/encrypt/tollgate".to_owned()),
        "{paths:?}"
    );
    assert!(audited.verify().status.success());
}

fn path(seen: &Seen) -> String {
    seen.head.uri.path().to_owned()
}

/// As Azure Key Vault speaks, for a key with two versions.
async fn key_vault() -> Upstream {
    Upstream::start(|seen| {
        let bearer = seen.header("authorization").starts_with("Bearer ");
        if !bearer || seen.head.uri.query() != Some("api-version=7.4") {
            return Reply::json(r#"{"error":{"code":"Unauthorized"}}"#).status(401);
        }
        let asked = seen.json();
        assert_eq!(asked["alg"], "RSA-OAEP-256");
        let value = URL_SAFE_NO_PAD
            .decode(asked["value"].as_str().unwrap())
            .unwrap();
        let value = URL_SAFE_NO_PAD.encode(turned(value));
        let kid = format!("http://{}/keys/audit/v2", seen.header("host"));
        match seen.head.uri.path() {
            "/keys/audit/wrapkey" | "/keys/audit/v2/unwrapkey" => {
                Reply::json(json!({ "kid": kid, "value": value }).to_string())
            }
            _ => Reply::json(r#"{"error":{"code":"KeyNotFound"}}"#).status(404),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_key_vault_unwraps_with_the_version_that_wrapped() {
    let issuer = provider(Behaviour::default()).await;
    let vault = key_vault().await;
    let kek = json!({ "id": "azure-1", "azure_key_vault": {
        "url": format!("http://{}", vault.address), "key": "audit",
        "managed_identity": { "endpoint": format!("http://{}", issuer.address()) },
    } });
    let mut audited = audited(|config| with_kek(config, kek)).await;
    audited.says("of the first heron").await;
    audited.records(1).await;
    assert!(audited.gate.stop().await.success());
    audited.gate.restart().await;
    audited.says("of the second heron").await;
    assert_eq!(audited.records(2).await.len(), 2);
    let paths: Vec<String> = vault.seen().iter().map(path).collect();
    assert_eq!(paths[0], "/keys/audit/wrapkey");
    assert!(
        paths[1..]
            .iter()
            .all(|path| path == "/keys/audit/v2/unwrapkey"),
        "{paths:?}"
    );
    assert!(paths.len() > 2, "{paths:?}");
}
