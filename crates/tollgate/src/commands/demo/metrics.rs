//! The few metrics that the story needs, read from the gateway's `/metrics` like any scraper would.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Backends whose breaker lets no ordinary call through.
    pub open: BTreeSet<String>,
    /// Attempts since the start that did not end in an answer, by backend.
    pub failed: BTreeMap<String, u64>,
}

impl Metrics {
    pub fn read(exposition: &str) -> Self {
        let mut metrics = Self::default();
        for line in exposition.lines() {
            let Some((series, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let Some(backend) = label(series, "backend") else {
                continue;
            };
            if series.starts_with("tollgate_breaker_open{") && value != "0" {
                metrics.open.insert(backend.to_owned());
            }
            if series.starts_with("tollgate_attempts_total{")
                && label(series, "failure") != Some("none")
            {
                let count: u64 = value.parse().unwrap_or(0);
                *metrics.failed.entry(backend.to_owned()).or_default() += count;
            }
        }
        metrics
    }
}

/// Values with quotes in them do not occur: the demo's backends have plain names.
fn label<'a>(series: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = series.split_once(&format!("{name}=\""))?;
    after.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breakers_and_failures_are_found_among_everything_else() {
        let metrics = Metrics::read(
            "# TYPE tollgate_breaker_open gauge\n\
             tollgate_breaker_open{backend=\"eastus\"} 1\n\
             tollgate_breaker_open{backend=\"westeurope\"} 0\n\
             tollgate_attempts_total{backend=\"eastus\",failure=\"none\"} 40\n\
             tollgate_attempts_total{backend=\"eastus\",failure=\"status\"} 5\n\
             tollgate_attempts_total{backend=\"eastus\",failure=\"cut\"} 2\n\
             tollgate_config_revision 1\n\
             # EOF\n",
        );
        assert_eq!(metrics.open, ["eastus".to_owned()].into());
        assert_eq!(metrics.failed, [("eastus".to_owned(), 7)].into());
    }
}
