//! Families as OpenMetrics text, which Prometheus reads.

use std::fmt::{self, Write as _};

use super::catalogue::{Kind, Metric};
use super::histogram::Distribution;
use super::sample::{Family, Label, Value};

pub fn text(families: &[Family]) -> String {
    let mut text = String::new();
    // Written to a `String`, which cannot fail.
    let _ = write_all(&mut text, families);
    text
}

fn write_all(text: &mut String, families: &[Family]) -> fmt::Result {
    for family in families {
        let Metric {
            name, kind, help, ..
        } = family.metric;
        writeln!(text, "# HELP {name} {help}")?;
        writeln!(text, "# TYPE {name} {}", kind.as_str())?;
        for sample in &family.samples {
            match &sample.value {
                Value::Distribution(read) => distribution(text, name, &sample.labels, read)?,
                Value::Whole(_) | Value::Real(_) => {
                    let suffix = if *kind == Kind::Counter { "_total" } else { "" };
                    write!(text, "{name}{suffix}")?;
                    labels(text, &sample.labels, None)?;
                    match sample.value {
                        Value::Whole(value) => writeln!(text, " {value}")?,
                        Value::Real(value) => writeln!(text, " {value}")?,
                        Value::Distribution(_) => {}
                    }
                }
            }
        }
    }
    text.write_str("# EOF\n")
}

fn distribution(text: &mut String, name: &str, own: &[Label], read: &Distribution) -> fmt::Result {
    let mut below = 0;
    let bounds = read.bounds().map(bound).chain(["+Inf".to_owned()]);
    for (bound, count) in bounds.zip(&read.counts) {
        below += count;
        write!(text, "{name}_bucket")?;
        labels(text, own, Some(&bound))?;
        writeln!(text, " {below}")?;
    }
    write!(text, "{name}_count")?;
    labels(text, own, None)?;
    writeln!(text, " {below}")?;
    write!(text, "{name}_sum")?;
    labels(text, own, None)?;
    writeln!(text, " {}", read.sum)
}

fn labels(text: &mut String, own: &[Label], bound: Option<&str>) -> fmt::Result {
    if own.is_empty() && bound.is_none() {
        return Ok(());
    }
    let mut separator = '{';
    for label in own {
        write!(text, "{separator}{}=\"", label.name)?;
        for c in label.value.chars() {
            match c {
                '\\' => text.write_str("\\\\")?,
                '"' => text.write_str("\\\"")?,
                '\n' => text.write_str("\\n")?,
                c => text.write_char(c)?,
            }
        }
        text.write_char('"')?;
        separator = ',';
    }
    if let Some(bound) = bound {
        write!(text, "{separator}le=\"{bound}\"")?;
    }
    text.write_char('}')
}

/// OpenMetrics wants bounds as Go prints them: `0.01`, `1.0`, `2.5e-05`, `1.048576e+06`.
fn bound(bound: f64) -> String {
    if (1e-4..1e6).contains(&bound) {
        return format!("{bound:?}");
    }
    let scientific = format!("{bound:e}");
    match scientific.split_once('e') {
        Some((mantissa, exponent)) => match exponent.strip_prefix('-') {
            Some(exponent) => format!("{mantissa}e-{exponent:0>2}"),
            None => format!("{mantissa}e+{exponent:0>2}"),
        },
        None => scientific,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::catalogue;
    use crate::telemetry::histogram::{Histogram, TOKENS};

    #[test]
    fn bounds_are_written_as_go_writes_them() {
        let written = [0.01, 1.0, 0.000_025, 16_384.0, 1_048_576.0].map(bound);
        assert_eq!(
            written,
            ["0.01", "1.0", "2.5e-05", "16384.0", "1.048576e+06"]
        );
    }

    #[test]
    fn a_label_s_value_cannot_end_its_line() {
        let family = Family::new(&catalogue::REFUSALS).with(&["a\"b\\c\nd"], Value::Whole(3));
        assert!(text(&[family]).contains("tollgate_refusals_total{rule=\"a\\\"b\\\\c\\nd\"} 3\n"));
    }

    #[test]
    fn buckets_count_everything_below_their_bound() {
        let histogram = Histogram::new(&TOKENS);
        histogram.observe(3);
        histogram.observe(10);
        let family = Family::of(&catalogue::OVERHEAD, Value::Distribution(histogram.read()));
        let text = text(&[family]);
        for line in [
            "tollgate_overhead_seconds_bucket{le=\"1.0\"} 0\n",
            "tollgate_overhead_seconds_bucket{le=\"4.0\"} 1\n",
            "tollgate_overhead_seconds_bucket{le=\"+Inf\"} 2\n",
            "tollgate_overhead_seconds_count 2\n",
            "tollgate_overhead_seconds_sum 13\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }
}
