//! What the gateway takes of the machine, over time.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};

use crate::gate::{self, Gate};

/// Growth between the second quarter of a run and its last one.
const GROWTH_KB_MAX: u64 = 10 * 1024;
/// Between those quarters, of handles and threads. Handles of connections come and go: a tenth of them may
/// be there or not.
const HANDLES_MORE_MAX: u64 = 64;
const THREADS_MORE_MAX: u64 = 8;
/// Segments that are full wait for the database; it must not fall behind without end.
const JOURNAL_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// Quarters mean something from here on: a sample comes every ten seconds.
const SAMPLES_MIN: usize = 12;
/// The ledger's database follows within moments; connections close when they have been idle.
const LOOKS_AT_REST: usize = 250;

#[derive(Clone, Copy, Debug)]
pub struct Sample {
    calls: u64,
    resident_kb: u64,
    handles: u64,
    threads: u64,
    journal_bytes: u64,
    database_bytes: u64,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} calls, {:.1} MB resident, {} handles, {} threads, journal {:.1} MB, database {:.1} MB",
            self.calls,
            self.resident_kb as f64 / 1024.0,
            self.handles,
            self.threads,
            self.journal_bytes as f64 / 1e6,
            self.database_bytes as f64 / 1e6
        )
    }
}

#[derive(Default)]
pub struct Watch {
    samples: Vec<Sample>,
}

impl Watch {
    pub async fn sample(&mut self, gate: &Gate, calls: u64) -> Result<Sample> {
        // Scraped as a monitoring system would.
        let _metrics = gate.admin.get("/metrics").await;
        let sample = Sample::of(gate, calls)?;
        self.samples.push(sample);
        Ok(sample)
    }

    /// Nothing is held once nobody calls.
    pub async fn at_rest(&self, gate: &Gate) -> Result<Vec<String>> {
        let mut faults = Vec::new();
        for look in 1..=LOOKS_AT_REST {
            let text = gate.admin.get("/metrics").await?.body;
            let text = String::from_utf8_lossy(&text).into_owned();
            faults.clear();
            for (metric, wanted) in [
                ("tollgate_calls_open ", 0.0),
                ("tollgate_reserved_tokens ", 0.0),
                ("tollgate_body_bytes_held ", 0.0),
                ("tollgate_ledger_behind_bytes ", 0.0),
                ("tollgate_ledger_records_in_memory ", 0.0),
                ("tollgate_ledger_fault{part=\"journal\"} ", 0.0),
                ("tollgate_ledger_fault{part=\"database\"} ", 0.0),
            ] {
                let line = text.lines().find_map(|line| line.strip_prefix(metric));
                let found: Option<f64> = line.and_then(|value| value.trim().parse().ok());
                if found.is_none_or(|found| found > wanted) {
                    faults.push(format!("at rest, {metric}is {found:?}"));
                }
            }
            if faults.is_empty() {
                return Ok(faults);
            }
            if look < LOOKS_AT_REST {
                gate::pause().await;
            }
        }
        Ok(faults)
    }

    /// Second quarter against last; of the last process alone if it was killed in between.
    pub fn faults(&self, kills: u64) -> Vec<String> {
        let mut faults = Vec::new();
        if let Some(most) = self.most(|sample| sample.journal_bytes)
            && most > JOURNAL_BYTES_MAX
        {
            faults.push(format!("the journal grew to {} MB", most / 1_000_000));
        }
        let Some((early, late)) = self.quarters() else {
            return faults;
        };
        let memory = |samples: &[Sample]| median(samples, |sample| sample.resident_kb);
        let (from, to) = (memory(early), memory(late));
        // A process that was started anew has filled its caches less than the one before.
        if kills == 0 && to > from + GROWTH_KB_MAX {
            faults.push(format!("memory grew from {from} KB to {to} KB"));
        }
        let handles = (
            median(early, |sample| sample.handles),
            median(late, |sample| sample.handles),
        );
        if handles.1 > handles.0 + handles.0 / 10 + HANDLES_MORE_MAX {
            faults.push(format!(
                "open handles grew from {} to {}",
                handles.0, handles.1
            ));
        }
        let threads = (
            median(early, |sample| sample.threads),
            median(late, |sample| sample.threads),
        );
        if threads.1 > threads.0 + THREADS_MORE_MAX {
            faults.push(format!("threads grew from {} to {}", threads.0, threads.1));
        }
        faults
    }

    pub fn summary(&self, calls: u64) -> String {
        let (Some(first), Some(last)) = (self.samples.first(), self.samples.last()) else {
            return "too short for samples".to_owned();
        };
        let memory = self.quarters().map_or_else(
            || "too short to judge growth".to_owned(),
            |(early, late)| {
                let of = |samples| median(samples, |sample| sample.resident_kb) as f64 / 1024.0;
                format!(
                    "{:.1} MB in the second quarter, {:.1} MB in the last ({} calls between)",
                    of(early),
                    of(late),
                    late.last().map_or(0, |sample| sample.calls)
                        - early.first().map_or(0, |sample| sample.calls)
                )
            },
        );
        format!(
            "memory: {memory}; {:.1} MB at first, {:.1} MB at most; handles at most {}, threads at most {}; journal at most {:.1} MB; database {:.1} MB, {} bytes a call",
            first.resident_kb as f64 / 1024.0,
            self.most(|sample| sample.resident_kb).unwrap_or(0) as f64 / 1024.0,
            self.most(|sample| sample.handles).unwrap_or(0),
            self.most(|sample| sample.threads).unwrap_or(0),
            self.most(|sample| sample.journal_bytes).unwrap_or(0) as f64 / 1e6,
            last.database_bytes as f64 / 1e6,
            last.database_bytes / calls.max(1),
        )
    }

    fn most(&self, of: impl Fn(&Sample) -> u64) -> Option<u64> {
        self.samples.iter().map(of).max()
    }

    fn quarters(&self) -> Option<(&[Sample], &[Sample])> {
        let quarter = self.samples.len() / 4;
        if self.samples.len() < SAMPLES_MIN {
            return None;
        }
        let early = self.samples.get(quarter..2 * quarter)?;
        let late = self.samples.get(3 * quarter..)?;
        Some((early, late))
    }
}

impl Sample {
    fn of(gate: &Gate, calls: u64) -> Result<Self> {
        let pid = gate.pid();
        let process = Path::new("/proc").join(pid.to_string());
        let status = std::fs::read_to_string(process.join("status"))?;
        let resident_kb = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
            .and_then(|text| text.parse().ok())
            .context("no VmRSS in /proc: Linux is needed")?;
        let entries = |name: &str| -> Result<u64> {
            Ok(std::fs::read_dir(process.join(name))?.count() as u64)
        };
        Ok(Self {
            calls,
            resident_kb,
            handles: entries("fd")?,
            threads: entries("task")?,
            journal_bytes: bytes_of(&gate.data().join("journal"), |_| true)?,
            database_bytes: bytes_of(&gate.data(), |name| name.starts_with("ledger.sqlite"))?,
        })
    }
}

fn bytes_of(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if wanted(&entry.file_name().to_string_lossy()) {
            // One that goes meanwhile has no size.
            bytes += entry.metadata().map_or(0, |file| file.len());
        }
    }
    Ok(bytes)
}

fn median(samples: &[Sample], of: impl Fn(&Sample) -> u64) -> u64 {
    let mut figures: Vec<_> = samples.iter().map(of).collect();
    figures.sort_unstable();
    figures.get(figures.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(resident_kb: impl Fn(u64) -> u64) -> Watch {
        let sample = |calls| Sample {
            calls,
            resident_kb: resident_kb(calls),
            handles: 100,
            threads: 8,
            journal_bytes: 1 << 24,
            database_bytes: 370 * calls,
        };
        Watch {
            samples: (0..40).map(sample).collect(),
        }
    }

    #[test]
    fn memory_that_grows_is_a_fault_and_memory_that_was_filled_once_is_none() {
        let filled = watched(|calls| 40_000 + calls.min(8) * 5_000);
        assert_eq!(filled.faults(0), Vec::<String>::new());
        let growing = watched(|calls| 40_000 + calls * 1_000);
        assert!(growing.faults(0)[0].contains("memory grew"));
        let creeping = watched(|calls| 40_000 + calls * 100);
        assert_eq!(creeping.faults(0), Vec::<String>::new());
    }
}
