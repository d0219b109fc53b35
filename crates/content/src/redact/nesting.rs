//! How deep in JSON a place of a text is: in a string, or in a string within JSON that is a string.
//!
//! JSON begins wherever a bracket is followed by a quote, `curl -d '{"a": "…"}'` too, and is not read
//! further than to tell its strings.

/// What is told of the text so far.
#[derive(Debug, Default)]
pub struct Nesting {
    levels: [Level; DEPTH_MAX],
    /// Backslashes that the text ends with.
    slashes: usize,
}

/// Deeper strings are escaped as ones of this depth.
const DEPTH_MAX: usize = 3;

#[derive(Clone, Copy, Debug, Default)]
struct Level {
    place: Place,
    /// Brackets that are open.
    brackets: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// No JSON.
    #[default]
    Text,
    /// Behind a bracket, which may be anybody's.
    Opening,
    /// Between strings.
    Between,
    String,
}

impl Nesting {
    /// In how many strings, one in the other, what comes next is.
    pub fn depth(&self) -> usize {
        let levels = self.levels.iter();
        levels
            .take_while(|level| level.place == Place::String)
            .count()
    }

    pub fn pass(&mut self, text: &str) {
        let mut rest = text;
        if self.levels[0].place == Place::Text {
            let Some(at) = text.find(['{', '[']) else {
                return;
            };
            rest = &text[at..];
        }
        for byte in rest.bytes() {
            if byte == b'\\' {
                self.slashes += 1;
            } else {
                let slashes = std::mem::take(&mut self.slashes);
                self.byte(byte, slashes);
            }
        }
    }

    /// `slashes` stand before it.
    fn byte(&mut self, mut byte: u8, mut slashes: usize) {
        for at in 0..DEPTH_MAX {
            let level = &mut self.levels[at];
            if level.place != Place::String {
                level.between(byte, slashes);
                if level.place == Place::String && at + 1 < DEPTH_MAX {
                    self.levels[at + 1] = Level::default();
                }
                return;
            }
            let is_escaped = slashes % 2 == 1;
            if !is_escaped && byte == b'"' {
                level.place = Place::Between;
                return;
            }
            if byte < b' ' {
                // No string has a line's end in it.
                *level = Level::default();
                return;
            }
            if is_escaped && b"nrt".contains(&byte) {
                byte = b'\n';
            }
            slashes /= 2;
        }
    }
}

impl Level {
    fn between(&mut self, byte: u8, slashes: usize) {
        match byte {
            b'{' | b'[' if self.place == Place::Text => {
                self.place = Place::Opening;
                self.brackets = 1;
            }
            _ if self.place == Place::Text => {}
            b'{' | b'[' => self.brackets = self.brackets.saturating_add(1),
            b'"' if slashes == 0 => self.place = Place::String,
            b'}' | b']' if self.brackets > 1 => self.brackets -= 1,
            b'}' | b']' => *self = Self::default(),
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ if self.place == Place::Opening => *self = Self::default(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(text: &str) -> usize {
        let mut nesting = Nesting::default();
        nesting.pass(text);
        let mut of_pieces = Nesting::default();
        for char in text.chars() {
            of_pieces.pass(char.encode_utf8(&mut [0; 4]));
        }
        assert_eq!(nesting.depth(), of_pieces.depth(), "{text}");
        nesting.depth()
    }

    #[test]
    fn strings_of_json_are_told_however_deep() {
        for (text, expected) in [
            (r#"{"a":""#, 1),
            (r#" { "a" : [ { "b": "c\\" } , ""#, 1),
            (r#"{"a":"b\""#, 1),
            (r#"["a", ""#, 1),
            (r#"curl -d '{"a":""#, 1),
            (r#"{"a":"x"} and {"b":""#, 1),
            (r#"{"a":"{\"b\":\""#, 2),
            (r#"{"a":"{\n  \"b\": \""#, 2),
            (r#"{"a":"{\"b\":\"c\", \"d\": \""#, 2),
            (r#"{"a":"{\"b\":\"[\\\""#, 3),
            (r#"{"a":"{\"b\":\"c\"}"#, 1),
            (r#"{"a":"{\"b\":\"","c":""#, 1),
            (r#"{"a": {"b": 1}, "c": ""#, 1),
        ] {
            assert_eq!(depth(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_between_strings_or_no_json_has_no_depth() {
        for text in [
            "",
            r#"He said ""#,
            r#"{"a": "#,
            r#"{"a": "b"}, ""#,
            r#"[see "Anna"] says ""#,
            r#"[1] ""#,
            r#"\"a\": \""#,
            "{\"a\n",
            r#"fn a() { b("#,
        ] {
            assert_eq!(depth(text), 0, "{text}");
        }
    }
}
