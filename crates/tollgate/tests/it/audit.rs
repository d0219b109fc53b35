//! Audit records from outside: written by the binary, read and governed by its commands.

mod key_services;
mod sinks;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use simulator::{Behaviour, Running};

use crate::harness::{
    CHAT_KEY, Config, Gate, SEARCH_KEY, SEARCH_SECOND_KEY, chat, config, eventually, provider,
};

const AUDITOR: &str = "auditors-token-of-16";
const ADMIN: &str = "administrators-token";
const FINANCE: &str = "controllers-token-16";
const OWNER: &str = "search-owners-token-16";

/// Where stores are is fixed in the configuration, so they get a folder before the gateway has one.
struct Audited {
    gate: Gate,
    folder: tempfile::TempDir,
    _provider: Running,
}

async fn audited(change: impl FnOnce(Config) -> Config) -> Audited {
    let provider = provider(Behaviour::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let config = change(with_store(
        config().backend("east", provider.address()),
        folder.path(),
    ));
    Audited {
        gate: Gate::start_verbose(config).await,
        folder,
        _provider: provider,
    }
}

fn with_store(config: Config, folder: &Path) -> Config {
    config
        .with(
            "/audit_stores",
            json!([{ "id": "eu", "dir": folder.join("store"), "region": "eu", "keys": { "dir": folder.join("keys") } }]),
        )
        .with("/products/0/audit", json!({ "content": "full", "retention": "30d" }))
        .with(
            "/access",
            json!([
                { "id": "jane", "token": AUDITOR, "roles": [{ "role": "auditor" }] },
                { "id": "root", "token": ADMIN, "roles": [{ "role": "admin" }] },
                { "id": "carl", "token": FINANCE, "roles": [{ "role": "finance" }] },
                { "id": "olga", "token": OWNER, "roles": [{ "role": "owner", "subscriptions": ["search"] }] },
            ]),
        )
}

/// As `hold` tells it.
fn hold_number(hold: &Output) -> String {
    let said = text(&hold.stdout);
    said.split_whitespace().nth(1).unwrap().to_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn run(config: &Path, visitor: &str, token: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .arg("audit")
        .args(arguments)
        .args(["--as", visitor, "--config", config.to_str().unwrap()])
        .env("TOLLGATE_ACCESS_TOKEN", token)
        .output()
        .unwrap()
}

impl Audited {
    fn run(&self, visitor: &str, token: &str, arguments: &[&str]) -> Output {
        run(&self.gate.config_path(), visitor, token, arguments)
    }

    /// What the auditor finds, newest first.
    fn found(&self, arguments: &[&str]) -> Vec<Value> {
        found(&self.gate.config_path(), arguments)
    }

    /// Once that many calls are on the chain.
    async fn records(&self, count: usize) -> Vec<Value> {
        eventually("every record", async || {
            let found = self.found(&[]);
            (found.len() >= count).then_some(found)
        })
        .await
    }

    fn verify(&self) -> Output {
        self.run("jane", AUDITOR, &["verify"])
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }
}

fn found(config: &Path, arguments: &[&str]) -> Vec<Value> {
    let more = [
        &[
            "search",
            "--format",
            "json",
            "--content",
            "--reason",
            "a test",
        ],
        arguments,
    ]
    .concat();
    let output = run(config, "jane", AUDITOR, &more);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copied(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_with_content_shows_it_in_every_format() {
    let audited = audited(|config| config).await;
    for prompt in ["of herons", "of egrets"] {
        assert_eq!(audited.gate.send(chat(prompt)).await.status, 200);
    }
    audited.records(2).await;
    let search = |arguments: &[&str]| {
        let arguments = [&["search", "--reason", "a test"], arguments].concat();
        let output = audited.run("jane", AUDITOR, &arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    for format in ["table", "csv", "json"] {
        let shown = search(&["--content", "--format", format]);
        let without = search(&["--format", format]);
        for said in ["of herons", "of egrets"] {
            assert!(shown.contains(said), "{format}: {shown}");
            assert!(!without.contains(said), "{format}: {without}");
        }
    }
}

#[tokio::test]
async fn each_scope_keeps_what_its_rule_says() {
    let audited = audited(|config| {
        config
            .with("/subscriptions/1/audit", json!({ "content": "metadata" }))
            .with(
                "/applications",
                json!([{ "name": "probe", "audit": { "content": "none" } }]),
            )
    })
    .await;
    let full = audited.gate.send(chat("say nothing of the heron")).await;
    audited
        .gate
        .send(chat("say nothing of the egret").key(CHAT_KEY))
        .await;
    audited
        .gate
        .send(chat("nor of this").header("x-app-name", "probe"))
        .await;
    audited.gate.send(chat("but of the stork").stream()).await;
    let records = audited.records(3).await;
    assert_eq!(records.len(), 3, "{records:#?}");
    let prompts: Vec<Option<bool>> = records
        .iter()
        .map(|record| {
            record["prompt"]
                .as_str()
                .map(|prompt| prompt.contains("heron") || prompt.contains("stork"))
        })
        .collect();
    assert_eq!(prompts, [Some(true), None, Some(true)]);
    assert!(
        records[0]["answer"]
            .as_str()
            .unwrap()
            .contains("\"message\""),
        "a stream is one document: {}",
        records[0]["answer"]
    );
    assert_eq!(records[1]["content"], "none");

    // One call by its id, by words in it, and by nobody's words.
    let id = full.id();
    let shown = audited.run("jane", AUDITOR, &["show", id, "--reason", "complaint 17"]);
    assert!(
        text(&shown.stdout).contains("say nothing of the heron"),
        "{}",
        text(&shown.stdout)
    );
    let by_words = audited.found(&["--text", "\"of the heron\""]);
    assert_eq!((by_words.len(), &by_words[0]["call"]), (1, &json!(id)));
    assert_eq!(audited.found(&["--text", "ostrich"]).len(), 0);
}

#[tokio::test]
async fn a_person_who_is_erased_is_unreadable_from_backups_too_and_nobody_else_is() {
    let mut audited = audited(|config| config).await;
    audited
        .gate
        .send(chat("the first key's words").key(SEARCH_KEY))
        .await;
    audited
        .gate
        .send(chat("the second key's words").key(SEARCH_SECOND_KEY))
        .await;
    audited.records(2).await;
    let stopped = audited.gate.stop().await;
    assert!(stopped.success());
    let backup = audited.folder.path().join("backup");
    copied(&audited.store(), &backup);

    // A hold comes first.
    let hold = audited.run(
        "jane",
        AUDITOR,
        &["hold", "--subscription", "search", "--reason", "case 4"],
    );
    assert!(hold.status.success(), "{}", text(&hold.stderr));
    let number = hold_number(&hold);
    let erase = [
        "erase",
        "--person",
        "search/primary",
        "--reason",
        "request 88",
    ];
    let held = audited.run("root", ADMIN, &erase);
    assert!(
        !held.status.success() && text(&held.stderr).contains("hold"),
        "{}",
        text(&held.stderr)
    );
    let released = audited.run(
        "jane",
        AUDITOR,
        &["release", &number, "--reason", "case closed"],
    );
    assert!(released.status.success(), "{}", text(&released.stderr));

    let erased = audited.run("root", ADMIN, &erase);
    assert!(erased.status.success(), "{}", text(&erased.stderr));
    let receipt: Value = serde_json::from_slice(&erased.stdout).unwrap();
    assert_eq!(
        (&receipt["erased"], &receipt["records"]),
        (&json!("person"), &json!(1))
    );

    let original = audited.gate.config_path();
    let of_backup = audited.folder.path().join("backup.yaml");
    let other = fs::read_to_string(&original)
        .unwrap()
        .replace(audited.store().to_str().unwrap(), backup.to_str().unwrap());
    fs::write(&of_backup, other).unwrap();
    for config in [&original, &of_backup] {
        let records = found(config, &[]);
        let readable: Vec<bool> = records
            .iter()
            .map(|record| record["prompt"].is_string())
            .collect();
        assert_eq!(readable, [true, false], "{records:#?}");
        assert!(
            records[0]["prompt"]
                .as_str()
                .unwrap()
                .contains("second key's words")
        );
    }
    let verified = audited.verify();
    assert!(verified.status.success(), "{}", text(&verified.stdout));

    // It can go on.
    audited.gate.restart().await;
    audited
        .gate
        .send(chat("new words of the first key").key(SEARCH_KEY))
        .await;
    let records = audited.records(3).await;
    assert!(records[0]["prompt"].as_str().unwrap().contains("new words"));
}

#[tokio::test]
async fn roles_hold_on_the_command_line_and_every_visit_is_told() {
    let audited = audited(|config| config).await;
    let call = audited.gate.send(chat("of herons")).await;
    audited.gate.send(chat("of egrets").key(CHAT_KEY)).await;
    audited.records(2).await;
    let id = call.id();

    let finance = audited.run("carl", FINANCE, &["search", "--format", "csv"]);
    assert_eq!(
        text(&finance.stdout).lines().count(),
        3,
        "{}",
        text(&finance.stdout)
    );
    let owner = audited.run("olga", OWNER, &["search", "--format", "json"]);
    let own: Vec<Value> = serde_json::from_slice(&owner.stdout).unwrap();
    assert_eq!((own.len(), &own[0]["subscription"]), (1, &json!("search")));
    for (visitor, token, arguments, why) in [
        (
            "carl",
            FINANCE,
            &["show", id, "--reason", "x"][..],
            "`carl` (finance) may not read content here",
        ),
        (
            "olga",
            OWNER,
            &["show", id, "--reason", "x"],
            "may not read content",
        ),
        (
            "root",
            ADMIN,
            &["search", "--text", "herons", "--reason", "x"],
            "may not read content",
        ),
        ("jane", AUDITOR, &["show", id], "say why, with `--reason`"),
        (
            "jane",
            AUDITOR,
            &["erase", "--subscription", "search", "--reason", "x"],
            "may not erase records",
        ),
        (
            "jane",
            AUDITOR,
            &["purge", "--reason", "x"],
            "may not purge content",
        ),
        (
            "jane",
            ADMIN,
            &["search"],
            "nobody under `access` has this id and this token",
        ),
        (
            "jane",
            "",
            &["search"],
            "set TOLLGATE_ACCESS_TOKEN to the token of `jane`",
        ),
        (
            "jane",
            "https://missing.invalid/JANE",
            &["search"],
            "is not a token",
        ),
    ] {
        let output = audited.run(visitor, token, arguments);
        assert_eq!(output.status.code(), Some(1), "{visitor} {arguments:?}");
        assert!(
            text(&output.stderr).contains(why),
            "{visitor} {arguments:?}: {}",
            text(&output.stderr)
        );
        assert!(output.stdout.is_empty());
    }

    let exported = audited.folder.path().join("export.jsonl");
    let path = exported.to_str().unwrap();
    for (visitor, token, arguments) in [
        (
            "root",
            ADMIN,
            &["export", "--content", "--reason", "x", "--output", path][..],
        ),
        ("jane", AUDITOR, &["export", "--content", "--output", path]),
        (
            "carl",
            FINANCE,
            &["export", "--verdict", "email", "--output", path],
        ),
    ] {
        let refused = audited.run(visitor, token, arguments);
        assert_eq!(refused.status.code(), Some(1), "{visitor}");
        assert!(!exported.exists(), "{visitor} left a file");
    }
    let export = audited.run(
        "jane",
        AUDITOR,
        &[
            "export",
            "--content",
            "--reason",
            "court order",
            "--output",
            path,
        ],
    );
    assert!(export.status.success(), "{}", text(&export.stderr));
    assert_eq!(fs::read_to_string(&exported).unwrap().lines().count(), 2);
    let again = audited.run("jane", AUDITOR, &["export", "--output", path]);
    assert!(
        text(&again.stderr).contains("cannot make"),
        "{}",
        text(&again.stderr)
    );

    let elsewhere = audited.run("olga", OWNER, &["search", "--subscription", "chat"]);
    assert!(elsewhere.status.success());
    assert!(
        text(&elsewhere.stderr).contains("none of your roles reaches subscription chat"),
        "{}",
        text(&elsewhere.stderr)
    );
    let own = audited.run("olga", OWNER, &["search", "--subscription", "search"]);
    assert_eq!(text(&own.stderr), "");

    let hold = ["hold", "--subscription", "search", "--reason", "case 7"];
    let hold = audited.run("jane", AUDITOR, &hold);
    assert!(hold.status.success(), "{}", text(&hold.stderr));
    let table = audited.run("jane", AUDITOR, &["stats"]);
    assert!(
        text(&table.stdout).contains(": subscription search, by jane: case 7"),
        "{}",
        text(&table.stdout)
    );
    let stats = audited.run(
        "jane",
        AUDITOR,
        &["stats", "--format", "json", "--events", "100"],
    );
    let stats: Value = serde_json::from_slice(&stats.stdout).unwrap();
    assert_eq!(stats["region"], "eu");
    let placed = &stats["holds"][0];
    assert_eq!(
        (&placed["by"], &placed["reason"]),
        (&json!("jane"), &json!("case 7"))
    );
    assert!(
        stats["head"]
            .as_str()
            .unwrap()
            .starts_with("tollgate-audit-head-v1 ")
    );
    let events: Vec<String> = stats["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            format!(
                "{} {} {}",
                event["event"].as_str().unwrap(),
                event["by"].as_str().unwrap_or("-"),
                event["reason"].as_str().unwrap_or("-")
            )
        })
        .collect();
    for wanted in [
        "refused carl x",
        "refused olga x",
        "refused root x",
        "export jane court order",
        "search jane a test",
    ] {
        assert!(
            events.iter().any(|event| event == wanted),
            "{wanted}: {events:#?}"
        );
    }
}

#[tokio::test]
async fn a_call_that_a_kill_interrupts_is_on_record_without_what_it_said() {
    let mut audited =
        audited(|config| config.with("/products/0/audit/required", json!(true))).await;
    audited.gate.send(chat("answer 5 words")).await;
    let prompt = r#"answer 30 words [[simulate {"stall_after_chunks": 3}]]"#;
    let stream = audited.gate.open(chat(prompt).stream()).await;
    audited.gate.kill9();
    drop(stream);
    audited.gate.restart().await;
    let records = audited.records(2).await;
    let outcomes: Vec<&Value> = records.iter().map(|record| &record["outcome"]).collect();
    assert_eq!(outcomes, ["interrupted", "ok"]);
    assert_eq!(records[0]["content"], "none");
    assert_eq!(records[0]["subscription"], records[1]["subscription"]);
    // Once, however often it starts.
    audited.gate.kill9();
    audited.gate.restart().await;
    audited.gate.send(chat("answer 5 words")).await;
    assert_eq!(audited.records(3).await.len(), 3);
    assert!(audited.verify().status.success());
}

#[tokio::test]
async fn after_kill_9_the_chain_is_whole_and_after_tampering_verify_says_where() {
    let mut audited =
        audited(|config| config.with("/products/0/audit/required", json!(true))).await;
    let mut answered = Vec::new();
    for round in 0..3 {
        for number in 0..20 {
            answered.push(
                audited
                    .gate
                    .send(chat(&format!("round {round} call {number}")))
                    .await
                    .id()
                    .to_owned(),
            );
        }
        audited.gate.kill9();
        audited.gate.restart().await;
    }
    let records = audited.records(answered.len()).await;
    for id in &answered {
        assert!(
            records.iter().any(|record| record["call"] == **id),
            "{id} is on no record"
        );
    }
    let verified = audited.verify();
    assert!(verified.status.success(), "{}", text(&verified.stdout));
    assert!(audited.gate.stop().await.success());

    let database = audited.store().join("audit.sqlite");
    let connection = rusqlite::Connection::open(&database).unwrap();
    let victim = records[30]["number"].as_u64().unwrap();
    let changed = connection
        .execute(
            "DELETE FROM chain WHERE sequence = ?",
            [victim.cast_signed()],
        )
        .unwrap();
    assert_eq!(changed, 1);
    drop(connection);
    let verified = audited.verify();
    assert_eq!(
        verified.status.code(),
        Some(1),
        "{}",
        text(&verified.stderr)
    );
    let told = text(&verified.stdout);
    assert!(
        told.contains("NOT SOUND") && told.contains(&format!("entry {victim}")),
        "{told}"
    );
}

#[tokio::test]
async fn a_product_that_requires_a_region_does_not_load_with_a_store_outside_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tollgate.yaml");
    let wrong = with_store(
        config().backend("east", ([127, 0, 0, 1], 9).into()),
        folder.path(),
    )
    .with("/products/0/audit/region", json!("us"));
    fs::write(&file, wrong.text()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .arg("check")
        .arg(&file)
        .output()
        .unwrap();
    assert!(!output.status.success());
    let told = text(&output.stdout) + &text(&output.stderr);
    assert!(
        told.contains(
            "products[standard].audit.store: the store `eu` is in region `eu`, and `us` is required"
        ),
        "{told}"
    );
}

#[tokio::test]
async fn a_required_record_that_cannot_be_written_refuses_the_call() {
    let audited = audited(|config| {
        config
            .with("/audit_stores/0/dir", json!("/proc/no-such-folder/store"))
            .with("/products/0/audit/required", json!(true))
            .with("/subscriptions/1/audit", json!({ "content": "full" }))
    })
    .await;
    let refused = audited.gate.send(chat("on record or not at all")).await;
    assert_eq!(
        (refused.status, &*refused.code()),
        (503, "audit_unavailable")
    );
    let other = audited.gate.send(chat("as you like").key(CHAT_KEY)).await;
    assert_eq!(other.status, 200);
    let metrics = audited.gate.metrics().await;
    assert_eq!(
        metrics.sum("tollgate_audit_refused_calls_total", &["store=\"eu\""]),
        1
    );
}

#[tokio::test]
async fn what_was_written_a_moment_ago_is_held_and_counted_beside_a_running_gateway() {
    let required = |config: Config| config.with("/products/0/audit/required", json!(true));
    let audited = audited(required).await;
    let span = [
        "hold",
        "--since",
        "1h",
        "--until",
        "2100-01-01",
        "--reason",
        "case 4",
    ];
    let hold = audited.run("jane", AUDITOR, &span);
    assert!(hold.status.success(), "{}", text(&hold.stderr));
    let number = hold_number(&hold);
    let erase = ["erase", "--person", "search/primary", "--reason", "r 88"];
    for count in [3, 6] {
        for _ in 0..3 {
            audited.gate.send(chat("of herons").key(SEARCH_KEY)).await;
        }
        let erased = audited.run("root", ADMIN, &erase);
        if count == 3 {
            let told = text(&erased.stderr);
            assert!(told.contains(&format!("legal hold {number}")), "{told}");
            let released = ["release", &number, "--reason", "closed"];
            let released = audited.run("jane", AUDITOR, &released);
            assert!(released.status.success(), "{}", text(&released.stderr));
            continue;
        }
        assert!(erased.status.success(), "{}", text(&erased.stderr));
        let receipt: Value = serde_json::from_slice(&erased.stdout).unwrap();
        assert_eq!(receipt["records"], json!(count));
    }
    let verified = audited.verify();
    let told = text(&verified.stdout);
    assert!(
        told.contains("sound") && told.contains("(6 whose content is gone"),
        "{told}"
    );
}

#[tokio::test]
async fn with_guards_and_full_records_nothing_raw_is_in_any_file_or_log() {
    let planted = ["anna.schmidt@example.com", "4111 1111 1111 1111"];
    let mut audited =
        audited(|config| config.with("/products/0/guards", json!([{ "pii": {} }]))).await;
    for round in 0..10 {
        let prompt = format!("repeat: {} pays with {}, {round}", planted[0], planted[1]);
        let call = chat(&prompt);
        let call = if round % 2 == 0 { call } else { call.stream() };
        assert_eq!(audited.gate.send(call).await.status, 200);
    }
    let records = audited.records(10).await;
    assert!(records.iter().all(|record| {
        record["prompt"]
            .as_str()
            .unwrap()
            .contains("[EMAIL] pays with [PAYMENT_CARD]")
    }));
    assert!(records[0]["verdicts"].as_str().unwrap().contains("email:1"));
    let log = audited.gate.log();
    assert!(audited.gate.stop().await.success());
    let mut look = vec![audited.folder.path().to_owned(), audited.gate.data()];
    let mut searched = 0;
    while let Some(path) = look.pop() {
        if path.is_dir() {
            look.extend(
                fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        searched += bytes.len();
        for value in planted {
            let is_there = bytes
                .windows(value.len())
                .any(|window| window == value.as_bytes());
            assert!(!is_there, "{value} is in {}", path.display());
        }
    }
    assert!(searched > 10_000, "{searched}");
    for value in planted {
        assert!(!log.contains(value), "{value} is in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_without_the_key_is_told_which_one_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("tollgate.yaml");
    let written = format!(
        "data_dir: {dir}/data
backends: [ {{ id: a, dialect: openai, url: \"http://127.0.0.1:9\", auth: {{ bearer: the-gateway-s-own }} }} ]
pools: [ {{ id: all, members: [ {{ backend: a }} ] }} ]
models: [ {{ name: gpt-4o, pool: all, max_output_tokens: 1000, tokenizer: o200k }} ]
products: [ {{ id: standard, models: [gpt-4o] }} ]
subscriptions: [ {{ id: search, product: standard, keys: {{ primary: search-key-of-16-or-more }} }} ]
audit_stores: [ {{ id: eu, region: eu, keys: {{ dir: {dir}/keys, kek: {{ id: k1, key: \"${{env:NO_SUCH_KEK}}\" }} }} }} ]
access: [ {{ id: jane, token: {AUDITOR}, roles: [ {{ role: auditor }} ] }} ]
",
        dir = folder.path().display()
    );
    fs::write(&config, written).unwrap();
    let output = run(&config, "jane", AUDITOR, &["stats"]);
    let error = text(&output.stderr);
    assert!(
        error.contains("audit_stores[eu].keys.kek.key") && error.contains("`k1` is not there"),
        "{error}"
    );
}
