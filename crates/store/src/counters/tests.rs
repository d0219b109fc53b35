use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::Mono;
use domain::limit::{Calendar, Period, Reserve, Scope};

use super::*;

mod model;

fn at(s: u64) -> Now {
    Now {
        mono: Mono::from_secs(1_000_000 + s),
        // Monday, 2 March 2026, 00:00 UTC.
        wall: Wall::from_secs(1_772_409_600) + Duration::from_secs(s),
    }
}

fn limit(name: &str, rule: Rule) -> Arc<Limit> {
    Arc::new(Limit {
        id: name.into(),
        scope: Scope::Global,
        name: name.into(),
        rule,
    })
}

fn tpm(name: &str, tokens_per_minute: u64) -> Arc<Limit> {
    let reserve = Reserve::Learned;
    limit(
        name,
        Rule::TokensPerMinute {
            tokens_per_minute,
            reserve,
            estimate_prompt_tokens: true,
        },
    )
}

fn rpm(name: &str, requests_per_minute: u64) -> Arc<Limit> {
    limit(
        name,
        Rule::RequestsPerMinute {
            requests_per_minute,
        },
    )
}

fn open(name: &str, max_concurrent: u64) -> Arc<Limit> {
    limit(name, Rule::Concurrency { max_concurrent })
}

fn daily(name: &str, tokens: u64) -> Arc<Limit> {
    let calendar = Calendar {
        period: Period::Day,
        time_zone: jiff::tz::TimeZone::UTC,
    };
    limit(
        name,
        Rule::TokenQuota {
            tokens,
            calendar,
            reserve: Reserve::Learned,
        },
    )
}

fn asks<'a>(limits: &'a [Arc<Limit>], key: &'a str) -> Vec<Ask<'a>> {
    limits.iter().map(|limit| Ask { limit, key }).collect()
}

/// A call of so many tokens, counted.
fn tokens(tokens: u64) -> Demand {
    Demand {
        prompt_exact: Some(tokens),
        ..Demand::default()
    }
}

fn admit(
    counters: &MemoryCounters,
    limits: &[Arc<Limit>],
    demand: &Demand,
    now: Now,
) -> Reservation {
    match counters.reserve(&asks(limits, "search"), demand, now) {
        Ok(Reserved::Admitted(reservation)) => reservation,
        other => panic!("not admitted: {other:?}"),
    }
}

fn refusal(
    counters: &MemoryCounters,
    limits: &[Arc<Limit>],
    demand: &Demand,
    now: Now,
) -> LimitRefusal {
    match counters.reserve(&asks(limits, "search"), demand, now) {
        Err(ReserveError::Refused(refusal)) => *refusal,
        other => panic!("not refused: {other:?}"),
    }
}

fn level(counters: &MemoryCounters, limit: &Arc<Limit>, now: Now) -> Level {
    counters
        .levels(now)
        .into_iter()
        .find(|level| level.limit.id == limit.id)
        .expect("a level")
}

#[test]
fn takes_from_every_limit_or_from_none() {
    let counters = MemoryCounters::default();
    let limits = [
        tpm("team", 1000),
        rpm("calls", 10),
        open("open", 5),
        daily("day", 100),
    ];
    let held = admit(&counters, &limits, &tokens(80), at(0));
    let refusal = refusal(&counters, &limits, &tokens(30), at(1));
    assert_eq!(refusal.limit.id, limits[3].id);
    assert_eq!(
        (
            refusal.bound,
            refusal.used,
            refusal.reserved,
            refusal.wanted
        ),
        (100, 0, 80, 30)
    );
    assert_eq!(refusal.resets_at, Some(at(24 * 3600).wall));
    let reserved: Vec<u64> = limits
        .iter()
        .map(|limit| level(&counters, limit, at(1)).reserved)
        .collect();
    assert_eq!(reserved, [80, 1, 1, 80], "the refused call took nothing");
    held.settle(50, at(2));
    let used: Vec<u64> = limits
        .iter()
        .map(|limit| level(&counters, limit, at(2)).used)
        .collect();
    assert_eq!(used, [50, 1, 0, 50]);
    assert!(
        counters
            .levels(at(2))
            .iter()
            .all(|level| level.reserved == 0)
    );
}

#[test]
fn a_refusal_names_what_can_never_fit_else_the_longest_wait() {
    let counters = MemoryCounters::default();
    let limits = [tpm("minute", 100), daily("day", 100)];
    admit(&counters, &limits, &tokens(100), at(0)).settle(100, at(0));
    let longest = refusal(&counters, &limits, &tokens(10), at(1));
    assert_eq!(longest.limit.id, limits[1].id);
    assert_eq!(
        longest.retry_after,
        Some(Duration::from_secs(24 * 3600 - 1))
    );

    let limits = [limits[1].clone(), tpm("small", 5)];
    let never = refusal(&counters, &limits, &tokens(10), at(1));
    assert_eq!(
        (never.limit.id.clone(), never.retry_after),
        (limits[1].id.clone(), None)
    );
}

#[test]
fn the_same_counter_asked_twice_is_charged_once() {
    let counters = MemoryCounters::default();
    let team = tpm("team", 100);
    let reservation = admit(&counters, &[team.clone(), team.clone()], &tokens(60), at(0));
    assert_eq!(reservation.levels().len(), 1);
    assert_eq!(level(&counters, &team, at(0)).reserved, 60);
    reservation.settle(60, at(0));
    assert_eq!(level(&counters, &team, at(0)).used, 60);
}

#[test]
fn a_reservation_that_is_dropped_gives_everything_back() {
    let counters = MemoryCounters::default();
    let limits = [tpm("team", 100), open("open", 1), daily("day", 100)];
    drop(admit(&counters, &limits, &tokens(100), at(0)));
    for level in counters.levels(at(0)) {
        assert_eq!(
            (level.used, level.reserved, level.remaining),
            (0, 0, level.bound)
        );
    }
}

#[test]
fn a_reservation_says_what_it_charged_and_what_was_left() {
    let counters = MemoryCounters::default();
    let limits = [
        tpm("team", 100),
        rpm("calls", 10),
        open("open", 5),
        daily("day", 1000),
    ];
    let reservation = admit(&counters, &limits, &tokens(60), at(5));
    let units: Vec<ChargeUnit> = reservation
        .charges()
        .into_iter()
        .map(|charge| charge.unit)
        .collect();
    let quota = ChargeUnit::Quota {
        period_start: at(0).wall,
    };
    assert_eq!(
        units,
        [
            ChargeUnit::TokensPerMinute,
            ChargeUnit::RequestsPerMinute,
            quota
        ]
    );
    let remaining: Vec<u64> = reservation
        .levels()
        .iter()
        .map(|level| level.remaining)
        .collect();
    assert_eq!(remaining, [40, 9, 4, 940]);
    assert_eq!(reservation.levels()[0].reset, Duration::from_secs(61));
}

#[test]
fn keys_do_not_share_a_limit() {
    let counters = MemoryCounters::default();
    let team = tpm("team", 100);
    for key in ["search", "ads"] {
        let ask = [Ask { limit: &team, key }];
        let Ok(Reserved::Admitted(held)) = counters.reserve(&ask, &tokens(100), at(0)) else {
            panic!("{key} has its own hundred");
        };
        held.settle(100, at(0));
    }
}

#[test]
fn a_reload_keeps_what_was_counted_and_applies_the_new_bound() {
    let counters = MemoryCounters::default();
    let held = admit(&counters, &[tpm("team", 100)], &tokens(80), at(0));
    let lower = tpm("team", 50);
    assert_eq!(
        refusal(&counters, std::slice::from_ref(&lower), &tokens(1), at(1)).reserved,
        80
    );
    held.settle(20, at(2));
    admit(&counters, &[lower], &tokens(30), at(3)).settle(30, at(3));
}

#[test]
fn a_limit_that_counts_something_else_after_a_reload_starts_anew() {
    let counters = MemoryCounters::default();
    let held = admit(&counters, &[tpm("team", 100)], &tokens(80), at(0));
    let calls = rpm("team", 2);
    admit(&counters, std::slice::from_ref(&calls), &tokens(80), at(1)).settle(80, at(1));
    held.settle(500, at(2));
    let level = level(&counters, &calls, at(2));
    assert_eq!((level.used, level.reserved, level.remaining), (1, 0, 1));
}

#[test]
fn counters_continue_where_an_earlier_process_left_them() {
    let limits = [tpm("team", 100), rpm("calls", 10), daily("day", 1000)];
    let charge = |limit: usize, unit| Charge {
        limit: limits[limit].id.clone(),
        key: "search".into(),
        unit,
    };
    let restored = Restored {
        recent: vec![
            (charge(0, ChargeUnit::TokensPerMinute), at(30).wall, 70),
            (charge(0, ChargeUnit::TokensPerMinute), at(2).wall, 99),
            (charge(0, ChargeUnit::RequestsPerMinute), at(60).wall, 1),
            (charge(1, ChargeUnit::RequestsPerMinute), at(30).wall, 1),
        ],
        quotas: vec![
            (limits[2].id.clone(), "search".into(), at(0).wall, 950),
            ("gone".into(), "search".into(), at(0).wall, 5),
        ],
        budgets: Vec::new(),
    };
    let counters = MemoryCounters::default();
    counters.restore(&restored, &limits, at(70));
    let used: Vec<u64> = limits
        .iter()
        .map(|limit| level(&counters, limit, at(70)).used)
        .collect();
    assert_eq!(used, [70, 1, 950]);
    let wait = refusal(&counters, &limits[..1], &tokens(31), at(70)).retry_after;
    assert_eq!(wait, Some(Duration::from_secs(21)));
}

#[test]
fn idle_counters_make_room_for_new_keys_and_busy_ones_do_not() {
    let counters = MemoryCounters::with_counters_max(100);
    let team = tpm("team", 1000);
    let ask = |key: &str, now| counters.reserve(&[Ask { limit: &team, key }], &tokens(1), now);
    for index in 0..100 {
        let Ok(Reserved::Admitted(held)) = ask(&format!("key-{index}"), at(0)) else {
            panic!("there is room")
        };
        held.settle(1, at(0));
    }
    assert!(matches!(ask("one more", at(30)), Err(ReserveError::Full)));
    assert!(
        matches!(ask("key-7", at(30)), Ok(Reserved::Admitted(_))),
        "known keys go on"
    );
    assert!(matches!(ask("one more", at(91)), Ok(Reserved::Admitted(_))));
}

#[test]
fn many_keys_are_swept_as_they_fall_idle() {
    let counters = MemoryCounters::default();
    let team = tpm("team", 1000);
    for index in 0..100_000u64 {
        let key = index.to_string();
        let now = at(index / 100);
        let Ok(Reserved::Admitted(held)) = counters.reserve(
            &[Ask {
                limit: &team,
                key: &key,
            }],
            &tokens(1),
            now,
        ) else {
            panic!("there is room");
        };
        held.settle(1, now);
    }
    let left = counters.levels(at(1000)).len();
    assert!(
        (6_000..20_000).contains(&left),
        "{left} of which 6,100 are of the last minute"
    );
    counters.sweep(at(2000));
    assert!(counters.levels(at(2000)).is_empty());
}

/// 500 calls at once against a limit that fits 50, over four limits in differing order.
#[test]
fn a_crowd_gets_exactly_what_fits() {
    let counters = MemoryCounters::default();
    let limits = [
        tpm("team", 5000),
        rpm("calls", 1000),
        open("open", 1000),
        daily("day", 1_000_000),
    ];
    let admitted = AtomicU64::new(0);
    let barrier = std::sync::Barrier::new(500);
    std::thread::scope(|scope| {
        for index in 0..500 {
            let (counters, admitted, barrier, mut limits) =
                (&counters, &admitted, &barrier, limits.clone());
            limits.rotate_left(index % 4);
            std::thread::Builder::new()
                .stack_size(256 * 1024)
                .spawn_scoped(scope, move || {
                    barrier.wait();
                    let outcome = counters.reserve(&asks(&limits, "search"), &tokens(100), at(0));
                    barrier.wait();
                    if let Ok(Reserved::Admitted(held)) = outcome {
                        admitted.fetch_add(1, Ordering::Relaxed);
                        held.settle(100, at(1));
                    }
                })
                .expect("a thread");
        }
    });
    assert_eq!(admitted.into_inner(), 50);
    let used: Vec<u64> = limits
        .iter()
        .map(|limit| level(&counters, limit, at(1)).used)
        .collect();
    assert_eq!(used, [5000, 50, 0, 5000]);
    assert!(
        counters
            .levels(at(1))
            .iter()
            .all(|level| level.reserved == 0)
    );
}

/// Short and long prompts by their byte bound, four bytes a token: whoever is told to count does.
#[test]
fn a_mixed_crowd_uses_at_least_95_percent_and_is_never_refused_while_there_is_room() {
    let counters = MemoryCounters::default();
    let limits = [tpm("team", 100_000)];
    let barrier = std::sync::Barrier::new(500);
    let reserved = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for index in 0..500u64 {
            let (counters, limits, barrier, reserved) = (&counters, &limits, &barrier, &reserved);
            std::thread::Builder::new()
                .stack_size(256 * 1024)
                .spawn_scoped(scope, move || {
                    let prompt = if index % 3 == 0 { 3000 } else { 50 };
                    let counted = Demand {
                        answer_likely: 500,
                        answer_max: 900,
                        ..tokens(prompt)
                    };
                    let bounded = Demand {
                        prompt_exact: None,
                        prompt_bound: prompt * 4,
                        ..counted
                    };
                    barrier.wait();
                    let ask = asks(limits, "search");
                    let mut outcome = counters.reserve(&ask, &bounded, at(0));
                    if matches!(outcome, Ok(Reserved::CountFirst)) {
                        outcome = counters.reserve(&ask, &counted, at(0));
                    }
                    barrier.wait();
                    if let Err(ReserveError::Refused(refusal)) = &outcome {
                        let least = refusal.wanted.min(prompt + 500);
                        assert!(refusal.used + refusal.reserved + least > 100_000);
                    }
                    if let Ok(Reserved::Admitted(held)) = outcome {
                        reserved.fetch_add(prompt + 500, Ordering::Relaxed);
                        held.settle(prompt + 500, at(1));
                    }
                })
                .expect("a thread");
        }
    });
    let level = level(&counters, &limits[0], at(1));
    assert_eq!((level.used, level.reserved), (reserved.into_inner(), 0));
    assert!(
        (95_000..=100_000).contains(&level.used),
        "{} used",
        level.used
    );
}

/// Calls come, go and hang up while counters are swept and reloaded under them.
#[test]
fn nothing_stays_reserved_however_calls_end() {
    let counters = MemoryCounters::default();
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            let counters = &counters;
            scope.spawn(move || {
                for round in 0..2000u64 {
                    let now = at(round / 4);
                    let limits = [
                        tpm("team", 500 + round % 3),
                        open("open", 6),
                        rpm("calls", 400),
                        daily("day", 50_000),
                    ];
                    let key = format!("key-{}", (thread + round) % 5);
                    match counters.reserve(&asks(&limits, &key), &tokens(round % 90), now) {
                        Ok(Reserved::Admitted(held)) if round % 3 == 0 => drop(held),
                        Ok(Reserved::Admitted(held)) => held.settle(round % 140, now),
                        Ok(Reserved::CountFirst) => panic!("the prompt is counted"),
                        Err(_) => {}
                    }
                    if round % 16 == thread {
                        counters.sweep(now);
                    }
                }
            });
        }
    });
    assert!(
        counters
            .levels(at(500))
            .iter()
            .all(|level| level.reserved == 0)
    );
    counters.sweep(at(3 * 24 * 3600));
    assert!(counters.levels(at(3 * 24 * 3600)).is_empty());
}
