//! The windows of a text that is still being written. What a window holds is given out only once it
//! passed, and its end only once the next one passed too: that sees a phrase at the cut whole.

use super::Bounds;

#[derive(Clone, Debug)]
pub struct Windower {
    bounds: Bounds,
    /// What came and was not given out.
    held: String,
    held_chars: usize,
    /// How much of that a window that passed has ended with.
    judged: usize,
}

impl Windower {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            held: String::new(),
            held_chars: 0,
            judged: 0,
        }
    }

    pub fn push(&mut self, text: &str) {
        self.held.push_str(text);
        self.held_chars += text.chars().count();
    }

    /// Bytes that came and were not given out.
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// The next window to be judged: a full one, or with `is_end` whatever is left of the text.
    pub fn window(&self, is_end: bool) -> Option<&str> {
        let is_full = self.held_chars > self.bounds.chars_max();
        let has_new = self.held.len() > self.judged;
        (is_full || is_end && has_new).then(|| &self.held[..self.end()])
    }

    /// The window passed: what may be given out now.
    pub fn pass(&mut self, is_end: bool) -> String {
        let end = self.end();
        let is_last = is_end && end == self.held.len();
        let given = if is_last {
            end
        } else {
            self.bounds.resume(&self.held, end)
        };
        self.judged = end - given;
        self.give(given)
    }

    /// The window passed with another text in its place.
    pub fn replace(&mut self, edited: &str, is_end: bool) -> String {
        let end = self.end();
        let is_last = is_end && end == self.held.len();
        self.held.replace_range(..end, edited);
        let given = if is_last {
            edited.len()
        } else {
            self.bounds.resume(&self.held, edited.len())
        };
        self.judged = edited.len() - given;
        self.give(given)
    }

    /// The text ended and every window passed: what is left.
    pub fn finish(self) -> String {
        self.held
    }

    fn end(&self) -> usize {
        self.bounds.end(&self.held, 0).unwrap_or(self.held.len())
    }

    fn give(&mut self, bytes: usize) -> String {
        let rest = self.held.split_off(bytes);
        let given = std::mem::replace(&mut self.held, rest);
        self.held_chars = self.held.chars().count();
        given
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Streams `text` in pieces of `piece` characters through a judge that fails windows with `bad`.
    fn given(text: &str, piece: usize, bounds: Bounds, bad: &str) -> (String, bool) {
        let mut windower = Windower::new(bounds);
        let mut out = String::new();
        let chars: Vec<char> = text.chars().collect();
        for piece in chars.chunks(piece) {
            windower.push(&piece.iter().collect::<String>());
            while let Some(window) = windower.window(false) {
                assert!(window.chars().count() <= bounds.chars_max());
                if window.contains(bad) {
                    return (out, true);
                }
                out.push_str(&windower.pass(false));
            }
        }
        while let Some(window) = windower.window(true) {
            if window.contains(bad) {
                return (out, true);
            }
            out.push_str(&windower.pass(true));
        }
        out.push_str(&windower.finish());
        (out, false)
    }

    #[test]
    fn nothing_is_given_out_before_a_window_is_full() {
        let mut windower = Windower::new(Bounds::new(20, 4));
        windower.push("twenty characters ok");
        assert!(windower.window(false).is_none());
        windower.push("!");
        assert_eq!(windower.window(false), Some("twenty characters "));
        assert_eq!(windower.pass(false), "twenty charact");
    }

    #[test]
    fn an_edited_window_is_given_out_as_it_was_edited() {
        let mut windower = Windower::new(Bounds::new(16, 4));
        windower.push("the secret is 42.");
        assert_eq!(windower.window(true), Some("the secret is "));
        let mut out = windower.replace("the [X] is ", true);
        while let Some(window) = windower.window(true) {
            assert!(!window.contains("secret"));
            out.push_str(&windower.pass(true));
        }
        out.push_str(&windower.finish());
        assert_eq!(out, "the [X] is 42.");
    }

    proptest! {
        #[test]
        fn a_clean_text_comes_out_as_it_went_in(
            text in "([a-z .\n]|ä|😀|。){0,300}",
            piece in 1usize..50,
            (chars_max, overlap) in (16usize..60, 0usize..40),
        ) {
            let (out, blocked) = given(&text, piece, Bounds::new(chars_max, overlap), "#");
            prop_assert_eq!(out, text);
            prop_assert!(!blocked);
        }

        #[test]
        fn nothing_of_a_bad_phrase_ever_comes_out(
            before in "[a-z .\n]{0,200}",
            after in "[a-z .\n]{0,200}",
            piece in 1usize..50,
            chars_max in 24usize..60,
        ) {
            let text = format!("{before}#BAD PHRASE#{after}");
            let (out, blocked) = given(&text, piece, Bounds::new(chars_max, 12), "#BAD PHRASE#");
            prop_assert!(blocked && !out.contains('#'), "{out}");
        }
    }
}
