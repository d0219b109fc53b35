//! What calls cost and what caches saved, summed by currency; and how many had no price.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use domain::record::{CallRecord, Cost};
use domain::{Currency, Nanos};

/// One call after the other almost always costs in the same currency: that one takes two additions
/// and no lock. Others come with a reload that changes the currency.
#[derive(Default)]
pub struct Money {
    first: OnceLock<Currency>,
    cost: AtomicI64,
    saved: AtomicI64,
    others: Mutex<Vec<Sum>>,
    unpriced: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    pub currency: Currency,
    pub cost: Nanos,
    pub saved: Nanos,
}

impl Money {
    pub fn add(&self, record: &CallRecord) {
        let (amount, currency) = match &record.cost {
            Cost::Nothing => return,
            Cost::Unpriced => {
                self.unpriced.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Cost::Priced {
                amount, currency, ..
            } => (*amount, *currency),
        };
        if *self.first.get_or_init(|| currency) == currency {
            self.cost.fetch_add(amount.0, Ordering::Relaxed);
            self.saved.fetch_add(record.saved.0, Ordering::Relaxed);
            return;
        }
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        match others.iter_mut().find(|sum| sum.currency == currency) {
            Some(sum) => {
                sum.cost += amount;
                sum.saved += record.saved;
            }
            None => others.push(Sum {
                currency,
                cost: amount,
                saved: record.saved,
            }),
        }
    }

    pub fn unpriced(&self) -> u64 {
        self.unpriced.load(Ordering::Relaxed)
    }

    pub fn sums(&self) -> Vec<Sum> {
        let first = self.first.get().map(|currency| Sum {
            currency: *currency,
            cost: Nanos(self.cost.load(Ordering::Relaxed)),
            saved: Nanos(self.saved.load(Ordering::Relaxed)),
        });
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        first.into_iter().chain(others.iter().copied()).collect()
    }
}

/// For metrics, which are numbers of 53 bits; the ledger is exact.
pub fn units(amount: Nanos) -> f64 {
    amount.0 as f64 / 1e9
}

#[cfg(test)]
pub mod tests {
    use std::time::Duration;

    use domain::record::{CacheOutcome, Opening, Outcome, Who};
    use domain::{CallId, Metered, Usage, Wall};

    use super::*;

    /// A call of one prompt token.
    pub fn record(cost: Cost) -> CallRecord {
        let usage = Usage {
            prompt: 1,
            ..Usage::default()
        };
        CallRecord {
            opening: Opening {
                id: CallId(1),
                at: Wall(0),
                who: Who {
                    subscription: "search".into(),
                    product: "standard".into(),
                    application: None,
                    caller: "search/primary".into(),
                    user: None,
                },
                model: "gpt-4o".into(),
                asked_model: None,
                stream: false,
                revision: 1,
                prompt_tokens: 1,
                charges: Vec::new(),
                price: None,
            },
            outcome: Outcome::Ok,
            status: 200,
            rule: None,
            backend: None,
            cache: CacheOutcome::Off,
            metered: Metered::Reported(usage),
            cost,
            saved: Nanos::ZERO,
            saved_tokens: 0,
            similarity: None,
            latency: Duration::from_millis(1),
            first_byte: None,
            verdicts: Vec::new(),
            attempts: Vec::new(),
        }
    }

    #[test]
    fn currencies_are_never_added_to_each_other_and_unpriced_calls_to_none() {
        let money = Money::default();
        let priced = |amount, currency: &str| {
            let mut record = record(Cost::Priced {
                amount: Nanos(amount),
                currency: currency.parse().unwrap(),
                price: "p".into(),
            });
            record.saved = Nanos(1);
            record
        };
        for record in [
            priced(100, "EUR"),
            priced(20, "USD"),
            priced(3, "EUR"),
            priced(4, "USD"),
            record(Cost::Unpriced),
            record(Cost::Nothing),
        ] {
            money.add(&record);
        }
        let sum = |currency: &str, cost, saved| Sum {
            currency: currency.parse().unwrap(),
            cost: Nanos(cost),
            saved: Nanos(saved),
        };
        assert_eq!(money.sums(), [sum("EUR", 103, 2), sum("USD", 24, 2)]);
        assert_eq!(money.unpriced(), 1);
    }
}
