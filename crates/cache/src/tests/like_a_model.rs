//! The cache against a map that does the obvious.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{Answer, Selection};

#[derive(Clone, Debug)]
enum Step {
    Put {
        number: u64,
        answer: u16,
        ttl_s: i64,
        of: &'static str,
        is_asked: bool,
    },
    Get {
        number: u64,
    },
    Pass {
        seconds: i64,
    },
    Tick,
    PurgeSubscription(&'static str),
    PurgeOlder {
        seconds: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let of = prop_oneof![Just("acme"), Just("globex")];
    prop_oneof![
        4 => (0u64..20, any::<u16>(), 1i64..100, of.clone(), any::<bool>())
            .prop_map(|(number, answer, ttl_s, of, is_asked)| Step::Put { number, answer, ttl_s, of, is_asked }),
        4 => (0u64..20).prop_map(|number| Step::Get { number }),
        2 => (0i64..40).prop_map(|seconds| Step::Pass { seconds }),
        1 => Just(Step::Tick),
        1 => of.prop_map(Step::PurgeSubscription),
        1 => (0i64..60).prop_map(|seconds| Step::PurgeOlder { seconds }),
    ]
}

proptest! {
    #[test]
    fn with_room_for_all_it_is_a_map_that_forgets_in_time(steps in prop::collection::vec(step(), 1..120)) {
        let cache = in_memory(16 * MEBIBYTE);
        let mut model: BTreeMap<u64, (String, &str, Wall, Wall)> = BTreeMap::new();
        let mut now = Wall::from_secs(1_000_000);
        for step in steps {
            match step {
                Step::Put { number, answer, ttl_s, of, is_asked } => {
                    let answer = answer.to_string();
                    let expires_at = Wall(now.0 + ttl_s * 1000);
                    let new = if is_asked {
                        asked(number, partition(1), Dice(number).direction(8))
                    } else {
                        entry(number, "")
                    };
                    cache.put(NewEntry {
                        answer: answer.clone().into(),
                        owner: owner(of),
                        stored_at: now,
                        expires_at,
                        ..new
                    });
                    model.insert(number, (answer, of, now, expires_at));
                }
                Step::Get { number } => {
                    let found = cache.get(&key(number), now);
                    let wanted = model.get(&number).filter(|(.., expires_at)| now < *expires_at);
                    prop_assert_eq!(found.is_some(), wanted.is_some());
                    if let (Some(found), Some((answer, ..))) = (found, wanted) {
                        prop_assert_eq!(cache.answer(&found), Answer::Ready(answer.clone().into()));
                    }
                }
                Step::Pass { seconds } => now = Wall(now.0 + seconds * 1000),
                Step::Tick => cache.tick(now),
                Step::PurgeSubscription(of) => {
                    let what = Selection { subscription: Some(of.into()), ..Selection::default() };
                    let would = cache.would_purge(&what);
                    prop_assert_eq!(cache.purge(&what), would);
                    model.retain(|_, (_, owner, ..)| *owner != of);
                }
                Step::PurgeOlder { seconds } => {
                    let before = Wall(now.0 - seconds * 1000);
                    let what = Selection { stored_before: Some(before), ..Selection::default() };
                    cache.purge(&what);
                    model.retain(|_, (_, _, stored_at, _)| *stored_at >= before);
                }
            }
            let mut walked = 0;
            cache.each(&Selection::default(), |_| walked += 1);
            prop_assert_eq!(walked, cache.levels().entries);
            let live = model.values().filter(|(.., expires_at)| now < *expires_at).count();
            prop_assert!(cache.levels().entries >= live as u64);
        }
        cache.tick(Wall(i64::MAX));
        let levels = cache.levels();
        prop_assert_eq!((levels.entries, levels.memory_bytes, levels.questions), (0, 0, 0));
        prop_assert_eq!(levels.stored, levels.replaced + levels.expired + levels.purged);
    }
}

#[test]
fn a_purge_removes_what_holds_in_every_respect_and_nothing_else() {
    let cache = in_memory(MEBIBYTE);
    for number in 0..8 {
        let mut new = entry(number, "an answer");
        if number % 2 == 0 {
            new.owner = owner("globex");
        }
        if number < 4 {
            new.model = "large".into();
        }
        cache.put(new);
    }
    let what = Selection {
        subscription: Some("globex".into()),
        model: Some("large".into()),
        ..Selection::default()
    };
    let purged = cache.purge(&what);
    assert_eq!((purged.entries, purged.answer_bytes), (2, 18));
    let left: Vec<u64> = (0..8)
        .filter(|number| cache.get(&key(*number), Wall(1)).is_some())
        .collect();
    assert_eq!(left, [1, 3, 4, 5, 6, 7]);
    assert_eq!(cache.purge(&Selection::default()).entries, 6);
    assert_eq!(cache.levels().entries, 0);
}

#[test]
fn an_entry_in_hand_outlives_its_removal() {
    let cache = in_memory(MEBIBYTE);
    let held = cache.put(entry(1, "an answer"));
    cache.purge(&Selection::default());
    assert!(!held.is_live(Wall(1)));
    assert_eq!(cache.answer(&held), Answer::Ready("an answer".into()));
}

#[test]
fn threads_that_put_and_purge_leave_nothing_behind() {
    let cache = in_memory(MEBIBYTE);
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let cache = &cache;
            scope.spawn(move || {
                let mut dice = Dice(thread);
                for _ in 0..2_000 {
                    let number = dice.next() % 50;
                    let what = Selection {
                        keys: Some(vec![key(number)]),
                        ..Selection::default()
                    };
                    let embedding = Dice(number).direction(8);
                    match dice.next() % 4 {
                        0 => {
                            cache.purge(&what);
                        }
                        1 => {
                            cache.nearest(&partition(1), &embedding, 0.5, 3, Wall(1));
                        }
                        _ => {
                            cache.put(asked(number, partition(1), embedding));
                        }
                    }
                }
            });
        }
    });
    let levels = cache.levels();
    assert_eq!(levels.entries, levels.questions);
    assert_eq!(
        levels.stored - levels.entries,
        levels.replaced + levels.evicted + levels.purged
    );
    cache.purge(&Selection::default());
    let levels = cache.levels();
    assert_eq!(
        (
            levels.entries,
            levels.questions,
            levels.partitions,
            levels.memory_bytes
        ),
        (0, 0, 0, 0)
    );
}
