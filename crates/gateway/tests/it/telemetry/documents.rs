//! The page on metrics, the dashboard and the alerts name what exists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gateway::telemetry::catalogue::{self, Kind, Metric};
use serde_json::Value;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap()
}

const BEGIN: &str = "<!-- metrics: written by the tests -->\n";
const END: &str = "<!-- end of metrics -->\n";

fn table() -> String {
    let mut table = String::from("| Metric | Kind, unit | Labels | Meaning |\n|---|---|---|---|\n");
    for metric in catalogue::ALL {
        let Metric {
            name,
            otel,
            kind,
            unit,
            labels,
            help,
        } = metric;
        let total = if *kind == Kind::Counter { "_total" } else { "" };
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let (kind, labels) = (kind.as_str(), labels.join(", "));
        table.push_str(&format!(
            "| `{name}{total}`<br>`{otel}` | {kind}, `{unit}` | {labels} | {help} |\n"
        ));
    }
    table
}

/// `TOLLGATE_WRITE_DOCS=1 cargo test -p gateway` writes the table.
#[test]
fn the_page_lists_every_metric_and_no_other() {
    let page = read("docs/telemetry.md");
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let wanted = format!("{before}{BEGIN}\n{}\n{END}{after}", table());
    if std::env::var_os("TOLLGATE_WRITE_DOCS").is_some() {
        std::fs::write(path("docs/telemetry.md"), &wanted).unwrap();
        return;
    }
    assert!(
        page == wanted,
        "docs/telemetry.md is out of date: run `TOLLGATE_WRITE_DOCS=1 cargo test -p gateway`"
    );
    // And what its sentences mention.
    let mut names = sample_names();
    names.extend(catalogue::ALL.iter().map(|metric| metric.name.to_owned()));
    for word in page.split('`').skip(1).step_by(2) {
        let is_metric = word.starts_with("tollgate_") || word.starts_with("gen_ai_");
        if is_metric && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            assert!(
                names.contains(word) || label_names().contains(word),
                "{word}"
            );
        }
    }
}

fn sample_names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for metric in catalogue::ALL {
        match metric.kind {
            Kind::Counter => names.insert(format!("{}_total", metric.name)),
            Kind::Gauge => names.insert(metric.name.to_owned()),
            Kind::Histogram => {
                for part in ["bucket", "sum", "count"] {
                    names.insert(format!("{}_{part}", metric.name));
                }
                true
            }
        };
    }
    names
}

fn label_names() -> BTreeSet<&'static str> {
    let labels = catalogue::ALL.iter().flat_map(|metric| metric.labels);
    labels.copied().chain(["le", "job", "instance"]).collect()
}

/// What a query names: metrics outside of braces, labels inside and after `by`.
fn assert_names_exist(query: &str) {
    const WORDS: [&str; 22] = [
        "sum",
        "max",
        "min",
        "avg",
        "count",
        "rate",
        "increase",
        "histogram_quantile",
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "and",
        "or",
        "unless",
        "time",
        "clamp_min",
        "topk",
        "label_values",
        "absent",
        "vector",
    ];
    let (metrics, labels) = (sample_names(), label_names());
    let mut word = String::new();
    let (mut in_braces, mut in_text, mut in_labels) = (false, false, false);
    let mut in_range = false;
    for c in query.chars().chain([' ']) {
        if in_text {
            in_text = c != '"';
            continue;
        }
        if in_range {
            in_range = c != ']';
            continue;
        }
        let is_part = c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | ':');
        if is_part {
            word.push(c);
            continue;
        }
        let known = word.is_empty()
            || word.starts_with(|first: char| first.is_ascii_digit() || first == '$')
            || if in_braces || in_labels {
                labels.contains(&*word)
            } else {
                WORDS.contains(&&*word) || metrics.contains(&word)
            };
        assert!(known, "`{word}` in `{query}`");
        match c {
            '{' => in_braces = true,
            '}' => in_braces = false,
            '"' => in_text = true,
            '[' => in_range = true,
            '(' if matches!(&*word, "by" | "without" | "on" | "ignoring" | "group_left") => {
                in_labels = true;
            }
            ')' => in_labels = false,
            // `by (le)`: the word is kept for the parenthesis after the space.
            ' ' if matches!(&*word, "by" | "without" | "on" | "ignoring" | "group_left") => {
                continue;
            }
            _ => {}
        }
        word.clear();
    }
}

#[test]
#[should_panic(expected = "`tollgate_no_such_total`")]
fn a_query_that_names_another_metric_is_found() {
    assert_names_exist("sum by (le) (rate(tollgate_no_such_total{rule=\"x\"}[5m]))");
}

#[test]
#[should_panic(expected = "`team`")]
fn a_query_that_names_another_label_is_found() {
    assert_names_exist("sum by (team) (rate(tollgate_calls_total[5m]))");
}

fn queries(panel: &Value, into: &mut Vec<String>) {
    for target in panel["targets"].as_array().into_iter().flatten() {
        into.push(target["expr"].as_str().unwrap().to_owned());
    }
    for panel in panel["panels"].as_array().into_iter().flatten() {
        queries(panel, into);
    }
}

#[test]
fn every_query_of_the_dashboard_names_what_exists() {
    let dashboard: Value = serde_json::from_str(&read("dashboards/tollgate.json")).unwrap();
    let mut found = Vec::new();
    queries(&dashboard, &mut found);
    assert!(found.len() > 15);
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        if let Some(query) = variable["query"]
            .as_str()
            .filter(|_| variable["type"] == "query")
        {
            // `label_values(metric, label)`
            let (metric, label) = query.split_once(", ").unwrap();
            assert_names_exist(metric);
            assert!(
                label_names().contains(label.trim_end_matches(')')),
                "{query}"
            );
        }
    }
    for query in found {
        assert_names_exist(&query);
    }
}

#[test]
fn every_alert_names_what_exists() {
    let rules = read("dashboards/alerts.yaml");
    let queries: Vec<&str> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: "))
        .collect();
    assert!(queries.len() > 8);
    assert_eq!(rules.matches("alert: ").count(), queries.len());
    for query in queries {
        assert_names_exist(query);
    }
}
