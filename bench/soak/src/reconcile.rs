//! The ledger's sums against the provider's own count, model by model.
//!
//! What the provider reported must be the same to the token. What the gateway counted itself may be off
//! by 2%. A gateway that was killed recorded what it knew, so then only what calls ended well is compared.

use std::sync::atomic::Ordering;

use anyhow::Result;
use serde_json::Value;

use crate::gate::{Gate, MODELS, QUOTA};
use crate::traffic::Traffic;

pub struct Report {
    pub lines: Vec<String>,
    pub faults: Vec<String>,
}

/// Of one model, as the provider counted it in all regions.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    complete: u64,
    prompt: u64,
    sent: u64,
}

/// Of one model, on the ledger.
#[derive(Clone, Copy, Debug, Default)]
struct Recorded {
    calls: u64,
    prompt: u64,
    completion: u64,
    estimated: u64,
    /// Tokens of calls that ended well.
    ok: u64,
}

pub fn compare(gate: &Gate, counts: &[Value], traffic: &Traffic, kills: u64) -> Result<Report> {
    let rows = gate.usage("subscription,model,outcome")?;
    let mut report = Report {
        lines: Vec::new(),
        faults: Vec::new(),
    };
    for model in MODELS {
        let (theirs, ours) = (counted(counts, model), recorded(&rows, model));
        report.lines.push(format!(
            "{model}: {} calls, {} + {} tokens on the ledger ({} counted by the gateway); at the provider {} complete, {} + {} sent",
            ours.calls, ours.prompt, ours.completion, ours.estimated, theirs.complete, theirs.prompt, theirs.sent
        ));
        if ours.calls == 0 {
            report
                .faults
                .push(format!("{model}: no call is on the ledger"));
        }
        let fault = match model {
            "gpt-4o-exact" | "text-embedding-3-small" if kills > 0 => {
                (ours.ok > theirs.complete).then_some("more than the provider billed")
            }
            "gpt-4o-exact" | "text-embedding-3-small" => (ours.ok != theirs.complete
                || ours.estimated > 0)
                .then_some("not what the provider billed, to the token"),
            "gpt-4o-unsaid" => (kills == 0 && !within(ours.ok, theirs.complete))
                .then_some("what nobody reported is off by more than 2%"),
            "gpt-4o-cut" => (kills == 0 && !within(ours.completion, theirs.sent))
                .then_some("what passed before an answer broke is off by more than 2%"),
            _ => {
                let seen = traffic.words_before_leaving.load(Ordering::Relaxed);
                let fits = within(ours.prompt, theirs.prompt)
                    && ours.completion * 50 >= seen * 49
                    && ours.completion * 49 <= theirs.sent * 50;
                (kills == 0 && !fits).then_some(
                    "what clients took before they left is not between what they read and what was sent",
                )
            }
        };
        report
            .faults
            .extend(fault.map(|fault| format!("{model}: {fault}: {ours:?}, {theirs:?}")));
    }
    let of = |name: &str, field: &str| -> u64 {
        let rows = rows.iter().filter(|row| row["subscription"] == name);
        rows.filter_map(|row| row[field].as_u64()).sum()
    };
    let spent = of("spent", "total_tokens");
    report
        .lines
        .push(format!("spent: {spent} tokens of its quota of {QUOTA}"));
    // `reserve: max`: the full bound of an answer was held, so that nothing passes the quota.
    if spent > QUOTA {
        report
            .faults
            .push(format!("{spent} tokens passed a quota of {QUOTA}"));
    }
    Ok(report)
}

fn counted(counts: &[Value], model: &str) -> Counted {
    let mut sum = Counted::default();
    for region in counts {
        let of = |field: &str| region["models"][model][field].as_u64().unwrap_or(0);
        sum.complete += of("complete_prompt_tokens") + of("complete_completion_tokens");
        sum.prompt += of("prompt_tokens");
        sum.sent += of("sent_tokens");
    }
    sum
}

fn recorded(rows: &[Value], model: &str) -> Recorded {
    let mut sum = Recorded::default();
    for row in rows.iter().filter(|row| row["model"] == model) {
        let of = |field: &str| row[field].as_u64().unwrap_or(0);
        sum.calls += of("calls");
        sum.prompt += of("prompt_tokens");
        sum.completion += of("completion_tokens");
        sum.estimated += of("estimated_tokens");
        if row["outcome"] == "ok" {
            sum.ok += of("total_tokens");
        }
    }
    sum
}

/// 2%, or a few tokens where there are few.
fn within(ours: u64, theirs: u64) -> bool {
    ours.abs_diff(theirs) * 50 <= theirs.max(500)
}
