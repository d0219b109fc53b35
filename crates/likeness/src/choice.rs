//! Which cached answer, if any, is given for a question; or tried: asked for anew and compared.
//!
//! The nearest come first. One that asks for something else in its words is passed over for the next, if that is about
//! as near: see [`BEHIND_MAX`].

use crate::comparer::{self, Reading};
use crate::verified::{self, Decision, Observations};
use crate::{Difference, Kind, compare_similar};

/// What an operator allows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    pub near_enough: NearEnough,
    /// Compare the questions' words too. Without it the vector's word is taken: known to be wrong of
    /// numbers, negation and direction.
    pub guard: bool,
    /// Give nothing: try what would be given.
    pub shadow: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NearEnough {
    /// From the similarity on with which the guard is safe: [`SAFE`] where the comparer has read both questions, else
    /// [`SAFE_BY_WORDS`]. Without the guard none is.
    Safe,
    /// From this similarity on.
    AtLeast(f64),
    /// As each answer's own record allows: the share of wrong answers stays below this (see [`verified`]).
    MaxErrorRate(f64),
}

/// With this the guard is wrong of fewer than one in a hundred near misses, and keeps most of what the cosine alone hits
/// from 0.80 on. Of different questions in other words it is wrong more often: `evaluation/README.md` has the figures.
pub const SAFE: f64 = 0.65;
/// The same of near misses by the words alone.
pub const SAFE_BY_WORDS: f64 = 0.85;

/// Once an answer to something else was passed over, another may be less alike by this at most. A question that is
/// nearest to another one has often not been asked before, and what passes from farther off then passes by accident: in
/// caches in which questions lie close together a sixth of the wrong answers go, or more, and 2 or 3% of the right ones
/// (`evaluation/README.md`).
const BEHIND_MAX: f64 = 0.03;

impl NearEnough {
    /// `None` where each answer's own record tells.
    fn least(self, is_read: bool) -> Option<f64> {
        match self {
            Self::Safe if is_read => Some(SAFE),
            Self::Safe => Some(SAFE_BY_WORDS),
            Self::AtLeast(least) => Some(least),
            Self::MaxErrorRate(_) => None,
        }
    }
}

/// A question, and what the comparer makes of it if the local model has read it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub text: &'a str,
    pub reading: Option<&'a Reading>,
}

/// A cached answer's question.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'c> {
    pub similarity: f64,
    pub text: &'c str,
    pub reading: Option<&'c Reading>,
    pub observations: &'c Observations,
}

/// Candidates are named by their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    Give(usize),
    /// Ask anew, compare the answers, and note what came out as an [`Observation`](verified::Observation).
    Try {
        candidate: usize,
        /// But for `shadow`.
        would_give: bool,
    },
    Nothing,
}

/// What was chosen, and by what the candidates before it differ from the question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    pub choice: Choice,
    pub passed_over: Vec<Kind>,
}

/// `candidates` come nearest first; `roll` is uniform in `[0, 1)`.
pub fn choose(rule: &Rule, asked: Asked<'_>, candidates: &[Candidate<'_>], roll: f64) -> Chosen {
    let mut passed_over = Vec::new();
    let mut least_behind = f64::NEG_INFINITY;
    for (place, candidate) in candidates.iter().enumerate() {
        if candidate.similarity < least_behind {
            break;
        }
        let is_read = candidate.reading.is_some() && asked.reading.is_some();
        if let Some(least) = rule.near_enough.least(is_read)
            && candidate.similarity < least
        {
            // The next may be read, though farther.
            continue;
        }
        if rule.guard
            && let Some(difference) = differ(candidate, asked)
        {
            passed_over.push(difference.kind);
            least_behind = least_behind.max(candidate.similarity - BEHIND_MAX);
            continue;
        }
        let would_give = match rule.near_enough {
            NearEnough::Safe | NearEnough::AtLeast(_) => true,
            NearEnough::MaxErrorRate(rate) => {
                let Candidate {
                    similarity,
                    observations,
                    ..
                } = candidate;
                verified::decide(observations, *similarity, rate, roll) == Decision::Exploit
            }
        };
        let choice = if would_give && !rule.shadow {
            Choice::Give(place)
        } else {
            Choice::Try {
                candidate: place,
                would_give,
            }
        };
        return Chosen {
            choice,
            passed_over,
        };
    }
    Chosen {
        choice: Choice::Nothing,
        passed_over,
    }
}

fn differ(candidate: &Candidate<'_>, asked: Asked<'_>) -> Option<Difference> {
    let said = || {
        let (cached, asked) = candidate.reading.zip(asked.reading)?;
        Some(comparer::say(cached, asked, candidate.similarity))
    };
    compare_similar(candidate.text, asked.text, candidate.similarity, said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verified::Observation;

    const ASKED: &str = "Can I return an item within 30 days?";
    const SAME: &str = "May I return an item within 30 days?";
    const OTHER: &str = "Can I return an item within 60 days?";

    fn asked() -> Asked<'static> {
        Asked {
            text: ASKED,
            reading: None,
        }
    }

    fn rule(near_enough: NearEnough) -> Rule {
        Rule {
            near_enough,
            guard: true,
            shadow: false,
        }
    }

    fn near<'c>(similarity: f64, text: &'c str, seen: &'c Observations) -> Candidate<'c> {
        Candidate {
            similarity,
            text,
            reading: None,
            observations: seen,
        }
    }

    /// An answer that was right `right` times of ten at this similarity, and wrong far below it.
    fn seen(similarity: f64, right: usize) -> Observations {
        let mut seen = Observations::default();
        for time in 0..40 {
            let right = time % 10 < right;
            seen.add(Observation { similarity, right });
            seen.add(Observation {
                similarity: similarity - 0.4,
                right: false,
            });
        }
        seen
    }

    #[test]
    fn what_the_comparer_has_not_read_must_be_nearer() {
        let none = Observations::default();
        let read = Reading::of(&[101, 102], &[0.1; 768]).unwrap();
        let given = |similarity: f64, reading: Option<&Reading>| {
            let candidate = Candidate {
                reading,
                ..near(similarity, SAME, &none)
            };
            let asked = Asked { reading, ..asked() };
            choose(&rule(NearEnough::Safe), asked, &[candidate], 0.0).choice == Choice::Give(0)
        };
        assert!(given(0.66, Some(&read)) && !given(0.64, Some(&read)));
        assert!(given(0.86, None) && !given(0.84, None));
    }

    #[test]
    fn the_nearest_that_asks_the_same_is_given() {
        let none = Observations::default();
        let candidates = [near(0.93, OTHER, &none), near(0.91, SAME, &none)];
        let chosen = choose(&rule(NearEnough::AtLeast(0.9)), asked(), &candidates, 0.0);
        assert_eq!(chosen.choice, Choice::Give(1));
        assert_eq!(chosen.passed_over, [Kind::Number]);
    }

    #[test]
    fn far_behind_one_that_asks_something_else_nothing_is_given() {
        let none = Observations::default();
        let candidates = [
            near(0.96, OTHER, &none),
            near(0.94, OTHER, &none),
            // Near enough to the second, not to the nearest.
            near(0.92, SAME, &none),
        ];
        let chosen = choose(&rule(NearEnough::AtLeast(0.9)), asked(), &candidates, 0.0);
        assert_eq!(chosen.choice, Choice::Nothing);
        assert_eq!(chosen.passed_over, [Kind::Number, Kind::Number]);
        let alone = &candidates[2..];
        let chosen = choose(&rule(NearEnough::AtLeast(0.9)), asked(), alone, 0.0);
        assert_eq!(chosen.choice, Choice::Give(0));
    }

    #[test]
    fn without_the_guard_the_nearest_is_given() {
        let none = Observations::default();
        let candidates = [near(0.98, OTHER, &none), near(0.91, SAME, &none)];
        let bare = Rule {
            guard: false,
            ..rule(NearEnough::AtLeast(0.95))
        };
        let chosen = choose(&bare, asked(), &candidates, 0.0);
        assert_eq!(chosen.choice, Choice::Give(0));
    }

    #[test]
    fn what_is_not_near_enough_is_not_given() {
        let none = Observations::default();
        let candidates = [near(0.89, SAME, &none)];
        let chosen = choose(&rule(NearEnough::AtLeast(0.9)), asked(), &candidates, 0.0);
        assert_eq!(chosen.choice, Choice::Nothing);
    }

    #[test]
    fn shadow_gives_nothing_and_tries_what_it_would_give() {
        let none = Observations::default();
        let shadow = Rule {
            shadow: true,
            ..rule(NearEnough::AtLeast(0.9))
        };
        let chosen = choose(&shadow, asked(), &[near(0.95, SAME, &none)], 0.99);
        let tried = Choice::Try {
            candidate: 0,
            would_give: true,
        };
        assert_eq!(chosen.choice, tried);
    }

    #[test]
    fn an_error_rate_tries_an_answer_until_its_record_is_good() {
        let rate = rule(NearEnough::MaxErrorRate(0.05));
        let tried = Choice::Try {
            candidate: 0,
            would_give: false,
        };
        let choice = |observations: &Observations, roll| {
            choose(&rate, asked(), &[near(0.95, SAME, observations)], roll).choice
        };
        assert_eq!(choice(&Observations::default(), 0.99), tried);
        let good = seen(0.95, 10);
        assert_eq!(choice(&good, 0.99), Choice::Give(0));
        // It is still tried now and then.
        assert_eq!(choice(&good, 0.0), tried);
        assert_eq!(choice(&seen(0.95, 2), 0.5), tried);
    }
}
