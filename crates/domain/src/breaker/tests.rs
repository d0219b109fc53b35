use super::*;

const FAILURE: Health = Health::Failure { retry_after: None };

fn at(s: u64) -> Mono {
    Mono::from_secs(100_000 + s)
}

fn call(breaker: &mut Breaker, health: Health, now: Mono) {
    let pass = breaker.begin(now).expect("let through");
    breaker.end(pass, health, now);
}

fn tripped(rule: BreakerRule, health: Health) -> Breaker {
    let mut breaker = Breaker::new(BreakerRule {
        min_throughput: 1,
        ..rule
    });
    call(&mut breaker, health, at(0));
    breaker
}

#[test]
fn half_of_ten_failing_trips_for_thirty_seconds_and_a_good_probe_closes() {
    let mut breaker = Breaker::new(BreakerRule::default());
    for index in 0..9 {
        call(
            &mut breaker,
            if index % 2 == 0 {
                FAILURE
            } else {
                Health::Success
            },
            at(index),
        );
    }
    assert_eq!(breaker.state(at(9)), State::Closed, "nine are too few");
    call(&mut breaker, FAILURE, at(9));
    assert_eq!(breaker.state(at(9)), State::Open { until: at(39) });
    assert_eq!(breaker.begin(at(38)), None);
    let probe = breaker.begin(at(39)).expect("the probe");
    assert_eq!(breaker.begin(at(39)), None, "only one probe");
    breaker.end(probe, Health::Success, at(40));
    assert_eq!(breaker.state(at(40)), State::Closed);
    call(&mut breaker, FAILURE, at(41));
    assert_eq!(
        breaker.state(at(41)),
        State::Closed,
        "old failures are forgotten"
    );
}

#[test]
fn a_failing_probe_opens_again() {
    let mut breaker = tripped(BreakerRule::default(), FAILURE);
    let probe = breaker.begin(at(30)).expect("the probe");
    breaker.end(probe, FAILURE, at(31));
    assert_eq!(breaker.state(at(31)), State::Open { until: at(61) });
}

#[test]
fn failures_leave_the_share_as_the_interval_slides_on() {
    let mut breaker = Breaker::new(BreakerRule::default());
    for s in 0..9 {
        call(&mut breaker, FAILURE, at(s));
    }
    call(&mut breaker, FAILURE, at(69));
    assert_eq!(breaker.state(at(69)), State::Closed);
    for s in 70..78 {
        call(&mut breaker, FAILURE, at(s));
    }
    assert_eq!(
        breaker.state(at(78)),
        State::Closed,
        "nine within the minute"
    );
    call(&mut breaker, FAILURE, at(78));
    assert_ne!(breaker.state(at(78)), State::Closed);
}

#[test]
fn stays_open_for_retry_after_if_that_is_accepted_and_longer_up_to_ten_minutes() {
    let until = |accept_retry_after, s| {
        let rule = BreakerRule {
            accept_retry_after,
            ..BreakerRule::default()
        };
        let breaker = tripped(
            rule,
            Health::Failure {
                retry_after: Some(Duration::from_secs(s)),
            },
        );
        breaker
            .admits_from(at(0))
            .expect("open")
            .since(at(0))
            .as_secs()
    };
    assert_eq!(
        [
            until(true, 90),
            until(true, 7),
            until(true, 86_400),
            until(false, 90)
        ],
        [90, 30, 600, 30]
    );
}

#[test]
fn a_hang_up_during_the_probe_frees_its_slot() {
    let mut breaker = tripped(BreakerRule::default(), FAILURE);
    let probe = breaker.begin(at(30)).expect("the probe");
    breaker.end(probe, Health::Neutral, at(31));
    assert!(breaker.would_admit(at(31)));
    assert!(breaker.begin(at(31)).is_some());
    assert!(!breaker.would_admit(at(31)));
}

#[test]
fn a_probe_that_never_reports_is_replaced_and_no_longer_heard() {
    let mut breaker = tripped(BreakerRule::default(), FAILURE);
    let lost = breaker.begin(at(30)).expect("the probe");
    assert_eq!(breaker.admits_from(at(40)), Some(at(60)));
    let second = breaker.begin(at(60)).expect("another probe");
    breaker.end(lost, FAILURE, at(61));
    assert!(matches!(breaker.state(at(61)), State::HalfOpen { .. }));
    breaker.end(second, Health::Success, at(62));
    assert_eq!(breaker.state(at(62)), State::Closed);
}

#[test]
fn late_news_of_calls_from_before_the_trip_changes_nothing() {
    let mut breaker = Breaker::new(BreakerRule {
        min_throughput: 1,
        ..BreakerRule::default()
    });
    let late: Vec<Pass> = (0..3).filter_map(|_| breaker.begin(at(0))).collect();
    call(&mut breaker, FAILURE, at(0));
    let probe = breaker.begin(at(30)).expect("the probe");
    breaker.end(late[0], Health::Success, at(31));
    breaker.end(late[1], FAILURE, at(31));
    breaker.end(late[2], Health::Neutral, at(31));
    assert_eq!(
        breaker.state(at(31)),
        State::HalfOpen {
            probe_until: Some(at(60))
        }
    );
    breaker.end(probe, Health::Success, at(32));
    assert_eq!(breaker.state(at(32)), State::Closed);
}

#[test]
fn hang_ups_are_no_calls_of_the_share() {
    let mut breaker = Breaker::new(BreakerRule {
        min_throughput: 2,
        ..BreakerRule::default()
    });
    for _ in 0..20 {
        call(&mut breaker, Health::Neutral, at(0));
    }
    call(&mut breaker, FAILURE, at(0));
    assert_eq!(breaker.state(at(0)), State::Closed);
    call(&mut breaker, FAILURE, at(0));
    assert_ne!(breaker.state(at(0)), State::Closed);
}
