//! The cache from outside: what survives a restart, what an erasure takes with it, and the commands.

use std::process::{Command, Output};

use serde_json::{Value, json};
use simulator::Behaviour;

use crate::harness::{Config, Gate, chat, config, eventually, in_time, provider};

const AUDITOR: &str = "auditors-token-of-16";
const ADMIN: &str = "administrators-token";
const FINANCE: &str = "controllers-token-16";

fn caching(config: Config) -> Config {
    config
        .with("/products/0/cache", json!({ "exact": { "ttl": "1h" } }))
        .with("/caching", json!({ "disk": {} }))
        .with(
            "/access",
            json!([
                { "id": "jane", "token": AUDITOR, "roles": [{ "role": "auditor" }] },
                { "id": "root", "token": ADMIN, "roles": [{ "role": "admin" }] },
                { "id": "carl", "token": FINANCE, "roles": [{ "role": "finance" }] },
            ]),
        )
}

fn run(gate: &Gate, (visitor, token): (&str, &str), arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(arguments)
        .args(["--as", visitor, "--config"])
        .arg(gate.config_path())
        .env("TOLLGATE_ACCESS_TOKEN", token)
        .output()
        .unwrap()
}

fn told(output: &Output) -> Value {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn stats(gate: &Gate) -> Value {
    told(&gate.tollgate(&["cache", "stats", "--format", "json"]))
}

async fn cached(gate: &Gate, prompt: &str) -> String {
    gate.send(chat(prompt))
        .await
        .header("x-tollgate-cache")
        .to_owned()
}

async fn on_disk(gate: &Gate, entries: u64) {
    eventually("entries on disk", async || {
        (stats(gate)["entries"] == entries).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_survive_a_restart_and_an_erasure_ends_them() {
    let region = provider(Behaviour::default()).await;
    let mut gate = Gate::start(caching(config().backend("east", region.address()))).await;
    assert_eq!(cached(&gate, "the heron's answer").await, "miss");
    assert_eq!(cached(&gate, "the heron's answer").await, "hit");
    assert!(gate.stop().await.success());
    gate.restart().await;
    // What is on disk comes back in the background: a call that is too early is a miss, and is kept again.
    eventually("a hit after the restart", async || {
        (cached(&gate, "the heron's answer").await == "hit").then_some(())
    })
    .await;
    on_disk(&gate, 1).await;
    for entry in std::fs::read_dir(gate.data()).unwrap() {
        let path = entry.unwrap().path();
        if path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("cache")
        {
            let bytes = std::fs::read(&path).unwrap();
            let in_the_clear = bytes.windows(7).any(|window| window == b"heron's");
            assert!(!in_the_clear, "{}", path.display());
        }
    }

    let erase = [
        "audit",
        "erase",
        "--subscription",
        "search",
        "--reason",
        "they left",
    ];
    let erased = run(&gate, ("root", ADMIN), &erase);
    assert!(
        erased.status.success(),
        "{}",
        String::from_utf8_lossy(&erased.stderr)
    );
    on_disk(&gate, 0).await;
    assert_eq!(cached(&gate, "the heron's answer").await, "miss");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_says_what_would_go_and_a_running_gateway_forgets_what_went() {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(caching(config().backend("east", region.address()))).await;
    for prompt in ["one", "two", "three"] {
        assert_eq!(cached(&gate, prompt).await, "miss");
    }
    on_disk(&gate, 3).await;

    let inspect = ["cache", "inspect", "--format", "json"];
    let listed = told(&run(&gate, ("jane", AUDITOR), &inspect));
    assert_eq!(listed["found"], 3, "{listed}");
    assert_eq!(listed["entries"][0]["subscription"], "search");
    let with_texts = [&inspect[..], &["--texts", "--reason", "complaint 17"]].concat();
    let refused = run(&gate, ("carl", FINANCE), &with_texts);
    assert!(!refused.status.success(), "questions are content");

    // Whose they are is sealed.
    let of_model = ["cache", "stats", "--format", "json", "--model", "gpt-4o"];
    assert!(!gate.tollgate(&of_model).status.success());
    let by_owner = told(&run(&gate, ("carl", FINANCE), &of_model));
    let group = &by_owner["groups"][0];
    assert_eq!(
        (&group["subscription"], &group["model"]),
        (&json!("search"), &json!("gpt-4o"))
    );
    assert_eq!(
        (&group["entries"], &by_owner["entries"]),
        (&json!(3), &json!(3))
    );
    let older = [&of_model[..], &["--older-than", "1h"]].concat();
    let older = told(&run(&gate, ("jane", AUDITOR), &older));
    assert_eq!(older["entries"], 0, "{older}");

    // A single one goes by the id that was listed.
    let one = listed["entries"][0]["id"].as_str().unwrap();
    let named = [
        "cache", "purge", "--id", one, "--reason", "wrong", "--yes", "--format", "json",
    ];
    assert_eq!(told(&run(&gate, ("root", ADMIN), &named))["entries"], 1);
    assert_eq!(told(&run(&gate, ("jane", AUDITOR), &inspect))["found"], 2);
    assert_eq!(cached(&gate, "one").await, "hit");
    let mistyped = [&inspect[..], &["--subscription", "serach"]].concat();
    let mistyped = run(&gate, ("jane", AUDITOR), &mistyped);
    let note = String::from_utf8_lossy(&mistyped.stderr);
    assert!(note.contains("no subscription `serach`"), "{note}");

    let purge = [
        "cache",
        "purge",
        "--model",
        "gpt-4o",
        "--reason",
        "new tariff",
        "--format",
        "json",
    ];
    let would = told(&run(&gate, ("root", ADMIN), &purge));
    assert_eq!(
        (&would["purged"], &would["entries"]),
        (&json!(false), &json!(2))
    );
    assert_eq!(cached(&gate, "two").await, "hit");
    let unreasoned = run(
        &gate,
        ("root", ADMIN),
        &["cache", "purge", "--all", "--yes"],
    );
    assert!(!unreasoned.status.success());

    let done = told(&run(
        &gate,
        ("root", ADMIN),
        &[&purge[..], &["--yes"]].concat(),
    ));
    assert_eq!(
        (&done["purged"], &done["entries"]),
        (&json!(true), &json!(2))
    );
    in_time("the running gateway's turn", async {
        while stats(&gate)["purges_waiting"] != 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(cached(&gate, "two").await, "miss");
}

#[tokio::test]
async fn without_a_disk_the_commands_say_that_there_is_nothing_to_see() {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(config().backend("east", region.address())).await;
    let output = gate.tollgate(&["cache", "stats"]);
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("there is no cache in"), "{error}");
    assert!(error.contains("caching.disk"), "{error}");
    for arguments in [&["cache", "inspect"][..], &["cache", "purge", "--all"]] {
        let output = run(&gate, ("jane", AUDITOR), arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("caching.disk"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployments_vectors_find_answers_and_stand_in_the_report() {
    let region = provider(Behaviour::default()).await;
    let backend = json!({ "model": "text-embedding-3-small", "timeout": "10m" });
    let caching = caching(config().backend("east", region.address()))
        .with("/products/0/models", json!(["gpt-4o"]))
        .with("/products/0/cache", json!({ "semantic": {} }))
        .with(
            "/caching",
            json!({ "disk": {}, "embedder": { "backend": backend } }),
        );
    let gate = Gate::start(caching).await;
    // The simulator's vectors know words, and not where they stand.
    assert_eq!(cached(&gate, "may dogs use the pool please").await, "miss");
    assert_eq!(cached(&gate, "please may dogs use the pool").await, "hit");
    assert_eq!(cached(&gate, "please may dogs use the train").await, "miss");

    eventually("the report", async || {
        let report = gate.tollgate(&["usage", "--by", "cache,model", "--format", "json"]);
        let rows = told(&report);
        let of = |cache: &str| {
            let mut rows = rows.as_array().unwrap().iter();
            rows.find(|row| row["cache"] == cache).cloned()
        };
        let (embedding, hit) = (of("embedding")?, of("hit")?);
        let complete = embedding["attempts"] == 3 && of("miss")?["calls"] == 2;
        if complete {
            assert_eq!(embedding["model"], "text-embedding-3-small");
            assert_eq!((&embedding["calls"], &hit["calls"]), (&json!(0), &json!(1)));
            assert!(embedding["prompt_tokens"].as_u64() > Some(0), "{embedding}");
        }
        complete.then_some(())
    })
    .await;

    on_disk(&gate, 2).await;
    let like = [
        "cache",
        "inspect",
        "--like",
        "dogs",
        "--reason",
        "complaint 17",
    ];
    let like = run(&gate, ("jane", AUDITOR), &like);
    let error = String::from_utf8_lossy(&like.stderr);
    assert!(!like.status.success());
    assert!(
        error.contains("text-embedding-3-small") && error.contains("--texts"),
        "{error}"
    );
}
