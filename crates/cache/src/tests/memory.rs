//! Bounds: of memory, and on whose cost they hold.

use likeness::comparer::Reading;
use likeness::verified::Observation;

use super::*;

#[test]
fn what_everybody_asks_for_outlives_a_flood_of_what_nobody_repeats() {
    let cache = in_memory(2 * MEBIBYTE);
    for number in 0..100 {
        cache.put(entry(number, &"x".repeat(1_000)));
    }
    let mut hits = 0;
    for flood in 0..20_000 {
        cache.put(entry(1_000 + flood, &"x".repeat(1_000)));
        let popular = flood % 100;
        if cache.get(&key(popular), Wall(1)).is_some() {
            hits += 1;
        }
    }
    assert!(hits > 19_000, "{hits}");
    assert!(cache.levels().evicted > 15_000);
}

#[test]
fn an_answer_that_is_larger_than_the_memory_is_not_kept_and_removes_what_it_replaces() {
    let cache = in_memory(MEBIBYTE);
    cache.put(entry(1, "small"));
    cache.put(entry(2, "other"));
    let large = "x".repeat(2 * 1024 * 1024);
    cache.put(entry(1, &large));
    assert!(cache.get(&key(1), Wall(1)).is_none());
    assert!(cache.get(&key(2), Wall(1)).is_some());
    assert_eq!(cache.levels().refused, 1);
    assert_eq!(cache.levels().entries, 1);
}

#[test]
fn observations_have_a_bound_and_go_with_their_entry() {
    let cache = in_memory(MEBIBYTE);
    let seen = Observation {
        similarity: 0.9,
        right: true,
    };
    let put = |number| cache.put(asked(number, partition(1), Dice(number).direction(8)));
    let entries: Vec<_> = (0..200).map(put).collect();
    for entry in &entries {
        cache.observe(entry, seen);
        cache.observe(entry, seen);
    }
    let observed = entries
        .iter()
        .filter(|entry| entry.observations().len() == 2)
        .count();
    assert!(
        (10..60).contains(&observed),
        "a sixteenth of the memory: {observed}"
    );
    assert_eq!(
        entries
            .iter()
            .filter(|entry| !entry.observations().is_empty())
            .count(),
        observed
    );
    for number in 0..200 {
        put(number);
    }
    let next = put(500);
    cache.observe(&next, seen);
    assert_eq!(next.observations().len(), 1);
}

#[test]
fn a_reading_is_counted_with_its_entry_and_kept_only_where_it_was() {
    let reading = Reading::of(&[101, 102], &[0.1; 2 * 384]).unwrap();
    let put = |reading: Option<Reading>| {
        let cache = in_memory(MEBIBYTE);
        let new = asked(1, partition(1), vec![1.0; 8]);
        let question = new.question.map(|question| Question {
            reading,
            ..question
        });
        let entry = cache.put(NewEntry { question, ..new });
        (entry, cache.levels().memory_bytes)
    };
    let (unread, without) = put(None);
    let (read, with) = put(Some(reading.clone()));
    assert_eq!(with - without, reading.bytes() as u64);
    assert_eq!(read.reading(), Some(&reading));
    // Its question was too long to be read: it still is.
    assert!(!unread.lacks_reading());
    unread.keep_reading(reading);
    assert_eq!(unread.reading(), None);
}
