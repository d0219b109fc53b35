//! Running it: checking, reloading, draining, and the commands beside it.

use std::process::Command;

use domain::record::Outcome;
use serde_json::{Value, json};
use simulator::Behaviour;

use crate::harness::{
    CHAT_KEY, Gate, chat, completion, config, eventually, get, in_time, provider, tollgate,
};

/// Ten mistakes, each on a line of its own that the comment names.
const TEN_MISTAKES: &str = r#"listen: nowhere
limits: { body: 12parsecs }
colour: green
backends:
  - id: east
    dialect: klingon
    url: ftp://east.example.com
  - id: west
    dialect: openai
    url: https://west.example.com
    timeout: { idle: soon }
pools:
  - id: main
    members:
      - { backend: north }
models:
  - { name: gpt-4o, pool: other }
products:
  - id: standard
    models: [gpt-4o]
    token_limits:
      - { name: tpm, tokens_per_minute: -5 }
subscriptions:
  - { id: search, product: standard, keys: { primary: short } }
"#;

#[test]
fn check_prints_every_mistake_at_once_with_its_place_and_the_fix() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.yaml");
    std::fs::write(&path, TEN_MISTAKES).unwrap();
    let output = tollgate(&["check", path.to_str().unwrap()]);
    assert!(!output.status.success());
    let text =
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    let prefix = format!("{}:", path.display());
    let mut lines: Vec<u32> = Vec::new();
    for line in text.lines().filter(|line| line.starts_with(&prefix)) {
        let mut parts = line[prefix.len()..].splitn(3, ':');
        lines.push(parts.next().unwrap().parse().unwrap());
        assert!(parts.next().unwrap().parse::<u32>().unwrap() > 0, "{line}");
        assert!(
            parts.next().unwrap().contains(';'),
            "a fix follows the problem: {line}"
        );
    }
    lines.sort_unstable();
    assert_eq!(lines, [1, 2, 3, 6, 7, 11, 15, 17, 22, 24], "{text}");
}

#[test]
fn check_warns_of_what_is_not_on_disk_and_says_what_puts_it_there() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let path = root.join("tollgate.yaml");
    let text = format!(
        "data_dir: {root}/data
backends: [ {{ id: a, dialect: openai, url: \"https://a.example.com\", auth: none }} ]
models: [ {{ name: m, backend: a, price: {{ input_per_million: 1, output_per_million: 1 }} }} ]
products: [ {{ id: p, models: [m], cache: {{ semantic: {{}} }} }} ]
subscriptions: [ {{ id: s, product: p }} ]
sinks: [ {{ id: f, file: {{ path: {root}/late/usage.jsonl }} }} ]
",
        root = root.display()
    );
    std::fs::write(&path, text).unwrap();
    let checked = || {
        let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(["check", path.to_str().unwrap()])
            .env("XDG_CACHE_HOME", root.join("cache"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let told = checked();
    assert!(told.contains("2 warnings"), "{told}");
    for part in [
        ":6:",
        "sinks[f].file.path: there is no folder",
        "products[p].cache.semantic: the local model is not in",
        "fetch it: tollgate cache install-model",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    std::fs::create_dir(root.join("late")).unwrap();
    std::fs::create_dir_all(root.join("data/models")).unwrap();
    std::fs::write(root.join("data/models").join(embed::FILE_NAME), "").unwrap();
    let told = checked();
    assert!(told.contains("0 warnings"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_accepts_what_serve_runs() {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(config().backend("east", region.address())).await;
    let output = tollgate(&["check", gate.config_path().to_str().unwrap()]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn schema_is_json_and_describes_every_section() {
    let output = tollgate(&["schema"]);
    assert!(output.status.success());
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    for section in [
        "listen",
        "backends",
        "pools",
        "models",
        "products",
        "subscriptions",
        "identity",
    ] {
        let described = &schema["properties"][section]["description"];
        assert!(described.is_string(), "`{section}` in {schema:#}");
    }
}

/// A model that only the changed configuration has.
async fn knows_the_new_model(gate: &Gate) -> bool {
    gate.send(chat("hi").model("o3")).await.status == 200
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_in_force_without_a_restart_and_a_broken_one_never() {
    let region = provider(Behaviour::default()).await;
    let before = config().backend("east", region.address());
    let mut gate = Gate::start(before.clone()).await;
    assert!(!knows_the_new_model(&gate).await);

    gate.rewrite_text("listen: nowhere\n");
    gate.signal("HUP");
    eventually("the refusal in the log", async || {
        gate.log().contains("tollgate.yaml:1:").then_some(())
    })
    .await;
    assert_eq!(
        gate.send(chat("hi")).await.status,
        200,
        "the last good configuration stays"
    );

    gate.rewrite(before.clone().add("/products/0/models", json!("o3")));
    eventually("the change found by itself", async || {
        knows_the_new_model(&gate).await.then_some(())
    })
    .await;

    gate.rewrite(before);
    gate.signal("HUP");
    eventually("the change on SIGHUP", async || {
        (!knows_the_new_model(&gate).await).then_some(())
    })
    .await;
    assert!(gate.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_under_way_sees_one_configuration_from_start_to_end() {
    let paced = Behaviour {
        tokens_per_second: 20,
        ..Behaviour::default()
    };
    let region = provider(paced).await;
    let before = config().backend("east", region.address());
    let mut gate = Gate::start(before.clone()).await;
    let mut stream = gate.open(chat("answer 30 words").stream()).await;
    assert!(stream.event().await.is_some());
    gate.rewrite(before.with("/products/0/models", json!(["o3"])));
    gate.signal("HUP");
    eventually("the new configuration", async || {
        (gate.send(get("/v1/models/gpt-4o")).await.status == 404).then_some(())
    })
    .await;
    let id = stream.id();
    assert!(stream.rest().await.is_whole);
    assert_eq!(gate.record(&id).await.outcome, Outcome::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_a_stream_finish_and_takes_no_new_calls() {
    let paced = Behaviour {
        tokens_per_second: 20,
        ..Behaviour::default()
    };
    let region = provider(paced).await;
    let mut gate = Gate::start(config().backend("east", region.address())).await;
    let mut stream = gate.open(chat("answer 40 words").stream()).await;
    assert!(stream.event().await.is_some());
    gate.signal("TERM");
    eventually("the closed door", async || {
        let answer = gate.door.try_send(get("/readyz")).await;
        answer
            .map_or(true, |answer| answer.status == 503)
            .then_some(())
    })
    .await;
    let id = stream.id();
    let rest = stream.rest().await;
    assert!(rest.is_whole && rest.text().ends_with("data: [DONE]\n\n"));
    assert!(gate.exited().await.success());
    let record = gate.record(&id).await;
    assert_eq!(
        (record.outcome, record.metered.usage().completion),
        (Outcome::Ok, 40)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_no_longer_than_it_was_told_and_settles_what_it_cuts() {
    let stalling = Behaviour {
        stall_after_chunks: Some(5),
        ..Behaviour::default()
    };
    let region = provider(stalling).await;
    let config = config()
        .backend("east", region.address())
        .with("/limits/drain", json!("500ms"));
    let mut gate = Gate::start(config).await;
    let mut stream = gate.open(chat("answer 40 words").stream()).await;
    for _ in 0..5 {
        stream.event().await.unwrap();
    }
    assert!(gate.stop().await.success());
    let id = stream.id();
    assert!(!stream.rest().await.is_whole);
    let records = gate.all_records(1).await;
    assert_eq!(records[0].opening.id.to_string(), id);
    assert_eq!(
        records[0].metered.usage().completion,
        4,
        "what had passed is charged"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_leaves_no_dump_of_what_was_in_memory() {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(config().backend("east", region.address())).await;
    let limits = gate.proc("limits");
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let figures: Vec<&str> = line.unwrap().split_whitespace().skip(4).collect();
    assert!(
        figures == ["1", "1", "bytes"] || figures == ["0", "0", "bytes"],
        "{line:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_gateway_on_the_same_data_is_turned_away() {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(config().backend("east", region.address())).await;
    let text = std::fs::read_to_string(gate.config_path()).unwrap();
    let mut other: Value = serde_json::from_str(&text).unwrap();
    other["listen"] = json!("127.0.0.1:0");
    other["admin"]["listen"] = json!("127.0.0.1:0");
    let path = gate.config_path().with_file_name("other.yaml");
    std::fs::write(&path, other.to_string()).unwrap();
    let output = tollgate(&["serve", "--config", path.to_str().unwrap()]);
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.contains(gate.data().to_str().unwrap()),
        "it names the directory: {error}"
    );
    assert_eq!(
        gate.send(chat("hi")).await.status,
        200,
        "the first is not disturbed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_reports_a_running_and_a_stopped_gateway_alike() {
    let region = provider(Behaviour::default()).await;
    let mut gate = Gate::start(config().backend("east", region.address())).await;
    let calls = [
        chat("answer 10 words").header("x-app-name", "web"),
        chat("answer 20 words").header("x-app-name", "web").stream(),
        completion("answer 30 words").header("x-app-name", "crawler"),
        chat("answer 40 words").key(CHAT_KEY),
        chat("hi").model("o3").key(CHAT_KEY),
    ];
    for call in calls {
        gate.send(call).await;
    }
    gate.all_records(5).await;
    let running = gate.usage("subscription,application,model");
    assert!(gate.stop().await.success());
    assert_eq!(gate.usage("subscription,application,model"), running);

    let find = |subscription: &str, application: Value, model: &str| {
        running
            .iter()
            .find(|row| {
                row["subscription"] == subscription
                    && row["application"] == application
                    && row["model"] == model
            })
            .unwrap_or_else(|| panic!("{subscription} {application} {model} in {running:?}"))
    };
    let web = find("search", json!("web"), "gpt-4o");
    assert_eq!(
        (
            &web["calls"],
            &web["completion_tokens"],
            &web["prompt_tokens"]
        ),
        (&json!(2), &json!(30), &json!(22))
    );
    assert_eq!(
        (&web["total_tokens"], &web["estimated_tokens"]),
        (&json!(52), &json!(0))
    );
    let crawler = find("search", json!("crawler"), "gpt-3.5-turbo-instruct");
    assert_eq!(crawler["completion_tokens"], 30);
    let by_outcome = gate.usage("outcome");
    let refused = by_outcome
        .iter()
        .find(|row| row["outcome"] == "refused")
        .unwrap();
    assert_eq!(
        (&refused["calls"], &refused["total_tokens"]),
        (&json!(1), &json!(0))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_answer_without_a_key_and_metrics_only_to_operators() {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(config().backend("east", region.address())).await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(gate.send(get(path).without("api-key")).await.status, 200);
    }
    assert_eq!(gate.send(get("/metrics")).await.status, 404);
    gate.send(chat("answer 10 words")).await;
    let metrics = gate.metrics().await;
    let labels = ["subscription=\"search\"", "model=\"gpt-4o\""];
    assert_eq!(metrics.sum("tollgate_calls_total", &labels), 1);
    assert_eq!(
        metrics.sum("tollgate_tokens_total", &[labels[0], "kind=\"completion\""]),
        10
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_runs_to_its_end_and_tells_what_it_did() {
    let (folder, no_models) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dir = folder.path().join("demo");
    // Whatever this machine has installed.
    let user_cache = no_models.path().to_owned();
    let run = tokio::task::spawn_blocking({
        let dir = dir.clone();
        move || {
            Command::new(env!("CARGO_BIN_EXE_tollgate"))
                .args(["demo", "--duration", "8s", "--data-dir"])
                .arg(dir)
                .env("XDG_CACHE_HOME", user_cache)
                .output()
                .unwrap()
        }
    });
    let output = in_time("a demo of eight seconds", run).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.contains("curl"), "it prints what to try: {text}");
    assert!(
        text.contains("cache install-model"),
        "what is missing: {text}"
    );
    let told = text
        .lines()
        .find(|line| line.contains("answered from the cache ("));
    let told = told.unwrap_or_else(|| panic!("{text}"));
    assert!(told.contains(" 0 before in other words"), "{told}");
    assert!(told.ends_with(" EUR saved"), "{told}");

    let config = dir.join("tollgate.yaml");
    let usage = [
        "usage",
        "--by",
        "subscription,cache",
        "--format",
        "json",
        "--config",
    ];
    let usage = tollgate(&[&usage[..], &[config.to_str().unwrap()]].concat());
    let rows: Vec<Value> = serde_json::from_slice(&usage.stdout).unwrap();
    let hits = rows
        .iter()
        .find(|row| row["subscription"] == "faq" && row["cache"] == "hit");
    let hits = hits.unwrap_or_else(|| panic!("{rows:?}"));
    assert!(hits["saved"].as_f64().unwrap() > 0.0, "{hits}");
    assert_eq!(
        (&hits["currency"], &hits["cost"]),
        (&json!("EUR"), &json!(0))
    );
}
