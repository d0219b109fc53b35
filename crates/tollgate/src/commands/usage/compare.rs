//! `tollgate usage compare`: the ledger beside a provider's invoice or export.

mod invoice;
mod ours;
mod printed;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use report::Decimal;
use report::compare::{self, Comparison, Tolerance};
use report::invoice::{LayoutKind, Mapping, Names, Rule, Target, target_and_column};

use super::output::Output;
use super::source::{Period, Source};
use crate::table::Format;

/// Lay the ledger beside a provider's invoice, cost export or usage export.
#[derive(Debug, Args)]
#[command(after_help = "\
Every attempt counts that a provider may bill, failed ones too. Days are those of UTC, as providers
bill, unless --time-zone says otherwise; without --since and --until they are the invoice's. The exit
code is 1 if a row is further apart than --tolerance, or stands on one side alone.

  tollgate usage compare --config tollgate.yaml --invoice azure-november.csv --tolerance 1%
  tollgate usage compare --config tollgate.yaml --invoice openai-usage.csv --by model,kind
  tollgate usage compare --data-dir data --invoice other.csv --map date=Day --map model=Item --map cost=Net --currency EUR
  tollgate usage compare --config tollgate.yaml --invoice azure.csv --meter 'gpt 4o 1120*=gpt-4o' --rate 0.92")]
pub struct Compare {
    #[command(flatten)]
    source: Source,

    #[command(flatten)]
    period: Period,

    /// The provider's CSV file, gzip or not
    #[arg(long, value_name = "FILE")]
    invoice: PathBuf,

    /// Whose columns the invoice has [default: told by its header]
    #[arg(long, value_enum)]
    layout: Option<Layout>,

    /// Which column holds what: date, model, kind, tokens, input_tokens, cached_tokens,
    /// output_tokens, cost or currency; once for each
    #[arg(long = "map", value_name = "FIELD=COLUMN", value_parser = target_and_column)]
    map: Vec<(Target, String)>,

    /// The currency of an invoice that does not name it
    #[arg(long, value_name = "CODE")]
    currency: Option<domain::Currency>,

    /// What one unit of the invoice's currency is in the ledger's
    #[arg(long, value_name = "NUMBER", value_parser = positive)]
    rate: Option<Decimal>,

    /// Which model a meter is, where its name does not tell; `*` is any text; the first that fits
    #[arg(long = "meter", value_name = "PATTERN=MODEL")]
    meters: Vec<Rule>,

    /// Only these backends, separated by commas [default: all]
    #[arg(long = "backend", value_name = "ID", value_delimiter = ',')]
    backends: Vec<String>,

    /// What a row is; money is not compared by kind
    #[arg(long, value_enum, value_delimiter = ',', default_value = "day,model")]
    by: Vec<By>,

    /// How far apart a row may be: a part of the larger side
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = percent)]
    tolerance: Decimal,

    /// Money that is not worth a look, in the ledger's currency
    #[arg(long, value_name = "AMOUNT", default_value = "0", value_parser = not_negative)]
    ignore_below: Decimal,

    /// Only rows that are not fine
    #[arg(long)]
    differences: bool,

    #[arg(long, value_enum, default_value = "table")]
    format: Format,

    /// Write to a file, which is there whole or not at all
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Layout {
    Azure,
    OpenaiUsage,
    OpenaiCosts,
    Focus,
    /// What --map says alone
    Mapped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    Day,
    Model,
    Kind,
}

/// Whole days, the last one included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    pub first: Date,
    pub last: Date,
}

impl Compare {
    pub fn run(self) -> Result<ExitCode> {
        let opened = self.source.open()?;
        let time_zone = opened.invoice_time_zone();
        let asked = asked_days(&self.period, &time_zone)?;
        let mapping = Mapping {
            columns: self.map,
            currency: self.currency.map(|code| code.to_string()),
        };
        let layout = self.layout.map(Layout::kind);
        let invoice = invoice::read(&self.invoice, layout, &mapping, asked)?;
        let Some(days) = invoice.days(asked) else {
            bail!(
                "`{}` has no line of a model in this time",
                self.invoice.display()
            );
        };

        let mut names = Names::new(self.meters);
        let by = compare::By {
            day: self.by.contains(&By::Day),
            model: self.by.contains(&By::Model),
            kind: self.by.contains(&By::Kind),
        };
        let mut comparison = Comparison::new(by);
        let backends = ours::Backends::new(self.backends, opened.snapshot.as_ref())?;
        let ours = ours::read(&opened, days, time_zone, &backends)?;
        let currency = ours.currency_for(invoice.currency.as_deref(), self.rate)?;
        ours.add_to(&mut comparison, &mut names, currency)?;
        invoice.add_to(&mut comparison, &mut names, self.rate)?;

        let tolerance = Tolerance {
            share: self.tolerance,
            cost: self.ignore_below,
        };
        let printed = printed::Printed {
            comparison: &comparison,
            by,
            tolerance,
            currency,
            invoice: &invoice,
            days,
            differences: self.differences,
        };
        let output = Output::new(self.output.as_deref())?;
        printed.write(output, self.format)?.finish()?;
        Ok(if printed.is_fine() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

impl Layout {
    fn kind(self) -> LayoutKind {
        match self {
            Self::Azure => LayoutKind::Azure,
            Self::OpenaiUsage => LayoutKind::OpenAiUsage,
            Self::OpenaiCosts => LayoutKind::OpenAiCosts,
            Self::Focus => LayoutKind::Focus,
            Self::Mapped => LayoutKind::Mapped,
        }
    }
}

/// An invoice knows days, so a comparison of parts of them would differ for no reason.
fn asked_days(period: &Period, zone: &TimeZone) -> Result<(Option<Date>, Option<Date>)> {
    let (since, until) = period.resolve(zone)?;
    let day = |at: domain::Wall, flag: &str| -> Result<Date> {
        let at = Timestamp::from_millisecond(at.0).context("the time is out of the calendar")?;
        let at = at.to_zoned(zone.clone());
        let start = at
            .start_of_day()
            .context("the time is out of the calendar")?;
        if start != at {
            bail!(
                "{flag}: an invoice knows whole days; write a date, such as {}",
                at.date()
            );
        }
        Ok(at.date())
    };
    let first = since.map(|since| day(since, "--since")).transpose()?;
    let after = until.map(|until| day(until, "--until")).transpose()?;
    let last = match after {
        Some(after) => Some(
            after
                .yesterday()
                .map_err(|_| anyhow!("--until: too early"))?,
        ),
        None => None,
    };
    if first.zip(last).is_some_and(|(first, last)| first > last) {
        bail!("--until is not after --since; name a time of at least a day");
    }
    Ok((first, last))
}

/// `1%`, `0.5%`
fn percent(text: &str) -> Result<Decimal, String> {
    let fault = || "write a percentage from 0% to 100%, such as 1% or 0.5%".to_owned();
    let number: Decimal = text
        .strip_suffix('%')
        .and_then(|number| number.trim_end().parse().ok())
        .ok_or_else(fault)?;
    let hundredth = Decimal::new(1, 2).unwrap_or_default();
    if number.is_negative() || number > Decimal::whole(100) {
        return Err(fault());
    }
    Ok(number.times(hundredth))
}

fn not_negative(text: &str) -> Result<Decimal, String> {
    let number: Decimal = text.parse().map_err(|error| format!("{error}"))?;
    if number.is_negative() {
        return Err("is less than 0".to_owned());
    }
    Ok(number)
}

fn positive(text: &str) -> Result<Decimal, String> {
    let number = not_negative(text)?;
    if number == Decimal::ZERO {
        return Err("must be more than 0".to_owned());
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tolerance_is_a_percentage() {
        assert_eq!(percent("1%").unwrap().to_string(), "0.01");
        assert_eq!(percent("0.25 %").unwrap().to_string(), "0.0025");
        for text in ["1", "0.01", "-1%", "101%", "%", "one%"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }
}
