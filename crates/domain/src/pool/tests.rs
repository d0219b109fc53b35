use proptest::prelude::*;

use super::MemberState::{Available, Tried};
use super::*;

fn pool(members: &[(u32, u32)]) -> Pool {
    let member = |(index, (priority, weight)): (usize, &(u32, u32))| Member {
        backend: format!("backend-{index}").as_str().into(),
        priority: *priority,
        weight: *weight,
    };
    Pool {
        id: "pool".into(),
        members: members.iter().enumerate().map(member).collect(),
        retry: RetryRule::default(),
    }
}

fn open(s: u64) -> MemberState {
    MemberState::Open {
        until: Mono::from_secs(s),
    }
}

fn saturated(s: u64) -> MemberState {
    MemberState::Saturated {
        until: Mono::from_secs(s),
    }
}

fn choose(pool: &Pool, states: &[MemberState]) -> Choice {
    let choice = pool.choose(&mut Rotation::default(), |index| states[index]);
    let affine = pool.choose_affine(7, |index| states[index]);
    assert_eq!(
        matches!(choice, Choice::None { .. }),
        matches!(affine, Choice::None { .. })
    );
    choice
}

#[test]
fn a_lower_priority_gets_traffic_only_when_all_above_are_open_saturated_or_tried() {
    let pool = pool(&[(2, 1), (1, 1), (1, 1), (1, 1)]);
    assert_eq!(
        choose(&pool, &[Available, open(9), saturated(9), Available]),
        Choice::Member(3)
    );
    assert_eq!(
        choose(&pool, &[Available, open(9), saturated(9), Tried]),
        Choice::Member(0)
    );
}

#[test]
fn a_saturated_member_is_the_last_resort_and_an_open_one_is_none() {
    let pool = pool(&[(1, 1), (1, 1), (2, 1)]);
    assert_eq!(
        choose(&pool, &[saturated(9), saturated(5), saturated(7)]),
        Choice::Member(1)
    );
    assert_eq!(
        choose(&pool, &[open(3), saturated(9), Tried]),
        Choice::Member(1)
    );
    let soonest = Some(Mono::from_secs(3));
    assert_eq!(
        choose(&pool, &[open(3), Tried, open(8)]),
        Choice::None { soonest }
    );
    assert_eq!(
        choose(&pool, &[Tried, Tried, Tried]),
        Choice::None { soonest: None }
    );
}

#[test]
fn picks_are_spread_evenly() {
    let pool = pool(&[(1, 5), (1, 1), (1, 1)]);
    let mut rotation = Rotation::default();
    let picks: Vec<Choice> = (0..7)
        .map(|_| pool.choose(&mut rotation, |_| Available))
        .collect();
    assert_eq!(picks, [0, 0, 1, 0, 2, 0, 0].map(Choice::Member));
}

#[test]
fn a_member_that_comes_back_is_not_flooded() {
    let pool = pool(&[(1, 1), (1, 1)]);
    let mut rotation = Rotation::default();
    for _ in 0..1000 {
        pool.choose(
            &mut rotation,
            |index| if index == 0 { open(1) } else { Available },
        );
    }
    let firsts = (0..10)
        .filter(|_| pool.choose(&mut rotation, |_| Available) == Choice::Member(0))
        .count();
    assert_eq!(firsts, 5);
}

#[test]
fn a_key_stays_with_its_member_and_moves_only_while_that_one_is_out() {
    let pool = pool(&[(1, 1), (1, 1), (1, 1)]);
    for key in 0..500 {
        let Choice::Member(home) = pool.choose_affine(key, |_| Available) else {
            panic!("all are available")
        };
        let out = |index| if index == home { open(1) } else { Available };
        assert_ne!(pool.choose_affine(key, out), Choice::Member(home));
        let other_out = |index| {
            if index == (home + 1) % 3 {
                open(1)
            } else {
                Available
            }
        };
        assert_eq!(pool.choose_affine(key, other_out), Choice::Member(home));
    }
}

#[test]
fn keys_spread_by_weight() {
    let pool = pool(&[(1, 3), (1, 1)]);
    let first = (0..20_000)
        .filter(|key| pool.choose_affine(*key, |_| Available) == Choice::Member(0))
        .count();
    assert!(
        (14_600..15_400).contains(&first),
        "{first} of 20,000, of which 15,000 are its share"
    );
}

proptest! {
    #[test]
    fn every_run_as_long_as_the_weights_sum_is_exact(
        weights in prop::collection::vec(1u32..9, 1..6),
        skip in 0usize..50,
    ) {
        let members: Vec<(u32, u32)> = weights.iter().map(|weight| (1, *weight)).collect();
        let pool = pool(&members);
        let mut rotation = Rotation::default();
        for _ in 0..skip {
            pool.choose(&mut rotation, |_| Available);
        }
        let mut picks = vec![0; weights.len()];
        for _ in 0..weights.iter().sum() {
            if let Choice::Member(index) = pool.choose(&mut rotation, |_| Available) {
                picks[index] += 1;
            }
        }
        prop_assert_eq!(picks, weights);
    }
}
