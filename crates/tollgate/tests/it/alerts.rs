//! Alerts from outside: the built binary, killed and restarted; channels tried by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use simulator::Behaviour;

use crate::harness::{
    Config, Gate, MailServer, Reply, Upstream, chat, config, eventually, mail, provider,
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A channel of its own for each test.
fn webhook(config: Config, receiver: &Upstream) -> Config {
    let url = format!("http://{}/hook/a-path-that-is-secret", receiver.address);
    config.add(
        "/notify",
        json!({ "id": "ops", "webhook": { "url": url, "secret": SECRET } }),
    )
}

/// Distinct alerts by their id, with what each says.
fn alerts(receiver: &Upstream) -> BTreeMap<String, Value> {
    let seen = receiver.seen();
    let accepted = seen.iter().map(|seen| {
        let id = seen.header("webhook-id").to_owned();
        (id, seen.json()["data"].clone())
    });
    accepted.collect()
}

/// A dollar for each token of an answer; four thresholds of a thousand dollars.
fn budgeted(address: std::net::SocketAddr, receiver: &Upstream) -> Config {
    let config = config()
        .backend("east", address)
        .with(
            "/models/0/price",
            json!({ "input_per_million": 0, "output_per_million": 1_000_000 }),
        )
        .add(
            "/budgets",
            json!({
                "name": "search-year",
                "match": { "subscription": "search" },
                "amount": 1000,
                "period": "year",
                "alert_at": [0.25, 0.5, 0.75, 1],
                "notify": ["ops"],
            }),
        );
    webhook(config, receiver)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_crossing_is_one_alert_whatever_kills_the_gateway_and_whenever_the_receiver_is_down() {
    let is_up = Arc::new(AtomicBool::new(false));
    let up = is_up.clone();
    let receiver = Upstream::start(move |_| {
        let status = if up.load(Ordering::Relaxed) { 200 } else { 503 };
        Reply::json("{}").status(status)
    })
    .await;
    let region = provider(Behaviour::default()).await;
    let mut gate = Gate::start(budgeted(region.address(), &receiver)).await;
    for round in 0..5 {
        // Some 240 dollars: about a threshold in each round.
        for _ in 0..4 {
            gate.send(chat("answer 60 words").max_tokens(60)).await;
        }
        // Killed before it looked, while it looked, and while it tried to deliver.
        tokio::time::sleep(Duration::from_millis(1_700 * round)).await;
        gate.kill9();
        gate.restart().await;
        if round == 3 {
            is_up.store(true, Ordering::Relaxed);
        }
    }
    is_up.store(true, Ordering::Relaxed);
    let told = |key: &str| -> Vec<f64> {
        let listed = gate.tollgate(&["alerts", "list", "--format", "json"]);
        let listed: Vec<Value> = serde_json::from_slice(&listed.stdout).unwrap();
        let crossed = listed
            .iter()
            .filter(|alert| key.is_empty() || alert["deliveries"][0]["state"] == key)
            .flat_map(|alert| {
                let crossed = &alert["message"]["details"]["thresholds_crossed"];
                crossed.as_array().unwrap().clone()
            });
        let mut crossed: Vec<f64> = crossed.filter_map(|share| share.as_f64()).collect();
        crossed.sort_unstable_by(f64::total_cmp);
        crossed
    };
    eventually("every threshold delivered", async || {
        (told("delivered").len() >= 4).then_some(())
    })
    .await;
    assert_eq!(
        told(""),
        [0.25, 0.5, 0.75, 1.0],
        "each once, and none left out"
    );
    let delivered: BTreeSet<String> = alerts(&receiver)
        .values()
        .flat_map(|alert| {
            alert["details"]["thresholds_crossed"]
                .as_array()
                .unwrap()
                .clone()
        })
        .map(|share| share.to_string())
        .collect();
    assert_eq!(delivered.len(), 4, "{delivered:?}");
    assert!(
        !gate.log().contains("a-path-that-is-secret"),
        "a channel's URL is in the log"
    );
}

/// Runs the guide's own lines on what really came.
#[tokio::test(flavor = "multi_thread")]
async fn the_guide_s_snippet_accepts_a_genuine_webhook_and_no_other() {
    let receiver = Upstream::start(|_| Reply::json("{}")).await;
    let gate = Gate::start(webhook(
        config().backend("east", receiver.address),
        &receiver,
    ))
    .await;
    let output = gate.tollgate(&["alerts", "test"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ops: taken\n");
    let seen = receiver.only();
    let page = include_str!("../../../../docs/alerts.md");
    let (_, rest) = page.split_once("```python\n").unwrap();
    let (snippet, _) = rest.split_once("```").unwrap();
    let headers = json!({
        "webhook-id": seen.header("webhook-id"),
        "webhook-timestamp": seen.header("webhook-timestamp"),
        "webhook-signature": seen.header("webhook-signature"),
    });
    let body = serde_json::to_string(&String::from_utf8_lossy(&seen.body)).unwrap();
    let program = format!(
        "{snippet}
headers, body, secret = {headers}, {body}.encode(), '{SECRET}'
assert is_genuine(headers, body, secret)
assert not is_genuine(headers, body + b' ', secret)
assert not is_genuine(headers, body, 'whsec_' + 'A' * 32)
assert not is_genuine(headers | {{'webhook-timestamp': '1614265330'}}, body, secret)
"
    );
    let mut python = Command::new("python3")
        .arg("-")
        .stdin(Stdio::piped())
        .spawn()
        .expect("python3 runs the guide's snippet");
    let mut input = python.stdin.take().unwrap();
    input.write_all(program.as_bytes()).unwrap();
    drop(input);
    assert!(python.wait().unwrap().success());
}

/// `tollgate alerts test` where only this certificate is trusted.
async fn try_mail(smtp: Value, certificate: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let (file, roots) = (
        folder.path().join("tollgate.yaml"),
        folder.path().join("ca.pem"),
    );
    let config = json!({ "notify": [{ "id": "mail", "smtp": smtp }] });
    std::fs::write(&file, config.to_string()).unwrap();
    std::fs::write(&roots, certificate).unwrap();
    let output = tokio::task::spawn_blocking(move || {
        Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(["alerts", "test", "--config"])
            .arg(file)
            .env("SSL_CERT_FILE", roots)
            .output()
            .unwrap()
    });
    let output = output.await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

fn smtp(server: &MailServer, host: &str, password: &str) -> Value {
    json!({
        "host": host,
        "port": server.address.port(),
        "username": mail::USER,
        "password": password,
        "from": "tollgate@example.com",
        "to": ["finance@example.com", "platform@example.com"],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_out_encrypted_and_logged_in() {
    let server = MailServer::start().await;
    let smtp = smtp(&server, "localhost", mail::PASSWORD);
    let (taken, said) = try_mail(smtp, &server.certificate).await;
    assert!(taken, "{said}");
    let mails = server.mails();
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    assert!(mail.is_encrypted && mail.has_logged_in, "{mail:?}");
    assert!(mail.from.contains("<tollgate@example.com>"), "{mail:?}");
    assert_eq!(mail.to.len(), 2);
    assert!(
        mail.data.contains("Subject: [info] Test of channel mail"),
        "{}",
        mail.data
    );
    assert!(mail.data.contains("nothing is to be done"), "{}", mail.data);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_cannot_be_used_is_named_with_its_fault_and_no_secret() {
    let server = MailServer::start().await;
    for (host, password, certificate, fault) in [
        (
            "localhost",
            "wrong-secret-77",
            &*server.certificate,
            "wrong user or password",
        ),
        (
            "127.0.0.1",
            mail::PASSWORD,
            &*server.certificate,
            "certificate",
        ),
    ] {
        let (taken, said) = try_mail(smtp(&server, host, password), certificate).await;
        assert!(!taken, "{said}");
        assert!(said.contains(&format!("smtp server {host}:")), "{said}");
        assert!(said.contains(fault), "{said}");
        assert!(!said.contains(password), "{said}");
    }
    assert!(server.mails().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_not_there_is_told_with_those_that_are() {
    let receiver = Upstream::start(|_| Reply::json("{}")).await;
    let gate = Gate::start(webhook(
        config().backend("east", receiver.address),
        &receiver,
    ))
    .await;
    let output = gate.tollgate(&["alerts", "test", "--channel", "oops"]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("has no `oops`; it has: ops"), "{said}");
    assert!(receiver.seen().is_empty());
    let listed = gate.tollgate(&["alerts", "list"]);
    assert_eq!(
        String::from_utf8_lossy(&listed.stdout),
        "no alerts so far\n"
    );
}
