//! What hours cost, for alerts and forecasts: read beside the writer, on a thread that may block.

use std::collections::HashMap;
use std::path::Path;

use domain::forecast::{HISTORY_DAYS, History};
use domain::{Currency, LimitId, Nanos, Wall};
use rusqlite::{Connection, Row, params_from_iter, types::Value};

use super::LedgerError;
use super::database::open_to_read;
use super::query::unreadable;
use super::sums::{HOUR_MS, hour_of};

/// Subjects of one question at most; further ones are left out.
pub const SUBJECTS_MAX: usize = 10_000;

/// The ledger, open for questions of this kind.
#[derive(Debug)]
pub struct Spend {
    connection: Connection,
}

/// Whose hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpendBy {
    Subscription,
    Application,
}

/// What is summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpendOf {
    /// Nanos of this currency.
    Cost(Currency),
    Tokens,
}

/// A model that was called without a price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnpricedModel {
    pub model: String,
    pub calls: u64,
    pub tokens: u64,
}

impl Spend {
    pub fn open(dir: &Path) -> Result<Self, LedgerError> {
        let connection = open_to_read(dir)?;
        Ok(Self { connection })
    }

    /// Whole hours of one counter of a budget, up to the hour that `now` is in: from its first
    /// spend, or from eight weeks and a day ago.
    pub fn budget_history(
        &self,
        budget: &LimitId,
        key: &str,
        currency: Currency,
        now: Wall,
    ) -> Result<History, LedgerError> {
        let until = hour_of(now);
        let oldest = until.0 - (HISTORY_DAYS as i64 + 1) * 24 * HOUR_MS;
        let mut hours: Vec<(i64, i64)> = Vec::new();
        self.rows(
            "SELECT hour, sum(nanos) FROM budget_hourly
             WHERE budget = ? AND key = ? AND currency = ? AND hour >= ? AND hour < ?
             GROUP BY hour ORDER BY hour",
            &[
                budget.as_str().to_owned().into(),
                key.to_owned().into(),
                currency.as_str().to_owned().into(),
                oldest.into(),
                until.0.into(),
            ],
            |row| {
                hours.push((row.get(0)?, row.get(1)?));
                Ok(())
            },
        )?;
        let Some((first, _)) = hours.first().copied() else {
            return Ok(History::default());
        };
        let count = usize::try_from((until.0 - first) / HOUR_MS).unwrap_or(0);
        let mut spent = vec![Nanos::ZERO; count];
        for (hour, nanos) in hours {
            let index = usize::try_from((hour - first) / HOUR_MS).unwrap_or(usize::MAX);
            if let Some(spent) = spent.get_mut(index) {
                *spent = Nanos(nanos);
            }
        }
        Ok(History {
            start: Wall(first),
            hours: spent,
        })
    }

    /// What each key of a budget was charged in the period that began at `period_start`.
    pub fn budget_spent(
        &self,
        budget: &LimitId,
        currency: Currency,
        period_start: Wall,
    ) -> Result<Vec<(String, Nanos)>, LedgerError> {
        let mut spent = Vec::new();
        self.rows(
            "SELECT key, nanos FROM budget_levels WHERE budget = ? AND currency = ? AND period_start = ?",
            &[
                budget.as_str().to_owned().into(),
                currency.as_str().to_owned().into(),
                period_start.0.into(),
            ],
            |row| {
                spent.push((row.get(0)?, Nanos(row.get(1)?)));
                Ok(())
            },
        )?;
        Ok(spent)
    }

    /// Amounts of whole or begun hours (given by their start, UTC), by subject. Callers without an
    /// application are no subject.
    pub fn hours(
        &self,
        by: SpendBy,
        of: SpendOf,
        hours: &[Wall],
    ) -> Result<HashMap<String, HashMap<Wall, u64>>, LedgerError> {
        if hours.is_empty() {
            return Ok(HashMap::new());
        }
        let subject = match by {
            SpendBy::Subscription => "subscription",
            SpendBy::Application => "application",
        };
        let (sum, only) = match of {
            SpendOf::Cost(_) => ("sum(cost)", "AND currency = ?"),
            SpendOf::Tokens => ("sum(total_tokens)", ""),
        };
        let marks = vec!["?"; hours.len()].join(",");
        let mut values: Vec<Value> = hours.iter().map(|hour| hour.0.into()).collect();
        if let SpendOf::Cost(currency) = of {
            values.push(currency.as_str().to_owned().into());
        }
        let mut found: HashMap<String, HashMap<Wall, u64>> = HashMap::new();
        let sql = format!(
            "SELECT {subject}, hour, {sum} FROM usage_hourly
             WHERE hour IN ({marks}) AND {subject} <> '' {only} GROUP BY {subject}, hour"
        );
        self.rows(&sql, &values, |row| {
            let subject: String = row.get(0)?;
            let amount: i64 = row.get(2)?;
            let amount = u64::try_from(amount).unwrap_or(0);
            if found.len() < SUBJECTS_MAX || found.contains_key(&subject) {
                let hours = found.entry(subject).or_default();
                hours.insert(Wall(row.get(1)?), amount);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Models with unpriced calls since an hour began, the most used first.
    pub fn unpriced(&self, since: Wall) -> Result<Vec<UnpricedModel>, LedgerError> {
        let mut found = Vec::new();
        self.rows(
            "SELECT model, sum(unpriced_calls), sum(unpriced_tokens) FROM usage_hourly
             WHERE hour >= ? AND unpriced_calls > 0 GROUP BY model ORDER BY 3 DESC, 1 LIMIT ?",
            &[
                hour_of(since).0.into(),
                i64::try_from(SUBJECTS_MAX).unwrap_or(i64::MAX).into(),
            ],
            |row| {
                found.push(UnpricedModel {
                    model: row.get(0)?,
                    calls: row.get::<_, i64>(1)?.cast_unsigned(),
                    tokens: row.get::<_, i64>(2)?.cast_unsigned(),
                });
                Ok(())
            },
        )?;
        Ok(found)
    }

    fn rows(
        &self,
        sql: &str,
        values: &[Value],
        mut each: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), LedgerError> {
        let mut read = || {
            let mut select = self.connection.prepare_cached(sql)?;
            let mut rows = select.query(params_from_iter(values))?;
            while let Some(row) = rows.next()? {
                each(row)?;
            }
            Ok(())
        };
        let path = self.connection.path().map(Path::new);
        let dir = path.and_then(Path::parent).unwrap_or(Path::new("."));
        read().map_err(|error| unreadable(dir, &error))
    }
}

#[cfg(test)]
mod tests {
    use domain::record::Cost;

    use super::super::Ledger;
    use super::super::samples::{NOON, call, euro, now};
    use super::*;

    fn after_noon(hours: i64) -> Wall {
        Wall(NOON.0 + hours * HOUR_MS + 60_000)
    }

    /// Calls at 12:01, twice at 14:01 (one of them without a price), and at 17:01.
    fn spend() -> (tempfile::TempDir, Spend) {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, _) = Ledger::open(dir.path(), now(NOON)).unwrap();
        for (number, hours) in [(1, 0), (2, 2), (3, 2), (4, 5)] {
            let mut record = call(number, after_noon(hours));
            if number == 3 {
                record.cost = Cost::Unpriced;
                record.opening.model = "nameless".into();
                record.opening.who.application = None;
            }
            ledger.append(None, record);
        }
        ledger.close();
        let spend = Spend::open(dir.path()).unwrap();
        (dir, spend)
    }

    #[test]
    fn a_history_has_every_whole_hour_since_the_first_spend() {
        let (_dir, spend) = spend();
        let history = |key: &str, currency, hours| {
            let budget = LimitId::from("search-month");
            let asked = spend.budget_history(&budget, key, currency, after_noon(hours));
            asked.unwrap()
        };
        let spent = [360, 0, 360, 0, 0].map(Nanos);
        assert_eq!(
            history("search", euro(), 5),
            History {
                start: NOON,
                hours: spent.to_vec()
            },
            "17:00 is not over"
        );
        assert_eq!(history("search", euro(), 8).hours.len(), 8);
        assert_eq!(history("search", Currency::USD, 8), History::default());
        assert_eq!(history("other", euro(), 8), History::default());
        // Eight weeks later nothing of it is looked at.
        assert_eq!(history("search", euro(), 24 * 60), History::default());
    }

    #[test]
    fn a_period_knows_what_it_was_charged() {
        let (_dir, spend) = spend();
        let month = Wall(1_793_491_200_000);
        let asked = |start| {
            let budget = LimitId::from("search-month");
            spend.budget_spent(&budget, euro(), start).unwrap()
        };
        assert_eq!(asked(month), [("search".to_owned(), Nanos(3 * 360))]);
        assert!(asked(Wall(month.0 + 1)).is_empty());
    }

    #[test]
    fn hours_are_summed_by_subject_in_money_or_tokens() {
        let (_dir, spend) = spend();
        let asked: Vec<Wall> = [0, 1, 2].map(|h| Wall(NOON.0 + h * HOUR_MS)).to_vec();
        let tokens = spend.hours(SpendBy::Subscription, SpendOf::Tokens, &asked);
        let tokens = &tokens.unwrap()["search"];
        assert_eq!((tokens[&asked[0]], tokens[&asked[2]]), (120, 240));
        assert_eq!(tokens.get(&asked[1]), None);
        let cost = spend.hours(SpendBy::Application, SpendOf::Cost(euro()), &asked);
        let cost = cost.unwrap();
        assert_eq!(cost.len(), 1, "calls without an application are nobody's");
        assert_eq!(cost["chat-ui"][&asked[2]], 360);
        assert!(
            spend
                .hours(SpendBy::Subscription, SpendOf::Tokens, &[])
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn unpriced_models_are_named_with_what_they_took() {
        let (_dir, spend) = spend();
        let nameless = UnpricedModel {
            model: "nameless".to_owned(),
            calls: 1,
            tokens: 120,
        };
        assert_eq!(spend.unpriced(after_noon(2)).unwrap(), [nameless]);
        assert!(spend.unpriced(after_noon(3)).unwrap().is_empty());
    }
}
