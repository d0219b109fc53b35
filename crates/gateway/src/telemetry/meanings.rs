//! How questions are compared by their meaning, and how often what is found would have been right.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use config::Snapshot;
use domain::ProductId;
use likeness::Kind;

use super::bounded::Bounded;
use super::catalogue;
use super::histogram::{Histogram, OVERHEAD};
use super::sample::{Family, Value};
use crate::cache::{Unembedded, Verdict};

/// Past it, what is new is counted under `other`.
const PRODUCTS_MAX: usize = 10_000;
const OTHER: &str = "other";

pub struct SemanticSeries {
    products: Bounded<ProductId, Compared>,
    /// In the order of [`Kind::ALL`].
    passed_over: [AtomicU64; Kind::ALL.len()],
    /// In the order of [`Unembedded::ALL`].
    unembedded: [AtomicU64; Unembedded::ALL.len()],
    embedding: Histogram,
}

/// Of cached answers beside real ones: those that would have been given, and those that were tried.
#[derive(Default)]
struct Compared {
    shadow: Verdicts,
    explored: Verdicts,
}

#[derive(Default)]
struct Verdicts {
    right: AtomicU64,
    wrong: AtomicU64,
    unknown: AtomicU64,
}

impl Default for SemanticSeries {
    fn default() -> Self {
        Self {
            products: Bounded::new(PRODUCTS_MAX, Compared::default),
            passed_over: Default::default(),
            unembedded: Default::default(),
            embedding: Histogram::new(&OVERHEAD),
        }
    }
}

impl SemanticSeries {
    pub fn embedded_in(&self, time: Duration) {
        self.embedding.observe_time(time);
    }

    pub fn count_unembedded(&self, why: Unembedded) {
        for (known, count) in Unembedded::ALL.iter().zip(&self.unembedded) {
            if *known == why {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub fn count_passed_over(&self, kind: Kind) {
        for (known, count) in Kind::ALL.iter().zip(&self.passed_over) {
            if *known == kind {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub fn count_compared(&self, product: &ProductId, would_give: bool, verdict: Verdict) {
        let own = || product.clone();
        self.products.count(product.as_str(), own, |compared| {
            let verdicts = if would_give {
                &compared.shadow
            } else {
                &compared.explored
            };
            let count = match verdict {
                Verdict::Right => &verdicts.right,
                Verdict::Wrong => &verdicts.wrong,
                Verdict::Unknown => &verdicts.unknown,
            };
            count.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// After a load: what is no longer configured makes room.
    pub fn retain(&self, snapshot: &Snapshot) {
        self.products
            .retain(|product| snapshot.products.contains_key(product));
    }

    pub fn families(&self, into: &mut Vec<Family>) {
        let mut compared = Family::new(&catalogue::CACHE_COMPARED);
        let mut say = |product: &str, series: &Compared| {
            for (mode, verdicts) in [("shadow", &series.shadow), ("explored", &series.explored)] {
                for (verdict, count) in [
                    ("right", &verdicts.right),
                    ("wrong", &verdicts.wrong),
                    ("unknown", &verdicts.unknown),
                ] {
                    let count = count.load(Ordering::Relaxed);
                    if count > 0 {
                        compared.add(&[product, mode, verdict], Value::Whole(count));
                    }
                }
            }
        };
        self.products
            .for_each(|product, series| say(product.as_str(), series));
        if let Some(series) = self.products.other() {
            say(OTHER, series);
        }
        into.push(compared);
        let mut passed_over = Family::new(&catalogue::CACHE_PASSED_OVER);
        for (kind, count) in Kind::ALL.iter().zip(&self.passed_over) {
            let count = Value::Whole(count.load(Ordering::Relaxed));
            passed_over.add(&[kind.name()], count);
        }
        into.push(passed_over);
        let mut unembedded = Family::new(&catalogue::CACHE_UNEMBEDDED);
        for (why, count) in Unembedded::ALL.iter().zip(&self.unembedded) {
            let count = Value::Whole(count.load(Ordering::Relaxed));
            unembedded.add(&[why.as_str()], count);
        }
        into.push(unembedded);
        into.push(Family::of(
            &catalogue::CACHE_EMBEDDING,
            Value::Distribution(self.embedding.read()),
        ));
    }
}
