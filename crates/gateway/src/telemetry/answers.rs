//! How often the cache answers, and what it holds.

use std::sync::atomic::{AtomicU64, Ordering};

use config::Snapshot;
use domain::ProductId;

use super::bounded::Bounded;
use super::catalogue;
use super::sample::{Family, Value};
use crate::cache::Looked;
use crate::gateway::Gateway;

/// Past it, what is new is counted under `other`.
const PRODUCTS_MAX: usize = 10_000;
const OTHER: &str = "other";

/// In the order of [`Looked::ALL`].
#[derive(Default)]
struct ProductSeries([AtomicU64; Looked::ALL.len()]);

pub struct CacheSeries {
    products: Bounded<ProductId, ProductSeries>,
}

impl Default for CacheSeries {
    fn default() -> Self {
        Self {
            products: Bounded::new(PRODUCTS_MAX, ProductSeries::default),
        }
    }
}

impl CacheSeries {
    pub fn count(&self, product: &ProductId, looked: Looked) {
        let own = || product.clone();
        self.products.count(product.as_str(), own, |series| {
            if let Some(count) = series.0.get(looked as usize) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    /// After a load: what is no longer configured makes room.
    pub fn retain(&self, snapshot: &Snapshot) {
        self.products
            .retain(|product| snapshot.products.contains_key(product));
    }

    pub fn families(&self, gateway: &Gateway, into: &mut Vec<Family>) {
        let mut lookups = Family::new(&catalogue::CACHE_LOOKUPS);
        let mut say = |product: &str, series: &ProductSeries| {
            for (looked, count) in Looked::ALL.iter().zip(&series.0) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    lookups.add(&[product, looked.as_str()], Value::Whole(count));
                }
            }
        };
        self.products
            .for_each(|product, series| say(product.as_str(), series));
        if let Some(series) = self.products.other() {
            say(OTHER, series);
        }
        into.push(lookups);
        let levels = gateway.cache.entries().levels();
        for (metric, level) in [
            (&catalogue::CACHE_ENTRIES, levels.entries),
            (&catalogue::CACHE_BYTES, levels.memory_bytes),
            (&catalogue::CACHE_STORED, levels.stored),
        ] {
            into.push(Family::of(metric, Value::Whole(level)));
        }
        let mut gone = Family::new(&catalogue::CACHE_GONE);
        for (why, count) in [
            ("replaced", levels.replaced),
            ("evicted", levels.evicted),
            ("refused", levels.refused),
            ("expired", levels.expired),
            ("purged", levels.purged),
            ("erased", levels.erased),
            ("lost", levels.lost),
        ] {
            gone.add(&[why], Value::Whole(count));
        }
        into.push(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_look_is_counted_under_its_own_name() {
        for (index, looked) in Looked::ALL.into_iter().enumerate() {
            assert_eq!(looked as usize, index);
        }
    }
}
