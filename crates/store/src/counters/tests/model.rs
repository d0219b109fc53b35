//! The counters against a model that keeps every amount and recounts it each time.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Reserve { demand: Demand, mask: usize },
    Settle { which: usize, spent: Spent },
    Drop { which: usize },
    Advance { ms: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    // Prices differ tenfold between models, and some have none.
    let rates = prop_oneof![
        1 => Just(None),
        4 => Just(Some(rates(100))),
        4 => Just(Some(rates(1000))),
    ];
    let prompt = (0u64..120, 1u64..5, any::<bool>());
    let demand = (prompt, 0u64..60, 0u64..60, rates).prop_map(
        |((prompt, slack, counted), answer_likely, more, rates)| Demand {
            prompt_bound: prompt * slack,
            prompt_likely: prompt,
            prompt_exact: counted.then_some(prompt),
            answer_likely,
            answer_max: answer_likely + more,
            rates,
        },
    );
    let spent = (0u64..300, 0u64..300_000).prop_map(|(tokens, nanos)| Spent { tokens, nanos });
    prop_oneof![
        6 => (demand, 1usize..256).prop_map(|(demand, mask)| Step::Reserve { demand, mask }),
        4 => (any::<usize>(), spent).prop_map(|(which, spent)| Step::Settle { which, spent }),
        1 => any::<usize>().prop_map(|which| Step::Drop { which }),
        4 => (0u64..30_000).prop_map(|ms| Step::Advance { ms }),
        1 => (0u64..40_000_000).prop_map(|ms| Step::Advance { ms }),
    ]
}

fn rates(nanos_a_token: u64) -> TokenRates {
    TokenRates {
        prompt: nanos_a_token * 1_000_000,
        answer: nanos_a_token * 2_000_000,
    }
}

/// Of [`limits`]: the budget that lets everything pass, the one that throttles, and its throttle,
/// which is asked through it alone.
const SOFT: usize = 6;
const SLOW: usize = 7;
const THROTTLE: usize = 8;

fn limits() -> [Arc<Limit>; 9] {
    let slow = OnExceeded::Throttle {
        tokens_per_minute: 150,
    };
    [
        tpm("minute", 300),
        tpm("wide", 900),
        rpm("calls", 12),
        open("open", 4),
        daily("day", 2500),
        budget("hard", 900_000, OnExceeded::Refuse),
        budget("soft", 300_000, OnExceeded::Alert),
        budget("slow", 400_000, slow),
        tpm("budget/slow/throttle", 150),
    ]
}

/// One limit's history: when each amount was charged, what it is now, and whether it was settled.
struct Model {
    limit: Arc<Limit>,
    charged: Vec<(Now, u64)>,
    debt: u64,
    open: u64,
    uncounted: u64,
    second: u64,
}

impl Model {
    fn new(limit: &Arc<Limit>) -> Self {
        Self {
            limit: limit.clone(),
            charged: Vec::new(),
            debt: 0,
            open: 0,
            uncounted: 0,
            second: second(at(0)),
        }
    }

    fn in_use(&self, now: Now) -> u64 {
        let counts = |then: &Now| match &self.limit.rule {
            Rule::Concurrency { .. } => false,
            Rule::TokensPerMinute { .. } | Rule::RequestsPerMinute { .. } => {
                second(*then) + 61 > second(now)
            }
            Rule::TokenQuota { .. } | Rule::Budget(_) => {
                then.wall.0 / 86_400_000 == now.wall.0 / 86_400_000
            }
        };
        let charged: u64 = self
            .charged
            .iter()
            .filter(|(then, _)| counts(then))
            .map(|(_, amount)| amount)
            .sum();
        charged
            + if matches!(self.limit.rule, Rule::Concurrency { .. }) {
                self.open
            } else {
                0
            }
    }

    /// Walks every second, paying debt from what expires.
    fn walk(&mut self, now: Now) {
        while self.second < second(now) && self.debt > 0 {
            self.second += 1;
            self.pay(at(self.second - second(at(0))));
        }
        self.second = second(now);
    }

    fn pay(&mut self, now: Now) {
        let paid = self
            .debt
            .min(self.limit.rule.bound().saturating_sub(self.in_use(now)));
        self.debt -= paid;
        if paid > 0 {
            self.charged.push((now, paid));
        }
    }

    fn fits(&self, amount: u64, now: Now) -> bool {
        self.debt == 0 && self.in_use(now) + amount <= self.limit.rule.bound()
    }
}

fn second(now: Now) -> u64 {
    now.mono.0 / 1_000_000_000
}

struct Call {
    reservation: Reservation,
    /// For each limit that it asked: which, where in its history, reserved and uncounted amounts.
    charged: Vec<(usize, usize, Amount)>,
}

struct Amount {
    reserved: u64,
    uncounted: u64,
}

/// What a call for `demand` takes of each limit that it asks, or `None` if one of them refuses.
fn taken(
    models: &[Model],
    asked: &[usize],
    demand: &Demand,
    now: Now,
) -> Option<Vec<(usize, Amount)>> {
    let mut taken = Vec::new();
    for &index in asked {
        let rule = &models[index].limit.rule;
        let domain::Amount { wanted, uncounted } = rule.amount(demand);
        let likely = |rule: &Rule| match rule {
            Rule::Budget(budget) => demand.likely_cost(budget).wanted,
            _ => panic!("it is a budget"),
        };
        let (reserved, uncounted) = match index {
            SOFT => (likely(rule), 0),
            _ if models[index].fits(wanted, now) => (wanted, uncounted),
            SLOW => {
                let throttle = models[THROTTLE].limit.rule.amount(demand);
                if !models[THROTTLE].fits(throttle.wanted, now) {
                    return None;
                }
                let amount = Amount {
                    reserved: throttle.wanted,
                    uncounted: throttle.uncounted,
                };
                taken.push((THROTTLE, amount));
                (likely(rule), 0)
            }
            _ => return None,
        };
        taken.push((
            index,
            Amount {
                reserved,
                uncounted,
            },
        ));
    }
    Some(taken)
}

/// Expects counters brought up to `now`: a dropped call does not know the time.
fn settle(models: &mut [Model], call: Call, spent: Option<Spent>, now: Now) {
    let Call {
        reservation,
        charged,
    } = call;
    match spent {
        Some(spent) => reservation.settle(spent, now),
        None => drop(reservation),
    }
    let Spent { tokens, nanos } = spent.unwrap_or_default();
    for (index, entry, amount) in charged {
        let model = &mut models[index];
        model.uncounted -= amount.uncounted;
        match &model.limit.rule {
            Rule::Concurrency { .. } => model.open -= 1,
            Rule::RequestsPerMinute { .. } => {}
            Rule::TokenQuota { .. } => model.charged[entry].1 = tokens,
            Rule::Budget(_) => model.charged[entry].1 = nanos,
            Rule::TokensPerMinute { .. } => {
                model.charged[entry].1 = tokens.min(amount.reserved);
                model.debt += tokens.saturating_sub(amount.reserved);
                model.pay(now);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn admits_exactly_what_fits_and_keeps_nothing(steps in prop::collection::vec(step(), 1..120)) {
        let limits = limits();
        let counters = MemoryCounters::default();
        let mut models: Vec<Model> = limits.iter().map(Model::new).collect();
        let mut calls: Vec<Call> = Vec::new();
        let mut now = at(0);
        for step in steps {
            for model in &mut models {
                model.walk(now);
            }
            counters.levels(now);
            match step {
                Step::Reserve { demand, mask } => {
                    let asked: Vec<usize> = (0..THROTTLE).filter(|index| mask & (1 << index) != 0).collect();
                    let past = |index| match index {
                        SOFT => Past::Pass,
                        SLOW => Past::Throttle(&limits[THROTTLE]),
                        _ => Past::Refuse,
                    };
                    let ask: Vec<Ask<'_>> = asked.iter()
                        .map(|&index| Ask { limit: &limits[index], key: "k", past: past(index) })
                        .collect();
                    let exact = Demand { prompt_exact: Some(demand.prompt_likely), ..demand };
                    let (mut outcome, mut demand) = (counters.reserve(&ask, &demand, now), demand);
                    if matches!(outcome, Ok(Reserved::CountFirst)) {
                        demand = exact;
                        outcome = counters.reserve(&ask, &demand, now);
                    }
                    match outcome {
                        Ok(Reserved::Admitted(reservation)) => {
                            let taken = taken(&models, &asked, &demand, now);
                            prop_assert!(taken.is_some(), "admitted past a limit");
                            let mut charged = Vec::new();
                            for (index, amount) in taken.unwrap_or_default() {
                                let model = &mut models[index];
                                model.charged.push((now, amount.reserved));
                                model.open += 1;
                                model.uncounted += amount.uncounted;
                                prop_assert!(model.uncounted <= limits[index].rule.bound() / 20);
                                charged.push((index, model.charged.len() - 1, amount));
                            }
                            calls.push(Call { reservation, charged });
                        }
                        Ok(Reserved::CountFirst) => prop_assert!(false, "asked for a count twice"),
                        Err(_) => prop_assert!(taken(&models, &asked, &exact, now).is_none(), "refused while there was room"),
                    }
                }
                Step::Settle { which, spent } if !calls.is_empty() => {
                    let call = calls.swap_remove(which % calls.len());
                    settle(&mut models, call, Some(spent), now);
                }
                Step::Drop { which } if !calls.is_empty() => {
                    let call = calls.swap_remove(which % calls.len());
                    settle(&mut models, call, None, now);
                }
                Step::Settle { .. } | Step::Drop { .. } => {}
                Step::Advance { ms } => {
                    let by = Duration::from_millis(ms);
                    now = Now { mono: now.mono + by, wall: now.wall + by };
                }
            }
        }
        counters.levels(now);
        for call in calls.drain(..) {
            settle(&mut models, call, Some(Spent::default()), now);
        }
        for level in counters.levels(now) {
            prop_assert_eq!(level.reserved, 0, "{:?}", level);
            let model = models.iter().find(|model| model.limit.id == level.limit.id);
            if let (Some(model), Rule::Budget(_)) = (model, &level.limit.rule) {
                prop_assert_eq!(level.used, model.in_use(now), "every nano is counted");
            }
        }
    }
}
