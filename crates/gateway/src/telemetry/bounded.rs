//! Series by their labels: found without a lock, and never more of them than a bound.

use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;
use papaya::Equivalent;
use store::shared_map;

pub struct Bounded<K, V> {
    /// Hashed fast: whoever found keys that collide could slow down no more than the bound's worth.
    map: papaya::HashMap<K, V, RandomState>,
    max: usize,
    make: fn() -> V,
    /// Takes what comes after the bound; shown under `other`.
    other: V,
    folded: AtomicU64,
}

impl<K: Hash + Eq, V> Bounded<K, V> {
    pub fn new(max: usize, make: fn() -> V) -> Self {
        Self {
            map: shared_map(),
            max,
            make,
            other: make(),
            folded: AtomicU64::new(0),
        }
    }

    /// Calls `count` with the series of `key`, made now if it is new and there is room.
    pub fn count<Q>(&self, key: &Q, own: impl FnOnce() -> K, count: impl FnOnce(&V))
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let map = self.map.pin();
        if let Some(series) = map.get(key) {
            return count(series);
        }
        // Calls at the same moment may pass the bound by their number.
        if map.len() >= self.max {
            self.folded.fetch_add(1, Ordering::Relaxed);
            return count(&self.other);
        }
        count(map.get_or_insert_with(own(), self.make));
    }

    pub fn for_each(&self, mut visit: impl FnMut(&K, &V)) {
        for (key, series) in &self.map.pin() {
            visit(key, series);
        }
    }

    /// Counts that went to `other`.
    pub fn folded(&self) -> u64 {
        self.folded.load(Ordering::Relaxed)
    }

    /// What was counted past the bound, if anything was.
    pub fn other(&self) -> Option<&V> {
        (self.folded() > 0).then_some(&self.other)
    }

    /// Makes room for others: what is no longer configured goes.
    pub fn retain(&self, mut keep: impl FnMut(&K) -> bool) {
        self.map.pin().retain(|key, _| keep(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_the_bound_is_counted_together() {
        let series: Bounded<u32, AtomicU64> = Bounded::new(2, AtomicU64::default);
        for key in [1, 2, 3, 1, 4] {
            series.count(
                &key,
                || key,
                |count| {
                    count.fetch_add(1, Ordering::Relaxed);
                },
            );
        }
        let mut counts = Vec::new();
        series.for_each(|key, count| counts.push((*key, count.load(Ordering::Relaxed))));
        counts.sort_unstable();
        assert_eq!(counts, [(1, 2), (2, 1)]);
        assert_eq!(series.folded(), 2);
        assert_eq!(
            series.other().map(|other| other.load(Ordering::Relaxed)),
            Some(2)
        );
        series.retain(|key| *key != 1);
        series.count(&9, || 9, |_| {});
        assert_eq!(series.folded(), 2);
    }
}
