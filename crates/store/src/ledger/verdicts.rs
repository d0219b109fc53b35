//! What guards found in a call, as rows of their own.

use std::fmt::Write;
use std::sync::Arc;

use domain::CallId;
use domain::record::{CallRecord, Content, Ruling, Verdict};
use rusqlite::{Connection, params};

use super::rows::{named, text, unreadable};

pub(super) fn insert(connection: &Connection, record: &CallRecord) -> rusqlite::Result<()> {
    let call = record.opening.id.0.to_be_bytes();
    for (verdict, number) in record.verdicts.iter().zip(1i64..) {
        let Verdict {
            guard,
            on,
            verdict,
            findings,
            failure,
        } = verdict;
        // Few calls have one: the statement is looked up when it is needed.
        let mut insert =
            connection.prepare_cached("INSERT INTO verdicts VALUES (?,?,?,?,?,?,?)")?;
        insert.execute(params![
            call,
            number,
            &**guard,
            on.as_str(),
            verdict.as_str(),
            written(findings),
            failure.as_deref(),
        ])?;
    }
    Ok(())
}

pub(super) fn of(connection: &Connection, call: CallId) -> rusqlite::Result<Vec<Verdict>> {
    let mut select =
        connection.prepare_cached("SELECT * FROM verdicts WHERE call = ? ORDER BY number")?;
    let rows = select.query_map([call.0.to_be_bytes()], |row| {
        Ok(Verdict {
            guard: text(row, "guard")?.into(),
            on: named(&Content::ALL, Content::as_str, &text(row, "content")?)?,
            verdict: named(&Ruling::ALL, Ruling::as_str, &text(row, "ruling")?)?,
            findings: read(&text(row, "findings")?)?,
            failure: row.get::<_, Option<String>>("failure")?.map(Into::into),
        })
    })?;
    rows.collect()
}

/// `2 email`, a line for each. Kinds come from services too: one that holds a line break does not
/// make two.
fn written(findings: &[(Arc<str>, u32)]) -> String {
    let mut lines = String::new();
    for (kind, amount) in findings {
        let kind = kind.replace(char::is_control, " ");
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{amount} {kind}");
    }
    lines
}

fn read(lines: &str) -> rusqlite::Result<Vec<(Arc<str>, u32)>> {
    let finding = |line: &str| {
        let (amount, kind) = line.split_once(' ')?;
        Some((kind.into(), amount.parse().ok()?))
    };
    let findings = lines.lines().map(finding);
    findings
        .collect::<Option<_>>()
        .ok_or_else(|| unreadable("findings"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_read_as_written_whatever_a_service_calls_them() {
        let findings = [
            (Arc::from("email"), 2),
            (Arc::from("hate / threatening"), 6),
            (Arc::from(""), 0),
        ];
        assert_eq!(read(&written(&findings)).unwrap(), findings);
        let hostile = [(Arc::from("a\n9 phone"), 1)];
        assert_eq!(read(&written(&hostile)).unwrap().len(), 1);
        assert!(read("email").is_err());
    }
}
