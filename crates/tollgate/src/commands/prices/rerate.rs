//! `tollgate prices rerate`: what a time would have cost by today's prices, and adjustments for the
//! difference.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use config::Snapshot;
use domain::record::{CacheOutcome, CallRecord};
use domain::{BackendId, Cost, Currency, ModelName, Nanos, ProductId, SubscriptionId, Wall};
use gateway::Clock;
use serde_json::{Value, json};
use store::ledger::{self, Adjustment};

use crate::configuration;
use crate::moment::Moment;
use crate::print;
use crate::table::{Cell, Format, Table, counted};

const HOUR_MS: i64 = 3_600_000;

/// Work a time out anew by the configuration's prices
#[derive(Debug, Args)]
#[command(after_help = "\
Each call is priced again as of when it began, by the prices that the configuration has now. Without
--apply nothing is written. With it, the differences become adjustments: entries beside the records,
which stay as they are. What was adjusted before counts, so doing it twice changes nothing.

  tollgate prices rerate --config tollgate.yaml --since 2026-11-01 --until 2026-12-01
  tollgate prices rerate --since 2026-11-01 --until 2026-12-01 --apply --reason \"new agreement\"")]
pub struct Rerate {
    /// The gateway's configuration: its prices, and where its ledger is
    #[arg(long, value_name = "FILE|DIR", default_value = "tollgate.yaml")]
    config: PathBuf,

    /// Calls since then, a full hour: a date, an RFC 3339 time, or how long ago
    #[arg(long, value_name = "WHEN", value_parser = Moment::parse)]
    since: Moment,

    /// Calls before then, a full hour
    #[arg(long, value_name = "WHEN", value_parser = Moment::parse)]
    until: Moment,

    /// Write the differences as adjustments
    #[arg(long, requires = "reason")]
    apply: bool,

    /// Why, for those who read the adjustments
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// What adjustments are by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    hour: Wall,
    subscription: SubscriptionId,
    product: ProductId,
    application: String,
    model: ModelName,
    backend: BackendId,
}

/// Of the calls of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rerated {
    calls: u64,
    /// Calls that cost something else now.
    changed: u64,
    /// By currency: a configuration may have changed its own.
    sums: BTreeMap<Currency, Sums>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    recorded: Nanos,
    /// Before now.
    adjusted: Nanos,
    rerated: Nanos,
}

impl Sums {
    fn difference(self) -> Nanos {
        self.rerated - self.recorded - self.adjusted
    }
}

/// The whole time.
#[derive(Debug, Default)]
struct Work {
    by_key: BTreeMap<Key, Rerated>,
    /// Calls that have no price today either: their cost stays.
    without_price: u64,
    /// Calls of which only the sums are known, or nobody knows who was asked.
    without_backend: u64,
}

impl Rerate {
    pub fn run(self) -> Result<()> {
        let snapshot = configuration::load_without_secrets(&self.config)?;
        let now = Clock::system().now().wall;
        let resolve = |moment: Moment, flag: &str| -> Result<Wall> {
            let at = moment
                .resolve(now, &snapshot.settings.time_zone)
                .with_context(|| format!("{flag}: no such time in the time zone"))?;
            if at.0 % HOUR_MS != 0 {
                bail!("{flag}: adjustments are by the hour; name a full hour of UTC");
            }
            Ok(at)
        };
        let (since, until) = (
            resolve(self.since, "--since")?,
            resolve(self.until, "--until")?,
        );
        let dir = &snapshot.settings.data_dir;
        let mut work = Work::default();
        ledger::each_call(dir, since, until, &mut |call| work.add(&snapshot, call))?;
        for adjustment in ledger::adjustments(dir, since, until)? {
            work.add_adjustment(&adjustment);
        }
        let adjustments = work.adjustments(now, self.reason.as_deref().unwrap_or_default());
        if self.apply && !adjustments.is_empty() {
            ledger::adjust(dir, &adjustments)?;
        }
        print::out(&match self.format {
            Format::Table => work.for_people(self.apply, adjustments.len()),
            Format::Csv => work.table().csv(),
            Format::Json => work.json()?,
        })?;
        Ok(())
    }
}

impl Work {
    fn add(&mut self, snapshot: &Snapshot, call: &CallRecord) {
        let opening = &call.opening;
        // Of what the cache answered nothing is owed either, whatever the price.
        if call.cost == Cost::Nothing || call.cache == CacheOutcome::Hit {
            return;
        }
        let asked = call.attempts.last().map(|attempt| &attempt.backend);
        let Some(backend) = call.backend.as_ref().or(asked) else {
            self.without_backend += 1;
            return;
        };
        let prices = snapshot.prices.list_of(
            &opening.who.subscription,
            &opening.who.product,
            &opening.model,
        );
        let (cost, _) = prices.cost(backend, opening.at, call.metered.usage());
        let Cost::Priced {
            amount, currency, ..
        } = cost
        else {
            self.without_price += 1;
            return;
        };
        let key = Key {
            hour: Wall(opening.at.0 - opening.at.0.rem_euclid(HOUR_MS)),
            subscription: opening.who.subscription.clone(),
            product: opening.who.product.clone(),
            application: opening
                .who
                .application
                .as_ref()
                .map_or(String::new(), ToString::to_string),
            model: opening.model.clone(),
            backend: backend.clone(),
        };
        let rerated = self.by_key.entry(key).or_default();
        rerated.calls += 1;
        let (before, before_currency) = (call.cost.amount(), call.cost.currency());
        rerated.changed += u64::from(before != amount || before_currency != Some(currency));
        rerated.sums.entry(currency).or_default().rerated += amount;
        if let Some(currency) = before_currency {
            rerated.sums.entry(currency).or_default().recorded += before;
        }
    }

    fn add_adjustment(&mut self, adjustment: &Adjustment) {
        let key = Key {
            hour: adjustment.hour,
            subscription: adjustment.subscription.clone(),
            product: adjustment.product.clone(),
            application: adjustment.application.clone(),
            model: adjustment.model.clone(),
            backend: adjustment.backend.clone(),
        };
        // Those of calls that cannot be priced today stay as they are.
        if let Some(rerated) = self.by_key.get_mut(&key) {
            rerated
                .sums
                .entry(adjustment.currency)
                .or_default()
                .adjusted += adjustment.amount;
        }
    }

    fn adjustments(&self, made_at: Wall, reason: &str) -> Vec<Adjustment> {
        let mut adjustments = Vec::new();
        for (key, rerated) in &self.by_key {
            for (currency, sums) in &rerated.sums {
                let amount = sums.difference();
                if amount == Nanos::ZERO {
                    continue;
                }
                adjustments.push(Adjustment {
                    made_at,
                    reason: reason.to_owned(),
                    hour: key.hour,
                    subscription: key.subscription.clone(),
                    product: key.product.clone(),
                    application: key.application.clone(),
                    model: key.model.clone(),
                    backend: key.backend.clone(),
                    calls: rerated.changed,
                    currency: *currency,
                    amount,
                });
            }
        }
        adjustments
    }

    /// By subscription, model, backend and currency: hours are too many to read.
    fn lines(&self) -> BTreeMap<[String; 4], (u64, u64, Sums)> {
        let mut lines: BTreeMap<[String; 4], (u64, u64, Sums)> = BTreeMap::new();
        for (key, rerated) in &self.by_key {
            for (currency, sums) in &rerated.sums {
                let name = [
                    key.subscription.to_string(),
                    key.model.to_string(),
                    key.backend.to_string(),
                    currency.to_string(),
                ];
                let (calls, changed, line) = lines.entry(name).or_default();
                *calls += rerated.calls;
                *changed += rerated.changed;
                line.recorded += sums.recorded;
                line.adjusted += sums.adjusted;
                line.rerated += sums.rerated;
            }
        }
        lines
    }

    fn table(&self) -> Table {
        let mut table = Table::default()
            .column("subscription")
            .column("model")
            .column("backend")
            .column("currency");
        for number in [
            "calls",
            "changed",
            "recorded",
            "adjusted",
            "rerated",
            "difference",
        ] {
            table = table.number(number);
        }
        for (names, (calls, changed, sums)) in self.lines() {
            let mut cells: Vec<Cell> = names.iter().map(|name| Cell::text(name)).collect();
            cells.extend([Cell::Number(calls), Cell::Number(changed)]);
            let amounts = [
                sums.recorded,
                sums.adjusted,
                sums.rerated,
                sums.difference(),
            ];
            cells.extend(amounts.map(|amount| Cell::Decimal(amount.to_string())));
            table.row(cells);
        }
        table
    }

    fn for_people(&self, is_applied: bool, adjustments: usize) -> String {
        let mut text = self.table().aligned();
        if self.without_price > 0 {
            text.push_str(&format!(
                "{} without a price today: what they cost stays\n",
                counted_calls(self.without_price)
            ));
        }
        if self.without_backend > 0 {
            text.push_str(&format!(
                "{} of which nobody knows the backend, as a crash leaves them: what they cost stays\n",
                counted_calls(self.without_backend)
            ));
        }
        let adjustments = counted(adjustments, "adjustment");
        text.push_str(&if is_applied {
            format!("wrote {adjustments}\n")
        } else {
            format!("nothing was written; --apply would write {adjustments}\n")
        });
        text
    }

    fn json(&self) -> Result<String> {
        let rows: Vec<Value> = self
            .lines()
            .into_iter()
            .map(|([subscription, model, backend, currency], (calls, changed, sums))| {
                json!({
                    "subscription": subscription, "model": model, "backend": backend,
                    "currency": currency, "calls": calls, "changed": changed,
                    "recorded": sums.recorded.to_string(), "adjusted": sums.adjusted.to_string(),
                    "rerated": sums.rerated.to_string(), "difference": sums.difference().to_string(),
                })
            })
            .collect();
        Ok(format!("{}\n", serde_json::to_string_pretty(&rows)?))
    }
}

fn counted_calls(calls: u64) -> String {
    counted(usize::try_from(calls).unwrap_or(usize::MAX), "call")
}
