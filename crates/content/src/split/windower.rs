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
    /// No more will come.
    has_ended: bool,
    /// More may come, and is not waited for.
    is_hurried: bool,
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
            judged: 0,
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

    /// Waits no longer for a full window: what is here is the next one.
    pub fn hurry(&mut self) {
        self.is_hurried = true;
    }

    /// Bytes that came and were not given out.
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// The next window to be judged: a full one, or whatever is left of a text that ended.
    pub fn window(&self) -> Option<&str> {
        let is_full = self.held_chars > self.bounds.chars_max();
        let is_due = self.is_hurried && self.held.len() > self.judged;
        let is_rest = self.has_ended && !self.held.is_empty();
        (is_full || is_due || is_rest).then(|| &self.held[..self.window_end()])
    }

    /// How much of the window will be given out when it passes: what is behind it is looked at again
    /// with what follows.
    pub fn settled_bytes(&self) -> usize {
        let end = self.window_end();
        if self.is_last(end) {
            end
        } else {
            self.bounds.resume(&self.held, end)
        }
    }

    /// The window passed as it is.
    pub fn pass(&mut self) -> Given {
        self.give(self.window_end(), self.settled_bytes(), None)
    }

    /// The window passed with another text in its place. Of its end, what was not edited is looked at
    /// again with what follows.
    pub fn replace(&mut self, edited: &str) -> Given {
        let end = self.window_end();
        if edited == &self.held[..end] {
            return self.pass();
        }
        let kept = if self.is_last(end) {
            0
        } else {
            let least = self.bounds.resume(&self.held, end);
            common_end(&self.held[least..end], edited)
        };
        let text = edited[..edited.len() - kept].to_owned();
        self.give(end, end - kept, Some(text))
    }

    fn window_end(&self) -> usize {
        self.bounds.end(&self.held, 0).unwrap_or(self.held.len())
    }

    fn is_last(&self, end: usize) -> bool {
        self.has_ended && end == self.held.len()
    }

    fn give(&mut self, end: usize, of_bytes: usize, edited: Option<String>) -> Given {
        self.judged = end - of_bytes;
        self.is_hurried = false;
        self.held_chars -= self.held[..of_bytes].chars().count();
        self.held.drain(..of_bytes);
        Given { of_bytes, edited }
    }
}

/// How many bytes two texts have in common at their end: whole characters.
fn common_end(one: &str, other: &str) -> usize {
    let pairs = one.chars().rev().zip(other.chars().rev());
    let same = pairs.take_while(|(one, other)| one == other);
    same.map(|(char, _)| char.len_utf8()).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Streams `text` in pieces of `piece` characters through a judge: `None` blocks.
    fn given(
        text: &str,
        piece: usize,
        bounds: Bounds,
        judge: impl Fn(&str) -> Option<String>,
    ) -> (String, bool) {
        let mut windower = Windower::new(bounds);
        let (mut out, mut at) = (String::new(), 0);
        let chars: Vec<char> = text.chars().collect();
        let pieces = chars.chunks(piece).map(Some).chain([None]);
        for piece in pieces {
            match piece {
                Some(piece) => windower.push(&piece.iter().collect::<String>()),
                None => windower.end(),
            }
            while let Some(window) = windower.window() {
                assert!(window.chars().count() <= bounds.chars_max());
                let Some(edited) = judge(window) else {
                    return (out, true);
                };
                let given = windower.replace(&edited);
                let source = &text[at..at + given.of_bytes];
                out.push_str(given.edited.as_deref().unwrap_or(source));
                at += given.of_bytes;
            }
        }
        assert_eq!((windower.held_bytes(), at), (0, text.len()));
        (out, false)
    }

    fn blocks(bad: &str) -> impl Fn(&str) -> Option<String> {
        move |window| (!window.contains(bad)).then(|| window.to_owned())
    }

    #[test]
    fn nothing_is_given_out_before_a_window_is_full() {
        let mut windower = Windower::new(Bounds::new(20, 4));
        windower.push("twenty characters ok");
        assert!(windower.window().is_none());
        windower.push("!");
        assert_eq!(windower.window(), Some("twenty characters "));
        assert_eq!(windower.pass().of_bytes, "twenty charact".len());
    }

    #[test]
    fn who_is_hurried_waits_for_no_full_window_and_gives_all_out_in_the_end() {
        let mut windower = Windower::new(Bounds::new(100, 4));
        windower.push("short and sweet");
        windower.hurry();
        assert_eq!(windower.window(), Some("short and sweet"));
        assert_eq!(windower.pass().of_bytes, "short and ".len());
        windower.hurry();
        assert!(windower.window().is_none());
        windower.end();
        assert_eq!(windower.window(), Some("sweet"));
        assert_eq!(windower.pass().of_bytes, "sweet".len());
        assert!(windower.window().is_none());
    }

    #[test]
    fn an_edited_window_is_given_out_as_it_was_edited() {
        let redact = |window: &str| Some(window.replace("secret", "[X]"));
        let text = "the secret is 42. No secret is 43.";
        let (out, _) = given(text, 5, Bounds::new(16, 8), redact);
        assert_eq!(out, "the [X] is 42. No [X] is 43.");
    }

    proptest! {
        #[test]
        fn a_clean_text_comes_out_as_it_went_in(
            text in "([a-z .\n]|ä|😀|。){0,300}",
            piece in 1usize..50,
            (chars_max, overlap) in (16usize..60, 0usize..40),
        ) {
            let (out, blocked) = given(&text, piece, Bounds::new(chars_max, overlap), blocks("#"));
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
            let bounds = Bounds::new(chars_max, 12);
            let (out, blocked) = given(&text, piece, bounds, blocks("#BAD PHRASE#"));
            prop_assert!(blocked && !out.contains('#'), "{out}");
        }

        #[test]
        fn an_edited_stream_is_the_edited_text(
            words in prop::collection::vec("(secret|a|of|it|is|[a-z]{1,6})", 0..60),
            piece in 1usize..50,
            chars_max in 16usize..60,
        ) {
            let text = words.join(" ");
            let redact = |window: &str| Some(window.replace("secret", "[X]"));
            let (out, _) = given(&text, piece, Bounds::new(chars_max, 8), redact);
            prop_assert_eq!(out, text.replace("secret", "[X]"));
        }
    }
}
