//! What is found by meaning.

use proptest::prelude::*;

use super::*;
use crate::Vector;

const NOW: Wall = Wall(1);

#[test]
fn the_nearest_come_first_and_none_below_the_bound() {
    let cache = in_memory(MEBIBYTE);
    let mut dice = Dice(1);
    let asked_now = dice.direction(384);
    for (number, cosine) in [(1, 0.7), (2, 0.95), (3, 0.85), (4, 0.9)] {
        let embedding = dice.near(&asked_now, cosine);
        cache.put(asked(number, partition(1), embedding));
    }
    let near = cache.nearest(&partition(1), &asked_now, 0.8, 2, NOW);
    let keys: Vec<Key> = near.iter().map(|near| near.entry.key).collect();
    assert_eq!(keys, [key(2), key(4)]);
    assert_eq!(
        cache.nearest(&partition(1), &asked_now, 0.8, 10, NOW).len(),
        3
    );
    assert!(
        cache
            .nearest(&partition(1), &asked_now, 0.8, 0, NOW)
            .is_empty()
    );
}

#[test]
fn a_question_is_exactly_like_itself() {
    let cache = in_memory(MEBIBYTE);
    let embedding = Dice(2).direction(384);
    cache.put(asked(1, partition(1), embedding.clone()));
    let near = cache.nearest(&partition(1), &embedding, 0.0, 1, NOW);
    assert!((near[0].similarity - 1.0).abs() < 1e-6, "{near:?}");
}

#[test]
fn questions_of_another_partition_or_embedder_are_never_found() {
    let cache = in_memory(MEBIBYTE);
    let embedding = Dice(3).direction(384);
    cache.put(asked(1, partition(1), embedding.clone()));
    assert!(
        cache
            .nearest(&partition(2), &embedding, -1.0, 5, NOW)
            .is_empty()
    );
    assert!(
        cache
            .nearest(&partition(1), &embedding[..256], -1.0, 5, NOW)
            .is_empty()
    );
    // One of other dimensions that is put in all the same is found by its key only.
    cache.put(asked(2, partition(1), embedding[..256].to_vec()));
    assert!(
        cache
            .nearest(&partition(1), &embedding[..256], -1.0, 5, NOW)
            .is_empty()
    );
    assert!(cache.get(&key(2), NOW).is_some());
}

#[test]
fn an_embedding_without_a_direction_is_none() {
    let cache = in_memory(MEBIBYTE);
    for (number, embedding) in [
        vec![],
        vec![0.0; 8],
        vec![f32::NAN; 8],
        vec![f32::INFINITY; 8],
    ]
    .into_iter()
    .enumerate()
    {
        assert!(Vector::of(&embedding).is_none());
        cache.put(asked(number as u64, partition(1), embedding.clone()));
        assert!(cache.get(&key(number as u64), NOW).is_some());
        assert!(
            cache
                .nearest(&partition(1), &embedding, -1.0, 5, NOW)
                .is_empty()
        );
    }
    assert_eq!(cache.levels().questions, 0);
}

#[test]
fn what_has_expired_is_not_found_and_leaves_with_the_next_tick() {
    let cache = in_memory(MEBIBYTE);
    let embedding = Dice(4).direction(64);
    cache.put(asked(1, partition(1), embedding.clone()));
    let (before, after) = (Wall(3_599_999), Wall(3_600_000));
    assert_eq!(
        cache
            .nearest(&partition(1), &embedding, 0.5, 1, before)
            .len(),
        1
    );
    assert!(
        cache
            .nearest(&partition(1), &embedding, 0.5, 1, after)
            .is_empty()
    );
    assert!(cache.get(&key(1), after).is_none());
    cache.tick(Wall::from_secs(3600 + 8));
    let levels = cache.levels();
    assert_eq!(
        (levels.entries, levels.questions, levels.partitions),
        (0, 0, 0)
    );
    assert_eq!(levels.expired, 1);
}

#[test]
fn twenty_thousand_partitions_of_one_question_each_are_all_found() {
    let cache = in_memory(512 * MEBIBYTE);
    let mut dice = Dice(5);
    let name = |number: u64| {
        let mut name = [0; 32];
        name[24..].copy_from_slice(&number.to_be_bytes());
        name[0] = number as u8;
        Partition(name)
    };
    let embeddings: Vec<Vec<f32>> = (0..64).map(|_| dice.direction(16)).collect();
    for number in 0..20_000 {
        cache.put(asked(
            number,
            name(number),
            embeddings[number as usize % 64].clone(),
        ));
    }
    assert_eq!(cache.levels().partitions, 20_000);
    for number in (0..20_000).step_by(97) {
        let embedding = &embeddings[number as usize % 64];
        let near = cache.nearest(&name(number), embedding, 0.99, 5, NOW);
        assert_eq!(near.len(), 1);
        assert_eq!(near[0].entry.key, key(number));
    }
}

/// Questions crowd around subjects, as real ones do; every fiftieth subject is asked for.
struct Crowd {
    cache: Cache,
    embeddings: Vec<Vec<f32>>,
    dice: Dice,
}

impl Crowd {
    fn of(count: u64, dimensions: usize) -> Self {
        let cache = in_memory(4096 * MEBIBYTE);
        let mut dice = Dice(6);
        let everything = dice.direction(dimensions);
        let mut embeddings: Vec<Vec<f32>> = Vec::new();
        let mut subject = Vec::new();
        for number in 0..count {
            if number % 50 == 0 {
                subject = dice.near(&everything, 0.4);
            }
            let cosine = 0.6 + 0.35 * dice.roll();
            let embedding = dice.near(&subject, cosine);
            cache.put(asked(number, partition(1), embedding.clone()));
            embeddings.push(embedding);
        }
        Self {
            cache,
            embeddings,
            dice,
        }
    }

    /// Of what is at least so near by exact arithmetic, and is among the ten nearest: the share that is found.
    fn recall(&mut self, lookups: usize, min: f32) -> f64 {
        let (mut wanted, mut found) = (0u32, 0u32);
        for lookup in 0..lookups {
            let near_what = lookup * self.embeddings.len() / lookups;
            let cosine_wanted = 0.75 + 0.25 * self.dice.roll();
            let asked_now = self.dice.near(&self.embeddings[near_what], cosine_wanted);
            let mut truth: Vec<(f32, u64)> = (0u64..)
                .zip(&self.embeddings)
                .map(|(number, embedding)| (cosine(embedding, &asked_now), number))
                .filter(|(cosine, _)| *cosine >= min)
                .collect();
            truth.sort_unstable_by(|one, other| other.0.total_cmp(&one.0));
            // What is near the bound or the tenth may fall on either side of it by rounding.
            let near = self
                .cache
                .nearest(&partition(1), &asked_now, min - 0.01, 12, NOW);
            for (cosine, number) in truth.iter().take(10) {
                wanted += 1;
                let hit = near.iter().find(|near| near.entry.key == key(*number));
                found += u32::from(hit.is_some());
                if let Some(hit) = hit {
                    assert!(
                        (hit.similarity - cosine).abs() < 0.01,
                        "{} {cosine}",
                        hit.similarity
                    );
                }
            }
        }
        assert!(wanted > 20, "{wanted}");
        f64::from(found) / f64::from(wanted)
    }
}

#[test]
fn a_partition_is_searched_exactly_up_to_its_bound() {
    let mut crowd = Crowd::of(6_000, 96);
    let recall = crowd.recall(30, 0.8);
    assert!(recall > 0.999, "{recall}");
}

#[test]
fn a_larger_partition_is_searched_by_signs_and_misses_next_to_nothing() {
    let mut crowd = Crowd::of(20_000, 96);
    let memory = std::sync::Arc::get_mut(&mut crowd.cache.memory);
    memory.unwrap().index.exact_max = 0;
    let recall = crowd.recall(40, 0.8);
    assert!(recall > 0.99, "{recall}");
}

proptest! {
    #[test]
    fn eight_bits_err_by_no_more_than_they_say(
        one in prop::collection::vec(-1.0f32..1.0, 1..400),
        seed in any::<u64>(),
    ) {
        let mut dice = Dice(seed);
        let other: Vec<f32> = one.iter().map(|x| x + 0.5 * dice.normal()).collect();
        prop_assume!(one.iter().any(|x| *x != 0.0));
        let (one, other) = (unit(one), unit(other));
        let (Some(first), Some(second)) = (Vector::of(&one), Vector::of(&other)) else {
            return Ok(());
        };
        let cache = in_memory(MEBIBYTE);
        cache.put(asked(1, partition(1), one.clone()));
        let near = cache.nearest(&partition(1), &other, -1.0, 1, NOW);
        let error = (near[0].similarity - cosine(&one, &other)).abs();
        prop_assert!(error <= first.error_at_most(&second) + 1e-5);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whatever_leaves_no_other_is_lost(order in prop::collection::vec((0u64..40, any::<bool>()), 1..200)) {
        let cache = in_memory(4 * MEBIBYTE);
        let embeddings: Vec<Vec<f32>> = (0..40).map(|number| Dice(number).direction(32)).collect();
        let mut there = std::collections::BTreeSet::new();
        for (number, goes) in order {
            if goes {
                let what = crate::Selection { keys: Some(vec![key(number)]), ..Default::default() };
                let purged = cache.purge(&what);
                prop_assert_eq!(purged.entries, u64::from(there.remove(&number)));
            } else {
                cache.put(asked(number, partition(1), embeddings[number as usize].clone()));
                there.insert(number);
            }
            for number in 0..40 {
                let near = cache.nearest(&partition(1), &embeddings[number as usize], 0.999, 3, NOW);
                prop_assert_eq!(near.len(), usize::from(there.contains(&number)));
            }
        }
        prop_assert_eq!(cache.levels().questions, there.len() as u64);
        prop_assert_eq!(cache.levels().partitions, u64::from(!there.is_empty()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// First components decide whether the others are looked at, wherever a vector has its weight.
    #[test]
    fn what_is_compared_in_part_is_found_as_if_it_were_whole(
        dimensions in 100usize..420,
        weight in 0.0f32..4.0,
        min in -0.5f32..0.99,
        at_most in 1usize..12,
        seed in any::<u64>(),
    ) {
        let mut dice = Dice(seed);
        let asked_now = dice.direction(dimensions);
        let cache = in_memory(4 * MEBIBYTE);
        let mut wanted = Vec::new();
        let of_asked = Vector::of(&asked_now).unwrap();
        for number in 0..80 {
            let near = 2.0 * dice.roll() - 1.0;
            let mut embedding = dice.near(&asked_now, near);
            for first in embedding.iter_mut().take(dimensions / 3) {
                *first *= weight;
            }
            let similarity = Vector::of(&embedding).unwrap().similarity(&of_asked).unwrap();
            if similarity >= min {
                wanted.push(similarity);
            }
            cache.put(asked(number, partition(1), embedding));
        }
        wanted.sort_by(|one, other| other.total_cmp(one));
        wanted.truncate(at_most);
        let near = cache.nearest(&partition(1), &asked_now, min, at_most, NOW);
        let found: Vec<f32> = near.iter().map(|near| near.similarity).collect();
        prop_assert_eq!(found, wanted);
    }
}
