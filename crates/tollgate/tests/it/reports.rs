//! What finance does with the ledger: reports in files, and a provider's invoice laid beside it.

mod budget_forecast;
mod priced;
mod provisioned;

use std::path::{Path, PathBuf};
use std::process::Output;

use domain::record::CallRecord;
use domain::{Nanos, Wall};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use report::Decimal;
use serde_json::Value;
use simulator::Behaviour;
use store::ledger::Adjustment;
use tempfile::TempDir;

use crate::harness::{Gate, chat, config, embedding, provider, tollgate};

/// A gateway's data after it stopped, with four answered calls of gpt-4o and one of embeddings.
struct Month {
    gate: Gate,
    records: Vec<CallRecord>,
    folder: TempDir,
}

impl Month {
    async fn new() -> Self {
        let provider = provider(Behaviour::default()).await;
        let config = config().backend("east", provider.address());
        let mut gate = Gate::start(config).await;
        for words in 1..5 {
            let call = chat(&format!("answer {words} words")).header("X-App-Name", "=1+1");
            gate.send(call).await;
        }
        gate.send(embedding("water")).await;
        let records = gate.all_records(5).await;
        gate.stop().await;
        Self {
            gate,
            records,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn tokens(&self, model: &str) -> (u64, u64) {
        let of_model = |record: &&CallRecord| record.opening.model.as_str() == model;
        let usages = self
            .records
            .iter()
            .filter(of_model)
            .map(|record| record.metered.usage());
        usages.fold((0, 0), |(input, output), usage| {
            (input + usage.prompt, output + usage.completion)
        })
    }

    fn day(&self) -> Date {
        let at = Timestamp::from_millisecond(self.records[0].opening.at.0).unwrap();
        at.to_zoned(TimeZone::UTC).date()
    }

    /// As the provider would export what the ledger has, all on the last call's day.
    fn invoice(&self, more_output: u64, more_rows: &str) -> PathBuf {
        let day = self.day();
        let mut text =
            "start_time_iso,model,num_model_requests,input_tokens,output_tokens\n".to_owned();
        for (model, name) in [
            ("gpt-4o", "gpt-4o-2024-08-06"),
            ("text-embedding-3-small", "text-embedding-3-small"),
        ] {
            let (input, output) = self.tokens(model);
            let output = if model == "gpt-4o" {
                output + more_output
            } else {
                output
            };
            text.push_str(&format!("{day},{name},1,{input},{output}\n"));
        }
        let path = self.folder.path().join("invoice.csv");
        std::fs::write(&path, text + &more_rows.replace("DAY", &day.to_string())).unwrap();
        path
    }

    /// By model over two days, as the calls may have been made around midnight.
    fn compare(&self, invoice: &Path, more: &[&str]) -> Output {
        let since = self.day().yesterday().unwrap().to_string();
        let until = self.day().tomorrow().unwrap().to_string();
        let mut arguments = vec!["usage", "compare", "--by", "model", "--invoice"];
        arguments.extend([invoice.to_str().unwrap(), "--until", &until]);
        if !more.contains(&"--since") {
            arguments.extend(["--since", &since]);
        }
        arguments.extend(more);
        self.gate.tollgate(&arguments)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn an_invoice_is_compared_with_every_token_that_passed() {
    let month = Month::new().await;

    let same = month.compare(&month.invoice(0, ""), &[]);
    assert!(
        same.status.success(),
        "{}{}",
        text(&same.stdout),
        text(&same.stderr)
    );
    let printed = text(&same.stdout);
    assert!(printed.contains("2 rows within 0%"), "{printed}");

    let (_, output) = month.tokens("gpt-4o");
    let tampered = month.invoice(output / 10, "");
    let differs = month.compare(&tampered, &["--tolerance", "1%"]);
    assert_eq!(differs.status.code(), Some(1));
    let printed = text(&differs.stdout);
    assert!(
        printed.contains("DIFFERS") && printed.contains("1 of 2 rows further apart than 1%"),
        "{printed}"
    );
    assert!(
        month
            .compare(&tampered, &["--tolerance", "15%"])
            .status
            .success()
    );

    let only_theirs = month.compare(
        &month.invoice(0, "DAY,o3,1,10,10\n"),
        &["--format", "json", "--differences"],
    );
    assert_eq!(only_theirs.status.code(), Some(1));
    let rows: Value = serde_json::from_slice(&only_theirs.stdout).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(
        (&rows[0]["model"], &rows[0]["verdict"]),
        (&"o3".into(), &"only_theirs".into())
    );
    assert_eq!(rows[0]["tokens_difference"], -20);
}

#[tokio::test]
async fn an_invoice_that_cannot_be_read_is_named_with_the_line_and_what_to_do() {
    let month = Month::new().await;
    let fault = |path: &Path, more: &[&str]| {
        let output = month.compare(path, more);
        assert_eq!(output.status.code(), Some(1));
        text(&output.stderr)
    };
    let wrong = fault(&month.invoice(0, "DAY,gpt-4o,1,many,1\n"), &[]);
    assert!(
        wrong.contains("line 4: input_tokens: `many` is no number"),
        "{wrong}"
    );
    let missing = fault(&month.folder.path().join("no.csv"), &[]);
    assert!(missing.contains("no.csv"), "{missing}");
    let unknown = fault(&month.invoice(0, ""), &["--backend", "west"]);
    assert!(unknown.contains("no backend `west`"), "{unknown}");
    let cost = [
        "--layout",
        "mapped",
        "--map",
        "date=start_time_iso",
        "--map",
        "model=model",
        "--map",
        "cost=output_tokens",
    ];
    let no_currency = fault(&month.invoice(0, ""), &cost);
    assert!(no_currency.contains("add --currency"), "{no_currency}");
    let part = fault(&month.invoice(0, ""), &["--since", "2026-11-01T12:00:00Z"]);
    assert!(
        part.contains("--since: an invoice knows whole days"),
        "{part}"
    );
}

#[tokio::test]
async fn a_report_goes_to_a_file_whole_and_needs_no_configuration() {
    let month = Month::new().await;
    let data = month.gate.data();
    let path = month.folder.path().join("usage.csv");
    let arguments = [
        "usage",
        "--data-dir",
        data.to_str().unwrap(),
        "--by",
        "application,model",
        "--format",
        "csv",
        "--output",
        path.to_str().unwrap(),
    ];
    let output = tollgate(&arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(output.stdout.is_empty());
    let written = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = written.split("\r\n").collect();
    assert_eq!(lines.len(), 4, "{written}");
    assert!(
        lines[2].starts_with("'=1+1,gpt-4o,4,4,"),
        "a client's name is no formula: {written}"
    );

    let parquet = month.gate.tollgate(&["usage", "--format", "parquet"]);
    assert!(parquet.stdout.starts_with(b"PAR1") && parquet.stdout.ends_with(b"PAR1"));
    let both = tollgate(&["usage", "--data-dir", "x", "--config", "y"]);
    assert_eq!(both.status.code(), Some(2));
}

/// Rows of a CSV file, each field with its column's name.
fn rows(csv: &str) -> Vec<Vec<(String, String)>> {
    let mut reader = report::invoice::csv::Reader::new(csv.as_bytes()).unwrap();
    let header = reader.header().to_vec();
    let mut rows = Vec::new();
    while let Some(row) = reader.row().unwrap() {
        let fields = row.fields().map(str::to_owned);
        rows.push(header.iter().cloned().zip(fields).collect());
    }
    rows
}

fn field<'a>(row: &'a [(String, String)], name: &str) -> &'a str {
    let (_, value) = row.iter().find(|(column, _)| column == name).unwrap();
    value
}

#[test]
fn focus_charges_are_worth_what_the_calls_were_charged() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let total = priced::write(&data);
    let focus = |more: &[&str]| {
        let data = data.to_str().unwrap();
        let arguments = ["usage", "--data-dir", data, "--format", "focus"];
        tollgate(&[&arguments, more].concat())
    };

    let output = focus(&[
        "--focus-version",
        "1.2",
        "--invoice-issuer",
        "Platform team",
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let charges = rows(&text(&output.stdout));
    let sum = |name: &str| -> Decimal {
        let fields = charges
            .iter()
            .map(|row| field(row, name).parse::<Decimal>().unwrap());
        fields.sum()
    };
    assert_eq!(sum("BilledCost"), total.into());
    assert_eq!(
        sum("ListCost").times("0.9".parse().unwrap()),
        sum("ContractedCost")
    );
    // Three days, two teams; input, cached input and output at the standard tier, two in a batch.
    assert_eq!(charges.len(), 3 * 2 * 5);
    let first = &charges[0];
    assert_eq!(field(first, "BillingPeriodStart"), "2026-11-01T00:00:00Z");
    assert_eq!(field(first, "BillingPeriodEnd"), "2026-12-01T00:00:00Z");
    assert_eq!(field(first, "ChargePeriodEnd"), "2026-11-02T00:00:00Z");
    assert_eq!(field(first, "InvoiceIssuerName"), "Platform team");
    assert_eq!(field(first, "SubAccountId"), "search");
    assert_eq!(
        field(first, "Tags"),
        r#"{"tollgate:application":"=HYPERLINK(\"http://x\")","tollgate:product":"standard"}"#
    );

    let cut = focus(&[
        "--since",
        "2026-11-02",
        "--until",
        "2026-11-03",
        "--time-zone",
        "Europe/Berlin",
    ]);
    let charges = rows(&text(&cut.stdout));
    assert!(!charges.is_empty());
    for charge in &charges {
        assert_eq!(field(charge, "ChargePeriodStart"), "2026-11-01T23:00:00Z");
        assert_eq!(field(charge, "BillingPeriodStart"), "2026-10-31T23:00:00Z");
    }

    let parquet = tollgate(&[
        "usage",
        "--data-dir",
        data.to_str().unwrap(),
        "--format",
        "focus-parquet",
    ]);
    assert!(parquet.stdout.starts_with(b"PAR1") && parquet.stdout.ends_with(b"PAR1"));
}

#[test]
fn what_was_worked_out_anew_is_a_row_of_its_own_and_part_of_the_bill() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let total = priced::write(&data);
    let refund = Nanos(-20_000_000);
    let adjustment = Adjustment {
        made_at: Wall(priced::NOVEMBER + 40 * 86_400_000),
        reason: "the contract's price".to_owned(),
        hour: Wall(priced::NOVEMBER + 3_600_000),
        subscription: "search".into(),
        product: "standard".into(),
        application: String::new(),
        model: "gpt-4o".into(),
        backend: "eastus".into(),
        calls: 10,
        currency: "EUR".parse().unwrap(),
        amount: refund,
    };
    store::ledger::adjust(&data, &[adjustment]).unwrap();

    let arguments = [
        "usage",
        "--data-dir",
        data.to_str().unwrap(),
        "--format",
        "focus",
    ];
    let output = tollgate(&arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let charges = rows(&text(&output.stdout));
    let billed = charges
        .iter()
        .map(|row| field(row, "BilledCost").parse::<Decimal>().unwrap());
    assert_eq!(billed.sum::<Decimal>(), (total + refund).into());
    let last = charges.last().unwrap();
    assert_eq!(field(last, "ChargeCategory"), "Adjustment");
    assert_eq!(field(last, "ChargeClass"), "Correction");
    assert_eq!(field(last, "ChargePeriodStart"), "2026-11-01T00:00:00Z");
    assert_eq!(field(last, "BilledCost"), "-0.02");
    assert_eq!(field(last, "ConsumedQuantity"), "");
}

#[test]
fn a_bill_with_unpriced_calls_is_refused_unless_they_are_to_be_marked() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    priced::write(&data);
    priced::add_unpriced(&data);
    let file = folder.path().join("focus.csv");
    let focus = |more: &[&str]| {
        let (data, file) = (data.to_str().unwrap(), file.to_str().unwrap());
        let arguments = [
            "usage",
            "--data-dir",
            data,
            "--format",
            "focus",
            "--output",
            file,
        ];
        tollgate(&[&arguments, more].concat())
    };
    let refused = focus(&[]);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(said.contains("1 call of this time has no price"), "{said}");
    assert!(!file.exists());

    let marked = focus(&["--allow-unpriced"]);
    assert!(marked.status.success());
    assert!(text(&marked.stderr).contains("UNPRICED"));
    let mut charges = rows(&std::fs::read_to_string(&file).unwrap());
    charges.retain(|row| field(row, "x_Unpriced") == "true");
    assert_eq!(charges.len(), 2);
    assert_eq!(field(&charges[0], "x_Model"), "o3");
    assert_eq!(field(&charges[0], "ListUnitPrice"), "");
}

#[test]
fn options_that_do_not_go_together_are_named() {
    let fault = |arguments: &[&str]| {
        let output = tollgate(&[&["usage", "--data-dir", "nowhere"], arguments].concat());
        assert_eq!(output.status.code(), Some(1));
        text(&output.stderr)
    };
    let focus_by = fault(&["--format", "focus", "--by", "day"]);
    assert!(
        focus_by.contains("--by: FOCUS has its own rows"),
        "{focus_by}"
    );
    let not_focus = fault(&["--format", "csv", "--allow-unpriced"]);
    assert!(
        not_focus.contains("--allow-unpriced goes with --format focus"),
        "{not_focus}"
    );
    assert!(fault(&["--time-zone", "Mars"]).contains("--time-zone: `Mars`"));
    assert!(fault(&["--by", "day,day"]).contains("`day` is named twice"));
}
