//! Budgets beside other limits: what is refused, what passes, what is slowed down.

use domain::ModelName;
use domain::budget::Raise;

use super::*;

const SLOW: OnExceeded = OnExceeded::Throttle {
    tokens_per_minute: 100,
};

fn downgrade() -> OnExceeded {
    OnExceeded::Downgrade(ModelName::from("small"))
}

fn past<'a>(limit: &'a Arc<Limit>, past: Past<'a>) -> Ask<'a> {
    Ask {
        limit,
        key: "all",
        past,
    }
}

fn admitted(counters: &MemoryCounters, asks: &[Ask<'_>], demand: &Demand, now: Now) -> Reservation {
    match counters.reserve(asks, demand, now) {
        Ok(Reserved::Admitted(reservation)) => reservation,
        other => panic!("not admitted: {other:?}"),
    }
}

fn refused(counters: &MemoryCounters, asks: &[Ask<'_>], demand: &Demand, now: Now) -> LimitRefusal {
    match counters.reserve(asks, demand, now) {
        Err(ReserveError::Refused(refusal)) => *refusal,
        other => panic!("not refused: {other:?}"),
    }
}

fn standing(counters: &MemoryCounters, limit: &Arc<Limit>, now: Now) -> (i64, i64) {
    let level = counters
        .budget_levels(now)
        .into_iter()
        .find(|level| level.limit.id == limit.id)
        .expect("a level");
    (level.used.0, level.reserved.0)
}

#[test]
fn nested_budgets_and_limits_are_all_reserved_or_none() {
    let counters = MemoryCounters::default();
    let limits = [
        budget("organisation", 1_000_000, OnExceeded::Refuse),
        budget("team", 300_000, OnExceeded::Refuse),
        tpm("minute", 10_000),
    ];
    let held = admit(&counters, &limits, &tokens(250), at(0));
    let refusal = refusal(&counters, &limits, &tokens(60), at(1));
    assert_eq!(refusal.limit.id.as_str(), "budget/team");
    assert_eq!(
        (
            refusal.bound,
            refusal.used,
            refusal.reserved,
            refusal.wanted
        ),
        (300_000, 0, 250_000, 60_000)
    );
    assert_eq!(refusal.resets_at, Some(at(24 * 3600).wall));
    assert_eq!(standing(&counters, &limits[0], at(1)), (0, 250_000));
    assert_eq!(level(&counters, &limits[2], at(1)).reserved, 250);

    held.settle(spent(200), at(2));
    assert_eq!(standing(&counters, &limits[0], at(2)), (200_000, 0));
    assert_eq!(standing(&counters, &limits[1], at(2)), (200_000, 0));
}

#[test]
fn an_alert_lets_everything_through_and_counts_it() {
    let counters = MemoryCounters::default();
    let soft = budget("soft", 100_000, OnExceeded::Alert);
    let ask = [past(&soft, Past::Pass)];
    let first = admitted(&counters, &ask, &tokens(80), at(0));
    assert_eq!(first.past().count(), 0);
    let second = admitted(&counters, &ask, &tokens(80), at(0));
    let names: Vec<&str> = second.past().map(|limit| limit.id.as_str()).collect();
    assert_eq!(names, ["budget/soft"]);
    first.settle(spent(80), at(1));
    second.settle(spent(80), at(1));
    assert_eq!(standing(&counters, &soft, at(1)), (160_000, 0));
}

#[test]
fn an_exceeded_budget_throttles_and_one_with_room_does_not() {
    let counters = MemoryCounters::default();
    let slow = budget("slow", 1_000_000, SLOW);
    let minute = tpm("budget/slow/throttle", 100);
    let ask = [past(&slow, Past::Throttle(&minute))];
    admitted(&counters, &ask, &tokens(950), at(0)).settle(spent(950), at(0));
    assert_eq!(
        level(&counters, &minute, at(0)).used,
        0,
        "there was room in the budget"
    );
    let passed = admitted(&counters, &ask, &tokens(80), at(1));
    assert_eq!(passed.past().count(), 1);
    let refusal = refused(&counters, &ask, &tokens(60), at(2));
    assert_eq!(refusal.limit.id, minute.id);
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(60)));
    assert_eq!(
        standing(&counters, &slow, at(2)),
        (950_000, 80_000),
        "the throttled call took nothing"
    );
    passed.settle(spent(80), at(3));
    // What still fits the budget is not slowed down, whatever the throttle counted.
    drop(admitted(&counters, &ask, &tokens(0), at(3)));
    admitted(&counters, &ask, &tokens(60), at(70)).settle(spent(60), at(70));
    let tomorrow = at(24 * 3600);
    admitted(&counters, &ask, &tokens(900), tomorrow).settle(spent(900), tomorrow);
    assert_eq!(standing(&counters, &slow, tomorrow), (900_000, 0));
}

#[test]
fn a_refusal_names_the_downgrade_though_another_limit_has_to_be_waited_for_longer() {
    let counters = MemoryCounters::default();
    let limits = [
        budget("cheaper", 100_000, downgrade()),
        limit("year", {
            let calendar = Calendar {
                period: Period::Year,
                time_zone: jiff::tz::TimeZone::UTC,
            };
            Rule::TokenQuota {
                tokens: 100,
                calendar,
                reserve: Reserve::Learned,
            }
        }),
    ];
    admit(&counters, &limits, &tokens(100), at(0)).settle(spent(100), at(0));
    let refusal = refusal(&counters, &limits, &tokens(10), at(1));
    assert_eq!(refusal.limit.id.as_str(), "year");
    let downgrade = refusal.downgrade.map(|limit| limit.id.to_string());
    assert_eq!(downgrade.as_deref(), Some("budget/cheaper"));
}

#[test]
fn a_raise_takes_effect_at_the_next_call_and_ends_by_itself() {
    let counters = MemoryCounters::default();
    let team = budget("team", 100_000, OnExceeded::Refuse);
    admit(&counters, std::slice::from_ref(&team), &tokens(100), at(0)).settle(spent(100), at(0));
    let mut raised = (*team).clone();
    let Rule::Budget(rule) = &mut raised.rule else {
        panic!("it is a budget")
    };
    Arc::make_mut(rule).raises = Arc::new([Raise {
        key: None,
        by: Nanos(50_000),
        until: at(3600).wall,
    }]);
    let raised = [Arc::new(raised)];
    admit(&counters, &raised, &tokens(30), at(1)).settle(spent(30), at(1));
    let over = refusal(&counters, &raised, &tokens(30), at(2));
    assert_eq!((over.bound, over.used), (150_000, 130_000));
    let after = refusal(&counters, &raised, &tokens(1), at(3600));
    assert_eq!((after.bound, after.used), (100_000, 130_000));
}

#[test]
fn a_budget_continues_where_an_earlier_process_left_it() {
    let team = budget("team", 100_000, OnExceeded::Refuse);
    let of = |currency: &str, period_start, spent| RestoredBudget {
        budget: team.id.clone(),
        key: "search".into(),
        period_start,
        currency: currency.parse().expect("a currency"),
        spent: Nanos(spent),
    };
    let restored = Restored {
        budgets: vec![
            of("USD", at(0).wall, 95_000),
            of("EUR", at(0).wall, 50_000),
            of("USD", at(0).wall + Duration::from_secs(7), 50_000),
        ],
        ..Restored::default()
    };
    let counters = MemoryCounters::default();
    counters.restore(&restored, std::slice::from_ref(&team), at(70));
    assert_eq!(standing(&counters, &team, at(70)), (95_000, 0));
    let refusal = refusal(&counters, &[team], &tokens(6), at(70));
    assert_eq!((refusal.used, refusal.bound), (95_000, 100_000));
}

#[test]
fn a_charge_to_a_budget_says_so() {
    let counters = MemoryCounters::default();
    let team = budget("team", 100_000, OnExceeded::Refuse);
    let held = admit(&counters, &[team], &tokens(1), at(5));
    let units: Vec<ChargeUnit> = held
        .charges()
        .into_iter()
        .map(|charge| charge.unit)
        .collect();
    let period_start = at(0).wall;
    assert_eq!(units, [ChargeUnit::Budget { period_start }]);
}

/// 200 calls at once, of two models whose prices differ tenfold, against a budget with room for
/// twenty of the dear ones, beside a wider one.
#[test]
fn a_crowd_spends_no_more_than_the_budget_and_everything_that_fits() {
    let counters = MemoryCounters::default();
    let limits = [
        budget("organisation", 100_000_000, OnExceeded::Refuse),
        budget("team", 20_000_000, OnExceeded::Refuse),
    ];
    let admitted = [AtomicU64::new(0), AtomicU64::new(0)];
    let barrier = std::sync::Barrier::new(200);
    std::thread::scope(|scope| {
        for index in 0..200 {
            let (counters, limits, admitted, barrier) = (&counters, &limits, &admitted, &barrier);
            std::thread::Builder::new()
                .stack_size(256 * 1024)
                .spawn_scoped(scope, move || {
                    let is_cheap = index % 2 == 0;
                    let nanos_a_token = if is_cheap { 1000 } else { 10_000 };
                    let demand = Demand {
                        rates: Some(TokenRates {
                            prompt: nanos_a_token * 1_000_000,
                            answer: nanos_a_token * 1_000_000,
                        }),
                        ..tokens(100)
                    };
                    barrier.wait();
                    let outcome = counters.reserve(&asks(limits, "all"), &demand, at(0));
                    barrier.wait();
                    match outcome {
                        Ok(Reserved::Admitted(held)) => {
                            admitted[usize::from(is_cheap)].fetch_add(1, Ordering::Relaxed);
                            let spent = Spent {
                                tokens: 100,
                                nanos: nanos_a_token * 100,
                            };
                            held.settle(spent, at(1));
                        }
                        Err(ReserveError::Refused(refusal)) => {
                            let wanted = nanos_a_token * 100;
                            assert!(refusal.used + refusal.reserved + wanted > 20_000_000);
                        }
                        other => panic!("{other:?}"),
                    }
                })
                .expect("a thread");
        }
    });
    let [dear, cheap] = admitted.map(AtomicU64::into_inner);
    let total = i64::try_from(dear * 1_000_000 + cheap * 100_000).expect("it fits");
    assert!((19_100_000..=20_000_000).contains(&total), "{total}");
    for limit in &limits {
        assert_eq!(standing(&counters, limit, at(1)), (total, 0));
    }
}
