//! A condition that holds for a while: told once when it has lasted, once when it is over.
//!
//! By the wall clock, because an episode outlives the process: a restart in its middle is no new one.

use std::time::Duration;

use crate::time::Wall;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Episode {
    pub began: Wall,
    /// When it was last seen to hold.
    pub seen: Wall,
    pub is_raised: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Nothing,
    /// It has lasted for long enough.
    Raise,
    /// It has been over for as long, and was told.
    Resolve,
    /// The same, but it never lasted: forget it.
    Forget,
}

impl Episode {
    pub fn begin(now: Wall) -> Self {
        Self {
            began: now,
            seen: now,
            is_raised: false,
        }
    }

    /// `lasting`: how long it must hold to be told, and must be gone to be over.
    pub fn observe(&mut self, holds: bool, lasting: Duration, now: Wall) -> Step {
        if holds {
            self.seen = self.seen.max(now);
            if !self.is_raised && now.since(self.began) >= lasting {
                self.is_raised = true;
                return Step::Raise;
            }
            return Step::Nothing;
        }
        // One that never lasted ends at once: it must hold without a break.
        if !self.is_raised {
            return Step::Forget;
        }
        if now.since(self.seen) >= lasting {
            return Step::Resolve;
        }
        Step::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LASTING: Duration = Duration::from_secs(300);

    fn at(s: i64) -> Wall {
        Wall::from_secs(1_790_000_000 + s)
    }

    #[test]
    fn it_is_told_once_after_it_lasted_and_once_when_it_is_over() {
        let mut episode = Episode::begin(at(0));
        assert_eq!(episode.observe(true, LASTING, at(299)), Step::Nothing);
        assert_eq!(episode.observe(true, LASTING, at(300)), Step::Raise);
        assert_eq!(episode.observe(true, LASTING, at(400)), Step::Nothing);
        assert_eq!(episode.observe(false, LASTING, at(500)), Step::Nothing);
        assert_eq!(episode.observe(true, LASTING, at(600)), Step::Nothing);
        assert_eq!(episode.observe(false, LASTING, at(899)), Step::Nothing);
        assert_eq!(episode.observe(false, LASTING, at(900)), Step::Resolve);
    }

    #[test]
    fn what_comes_and_goes_is_never_told() {
        let mut episode = Episode::begin(at(0));
        assert_eq!(episode.observe(true, LASTING, at(200)), Step::Nothing);
        assert_eq!(episode.observe(false, LASTING, at(205)), Step::Forget);
    }

    #[test]
    fn a_clock_that_is_set_back_ends_nothing_and_raises_nothing() {
        let mut episode = Episode::begin(at(0));
        assert_eq!(episode.observe(true, LASTING, at(-3600)), Step::Nothing);
        episode.is_raised = true;
        assert_eq!(episode.observe(false, LASTING, at(-3600)), Step::Nothing);
    }
}
