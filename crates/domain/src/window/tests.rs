use proptest::prelude::*;

use super::*;

fn at(s: u64) -> Mono {
    Mono::from_secs(s)
}

/// Reserves if it fits, as a counter does.
fn take(window: &mut Window, amount: u64, now: Mono) -> Option<SliceId> {
    window.advance(now);
    (window.wait(amount, now) == Some(Duration::ZERO)).then(|| window.reserve(amount))
}

#[test]
fn what_was_admitted_at_the_end_of_a_slice_counts_for_a_full_minute() {
    let mut window = Window::new(100);
    assert!(take(&mut window, 100, Mono::from_millis(100_999)).is_some());
    assert!(take(&mut window, 1, Mono::from_millis(160_998)).is_none());
    assert_eq!(
        window.wait(1, Mono::from_millis(160_998)),
        Some(Duration::from_millis(2))
    );
    assert!(take(&mut window, 100, at(161)).is_some());
}

#[test]
fn unused_tokens_come_back_at_once() {
    let mut window = Window::new(100);
    let slice = take(&mut window, 90, at(100)).unwrap();
    window.settle(slice, 90, 30, at(130));
    assert_eq!((window.used(), window.held(), window.room()), (30, 0, 70));
}

#[test]
fn a_refund_for_a_call_older_than_the_window_gives_nothing() {
    let mut window = Window::new(100);
    let slice = take(&mut window, 90, at(100)).unwrap();
    take(&mut window, 100, at(161)).unwrap();
    window.settle(slice, 90, 0, at(162));
    assert_eq!((window.held(), window.room()), (100, 0));
}

#[test]
fn debt_is_paid_before_any_later_call() {
    let mut window = Window::new(100);
    let slice = take(&mut window, 60, at(100)).unwrap();
    take(&mut window, 40, at(110)).unwrap();
    window.settle(slice, 60, 130, at(120));
    assert_eq!((window.used(), window.room()), (130, 0));

    // At 161 s the 60 expire and pay 60 of the 70; at 171 s the 40 expire and pay the other 10.
    assert_eq!(window.wait(30, at(120)), Some(Duration::from_secs(51)));
    assert_eq!(
        window.wait(31, at(120)),
        Some(Duration::from_secs(102)),
        "when those 60 expire"
    );
    assert!(take(&mut window, 30, Mono::from_millis(170_999)).is_none());
    assert!(take(&mut window, 30, at(171)).is_some());
}

#[test]
fn a_debt_of_a_thousand_limits_is_worked_off_at_the_rate_of_the_limit() {
    let mut window = Window::new(100);
    let slice = take(&mut window, 100, at(100)).unwrap();
    window.settle(slice, 100, 100_100, at(100));
    let wait = window.wait(100, at(100)).unwrap();
    assert_eq!(wait, Duration::from_secs(61 * 1001));
    window.advance(at(100) + wait - Duration::from_nanos(1));
    assert_eq!(window.room(), 0);
    window.advance(at(100) + wait);
    assert_eq!(window.room(), 100);
}

#[test]
fn a_lower_bound_applies_to_what_was_counted_before() {
    let mut window = Window::new(100);
    take(&mut window, 80, at(100)).unwrap();
    window.set_bound(50, at(100));
    assert!(take(&mut window, 1, at(101)).is_none());
    assert_eq!(window.wait(51, at(101)), None);
    assert_eq!(window.wait(50, at(101)), Some(Duration::from_secs(60)));
}

#[test]
fn a_restored_minute_counts_where_it_was() {
    let mut window = Window::new(100);
    window.restore(70, at(970), at(1000));
    window.restore(20, at(950), at(1000));
    window.restore(99, at(930), at(1000));
    assert_eq!(window.used(), 90);
    assert_eq!(window.wait(30, at(1000)), Some(Duration::from_secs(11)));
}

#[derive(Clone, Debug)]
enum Step {
    Reserve(u64),
    Settle(usize, u64),
    Wait(u64),
    Bound(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u64..60).prop_map(Step::Reserve),
        4 => (any::<usize>(), 0u64..150).prop_map(|(which, tokens)| Step::Settle(which, tokens)),
        4 => (0u64..40_000).prop_map(Step::Wait),
        1 => (1u64..200).prop_map(Step::Bound),
    ]
}

/// Every second walked, every amount kept: slow and plainly right.
struct Naive {
    bound: u64,
    entries: Vec<(u64, u64)>,
    debt: u64,
    second: u64,
}

impl Naive {
    fn walk_to(&mut self, second: u64) {
        while self.second < second {
            self.second += 1;
            self.pay();
        }
    }

    fn sum(&self) -> u64 {
        self.entries
            .iter()
            .filter(|(at, _)| at + 61 > self.second)
            .map(|(_, amount)| amount)
            .sum()
    }

    fn pay(&mut self) {
        let paid = self.debt.min(self.bound.saturating_sub(self.sum()));
        self.debt -= paid;
        self.entries.push((self.second, paid));
    }

    fn fits(&self, amount: u64) -> bool {
        self.debt == 0 && self.sum() + amount <= self.bound
    }
}

proptest! {
    #[test]
    fn agrees_with_a_naive_model(steps in prop::collection::vec(step(), 1..80)) {
        let mut window = Window::new(100);
        let mut naive = Naive { bound: 100, entries: Vec::new(), debt: 0, second: 1000 };
        let mut open: Vec<(SliceId, usize, u64)> = Vec::new();
        let mut now = at(1000);
        for step in steps {
            naive.walk_to(now.0 / 1_000_000_000);
            match step {
                Step::Reserve(amount) => {
                    let taken = take(&mut window, amount, now);
                    prop_assert_eq!(taken.is_some(), naive.fits(amount));
                    if let Some(slice) = taken {
                        naive.entries.push((naive.second, amount));
                        open.push((slice, naive.entries.len() - 1, amount));
                    }
                }
                Step::Settle(which, actual) if !open.is_empty() => {
                    let (slice, entry, reserved) = open.swap_remove(which % open.len());
                    window.settle(slice, reserved, actual, now);
                    naive.entries[entry].1 = actual.min(reserved);
                    naive.debt += actual.saturating_sub(reserved);
                    naive.pay();
                }
                Step::Settle(..) => {}
                Step::Wait(ms) => now = now + Duration::from_millis(ms),
                Step::Bound(bound) => {
                    window.set_bound(bound, now);
                    naive.bound = bound;
                    naive.pay();
                }
            }
        }
        for (slice, _, reserved) in open {
            window.settle(slice, reserved, 0, now);
        }
        prop_assert_eq!(window.held(), 0);
    }

    #[test]
    fn a_wait_is_exact(
        steps in prop::collection::vec(step(), 1..60),
        wanted in 1u64..100,
    ) {
        let mut window = Window::new(100);
        let mut open = Vec::new();
        let mut now = at(1000);
        for step in steps {
            match step {
                Step::Reserve(amount) => {
                    open.extend(take(&mut window, amount, now).map(|slice| (slice, amount)));
                }
                Step::Settle(which, actual) if !open.is_empty() => {
                    let (slice, reserved) = open.swap_remove(which % open.len());
                    window.settle(slice, reserved, actual * 10, now);
                }
                Step::Settle(..) => {}
                Step::Wait(ms) => now = now + Duration::from_millis(ms),
                Step::Bound(bound) => window.set_bound(bound, now),
            }
        }
        window.advance(now);
        if let Some(wait) = window.wait(wanted, now) {
            let mut early = window.clone();
            if !wait.is_zero() {
                prop_assert!(take(&mut early, wanted, now + wait - Duration::from_nanos(1)).is_none());
            }
            prop_assert!(take(&mut window, wanted, now + wait).is_some());
        } else {
            prop_assert!(wanted > window.bound());
        }
    }
}
