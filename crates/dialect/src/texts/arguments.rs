//! The texts of a tool call's arguments, which are JSON within a string: its strings, keys too, and
//! its numbers. Arguments may come in pieces, cut anywhere.
//!
//! What an escape hides is looked at as what it means; what is put in is escaped. A number whose
//! text is edited becomes a string, so that JSON stays JSON, unless it is a number still. In an answer,
//! what is masked in a number stays without quotes: with its value back it is the number that it was.
//! What is not JSON is one plain text.

use super::{Part, escaped};

/// One tool call's arguments.
#[derive(Debug, Default)]
pub struct ArgumentTexts {
    state: State,
    /// What the last string says, as far as a name is long.
    last: String,
    called: Called,
    is_answer: bool,
}

/// What the next value is called, if anything: the name before it, for all of a list.
#[derive(Debug, Default)]
struct Called {
    name: String,
    /// Lists that have begun since the name.
    lists: usize,
}

impl Called {
    fn pass(&mut self, mark: &str, last: &mut String) {
        match mark {
            ":" => self.name = std::mem::take(last),
            "[" => self.lists += 1,
            "]" if self.lists > 1 => self.lists -= 1,
            "," if self.lists > 0 => {}
            "{" | "}" | "]" | "," => *self = Self::default(),
            _ => {}
        }
    }

    fn tell(&self, edit: &mut dyn FnMut(Part<'_>) -> String) {
        if !self.name.is_empty() {
            edit(Part::Called(&self.name));
        }
    }
}

#[derive(Debug, Default)]
enum State {
    /// Nothing but whitespace has come.
    #[default]
    Start,
    /// Between strings: what may be a number so far.
    Outside { scalar: String },
    /// Within a string: an escape that is not whole.
    Inside { escape: String },
    /// Not JSON.
    Plain,
}

/// A surrogate pair as two escapes.
const ESCAPE_BYTES_MAX: usize = 12;

/// Of a name, what says what is called so.
const NAME_BYTES_MAX: usize = 128;

/// Longer than any number.
const SCALAR_BYTES_MAX: usize = 512;

impl ArgumentTexts {
    /// Of an answer.
    pub fn of_answer() -> Self {
        Self {
            is_answer: true,
            ..Self::default()
        }
    }

    /// The arguments with every text as `edit`, which is told what it is called, returns it; `None` if
    /// it never returned one.
    pub fn whole(
        mut self,
        text: &str,
        edit: &mut dyn FnMut(&str, &str) -> Option<String>,
    ) -> Option<String> {
        let mut is_edited = false;
        let mut called = String::new();
        let mut adapted = |part: Part<'_>| match part {
            Part::Called(name) => {
                called.push_str(name);
                String::new()
            }
            Part::More(text) => match edit(&called, text) {
                Some(edited) => {
                    is_edited = true;
                    edited
                }
                None => text.to_owned(),
            },
            Part::End => {
                called.clear();
                String::new()
            }
        };
        let mut out = String::with_capacity(text.len() + 64);
        self.push(text, &mut adapted, &mut out);
        self.finish(&mut adapted, &mut out);
        is_edited.then_some(out)
    }

    /// Takes the next piece and adds to `out` what takes its place.
    pub fn push(
        &mut self,
        piece: &str,
        edit: &mut dyn FnMut(Part<'_>) -> String,
        out: &mut String,
    ) {
        let mut rest = piece;
        while !rest.is_empty() {
            rest = match &mut self.state {
                State::Start => self.start(rest, out),
                State::Outside { .. } => self.outside(rest, edit, out),
                State::Inside { .. } => self.inside(rest, edit, out),
                State::Plain => {
                    out.push_str(&edit(Part::More(rest)));
                    ""
                }
            };
        }
    }

    /// The rest: of arguments that were cut off too.
    pub fn finish(&mut self, edit: &mut dyn FnMut(Part<'_>) -> String, out: &mut String) {
        match std::mem::take(&mut self.state) {
            State::Start => {}
            State::Outside { scalar } => {
                if scalar.is_empty() {
                    return;
                }
                if is_scalar(&scalar) {
                    self.put_scalar(&scalar, edit, out);
                } else {
                    out.push_str(&edit(Part::More(&scalar)));
                    out.push_str(&edit(Part::End));
                }
            }
            // Half an escape says nothing.
            State::Inside { escape: _ } => out.push_str(&escaped(&edit(Part::End))),
            State::Plain => out.push_str(&edit(Part::End)),
        }
    }

    fn start<'p>(&mut self, piece: &'p str, out: &mut String) -> &'p str {
        let begin = piece.trim_start();
        out.push_str(&piece[..piece.len() - begin.len()]);
        match begin.bytes().next() {
            None => {}
            Some(b'{' | b'[') => {
                self.state = State::Outside {
                    scalar: String::new(),
                };
            }
            Some(_) => self.state = State::Plain,
        }
        begin
    }

    fn outside<'p>(
        &mut self,
        piece: &'p str,
        edit: &mut dyn FnMut(Part<'_>) -> String,
        out: &mut String,
    ) -> &'p str {
        let State::Outside { scalar } = &mut self.state else {
            return piece;
        };
        let end = piece.find(['{', '}', '[', ']', ':', ',', '"']);
        let (before, mark) = match end {
            Some(end) => (&piece[..end], Some(&piece[end..=end])),
            None => (piece, None),
        };
        if scalar.is_empty() {
            let begin = before.trim_start();
            out.push_str(&before[..before.len() - begin.len()]);
            scalar.push_str(begin);
        } else {
            scalar.push_str(before);
        }
        let is_over = mark.is_some() || scalar.len() > SCALAR_BYTES_MAX;
        if is_over && !scalar.is_empty() {
            let scalar = std::mem::take(scalar);
            if !is_scalar(&scalar) {
                self.state = State::Plain;
                out.push_str(&edit(Part::More(&scalar)));
                return &piece[before.len()..];
            }
            self.put_scalar(&scalar, edit, out);
        }
        let Some(mark) = mark else { return "" };
        out.push_str(mark);
        self.called.pass(mark, &mut self.last);
        if mark == "\"" {
            self.last.clear();
            self.called.tell(edit);
            self.state = State::Inside {
                escape: String::new(),
            };
        }
        &piece[before.len() + 1..]
    }

    fn inside<'p>(
        &mut self,
        piece: &'p str,
        edit: &mut dyn FnMut(Part<'_>) -> String,
        out: &mut String,
    ) -> &'p str {
        let State::Inside { escape } = &mut self.state else {
            return piece;
        };
        let mut text = String::with_capacity(piece.len());
        let mut at = 0;
        let mut is_over = false;
        for c in piece.chars() {
            if escape.is_empty() {
                match c {
                    '"' => {
                        at += 1;
                        is_over = true;
                        break;
                    }
                    '\\' => escape.push(c),
                    c => text.push(c),
                }
                at += c.len_utf8();
                continue;
            }
            // A half of a pair that nothing follows: what follows it is no part of it.
            if is_lone(escape, c) {
                escape.clear();
                text.push(char::REPLACEMENT_CHARACTER);
                break;
            }
            escape.push(c);
            at += c.len_utf8();
            if let Some(meant) = meaning(escape) {
                text.push_str(&meant);
                escape.clear();
            }
        }
        if !text.is_empty() {
            let room = NAME_BYTES_MAX.saturating_sub(self.last.len());
            self.last.push_str(&text[..text.floor_char_boundary(room)]);
            out.push_str(&escaped(&edit(Part::More(&text))));
        }
        if is_over {
            out.push_str(&escaped(&edit(Part::End)));
            out.push('"');
            self.state = State::Outside {
                scalar: String::new(),
            };
        }
        &piece[at..]
    }

    fn put_scalar(&self, scalar: &str, edit: &mut dyn FnMut(Part<'_>) -> String, out: &mut String) {
        let bare = scalar.trim_end();
        // Neither `true` nor `null` is what it is called.
        if bare.bytes().any(|byte| byte.is_ascii_digit()) {
            self.called.tell(edit);
        }
        let mut edited = edit(Part::More(bare));
        edited.push_str(&edit(Part::End));
        let is_masked = self.is_answer && edited.contains('<') && is_of_number(&edited);
        if edited == bare || is_number(&edited) || is_masked {
            out.push_str(&edited);
        } else {
            out.push('"');
            out.push_str(&escaped(&edited));
            out.push('"');
        }
        out.push_str(&scalar[bare.len()..]);
    }
}

/// Whether `escape` is the first half of a surrogate pair and `next` cannot go on with the second.
fn is_lone(escape: &str, next: char) -> bool {
    match escape.len() {
        6 => next != '\\',
        7 => next != 'u',
        _ => false,
    }
}

/// What a whole escape means; `None` while it is not whole.
fn meaning(escape: &str) -> Option<String> {
    let short = match escape.as_bytes().get(1)? {
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'u' => return unicode(escape),
        // JSON has no such escape: it is as it is written.
        _ => return Some(escape.to_owned()),
    };
    Some(short.to_string())
}

/// `\u00fc`, `\ud83d\ude00`.
fn unicode(escape: &str) -> Option<String> {
    let unit = |from: usize| {
        let digits = escape.get(from..from + 4)?;
        u32::from_str_radix(digits, 16).ok()
    };
    let digits = &escape[2..];
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if digits.len() < 4 && is_hex(digits) {
        return None;
    }
    let Some(first) = unit(2) else {
        return Some(escape.to_owned());
    };
    if let Some(c) = char::from_u32(first) {
        return Some(c.to_string());
    }
    let second = escape.get(8..).unwrap_or_default();
    let is_first_half = (0xD800..0xDC00).contains(&first);
    if is_first_half && escape.len() < ESCAPE_BYTES_MAX && is_hex(second) {
        return None;
    }
    let pair = unit(8)
        .filter(|second| is_first_half && (0xDC00..0xE000).contains(second))
        .and_then(|second| char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)));
    Some(pair.unwrap_or(char::REPLACEMENT_CHARACTER).to_string())
}

/// Placeholders in a number's place, or in it, count as one, too.
fn is_scalar(text: &str) -> bool {
    let text = text.trim_end();
    matches!(text, "" | "true" | "false" | "null") || is_of_number(text)
}

fn is_of_number(text: &str) -> bool {
    let is_of_mask = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut rest = text;
    while let Some((before, masked)) = rest.split_once('<') {
        let Some((mask, behind)) = masked.split_once('>') else {
            return false;
        };
        if !are_of_number(before) || !mask.bytes().all(is_of_mask) {
            return false;
        }
        rest = behind;
    }
    are_of_number(rest)
}

fn are_of_number(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
}

fn is_number(text: &str) -> bool {
    are_of_number(text) && serde_json::from_str::<serde_json::Number>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every text, whole, and what becomes of the arguments when each is put into brackets.
    fn seen(arguments: &str, cuts: &[usize]) -> (Vec<String>, String) {
        let mut texts = Vec::new();
        let mut current = String::new();
        let mut edit = |part: Part<'_>| match part {
            Part::Called(_) => String::new(),
            Part::More(text) => {
                current.push_str(text);
                String::new()
            }
            Part::End => {
                let text = std::mem::take(&mut current);
                texts.push(text.clone());
                format!("<{text}>")
            }
        };
        let mut out = String::new();
        let mut of = ArgumentTexts::default();
        let mut from = 0;
        for cut in cuts {
            of.push(&arguments[from..*cut], &mut edit, &mut out);
            from = *cut;
        }
        of.push(&arguments[from..], &mut edit, &mut out);
        of.finish(&mut edit, &mut out);
        (texts, out)
    }

    #[test]
    fn strings_keys_and_numbers_are_texts() {
        let (texts, out) = seen(
            r#"{ "a" : "b\"\u00fc\n", "n": [4111, true], "e": {} }"#,
            &[],
        );
        assert_eq!(texts, ["a", "b\"ü\n", "n", "4111", "true", "e"]);
        assert_eq!(
            out,
            r#"{ "<a>" : "<b\"ü\n>", "<n>": ["<4111>", "<true>"], "<e>": {} }"#
        );
    }

    /// Every text that is called something, behind its name.
    fn called(arguments: &str, cuts: &[usize]) -> Vec<String> {
        let mut called = Vec::new();
        let mut current = None;
        let mut edit = |part: Part<'_>| {
            match part {
                Part::Called(name) => current = Some(format!("{name}=")),
                Part::More(text) => current.iter_mut().for_each(|said| said.push_str(text)),
                Part::End => called.extend(current.take()),
            }
            String::new()
        };
        let mut texts = ArgumentTexts::default();
        let cuts: Vec<usize> = [&[0], cuts, &[arguments.len()]].concat();
        for cut in cuts.windows(2) {
            texts.push(&arguments[cut[0]..cut[1]], &mut edit, &mut String::new());
        }
        texts.finish(&mut edit, &mut String::new());
        called
    }

    #[test]
    fn values_are_told_what_they_are_called() {
        for (arguments, expected) in [
            (
                r#"{"who":"anna","n":{"pin": 41},"ok":true}"#,
                vec!["who=anna", "pin=41"],
            ),
            (
                r#"{"a":["b",["c",7]],"d":[{"e":"f"},"g"],"h":"i"}"#,
                vec!["a=b", "a=c", "a=7", "e=f", "h=i"],
            ),
            (r#"["a","b:c"]"#, vec![]),
            (r#"{"a\"\u00fc" : "b" , "c":{}, "d": []}"#, vec!["a\"ü=b"]),
            (r#"{"a": {"b": null}, "c": "d""#, vec!["c=d"]),
        ] {
            assert_eq!(called(arguments, &[]), expected, "{arguments}");
        }
    }

    #[test]
    fn what_is_not_json_is_one_text() {
        for (arguments, expected) in [
            ("call 4111 1111 now", vec!["call 4111 1111 now"]),
            ("4111 1111", vec!["4111 1111"]),
            ("[4111 1111, 7]", vec!["4111 1111, 7]"]),
            (r#"{"a": anna "b"}"#, vec!["a", r#"anna "b"}"#]),
        ] {
            assert_eq!(seen(arguments, &[]).0, expected, "{arguments}");
        }
    }

    #[test]
    fn odd_escapes_are_told_from_text() {
        for (arguments, expected) in [
            (r#"["\ud83d\ude00x"]"#, "😀x"),
            (r#"["\ud83dx"]"#, "\u{fffd}x"),
            (r#"["\ud83d\nx"]"#, "\u{fffd}nx"),
            (r#"["\ude00x"]"#, "\u{fffd}x"),
            (r#"["\qx"]"#, "\\qx"),
            (r#"["\u12zx"]"#, "\\u12zx"),
            (r#"["\/\\\t"]"#, "/\\\t"),
        ] {
            assert_eq!(seen(arguments, &[]).0, [expected], "{arguments}");
        }
    }

    #[test]
    fn arguments_without_a_change_are_as_they_came() {
        let arguments = r#"{"a":"\u00fc","n": 1.0e5 }"#;
        assert_eq!(
            ArgumentTexts::default().whole(arguments, &mut |_, _| None),
            None
        );
    }

    #[test]
    fn a_placeholder_for_a_number_leaves_the_rest_json() {
        let (texts, out) = seen(r#"{"n": <PHONE_1>, "b": "c\"d"}"#, &[]);
        assert_eq!(texts, ["n", "<PHONE_1>", "b", "c\"d"]);
        assert_eq!(out, r#"{"<n>": "<<PHONE_1>>", "<b>": "<c\"d>"}"#);
    }

    #[test]
    fn what_is_masked_in_a_number_of_an_answer_comes_back_as_the_number() {
        let masked = |texts: ArgumentTexts, arguments: &str| {
            let mut mask = |_: &str, text: &str| {
                let masked = text.replace("61234567", "<PHONE_1>");
                (masked != text).then_some(masked)
            };
            texts.whole(arguments, &mut mask).unwrap()
        };
        let mut restore = |_: &str, text: &str| {
            let restored = text.replace("<PHONE_1>", "61234567");
            (restored != text).then_some(restored)
        };
        for (arguments, of_answer) in [
            (r#"{"n":61234567 }"#, r#"{"n":<PHONE_1> }"#),
            (r#"{"n":[0.0612345678,1]}"#, r#"{"n":[0.0<PHONE_1>8,1]}"#),
            (r#"{"n":"61234567"}"#, r#"{"n":"<PHONE_1>"}"#),
        ] {
            let answer = masked(ArgumentTexts::of_answer(), arguments);
            assert_eq!(answer, of_answer);
            let restored = ArgumentTexts::of_answer().whole(&answer, &mut restore);
            assert_eq!(restored.as_deref(), Some(arguments));
        }
        let prompt = masked(ArgumentTexts::default(), r#"{"n":0.061234567}"#);
        assert_eq!(prompt, r#"{"n":"0.0<PHONE_1>"}"#, "providers read it");
        let phone = ArgumentTexts::of_answer().whole(r#"{"n":<PHONE_1>}"#, &mut |_, text| {
            text.starts_with('<').then(|| "+49 171".to_owned())
        });
        assert_eq!(phone.as_deref(), Some(r#"{"n":"+49 171"}"#));
    }

    #[test]
    fn arguments_that_are_cut_off_still_say_what_was_held() {
        assert_eq!(seen(r#"{"a":"ann"#, &[]).1, r#"{"<a>":"<ann>"#);
        assert_eq!(seen(r#"{"a":41"#, &[]).1, r#"{"<a>":"<41>""#);
    }

    proptest! {
        #[test]
        fn every_cut_shows_the_same_texts(
            arguments in prop::sample::select(vec![
                r#"{"a":"b\"\u00fc\n\ud83d\ude00","n":[4111,true],"é":{"x":" "}}"#,
                r#"{"who": anna, "b": "c"}"#,
                r#"["\ud83dx","\qé",12 ]"#,
            ]),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(arguments.len() + 1)).collect();
            places.retain(|place| arguments.is_char_boundary(*place));
            places.sort_unstable();
            prop_assert_eq!(seen(arguments, &places), seen(arguments, &[]));
            prop_assert_eq!(called(arguments, &places), called(arguments, &[]));
        }

        #[test]
        fn edited_json_is_json(text in ".{0,20}", number in 0..u64::MAX) {
            let arguments = serde_json::json!({ "text": text, "n": number }).to_string();
            let (texts, out) = seen(&arguments, &[]);
            prop_assert_eq!(&texts[..], ["n".to_owned(), number.to_string(), "text".to_owned(), text.clone()]);
            let out: serde_json::Value = serde_json::from_str(&out).unwrap();
            prop_assert_eq!(&out["<text>"], &format!("<{text}>"));
        }
    }
}
