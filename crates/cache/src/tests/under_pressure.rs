//! Whatever happens in whatever order, with too little room for it all: an answer that is found is the last one
//! that was put in under its key, its owner's, live, and nobody's who was erased. And room is kept.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use ::audit::{Archive, AuditError, Erased};
use domain::SubscriptionId;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::on_disk::{NOON, Place, actor};
use super::*;
use crate::{Beside, Entry, Selection};

/// Room for half of the entries, and for a few of their answers.
const MEMORY_BYTES: u64 = 64 * 1024;
const DISK_BYTES: u64 = MEBIBYTE / 4;
const KEYS: u64 = 40;
const DIMENSIONS: usize = 16;

#[derive(Clone, Copy, Debug)]
enum Step {
    Put {
        number: u64,
        kilobytes: usize,
        ttl_s: u64,
        of: &'static str,
        person: &'static str,
        is_asked: bool,
    },
    Get(u64),
    /// Near what is asked under this key, in this partition.
    Near(u64, u8),
    Pass(u64),
    Tick,
    CatchUp,
    Purge(&'static str),
    /// By another process.
    PurgeBeside(&'static str),
    ErasePerson(&'static str),
    EraseSubscription(&'static str),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let of = || prop_oneof![Just("acme"), Just("globex")];
    let person = || prop_oneof![Just("anna"), Just("bob"), Just("carl")];
    let put = (
        0..KEYS,
        1usize..24,
        1u64..200,
        of(),
        person(),
        any::<bool>(),
    );
    prop_oneof![
        24 => put.prop_map(|(number, kilobytes, ttl_s, of, person, is_asked)| {
            Step::Put { number, kilobytes, ttl_s, of, person, is_asked }
        }),
        20 => (0..KEYS).prop_map(Step::Get),
        8 => (0..KEYS, 0u8..2).prop_map(|(number, partition)| Step::Near(number, partition)),
        6 => (0u64..30).prop_map(Step::Pass),
        2 => Just(Step::Tick),
        4 => Just(Step::CatchUp),
        1 => of().prop_map(Step::Purge),
        1 => of().prop_map(Step::PurgeBeside),
        1 => person().prop_map(Step::ErasePerson),
        1 => of().prop_map(Step::EraseSubscription),
        3 => Just(Step::Restart),
    ]
}

/// What was put in last under a key.
#[derive(Clone, Debug)]
struct Last {
    answer: Bytes,
    of: &'static str,
    person: &'static str,
    expires_at: Wall,
    is_asked: bool,
}

struct World {
    place: Place,
    cache: Option<Cache>,
    now: Wall,
    puts: u64,
    model: BTreeMap<u64, Last>,
}

impl World {
    fn new() -> Self {
        let place = Place::new();
        let mut world = Self {
            place,
            cache: None,
            now: NOON,
            puts: 0,
            model: BTreeMap::new(),
        };
        world.restart();
        world
    }

    fn cache(&self) -> &Cache {
        self.cache.as_ref().unwrap()
    }

    /// Half of the numbers are asked in each of two partitions.
    fn partition_of(number: u64) -> Partition {
        partition((number % 2) as u8)
    }

    fn restart(&mut self) {
        // Its disk is written before the next one reads it.
        self.cache = None;
        let settings = self.place.settings(MEMORY_BYTES, DISK_BYTES);
        self.cache = Some(Cache::open(settings, self.now).unwrap());
        self.cache().catch_up();
    }

    /// Erasures reach the cache within two of its looks. Of whom nothing was ever written nothing is erased.
    fn erase(
        &mut self,
        erase: impl FnOnce(&mut Archive) -> Result<Erased, AuditError>,
        is_gone: impl Fn(&Last) -> bool,
    ) {
        self.cache().catch_up();
        match erase(&mut self.place.archive()) {
            Ok(_receipt) => {}
            Err(AuditError::NotFound(_)) => return,
            Err(error) => panic!("{error}"),
        }
        self.cache().catch_up();
        self.cache().catch_up();
        self.model.retain(|_, last| !is_gone(last));
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Put {
                number,
                kilobytes,
                ttl_s,
                of,
                person,
                is_asked,
            } => {
                self.puts += 1;
                let mut answer = format!("{} for {person} of {of}: ", self.puts).into_bytes();
                answer.resize(kilobytes * 1024, b'x');
                let last = Last {
                    answer: answer.into(),
                    of,
                    person,
                    expires_at: self.now + Duration::from_secs(ttl_s),
                    is_asked,
                };
                let new = if is_asked {
                    let embedding = Dice(number).direction(DIMENSIONS);
                    asked(number, Self::partition_of(number), embedding)
                } else {
                    entry(number, "")
                };
                self.cache().put(NewEntry {
                    answer: last.answer.clone(),
                    owner: Owner {
                        user: Some(person.into()),
                        ..owner(of)
                    },
                    stored_at: self.now,
                    expires_at: last.expires_at,
                    ..new
                });
                self.model.insert(number, last);
            }
            Step::Get(_) | Step::Near(..) => {}
            Step::Pass(seconds) => self.now = self.now + Duration::from_secs(seconds),
            Step::Tick => self.cache().tick(self.now),
            Step::CatchUp => self.cache().catch_up(),
            Step::Purge(of) => {
                self.cache().purge(&of_subscription(of));
                self.model.retain(|_, last| last.of != of);
            }
            Step::PurgeBeside(of) => {
                // What it does not find on disk stays.
                self.cache().catch_up();
                let sealer = self.place.log.sealer();
                let mut beside = Beside::open(&self.place.cache_dir()).unwrap().unwrap();
                beside
                    .purge(&sealer, &of_subscription(of), self.now)
                    .unwrap();
                self.cache().catch_up();
                self.model.retain(|_, last| last.of != of);
            }
            Step::ErasePerson(person) => {
                let now = self.now;
                self.erase(
                    |archive| archive.erase_person(person, &actor(), now),
                    |last| last.person == person,
                );
            }
            Step::EraseSubscription(of) => {
                let (id, now) = (SubscriptionId::from(of), self.now);
                self.erase(
                    |archive| archive.erase_subscription(&id, &actor(), now),
                    |last| last.of == of,
                );
            }
            Step::Restart => self.restart(),
        }
    }

    /// How many answers it gave, each of which may be given.
    fn look(&self, step: &Step) -> Result<u64, TestCaseError> {
        let found = match step {
            Step::Get(number) => Vec::from_iter(self.cache().get(&key(*number), self.now)),
            Step::Near(number, of) => {
                let asked = Dice(*number).direction(DIMENSIONS);
                let of = partition(*of);
                let near = self.cache().nearest(&of, &asked, 0.3, 5, self.now);
                for near in &near {
                    prop_assert_eq!(near.entry.partition(), Some(&of));
                }
                near.into_iter().map(|near| near.entry).collect()
            }
            _ => Vec::new(),
        };
        let mut given = 0;
        for entry in found {
            given += u64::from(self.check(step, &entry)?);
        }
        Ok(given)
    }

    fn check(&self, step: &Step, entry: &Arc<Entry>) -> Result<bool, TestCaseError> {
        // It may be gone from everywhere by the time that it is read; it is never another one's.
        let Some(answer) = self.cache().read(entry) else {
            return Ok(false);
        };
        let number = u64::from_be_bytes(entry.key.0[..8].try_into().unwrap());
        let Some(last) = self.model.get(&number) else {
            let start = String::from_utf8_lossy(&answer[..40.min(answer.len())]).into_owned();
            return Err(TestCaseError::fail(format!(
                "{step:?} found what is gone: {start}"
            )));
        };
        prop_assert_eq!(&answer, &last.answer);
        prop_assert!(self.now < last.expires_at, "{:?}", step);
        prop_assert_eq!(entry.owner.subscription.as_str(), last.of);
        prop_assert_eq!(entry.owner.user.as_deref(), Some(last.person));
        prop_assert_eq!(entry.text().is_some(), last.is_asked);
        Ok(true)
    }

    fn check_room(&self, step: &Step) -> Result<(), TestCaseError> {
        let levels = self.cache().levels();
        let of = levels.memory_bytes_max;
        prop_assert!(levels.memory_bytes <= of, "{:?}: {:?}", step, levels);
        if matches!(step, Step::CatchUp | Step::Restart) {
            let disk = levels.disk.as_ref().unwrap();
            prop_assert_eq!(&disk.fault, &None);
            prop_assert!(disk.bytes <= disk.bytes_max, "{:?}: {:?}", step, levels);
        }
        Ok(())
    }
}

fn of_subscription(of: &str) -> Selection {
    Selection {
        subscription: Some(of.into()),
        ..Selection::default()
    }
}

#[test]
fn what_is_found_is_the_last_that_was_put_in_and_still_may_be_given() {
    let config = Config {
        cases: 48,
        failure_persistence: None,
        ..Config::default()
    };
    let (given, evicted, restarts) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let steps = prop::collection::vec(step(), 40..240);
    let ran = TestRunner::new(config).run(&steps, |steps| {
        let mut world = World::new();
        for step in steps {
            restarts.set(restarts.get() + u32::from(matches!(step, Step::Restart)));
            let before = world.cache().levels().evicted;
            world.take(step);
            let after = world.cache().levels().evicted;
            evicted.set(evicted.get() + after.saturating_sub(before));
            given.set(given.get() + world.look(&step)?);
            world.check_room(&step)?;
        }
        Ok(())
    });
    if let Err(failure) = ran {
        panic!("{failure}");
    }
    // Or nothing was tried.
    let tried = (given.get(), evicted.get(), restarts.get());
    assert!(tried.0 > 100 && tried.1 > 50 && tried.2 > 50, "{tried:?}");
}

#[test]
fn twenty_thousand_puts_take_no_more_of_the_heap_than_is_counted() {
    const BYTES_MAX: u64 = 8 * MEBIBYTE;
    let (mut counted, mut most) = (0, 0);
    let mut kept = None;
    let heap = allocation_counter::measure(|| {
        let cache = in_memory(BYTES_MAX);
        let mut dice = Dice(7);
        for number in 0..20_000 {
            let answer = Bytes::from(vec![b'x'; 50 + (dice.next() % 3_000) as usize]);
            let new = match number % 3 {
                0 => entry(number, ""),
                _ => asked(number, partition((number % 7) as u8), dice.direction(64)),
            };
            cache.put(NewEntry { answer, ..new });
            // Some are put in again, and some asked for.
            if number % 5 == 0 {
                cache.put(entry(number / 2, "again"));
            }
            cache.get(&key(number / 3), Wall(1));
            most = most.max(cache.levels().memory_bytes);
        }
        counted = cache.levels().memory_bytes;
        kept = Some(cache);
    });
    let held = heap.bytes_current.unsigned_abs();
    assert!(most <= BYTES_MAX, "{most}");
    assert!(counted > BYTES_MAX / 2, "it is full: {counted}");
    assert!(
        held < counted * 21 / 20,
        "{held} on the heap, {counted} counted"
    );
    assert!(held > counted / 2, "{held} on the heap, {counted} counted");
    let cache = kept.unwrap();
    assert!(cache.levels().evicted > 10_000, "{:?}", cache.levels());
}
