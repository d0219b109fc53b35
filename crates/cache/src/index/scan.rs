//! Comparing one vector with many: all of them, or by their signs first.

use std::sync::{Arc, RwLock};

use domain::Wall;
use rten_simd::{Isa, SimdOp};

use super::block::{BLOCK_SLOTS, Block};
use super::read;
use super::vector::{Vector, lead};
use crate::{Entry, Near};

/// The best that were met.
pub(super) struct Nearest {
    min: f32,
    at_most: usize,
    now: Wall,
    /// Best first.
    best: Vec<Near>,
}

impl Nearest {
    pub(super) fn new(min: f32, at_most: usize, now: Wall) -> Self {
        Self {
            min,
            at_most,
            now,
            best: Vec::new(),
        }
    }

    pub(super) fn meet(&mut self, similarity: f32, entry: &Arc<Entry>) {
        // So written that what is no number is not near.
        let is_near = similarity >= self.min;
        if !is_near || !entry.is_live(self.now) {
            return;
        }
        if self.best.len() >= self.at_most {
            match self.best.last() {
                Some(last) if last.similarity < similarity => {}
                _ => return,
            }
        }
        if self.best.iter().any(|near| Arc::ptr_eq(&near.entry, entry)) {
            return;
        }
        if self.best.len() >= self.at_most {
            self.best.pop();
        }
        let place = self
            .best
            .partition_point(|near| near.similarity >= similarity);
        let near = Near {
            entry: Arc::clone(entry),
            similarity: similarity.min(1.0),
        };
        self.best.insert(place, near);
    }

    /// Nothing that is farther than this will be among them.
    pub(super) fn least(&self) -> f32 {
        match self.best.last() {
            Some(last) if self.best.len() >= self.at_most => last.similarity.max(self.min),
            _ => self.min,
        }
    }

    pub(super) fn into_sorted(self) -> Vec<Near> {
        self.best
    }
}

/// Vectors that are compared whole for one lookup among many.
const RESCORED_MAX: usize = 16_384;

/// Two vectors at an angle of `a` differ in about `a / π` of their signs. Whatever differs in so few that it
/// may be near enough is compared whole; the fewest first, if they are too many.
pub(super) fn by_signs(blocks: &[Arc<RwLock<Block>>], asked: &Vector, nearest: &mut Nearest) {
    let limit = signs_at_most(asked.dimensions(), nearest.min);
    let mut candidates: Vec<(u16, u32)> = Vec::new();
    let mut limit = limit;
    let mut distances = [0; BLOCK_SLOTS];
    for (number, block) in blocks.iter().enumerate() {
        let first = number * BLOCK_SLOTS;
        let block = read(block);
        let distances = block.distances(asked, &mut distances);
        for (slot, distance) in distances.iter().enumerate() {
            if *distance <= limit {
                candidates.push((*distance, (first + slot) as u32));
            }
        }
        drop(block);
        if candidates.len() > RESCORED_MAX {
            candidates.select_nth_unstable(RESCORED_MAX - 1);
            candidates.truncate(RESCORED_MAX);
            // What is no nearer than the farthest that is kept need not be looked at.
            limit = candidates.last().map_or(limit, |(distance, _)| *distance);
        }
    }
    // In the order of memory.
    candidates.sort_unstable_by_key(|(_, place)| *place);
    for of_block in candidates
        .chunk_by(|(_, one), (_, next)| *one as usize / BLOCK_SLOTS == *next as usize / BLOCK_SLOTS)
    {
        let number = of_block
            .first()
            .map_or(0, |(_, place)| *place as usize / BLOCK_SLOTS);
        let Some(block) = blocks.get(number) else {
            return;
        };
        let block = read(block);
        for (_, place) in of_block {
            block.scan_one(*place as usize % BLOCK_SLOTS, asked, nearest);
        }
    }
}

/// The number of signs that differ at the angle of `min`, and five standard deviations of it, were signs
/// independent. They are not quite: recall is measured.
fn signs_at_most(dimensions: usize, min: f32) -> u16 {
    let share = min.clamp(-1.0, 1.0).acos() / std::f32::consts::PI;
    let all = dimensions as f32;
    let spread = (all * share * (1.0 - share)).sqrt().max(1.0);
    (all * share + 5.0 * spread).min(f32::from(u16::MAX)) as u16
}

/// The vectors of a block: their first components apart from the others, so that a scan that needs only
/// those reads a third of the memory.
pub(super) struct Planes<'p> {
    pub(super) leads: &'p [i8],
    pub(super) rests: &'p [i8],
    pub(super) shrinks: &'p [f32],
    pub(super) rest_lengths: &'p [f32],
}

/// What floats may be off by.
const MARGIN: f32 = 1e-5;

/// The cosine of `asked` with each, where it may be `least` or more; what it may not be is left as it is.
///
/// None is missed: the others' dot product is at most the product of their lengths.
pub(super) fn similarities(
    planes: &Planes<'_>,
    asked: &Vector,
    least: f32,
    similarities: &mut [f32],
) {
    Similarities {
        planes,
        asked,
        least,
        similarities,
    }
    .dispatch();
}

pub(super) fn dot(one: &[i8], other: &[i8]) -> i32 {
    Dot { one, other }.dispatch()
}

/// In how many bits each of `signs` differs from `asked`.
pub(super) fn distances(signs: &[u64], asked: &[u64], distances: &mut [u16]) {
    Distances {
        signs,
        asked,
        distances,
    }
    .dispatch();
}

struct Similarities<'d> {
    planes: &'d Planes<'d>,
    asked: &'d Vector,
    least: f32,
    similarities: &'d mut [f32],
}

struct Dot<'d> {
    one: &'d [i8],
    other: &'d [i8],
}

struct Distances<'d> {
    signs: &'d [u64],
    asked: &'d [u64],
    distances: &'d mut [u16],
}

/// Plain loops, compiled once for each instruction set that `dispatch` chooses from at run time.
impl SimdOp for Similarities<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, _: I) {
        let Self {
            planes,
            asked,
            least,
            similarities,
        } = self;
        let (lead, rest) = asked.codes.split_at(lead(asked.dimensions()));
        let lengths = planes.shrinks.iter().zip(planes.rest_lengths);
        for (slot, ((shrink, rest_length), similarity)) in lengths.zip(similarities).enumerate() {
            let (from, to) = (slot * lead.len(), (slot + 1) * lead.len());
            let dot = inner(&planes.leads[from..to], lead);
            let reach = dot as f32 * shrink * asked.shrink + rest_length * asked.rest;
            if reach + MARGIN >= least {
                let (from, to) = (slot * rest.len(), (slot + 1) * rest.len());
                let dot = dot + inner(&planes.rests[from..to], rest);
                *similarity = dot as f32 * shrink * asked.shrink;
            }
        }
    }
}

impl SimdOp for Dot<'_> {
    type Output = i32;

    #[inline(always)]
    fn eval<I: Isa>(self, _: I) -> i32 {
        inner(self.one, self.other)
    }
}

#[inline(always)]
fn inner(one: &[i8], other: &[i8]) -> i32 {
    let mut sum = 0;
    for (one, other) in one.iter().zip(other) {
        sum += i32::from(*one) * i32::from(*other);
    }
    sum
}

impl SimdOp for Distances<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, _: I) {
        let Self {
            signs,
            asked,
            distances,
        } = self;
        for (vector, distance) in signs.chunks_exact(asked.len().max(1)).zip(distances) {
            let mut sum = 0;
            for (one, other) in vector.iter().zip(asked) {
                sum += (one ^ other).count_ones();
            }
            *distance = sum as u16;
        }
    }
}
