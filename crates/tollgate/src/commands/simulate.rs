//! `tollgate simulate`: only the fake providers, for trying a configuration and for load.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use serde_json::{Map, Value};
use simulator::{Behaviour, Issuer, Running, Simulator};

use crate::print;
use crate::signals::Signals;
use crate::table::{Cell, Table};

/// Run fake providers: OpenAI, Azure OpenAI, a metadata service, a token issuer.
#[derive(Debug, Args)]
#[command(after_help = "\
Every listener is one region that speaks all dialects at once. Any key will do. What a listener
answered is printed at the end. --set takes every field of a behaviour, as --behaviour does in JSON.

  tollgate simulate
  tollgate simulate --regions 3 --listen 127.0.0.1:9001 --tokens-per-second 80
  tollgate simulate --tokens-per-minute 20000 --error-rate 503=0.1 --retry-after 2s
  tollgate simulate --behaviour slow.json --set time_to_first_token=3s
  tollgate simulate --issuer 127.0.0.1:9100")]
pub struct Simulate {
    /// Where to listen; repeat it for more regions
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9001")]
    listen: Vec<SocketAddr>,

    /// So many regions, from the port of --listen upwards
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    regions: Option<u16>,

    /// A fake OpenID issuer as well
    #[arg(long, value_name = "ADDRESS")]
    issuer: Option<SocketAddr>,

    /// The same seed gives the same answers, call by call
    #[arg(long, default_value_t = 0)]
    seed: u64,

    #[command(flatten)]
    behaviour: BehaviourOptions,
}

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Behaviour")]
struct BehaviourOptions {
    /// A JSON file; the options below change what it says
    #[arg(long, value_name = "FILE")]
    behaviour: Option<PathBuf>,
    /// Before the head of every answer: 50ms
    #[arg(long, value_name = "TIME")]
    latency: Option<String>,
    /// From an answer's head to its first piece
    #[arg(long, value_name = "TIME")]
    time_to_first_token: Option<String>,
    /// 0: as fast as possible
    #[arg(long, value_name = "N")]
    tokens_per_second: Option<u32>,
    /// Every call is answered with this error
    #[arg(long)]
    status: Option<u16>,
    /// A share of calls is answered with this error: 503=0.1; repeatable
    #[arg(long, value_name = "STATUS=SHARE", value_parser = error_rate)]
    error_rate: Vec<(u16, f64)>,
    /// Sent with 429 and 503
    #[arg(long, value_name = "TIME")]
    retry_after: Option<String>,
    /// The provider's own quota, with its rate-limit headers
    #[arg(long, value_name = "N")]
    tokens_per_minute: Option<u64>,
    /// The provider's own quota
    #[arg(long, value_name = "N")]
    requests_per_minute: Option<u64>,
    /// Other keys get 401
    #[arg(long, value_name = "KEY")]
    require_api_key: Option<String>,
    /// Any field of a behaviour; repeatable
    #[arg(long, value_name = "FIELD=VALUE", value_parser = setting)]
    set: Vec<(String, Value)>,
}

impl Simulate {
    pub async fn run(self) -> Result<ExitCode> {
        let behaviour = self.behaviour.read()?;
        let mut signals = Signals::listen()?;
        let mut regions = Vec::new();
        for address in self.addresses()? {
            regions.push(start(address, behaviour.clone(), self.seed).await?);
        }
        let issuer = match self.issuer {
            Some(address) => Some(
                Issuer::start(address)
                    .await
                    .with_context(|| format!("--issuer: cannot listen on {address}"))?,
            ),
            None => None,
        };
        for region in &regions {
            let address = region.address();
            print::out(&format!(
                "http://{address}/v1 (OpenAI), http://{address} (Azure OpenAI)\n"
            ))?;
        }
        if let Some(issuer) = &issuer {
            print::out(&format!("{} (OpenID issuer)\n", issuer.openid_config()))?;
        }
        signals.stop().await;
        print::out(&counts(&regions))?;
        Ok(ExitCode::SUCCESS)
    }

    fn addresses(&self) -> Result<Vec<SocketAddr>> {
        let Some(regions) = self.regions else {
            return Ok(self.listen.clone());
        };
        let [first] = self.listen[..] else {
            bail!("--regions counts up from one --listen; give only one")
        };
        let last = first
            .port()
            .checked_add(regions - 1)
            .context("--regions: there are not so many ports above that of --listen")?;
        Ok((first.port()..=last)
            .map(|port| SocketAddr::new(first.ip(), port))
            .collect())
    }
}

async fn start(address: SocketAddr, behaviour: Behaviour, seed: u64) -> Result<Running> {
    Simulator::start(address, behaviour, seed)
        .await
        .with_context(|| {
            format!(
                "--listen: cannot listen on {address}; stop what has the port, or choose another"
            )
        })
}

impl BehaviourOptions {
    fn read(&self) -> Result<Behaviour> {
        let base = match &self.behaviour {
            Some(path) => read_file(path)?,
            None => Behaviour::default(),
        };
        base.with(&self.changes())
            .map_err(|fault| anyhow!("{fault}; tollgate simulate --help shows the options"))
    }

    /// What the options say, as the fields that the file has too.
    fn changes(&self) -> Value {
        let Self {
            behaviour: _,
            latency,
            time_to_first_token,
            tokens_per_second,
            status,
            error_rate,
            retry_after,
            tokens_per_minute,
            requests_per_minute,
            require_api_key,
            set,
        } = self;
        let rates: Map<String, Value> = error_rate
            .iter()
            .map(|(status, share)| (status.to_string(), Value::from(*share)))
            .collect();
        let named = [
            ("latency", latency.clone().map(Value::from)),
            (
                "time_to_first_token",
                time_to_first_token.clone().map(Value::from),
            ),
            ("tokens_per_second", tokens_per_second.map(Value::from)),
            ("status", status.map(Value::from)),
            (
                "error_rates",
                (!rates.is_empty()).then_some(Value::Object(rates)),
            ),
            ("retry_after", retry_after.clone().map(Value::from)),
            ("tokens_per_minute", tokens_per_minute.map(Value::from)),
            ("requests_per_minute", requests_per_minute.map(Value::from)),
            ("require_api_key", require_api_key.clone().map(Value::from)),
        ];
        let named = named
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(named.chain(set.iter().cloned()).collect())
    }
}

fn read_file(path: &Path) -> Result<Behaviour> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("--behaviour: cannot read `{}`", path.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("--behaviour: `{}` is no behaviour", path.display()))
}

fn error_rate(text: &str) -> Result<(u16, f64), String> {
    let fault = || "write STATUS=SHARE with a share from 0 to 1, as in 503=0.1".to_owned();
    let (status, share) = text.split_once('=').ok_or_else(fault)?;
    let status = status.parse().map_err(|_| fault())?;
    let share: f64 = share.parse().map_err(|_| fault())?;
    if (400..600).contains(&status) && (0.0..=1.0).contains(&share) {
        Ok((status, share))
    } else {
        Err(fault())
    }
}

/// A value is JSON if it can be read as such, else the text itself: `50ms` needs no quotes.
fn setting(text: &str) -> Result<(String, Value), String> {
    let (field, value) = text
        .split_once('=')
        .ok_or("write FIELD=VALUE, as in words_per_chunk=4")?;
    Ok((
        field.to_owned(),
        serde_json::from_str(value).unwrap_or_else(|_| Value::from(value)),
    ))
}

fn counts(regions: &[Running]) -> String {
    let columns = [
        "calls",
        "complete",
        "hang_ups",
        "prompt_tokens",
        "completion_tokens",
    ];
    let mut table = columns
        .into_iter()
        .fold(Table::default().column("region"), Table::number)
        .column("answers");
    for region in regions {
        let total = region.counts().total;
        let answers: Vec<String> = total
            .answers
            .iter()
            .map(|(status, calls)| format!("{status}: {calls}"))
            .collect();
        let numbers = [
            total.calls,
            total.complete,
            total.hang_ups,
            total.prompt_tokens,
            total.completion_tokens,
        ];
        let mut cells = vec![Cell::Text(region.address().to_string())];
        cells.extend(numbers.map(Cell::Number));
        cells.push(Cell::Text(answers.join(", ")));
        table.row(cells);
    }
    table.aligned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::time::Duration;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        simulate: Simulate,
    }

    fn parsed(options: &[&str]) -> Simulate {
        Line::try_parse_from(std::iter::once("simulate").chain(options.iter().copied()))
            .unwrap()
            .simulate
    }

    #[test]
    fn options_change_what_they_name_and_leave_the_rest() {
        let options = [
            "--latency",
            "50ms",
            "--error-rate",
            "503=0.25",
            "--set",
            "words_per_chunk=4",
            "--set",
            "jitter=2s",
        ];
        let behaviour = parsed(&options).behaviour.read().unwrap();
        let expected = Behaviour {
            latency: Duration::from_millis(50),
            error_rates: [(503, 0.25)].into(),
            words_per_chunk: 4,
            jitter: Duration::from_secs(2),
            ..Behaviour::default()
        };
        assert_eq!(behaviour, expected);
    }

    #[test]
    fn a_field_that_is_none_is_named() {
        let fault = parsed(&["--set", "latancy=1"])
            .behaviour
            .read()
            .unwrap_err()
            .to_string();
        assert!(fault.contains("latancy"), "{fault}");
    }

    #[test]
    fn regions_count_up_from_one_port() {
        let addresses = parsed(&["--listen", "127.0.0.1:9001", "--regions", "3"])
            .addresses()
            .unwrap();
        let ports: Vec<u16> = addresses.iter().map(SocketAddr::port).collect();
        assert_eq!(ports, [9001, 9002, 9003]);
        assert!(
            parsed(&["--listen", "127.0.0.1:65535", "--regions", "2"])
                .addresses()
                .is_err()
        );
    }

    #[test]
    fn a_share_of_errors_is_one_of_all_calls() {
        assert_eq!(error_rate("503=0.1"), Ok((503, 0.1)));
        for text in ["503", "200=0.5", "503=1.5", "503=-1", "x=0.1"] {
            assert!(error_rate(text).is_err(), "{text}");
        }
    }
}
