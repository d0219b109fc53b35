//! The windows of a text that is still being written. What a window holds is given out only once it
//! passed, and its end only once the next one passed too: that sees a phrase at the cut whole. Where
//! the text comes so slowly that nobody waits, the end is given out as well, and the next window sees
//! it again.

use super::Bounds;

mod align;

#[derive(Clone, Debug)]
pub struct Windower {
    bounds: Bounds,
    /// What came and was not given out, behind what was and is looked at again.
    held: String,
    held_chars: usize,
    /// How much of that was given out: the beginning of the next window, so that it sees a phrase at
    /// the cut whole.
    shown: usize,
    /// How much of that a window that passed has ended with.
    judged: usize,
    /// The window that is being judged.
    asked: Option<Asked>,
    /// No more will come.
    has_ended: bool,
    /// More may come, and is not waited for.
    is_hurried: bool,
}

/// What comes while a window is being judged is none of it.
#[derive(Clone, Copy, Debug)]
struct Asked {
    end: usize,
    /// Up to here it is given out when it passes.
    settled: usize,
    /// From here on it is looked at again with what follows: before `settled` where the window began
    /// with more that was given out before than the next one's beginning leaves behind.
    resumes: usize,
    /// Nothing comes behind it.
    is_last: bool,
}

/// What a window that passed gives out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The next bytes of the text, which this is for.
    pub of_bytes: usize,
    /// What takes their place, if not they themselves.
    pub edited: Option<String>,
}

impl Windower {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            held: String::new(),
            held_chars: 0,
            shown: 0,
            judged: 0,
            asked: None,
            has_ended: false,
            is_hurried: false,
        }
    }

    pub fn push(&mut self, text: &str) {
        self.held.push_str(text);
        self.held_chars += text.chars().count();
    }

    pub fn end(&mut self) {
        self.has_ended = true;
    }

    /// Waits no longer for a full window: what is here is the next one, and all of it is given out
    /// when it passes. What passed already is given out now.
    pub fn hurry(&mut self) -> Option<Given> {
        let is_judged = self.judged > self.shown && self.judged == self.held.len();
        if self.asked.is_none() && is_judged && !self.has_ended {
            let end = self.held.len();
            let asked = Asked {
                end,
                settled: end,
                resumes: end,
                is_last: false,
            };
            return Some(self.give(asked, end, None));
        }
        self.is_hurried = true;
        None
    }

    /// Bytes that came and were not given out.
    pub fn held_bytes(&self) -> usize {
        self.held.len() - self.shown
    }

    /// Whether there is a next window.
    pub fn is_due(&self) -> bool {
        let is_full = self.held_chars > self.bounds.chars_max();
        let is_hurried = self.is_hurried && self.held.len() > self.judged;
        let is_rest = self.has_ended && self.held.len() > self.shown;
        is_full || is_hurried || is_rest
    }

    /// The next window to be judged: a full one, or whatever is left of a text that ended or is
    /// hurried. It stays the next one, whatever comes, until it passed.
    pub fn window(&mut self) -> Option<&str> {
        if self.asked.is_none() {
            if !self.is_due() {
                return None;
            }
            let end = self.bounds.end(&self.held, 0).unwrap_or(self.held.len());
            let is_all = end == self.held.len();
            let is_last = is_all && self.has_ended;
            let resumes = if is_last || is_all && self.is_hurried {
                end
            } else {
                self.bounds.resume(&self.held, end)
            };
            self.asked = Some(Asked {
                end,
                settled: resumes.max(self.shown),
                resumes,
                is_last,
            });
        }
        self.asked.map(|asked| &self.held[..asked.end])
    }

    /// How much of the window was given out before.
    pub fn shown_bytes(&self) -> usize {
        self.shown
    }

    /// How much of the window will be given out when it passes: what is behind it is looked at again
    /// with what follows.
    pub fn settled_bytes(&self) -> usize {
        self.asked.map_or(0, |asked| asked.settled)
    }

    /// The window passed as it is. Nothing without one.
    pub fn pass(&mut self) -> Given {
        match self.asked.take() {
            Some(asked) => self.give(asked, asked.settled, None),
            None => Given {
                of_bytes: 0,
                edited: None,
            },
        }
    }

    /// The window passed with another text in its place. Of its end, what was not edited is looked at
    /// again with what follows; of its beginning, what was given out before cannot be taken back.
    pub fn replace(&mut self, edited: &str) -> Given {
        let Some(asked) = self.asked else {
            return self.pass();
        };
        let Asked { end, settled, .. } = asked;
        if edited == &self.held[..end] {
            return self.pass();
        }
        let new = &edited[align::place(&self.held[..end], self.shown, edited)..];
        if new == &self.held[self.shown..end] {
            // It edited what was given out before, and nothing else.
            return self.pass();
        }
        self.asked = None;
        let kept = align::common_end(&self.held[settled..end], new);
        let text = new[..new.len() - kept].to_owned();
        self.give(asked, end - kept, Some(text))
    }

    fn give(&mut self, asked: Asked, settled: usize, edited: Option<String>) -> Given {
        let of_bytes = settled - self.shown;
        self.is_hurried = false;
        if asked.settled < asked.end || asked.is_last {
            // What was edited is none of what the client saw, so nothing before that is looked at again.
            let resumes = if edited.is_none() {
                asked.resumes
            } else {
                settled
            };
            self.judged = asked.end - resumes;
            self.shown = settled - resumes;
            self.held_chars -= self.held[..resumes].chars().count();
            self.held.drain(..resumes);
            return Given { of_bytes, edited };
        }
        // More comes, and none of it was waited for: the next window begins with what was told.
        let mut told = self.held[..self.shown].to_owned();
        told.push_str(edited.as_deref().unwrap_or(&self.held[self.shown..settled]));
        let context = told[self.bounds.resume(&told, told.len())..].to_owned();
        self.held.replace_range(..settled, &context);
        self.held_chars = self.held.chars().count();
        self.shown = context.len();
        self.judged = context.len();
        Given { of_bytes, edited }
    }
}

#[cfg(test)]
mod tests;
