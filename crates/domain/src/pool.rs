//! Which member of a pool a call goes to.

use crate::ids::{BackendId, PoolId};
use crate::time::Mono;

#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    pub id: PoolId,
    /// In the order written; at least one.
    pub members: Vec<Member>,
    pub retry: RetryRule,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub backend: BackendId,
    /// Lower is tried first.
    pub priority: u32,
    /// Share within its priority; at least 1.
    pub weight: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryRule {
    /// Attempts in all, the first included.
    pub attempts: u32,
    /// Retries at most this share of the last 10 s of calls, but 3 a second always.
    pub budget: f64,
}

impl Default for RetryRule {
    fn default() -> Self {
        Self {
            attempts: 3,
            budget: 0.2,
        }
    }
}

/// What a member can do for one call now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberState {
    Available,
    /// Full by its own word; taken only when nothing better is left.
    Saturated {
        until: Mono,
    },
    Open {
        until: Mono,
    },
    /// This call was there already.
    Tried,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// By its place in the pool.
    Member(usize),
    /// Every member is open or was tried; `soonest` an open one lets a probe through.
    None { soonest: Option<Mono> },
}

/// How a member is chosen among equals.
#[derive(Debug)]
pub enum Turn<'a> {
    /// By weight: smooth, and exact over any run of as many choices as the weights add up to.
    Rotate(&'a mut Rotation),
    /// The same key goes to the same member for as long as that one is a candidate.
    Stick { key: u64 },
}

/// Chooses by priority, then by turn. `states` has one entry for each member, in the pool's order.
pub fn choose(pool: &Pool, states: &[MemberState], turn: Turn<'_>) -> Choice {
    let state = |index: usize| states.get(index).copied().unwrap_or(MemberState::Tried);
    let is_available = |index: usize| state(index) == MemberState::Available;
    let is_saturated = |index: usize| matches!(state(index), MemberState::Saturated { .. });
    let best = best_priority(pool, is_available)
        .map(|priority| (priority, MemberState::Available))
        .or_else(|| {
            best_priority(pool, is_saturated).map(|priority| (priority, MemberState::Tried))
        });
    let Some((priority, kind)) = best else {
        let open = states.iter().filter_map(|state| match state {
            MemberState::Open { until } => Some(*until),
            MemberState::Available | MemberState::Saturated { .. } | MemberState::Tried => None,
        });
        return Choice::None {
            soonest: open.min(),
        };
    };
    let is_candidate = |index: usize| {
        pool.members[index].priority == priority
            && if kind == MemberState::Available {
                is_available(index)
            } else {
                is_saturated(index)
            }
    };
    let chosen = match turn {
        Turn::Rotate(rotation) => rotation.next(pool, is_candidate),
        Turn::Stick { key } => stickiest(pool, key, is_candidate),
    };
    chosen.map_or(Choice::None { soonest: None }, Choice::Member)
}

fn best_priority(pool: &Pool, is_candidate: impl Fn(usize) -> bool) -> Option<u32> {
    let candidates = pool
        .members
        .iter()
        .enumerate()
        .filter(|(index, _)| is_candidate(*index));
    candidates.map(|(_, member)| member.priority).min()
}

/// Whose turn it is: nginx's smooth weighted round robin. Each choice credits every candidate its
/// weight and debits the chosen one the sum of them.
#[derive(Clone, Debug, Default)]
pub struct Rotation {
    credit: Vec<i64>,
}

impl Rotation {
    fn next(&mut self, pool: &Pool, is_candidate: impl Fn(usize) -> bool) -> Option<usize> {
        self.credit.resize(pool.members.len(), 0);
        let mut total = 0;
        let mut best: Option<usize> = None;
        for (index, member) in pool
            .members
            .iter()
            .enumerate()
            .filter(|(index, _)| is_candidate(*index))
        {
            let weight = i64::from(member.weight.max(1));
            total += weight;
            self.credit[index] += weight;
            if best.is_none_or(|best| self.credit[index] > self.credit[best]) {
                best = Some(index);
            }
        }
        let best = best?;
        self.credit[best] -= total;
        Some(best)
    }
}

/// Weighted rendezvous hashing (Thaler and Ravishankar 1998): each member scores the key by itself,
/// so a member that comes or goes moves only the keys that it wins or loses.
fn stickiest(pool: &Pool, key: u64, is_candidate: impl Fn(usize) -> bool) -> Option<usize> {
    let score = |member: &Member| {
        let hash = mixed(key ^ affinity_hash(member.backend.as_str().as_bytes()));
        // In (0, 1), never either end.
        let share = ((hash >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        -f64::from(member.weight.max(1)) / share.ln()
    };
    let candidates = pool
        .members
        .iter()
        .enumerate()
        .filter(|(index, _)| is_candidate(*index));
    candidates
        .max_by(|(_, a), (_, b)| score(a).total_cmp(&score(b)))
        .map(|(index, _)| index)
}

/// FNV-1a, mixed: the same on every machine and in every version.
pub fn affinity_hash(key: &[u8]) -> u64 {
    mixed(key.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    }))
}

fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::MemberState::{Available, Open, Saturated, Tried};
    use super::*;

    const LATER: Mono = Mono::from_secs(30);

    fn pool(members: &[(u32, u32)]) -> Pool {
        let members = members
            .iter()
            .enumerate()
            .map(|(index, (priority, weight))| Member {
                backend: BackendId(format!("backend-{index}").into()),
                priority: *priority,
                weight: *weight,
            });
        Pool {
            id: PoolId::from("pool"),
            members: members.collect(),
            retry: RetryRule::default(),
        }
    }

    fn rotate(pool: &Pool, states: &[MemberState]) -> Choice {
        choose(pool, states, Turn::Rotate(&mut Rotation::default()))
    }

    #[test]
    fn a_lower_priority_gets_traffic_only_when_every_member_above_is_open_saturated_or_tried() {
        let pool = pool(&[(1, 50), (1, 50), (2, 100)]);
        let above = [
            Available,
            Open { until: LATER },
            Saturated { until: LATER },
            Tried,
        ];
        for first in above {
            for second in above {
                let overflows = first != Available && second != Available;
                let chosen = rotate(&pool, &[first, second, Available]);
                assert_eq!(
                    chosen == Choice::Member(2),
                    overflows,
                    "{first:?} {second:?}"
                );
            }
        }
    }

    #[test]
    fn a_saturated_member_is_taken_when_nothing_else_is_left_and_an_open_one_never() {
        let pool = pool(&[(1, 1), (1, 1), (2, 1)]);
        let open = Open { until: LATER };
        assert_eq!(
            rotate(&pool, &[open, Saturated { until: LATER }, open]),
            Choice::Member(1)
        );
        assert_eq!(
            rotate(&pool, &[open, Tried, Saturated { until: LATER }]),
            Choice::Member(2)
        );
        let sooner = Open {
            until: Mono::from_secs(20),
        };
        assert_eq!(
            rotate(&pool, &[open, sooner, Tried]),
            Choice::None {
                soonest: Some(Mono::from_secs(20))
            }
        );
    }

    #[test]
    fn five_one_one_is_smooth() {
        let pool = pool(&[(1, 5), (1, 1), (1, 1)]);
        let mut rotation = Rotation::default();
        let picks: Vec<_> = (0..7)
            .map(|_| choose(&pool, &[Available; 3], Turn::Rotate(&mut rotation)))
            .collect();
        assert_eq!(picks, [0, 0, 1, 0, 2, 0, 0].map(Choice::Member));
    }

    proptest! {
        #[test]
        fn any_run_as_long_as_the_weights_add_up_to_is_exact(
            weights in prop::collection::vec(1u32..20, 1..6),
            skip in 0usize..200,
        ) {
            let members: Vec<_> = weights.iter().map(|weight| (1, *weight)).collect();
            let pool = pool(&members);
            let states = vec![Available; members.len()];
            let mut rotation = Rotation::default();
            let mut next = || match choose(&pool, &states, Turn::Rotate(&mut rotation)) {
                Choice::Member(index) => index,
                Choice::None { .. } => usize::MAX,
            };
            for _ in 0..skip {
                next();
            }
            let mut counts = vec![0u32; members.len()];
            for _ in 0..weights.iter().sum::<u32>() {
                counts[next()] += 1;
            }
            prop_assert_eq!(counts, weights);
        }

        #[test]
        fn a_key_stays_where_it_is_when_another_member_goes(key: u64, gone in 0usize..4) {
            let pool = pool(&[(1, 1), (1, 2), (1, 3), (1, 4)]);
            let before = choose(&pool, &[Available; 4], Turn::Stick { key });
            let mut states = [Available; 4];
            states[gone] = Open { until: LATER };
            let after = choose(&pool, &states, Turn::Stick { key });
            if before != Choice::Member(gone) {
                prop_assert_eq!(before, after);
            }
        }
    }

    #[test]
    fn sticky_keys_spread_by_weight() {
        let pool = pool(&[(1, 1), (1, 3)]);
        let heavy = (0u64..4_000)
            .filter(|n| {
                choose(
                    &pool,
                    &[Available; 2],
                    Turn::Stick {
                        key: affinity_hash(&n.to_le_bytes()),
                    },
                ) == Choice::Member(1)
            })
            .count();
        assert!((2_850..3_150).contains(&heavy), "{heavy}");
    }
}
