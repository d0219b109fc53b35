//! What counting says: a question as near as this, or nearer, is answered rightly at least as often as those that were
//! no nearer. Needs no curve, only that nearer is not worse.

use std::collections::VecDeque;

use super::Observation;

/// How much each count is doubted: the least doubt matters most once many were counted.
const DOUBTS: [f64; 4] = [0.1, 0.03, 0.01, 0.003];
/// Where more of them were wrong, counting serves nothing.
const WRONG_SHARE_MAX: f64 = 0.25;
/// Halves of the range in which the bound is looked for.
const STEPS: usize = 24;

/// A lower bound of the probability that the answer is right at this similarity: with probability `1 - doubt` it is
/// at least what Clopper and Pearson's interval says of the observations that were no nearer, and the best of a few
/// doubts is taken, as [`Fit`](super::fit::Fit) does.
pub fn right_at_least(seen: &VecDeque<Observation>, similarity: f64) -> f64 {
    let no_nearer = seen.iter().filter(|seen| seen.similarity <= similarity);
    let (count, wrong) = no_nearer.fold((0_u32, 0_u32), |(count, wrong), seen| {
        (count + 1, wrong + u32::from(!seen.right))
    });
    if count == 0 || f64::from(wrong) > WRONG_SHARE_MAX * f64::from(count) {
        return 0.0;
    }
    DOUBTS
        .iter()
        .map(|doubt| (1.0 - doubt) * (1.0 - wrong_at_most(count, wrong, *doubt)))
        .fold(0.0, f64::max)
}

/// The share of wrong answers at which so few of them, or fewer, would be seen with probability `doubt`.
fn wrong_at_most(count: u32, wrong: u32, doubt: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..STEPS {
        let share = f64::midpoint(low, high);
        if at_most(count, wrong, share) > doubt {
            low = share;
        } else {
            high = share;
        }
    }
    high
}

/// The probability of at most `wrong` wrong answers among `count`, if each is wrong with probability `share`.
fn at_most(count: u32, wrong: u32, share: f64) -> f64 {
    let odds = share / (1.0 - share);
    let mut term = (1.0 - share).powi(count.cast_signed());
    let mut sum = term;
    for number in 0..wrong {
        term *= odds * f64::from(count - number) / f64::from(number + 1);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(similarity: f64, right: usize, wrong: usize) -> VecDeque<Observation> {
        let one = |right| Observation { similarity, right };
        let right = std::iter::repeat_n(one(true), right);
        right
            .chain(std::iter::repeat_n(one(false), wrong))
            .collect()
    }

    #[test]
    fn many_right_answers_and_none_wrong_are_believed_in_time() {
        let bound = |right| right_at_least(&seen(0.97, right, 0), 0.97);
        assert!(bound(6) < 0.62, "{}", bound(6));
        assert!((0.85..0.90).contains(&bound(40)), "{}", bound(40));
        assert!(bound(128) > 0.95, "{}", bound(128));
    }

    #[test]
    fn what_was_seen_of_nearer_questions_says_nothing_of_farther_ones() {
        assert!(right_at_least(&seen(0.97, 100, 0), 0.96) == 0.0);
        assert!(right_at_least(&seen(0.90, 100, 0), 0.96) > 0.9);
    }

    #[test]
    fn wrong_answers_weigh() {
        let bound = |wrong| right_at_least(&seen(0.9, 100 - wrong, wrong), 0.9);
        assert!(bound(1) < bound(0) && bound(5) < bound(1) && bound(20) < bound(5));
        assert!(bound(5) < 0.90);
        assert!(bound(30) == 0.0);
    }

    /// The interval's table in any textbook: of 20 with none wrong, 13.9% at a doubt of 5%; with one, 21.6%.
    #[test]
    fn the_interval_is_clopper_and_pearsons() {
        assert!((wrong_at_most(20, 0, 0.05) - 0.1391).abs() < 1e-3);
        assert!((wrong_at_most(20, 1, 0.05) - 0.2161).abs() < 1e-3);
    }
}
