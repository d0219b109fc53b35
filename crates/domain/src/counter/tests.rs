use super::*;
use crate::budget::{Budget, OnExceeded, Unpriced};
use crate::limit::{Calendar, Demand, Period, Reserve, TokenRates};
use crate::money::Nanos;
use crate::time::Mono;

fn now(s: u64) -> Now {
    Now {
        mono: Mono::from_secs(100_000 + s),
        wall: Wall::from_secs(1_770_000_000) + Duration::from_secs(s),
    }
}

fn tpm(tokens_per_minute: u64) -> Rule {
    Rule::TokensPerMinute {
        tokens_per_minute,
        reserve: Reserve::Learned,
        estimate_prompt_tokens: true,
    }
}

fn daily(tokens: u64) -> Rule {
    let calendar = Calendar {
        period: Period::Day,
        time_zone: jiff::tz::TimeZone::UTC,
    };
    Rule::TokenQuota {
        tokens,
        calendar,
        reserve: Reserve::Learned,
    }
}

fn tokens(tokens: u64) -> Spent {
    Spent { tokens, nanos: 0 }
}

/// A dollar a million for prompts, two for answers, so that a token costs thousands of nanos.
const RATES: TokenRates = TokenRates {
    prompt: 1_000_000_000,
    answer: 2_000_000_000,
};

fn budget(nanos: i64) -> Rule {
    Rule::Budget(std::sync::Arc::new(Budget {
        amount: Nanos(nanos),
        currency: Currency::USD,
        calendar: Calendar {
            period: Period::Day,
            time_zone: jiff::tz::TimeZone::UTC,
        },
        reserve: Reserve::Learned,
        on_exceeded: OnExceeded::Refuse,
        unpriced: Unpriced::Refuse,
        alert_at: std::sync::Arc::default(),
        raises: std::sync::Arc::default(),
    }))
}

fn call(prompt_bound: u64, answer: u64) -> Demand {
    Demand {
        prompt_bound,
        prompt_likely: prompt_bound / 4,
        prompt_exact: None,
        answer_likely: answer,
        answer_max: answer,
        rates: Some(RATES),
    }
}

fn verdict(counter: &Counter, rule: &Rule, demand: &Demand, at: Now) -> Verdict {
    counter.check(rule.amount(demand), at)
}

#[test]
fn small_bounds_are_admitted_until_a_twentieth_of_the_limit_is_uncounted() {
    for rule in [tpm(10_000), daily(10_000)] {
        let mut counter = Counter::new(&rule, "all", now(0));
        counter.advance(now(0));
        let demand = call(250, 50);
        let mut held = Vec::new();
        while verdict(&counter, &rule, &demand, now(0)) == Verdict::Fits {
            held.push(counter.take(rule.amount(&demand)));
        }
        assert_eq!(held.len(), 2);
        assert_eq!(
            verdict(&counter, &rule, &demand, now(0)),
            Verdict::CountFirst
        );

        let counted = Demand {
            prompt_exact: Some(60),
            ..demand
        };
        assert_eq!(verdict(&counter, &rule, &counted, now(0)), Verdict::Fits);
        for held in held {
            counter.settle(held, tokens(110), now(1));
        }
        assert_eq!(
            verdict(&counter, &rule, &demand, now(1)),
            Verdict::Fits,
            "settled calls free the share"
        );
    }
}

#[test]
fn a_bound_that_does_not_fit_asks_for_a_count_only_where_that_could_matter() {
    let rule = tpm(1000);
    let mut counter = Counter::new(&rule, "all", now(0));
    counter.advance(now(0));
    assert_eq!(
        verdict(&counter, &rule, &call(5000, 10), now(0)),
        Verdict::CountFirst
    );
    assert_eq!(
        verdict(&counter, &rule, &call(10, 1001), now(0)),
        Verdict::Refused { retry_after: None }
    );

    let _held = counter.take(Amount {
        wanted: 990,
        uncounted: 0,
    });
    let full = verdict(&counter, &rule, &call(50, 20), now(0));
    assert_eq!(
        full,
        Verdict::Refused {
            retry_after: Some(Duration::from_secs(61))
        }
    );
}

#[test]
fn an_exact_amount_above_the_limit_itself_never_fits() {
    for rule in [tpm(1000), daily(1000), budget(1000)] {
        let mut counter = Counter::new(&rule, "all", now(0));
        counter.advance(now(0));
        let demand = Demand {
            prompt_exact: Some(u64::MAX),
            ..call(u64::MAX, u64::MAX)
        };
        assert_eq!(
            verdict(&counter, &rule, &demand, now(0)),
            Verdict::Refused { retry_after: None }
        );
    }
}

#[test]
fn a_request_stays_one_request_whatever_it_used() {
    let rule = Rule::RequestsPerMinute {
        requests_per_minute: 2,
    };
    let mut counter = Counter::new(&rule, "all", now(0));
    counter.advance(now(0));
    let held = counter.take(rule.amount(&call(10, 10)));
    counter.settle(held, tokens(500), now(1));
    let figures = counter.figures(now(1));
    assert_eq!(
        (figures.used, figures.reserved, figures.remaining),
        (1, 0, 1)
    );
}

#[test]
fn a_reloaded_bound_keeps_what_was_counted_and_another_kind_does_not_follow() {
    let mut counter = Counter::new(&tpm(1000), "all", now(0));
    counter.advance(now(0));
    let held = counter.take(Amount {
        wanted: 400,
        uncounted: 0,
    });
    assert!(counter.follow(&tpm(500), "all", now(0)));
    assert_eq!(counter.figures(now(0)).remaining, 100);
    assert!(!counter.follow(&daily(500), "all", now(0)));
    assert!(!counter.follow(&budget(500), "all", now(0)));
    assert!(!counter.follow(
        &Rule::RequestsPerMinute {
            requests_per_minute: 500
        },
        "all",
        now(0)
    ));
    counter.settle(held, tokens(0), now(1));
    assert_eq!(counter.figures(now(1)).remaining, 500);
}

#[test]
fn a_count_that_nobody_can_have_used_does_not_shut_a_team_out_forever() {
    let rule = tpm(100_000_000);
    let mut counter = Counter::new(&rule, "all", now(0));
    counter.advance(now(0));
    let held = counter.take(Amount {
        wanted: 10,
        uncounted: 0,
    });
    counter.settle(held, tokens(u64::MAX), now(0));
    assert!(counter.figures(now(0)).reset < Duration::from_secs(10 * 24 * 3600));
}

#[test]
fn a_counter_is_idle_when_nothing_of_it_counts_any_more() {
    for rule in [
        tpm(100),
        Rule::RequestsPerMinute {
            requests_per_minute: 5,
        },
        Rule::Concurrency { max_concurrent: 2 },
    ] {
        let mut counter = Counter::new(&rule, "all", now(0));
        counter.advance(now(0));
        let held = counter.take(Amount {
            wanted: 1,
            uncounted: 0,
        });
        counter.advance(now(200));
        assert!(
            !counter.is_idle(now(200)),
            "{rule:?}: its call is in flight"
        );
        counter.settle(held, tokens(1), now(200));
        assert!(counter.is_idle(now(200)), "{rule:?}");
    }
}

#[test]
fn a_budget_counts_money_as_a_quota_counts_tokens() {
    let rule = budget(1_000_000);
    let mut counter = Counter::new(&rule, "all", now(0));
    counter.advance(now(0));
    // 400 tokens of prompt at most, 100 of an answer: 600,000 nanos at most.
    let demand = call(400, 100);
    assert_eq!(
        verdict(&counter, &rule, &demand, now(0)),
        Verdict::CountFirst,
        "a bound of 400,000 is more than a twentieth"
    );
    let counted = Demand {
        prompt_exact: Some(100),
        ..demand
    };
    assert_eq!(verdict(&counter, &rule, &counted, now(0)), Verdict::Fits);
    let held = counter.take(rule.amount(&counted));
    assert_eq!(counter.figures(now(0)).reserved, 300_000);
    let spent = Spent {
        tokens: 5000,
        nanos: 850_000,
    };
    counter.settle(held, spent, now(1));
    let figures = counter.figures(now(1));
    assert_eq!(
        (figures.used, figures.reserved, figures.remaining),
        (850_000, 0, 150_000)
    );
    let Verdict::Refused {
        retry_after: Some(wait),
    } = verdict(&counter, &rule, &counted, now(1))
    else {
        panic!("it no longer fits")
    };
    assert_eq!(
        Some(now(1).wall + wait),
        counter.span().map(|span| span.end)
    );
}
