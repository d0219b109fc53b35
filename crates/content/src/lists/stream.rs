//! The same over a text that comes in pieces. Only so much of its end is held back as a word or a
//! pattern could still need.

use super::topics::Near;
use super::{Found, Lists, REPLACEMENT};
use crate::fold::Fold;

/// More is never held: whoever hides a word in so much of nothing has hidden it.
const HELD_BYTES_MAX: usize = 16 * 1024;

/// A longer run of white space makes phrases of a topic seem one character farther apart.
const SPACE_CHARS_MAX: usize = 64;

/// A text that is still being written.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// The last that was given out, to tell whether a word goes on, and all that was not.
    buffer: String,
    /// What stands before was given out.
    at: usize,
    near: Near,
    /// Folded characters that have left the buffer.
    chars_left: u64,
}

impl Stream {
    /// Bytes that came and were not given out.
    pub fn held_bytes(&self) -> usize {
        self.buffer.len() - self.at
    }

    /// Adds to `out` what is certain.
    pub fn push(&mut self, chunk: &str, lists: &Lists, found: &mut Found, out: &mut String) {
        self.buffer.push_str(chunk);
        let open = self.open_from(lists);
        self.go_on(open, lists, found, out);
    }

    /// Adds the rest.
    pub fn finish(mut self, lists: &Lists, found: &mut Found, out: &mut String) {
        self.go_on(self.buffer.len(), lists, found, out);
    }

    /// From where on the text could still be part of something.
    fn open_from(&self, lists: &Lists) -> usize {
        let reach = lists.reach();
        if self.held_bytes() <= reach {
            return self.at;
        }
        let folded = Fold::Words.fold(&self.buffer);
        let mut chars = folded.text.char_indices().rev();
        let open = match chars.nth(reach - 1) {
            Some((at, _)) => folded.source(at..at).start,
            None => self.at,
        };
        let mut least = self.buffer.len().saturating_sub(HELD_BYTES_MAX);
        while !self.buffer.is_char_boundary(least) {
            least += 1;
        }
        open.max(least).max(self.at)
    }

    fn go_on(&mut self, open: usize, lists: &Lists, found: &mut Found, out: &mut String) {
        if open <= self.at {
            return;
        }
        let mut hits = lists.hits(&self.buffer);
        // Those before were dealt with when they were given out; one that began there goes on.
        hits.retain(|hit| hit.range.end > self.at && hit.range.start < open);
        for hit in &mut hits {
            hit.range.start = hit.range.start.max(self.at);
        }
        // What goes past the end of what is certain is given out with its whole.
        let mut open = open;
        if let Some(last) = hits.last()
            && last.range.end > open
        {
            open = last.range.end;
        }
        lists.count(&hits, found);
        self.look_for_topics(open, lists, found);
        for hit in &hits {
            out.push_str(&self.buffer[self.at..hit.range.start]);
            out.push_str(REPLACEMENT);
            self.at = hit.range.end;
        }
        out.push_str(&self.buffer[self.at..open]);
        self.at = open;
        self.forget();
    }

    fn look_for_topics(&mut self, open: usize, lists: &Lists, found: &mut Found) {
        if lists.topics.is_empty() {
            return;
        }
        let folded = Fold::Words.fold(&self.buffer);
        let (at, before) = (self.at, self.chars_left);
        lists
            .topics
            .look(&folded.text, &mut self.near, found, |start| {
                let start = folded.source(start..start).start;
                (start >= at && start < open).then_some(before)
            });
    }

    fn forget(&mut self) {
        let last = self.buffer[..self.at].char_indices().next_back();
        let mut keep = last.map_or(0, |(at, _)| at);
        // White space is folded as a whole: half a run would be counted twice.
        for (at, char) in self.buffer[..keep]
            .char_indices()
            .rev()
            .take(SPACE_CHARS_MAX)
        {
            if !char.is_whitespace() {
                break;
            }
            keep = at;
        }
        self.chars_left += Fold::Words.fold(&self.buffer[..keep]).text.chars().count() as u64;
        self.buffer.drain(..keep);
        self.at -= keep;
    }
}
