//! Hits and false hits at each threshold, by the cosine alone and with the guard behind it.

use std::collections::BTreeMap;

use super::pairs::{Kind, Pair};

/// In hundredths: whole numbers, so that no threshold is missed by a rounding error.
const THRESHOLDS: std::ops::RangeInclusive<u32> = 60..=99;

/// The share of false hits that is thought bearable, of near misses.
pub const FALSE_HITS_MAX: f64 = 0.01;
/// The share of the hits of cosine 0.80 that is to be kept.
pub const KEPT_MIN: f64 = 0.75;

pub struct Sweep {
    pub paraphrases: usize,
    pub near_misses: usize,
    pub apart: usize,
    pub points: Vec<Point>,
    /// By what sets them apart, at cosine 0.80: near misses, false hits alone, false hits with the guard.
    pub by_what: BTreeMap<String, [usize; 3]>,
}

#[derive(Clone, Copy)]
pub struct Point {
    pub hundredths: u32,
    pub alone: Hits,
    pub guarded: Hits,
}

#[derive(Clone, Copy, Default)]
pub struct Hits {
    /// Paraphrases that are answered from the cache.
    pub hits: usize,
    /// Near misses that are.
    pub false_hits: usize,
    /// Different questions in other words that are.
    pub apart: usize,
}

impl Sweep {
    pub fn of(pairs: &[Pair]) -> Self {
        Self::by(pairs, |pair| pair.told_apart)
    }

    /// As where the local model has not read the questions.
    pub fn by_words(pairs: &[Pair]) -> Self {
        Self::by(pairs, |pair| pair.told_apart_by_words)
    }

    fn by(pairs: &[Pair], told_apart: fn(&Pair) -> bool) -> Self {
        let points = THRESHOLDS
            .map(|hundredths| point(pairs, hundredths, told_apart))
            .collect();
        let mut by_what = BTreeMap::<String, [usize; 3]>::new();
        for pair in pairs.iter().filter(|pair| pair.kind == Kind::NearMiss) {
            let near = pair.cosine >= 0.80;
            let counts = by_what.entry(pair.what.clone()).or_default();
            counts[0] += 1;
            counts[1] += usize::from(near);
            counts[2] += usize::from(near && !told_apart(pair));
        }
        let count = |kind: Kind| pairs.iter().filter(|pair| pair.kind == kind).count();
        Self {
            paraphrases: count(Kind::Paraphrase),
            near_misses: count(Kind::NearMiss),
            apart: count(Kind::Apart),
            points,
            by_what,
        }
    }

    pub fn at(&self, threshold: f64) -> Option<&Point> {
        let wanted = (threshold * 100.0).round() as u32;
        self.points.iter().find(|point| point.hundredths == wanted)
    }

    /// Of near misses, by how many the guarded cache is wrong.
    pub fn false_share(&self, hits: Hits) -> f64 {
        share(hits.false_hits, self.near_misses)
    }

    /// The same of different questions in other words.
    pub fn apart_share(&self, hits: Hits) -> f64 {
        share(hits.apart, self.apart)
    }

    pub fn hit_share(&self, hits: Hits) -> f64 {
        share(hits.hits, self.paraphrases)
    }

    /// Of the paraphrases that cosine 0.80 alone hits.
    pub fn kept(&self, hits: Hits) -> f64 {
        share(hits.hits, self.at(0.80).map_or(0, |point| point.alone.hits))
    }

    /// Where the most hits are.
    pub fn lowest(&self) -> &Point {
        &self.points[0]
    }

    /// The lowest threshold with few enough false hits.
    pub fn safe(&self) -> Option<&Point> {
        self.points
            .iter()
            .find(|point| self.false_share(point.guarded) < FALSE_HITS_MAX)
    }

    /// The lowest threshold with few enough false hits and enough hits.
    pub fn wanted(&self) -> Option<&Point> {
        self.safe()
            .filter(|point| self.kept(point.guarded) >= KEPT_MIN)
    }
}

fn point(pairs: &[Pair], hundredths: u32, told_apart: fn(&Pair) -> bool) -> Point {
    let threshold = f64::from(hundredths) / 100.0;
    let mut point = Point {
        hundredths,
        alone: Hits::default(),
        guarded: Hits::default(),
    };
    for pair in pairs.iter().filter(|pair| pair.cosine >= threshold) {
        let count = |hits: &mut Hits| match pair.kind {
            Kind::Paraphrase => hits.hits += 1,
            Kind::NearMiss => hits.false_hits += 1,
            Kind::Apart => hits.apart += 1,
        };
        count(&mut point.alone);
        if !told_apart(pair) {
            count(&mut point.guarded);
        }
    }
    point
}

pub fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}
