//! A text as it is meant: an escape, an HTML entity or a full-width sign is what it stands for, and what has no
//! width is nothing. Rules read this; what they find is told of the text as it came.

use std::borrow::Cow;
use std::iter::Peekable;
use std::ops::Range;

/// A text that may still be coming.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    text: String,
    /// Where the text came from: its first stretch, and the others in order.
    first: Stretch,
    stretches: Vec<Stretch>,
    /// What came is in `text` up to here.
    read: usize,
}

/// From `text` on, what is seen is what came from `source` on.
#[derive(Clone, Copy, Debug, Default)]
struct Stretch {
    text: usize,
    source: usize,
}

/// What begins at a byte that may begin something else than itself.
enum Sign {
    Itself,
    /// What is to come says which it is.
    Unfinished,
    /// So many bytes mean this, or nothing.
    Means(usize, Option<char>),
}

/// Longer ones are no entity: `&#x1F600;`.
const ENTITY_BYTES_MAX: usize = 10;
/// JSON within JSON within a string, and once more.
const BACKSLASHES_MAX: usize = 8;

const ENTITIES: [(&[u8], char); 7] = [
    (b"nbsp", ' '),
    (b"lt", '<'),
    (b"gt", '>'),
    (b"quot", '"'),
    (b"apos", '\''),
    (b"amp", '&'),
    (b"commat", '@'),
];

impl Seen {
    /// `None` if the text is what it means, as nearly every one is.
    pub(super) fn of(source: &str) -> Option<Self> {
        let bytes = source.as_bytes();
        let is_other = |at: usize| !matches!(sign(&bytes[at..]), Sign::Itself | Sign::Unfinished);
        signs(bytes, 0).any(is_other).then(|| {
            let mut seen = Self::default();
            seen.read(source, true);
            seen
        })
    }

    /// Reads on in what came; `is_whole`: no more will.
    pub(super) fn read(&mut self, source: &str, is_whole: bool) {
        let bytes = source.as_bytes();
        for at in signs(bytes, self.read) {
            // Part of what was read with the one before.
            if at < self.read {
                continue;
            }
            let (len, meant) = match sign(&bytes[at..]) {
                Sign::Itself => continue,
                Sign::Unfinished if is_whole => continue,
                Sign::Unfinished => {
                    self.take(source, at);
                    return;
                }
                Sign::Means(len, meant) => (len, meant),
            };
            self.take(source, at);
            self.text.extend(meant);
            self.read = at + len;
            self.stretches.push(Stretch {
                text: self.text.len(),
                source: self.read,
            });
        }
        self.take(source, source.len());
    }

    fn take(&mut self, source: &str, end: usize) {
        self.text.push_str(&source[self.read..end]);
        self.read = end;
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where what stands at `at` came from; what has no width belongs to what it stands behind.
    pub(super) fn source(&self, at: usize) -> usize {
        let last = self.stretches.partition_point(|stretch| stretch.text <= at);
        let last = last.checked_sub(1).map(|last| self.stretches[last]);
        let Stretch { text, source } = last.unwrap_or(self.first);
        source + (at - text)
    }

    pub(super) fn sources(&self, range: &Range<usize>) -> Range<usize> {
        self.source(range.start)..self.source(range.end)
    }

    /// What came is gone up to where `at` came from. Returns how many bytes of it that is.
    pub(super) fn leave(&mut self, at: usize) -> usize {
        let gone = self.source(at);
        self.stretches.retain(|stretch| stretch.text > at);
        for stretch in &mut self.stretches {
            stretch.source -= gone;
        }
        self.first = Stretch {
            text: at,
            source: 0,
        };
        self.read -= gone;
        gone
    }

    /// The first `bytes` of what is seen are gone, all of which were left.
    pub(super) fn forget(&mut self, bytes: usize) {
        self.text.drain(..bytes);
        for stretch in self.stretches.iter_mut().chain([&mut self.first]) {
            stretch.text -= bytes;
        }
    }
}

/// What a value means, however it was written.
pub(crate) fn meant(value: &str) -> Cow<'_, str> {
    Seen::of(value).map_or(Cow::Borrowed(value), |seen| Cow::Owned(seen.text))
}

/// Where something may stand that means something else, at `from` or behind it, in order.
fn signs(bytes: &[u8], from: usize) -> impl Iterator<Item = usize> {
    let rest = &bytes[from..];
    let escapes = memchr::memchr3_iter(b'\\', b'&', 0xEF, rest).peekable();
    let spaces = memchr::memchr2_iter(0xC2, 0xE2, rest).peekable();
    Merged(escapes, spaces).map(move |at| from + at)
}

struct Merged<A: Iterator, B: Iterator>(Peekable<A>, Peekable<B>);

impl<A: Iterator<Item = usize>, B: Iterator<Item = usize>> Iterator for Merged<A, B> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        match (self.0.peek(), self.1.peek()) {
            (Some(first), Some(second)) if first < second => self.0.next(),
            (_, Some(_)) => self.1.next(),
            (_, None) => self.0.next(),
        }
    }
}

fn sign(rest: &[u8]) -> Sign {
    match rest[0] {
        b'\\' => escape(rest),
        b'&' => entity(rest),
        _ => character(rest),
    }
}

/// As JSON and most programming languages write them (RFC 8259), at any depth of strings within strings.
/// Quotes stay as they are: where a string ends is for those to tell who read it.
fn escape(rest: &[u8]) -> Sign {
    let near = rest.iter().take(BACKSLASHES_MAX + 1);
    let depth = near.take_while(|byte| **byte == b'\\').count();
    if depth > BACKSLASHES_MAX {
        return Sign::Itself;
    }
    let Some(letter) = rest.get(depth) else {
        return Sign::Unfinished;
    };
    let digits = &rest[depth + 1..];
    match letter {
        b'n' | b'r' => Sign::Means(depth + 1, Some('\n')),
        b't' => Sign::Means(depth + 1, Some('\t')),
        b'b' | b'f' | b'v' => Sign::Means(depth + 1, Some(' ')),
        b'/' => Sign::Means(depth + 1, Some('/')),
        b'x' => numbered(digits, 2).as_sign(depth + 1),
        b'u' => match numbered(digits, 4) {
            Numbered::Unit(first, len) if (0xD800..0xDC00).contains(&first) => {
                pair(first, &digits[len..], depth).as_sign(depth + 1 + len)
            }
            number => number.as_sign(depth + 1),
        },
        _ => Sign::Itself,
    }
}

/// A number in hexadecimal digits, and how many they are.
enum Numbered {
    Unit(u32, usize),
    Unfinished,
    No,
}

fn numbered(digits: &[u8], count: usize) -> Numbered {
    let mut value = 0;
    for at in 0..count {
        let Some(byte) = digits.get(at) else {
            return Numbered::Unfinished;
        };
        let Some(digit) = char::from(*byte).to_digit(16) else {
            return Numbered::No;
        };
        value = value << 4 | digit;
    }
    Numbered::Unit(value, count)
}

impl Numbered {
    /// Behind so many bytes.
    fn as_sign(&self, before: usize) -> Sign {
        let (unit, len) = match self {
            Self::Unit(unit, len) => (*unit, before + len),
            Self::Unfinished => return Sign::Unfinished,
            Self::No => return Sign::Itself,
        };
        match char::from_u32(unit) {
            None | Some('"' | '\'' | '\\') => Sign::Itself,
            Some('\n' | '\r') => Sign::Means(len, Some('\n')),
            Some(char) if char.is_control() => Sign::Means(len, Some(' ')),
            Some(char) => Sign::Means(len, seen(char)),
        }
    }
}

/// The second half of a surrogate pair, as one number with the first.
fn pair(first: u32, rest: &[u8], depth: usize) -> Numbered {
    let near = rest.iter().take(depth + 1);
    let slashes = near.take_while(|byte| **byte == b'\\').count();
    match rest.get(slashes) {
        None if slashes <= depth => return Numbered::Unfinished,
        Some(b'u') if slashes == depth => {}
        _ => return Numbered::No,
    }
    match numbered(&rest[slashes + 1..], 4) {
        Numbered::Unit(second, len) if (0xDC00..0xE000).contains(&second) => {
            let char = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
            Numbered::Unit(char, slashes + 1 + len)
        }
        Numbered::Unit(..) => Numbered::No,
        other => other,
    }
}

/// `&nbsp;`, `&#64;`, `&#x40;`.
fn entity(rest: &[u8]) -> Sign {
    let near = &rest[1..rest.len().min(ENTITY_BYTES_MAX)];
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'#';
    let len = near.iter().take_while(|byte| is_of_name(byte)).count();
    match near.get(len) {
        Some(b';') => {}
        None if rest.len() < ENTITY_BYTES_MAX => return Sign::Unfinished,
        _ => return Sign::Itself,
    }
    let name = &near[..len];
    let known = ENTITIES.iter().find(|(known, _)| *known == name);
    let meant = known.map(|(_, char)| *char).or_else(|| by_number(name));
    match meant {
        None | Some('\\') => Sign::Itself,
        Some(char) => Sign::Means(len + 2, seen(char)),
    }
}

fn by_number(name: &[u8]) -> Option<char> {
    let digits = std::str::from_utf8(name.strip_prefix(b"#")?).ok()?;
    let number = match digits.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    char::from_u32(number.ok()?).filter(|char| !char.is_control())
}

/// A character that is seen as another, or not at all.
fn character(rest: &[u8]) -> Sign {
    let len = if rest[0] == 0xC2 { 2 } else { 3 };
    let char = rest
        .get(..len)
        .and_then(|bytes| std::str::from_utf8(bytes).ok());
    match char.and_then(|char| char.chars().next()) {
        Some(char) if seen(char) != Some(char) => Sign::Means(len, seen(char)),
        _ => Sign::Itself,
    }
}

/// No character of two bytes or of other first bytes than those of `signs` is seen as another.
fn seen(char: char) -> Option<char> {
    match char {
        // Soft hyphen; zero width and directions; word joiner and isolates; byte order mark.
        '\u{ad}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}' => None,
        '\u{2000}'..='\u{200a}' | '\u{205f}' => Some(' '),
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(char) - 0xFEE0),
        char => Some(char),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&str]) -> Seen {
        let mut seen = Seen::default();
        let mut source = String::new();
        for piece in pieces {
            source.push_str(piece);
            seen.read(&source, false);
        }
        seen.read(&source, true);
        seen
    }

    #[test]
    fn a_text_is_seen_as_it_is_meant() {
        for (source, expected) in [
            (r"a\n4111", "a\n4111"),
            (r"a\\n4111\t5", "a\n4111\t5"),
            (r"contrase\u00f1a", "contraseña"),
            (r"DE89\u00a03704", "DE89\u{a0}3704"),
            (r"\u003canna@example.com\u003e", "<anna@example.com>"),
            (r"\ud83d\ude00 \\ud83d\\ude00", "😀 😀"),
            (r"12\/03\x2f1985", "12/03/1985"),
            ("1\u{200b}2\u{ad}3\u{2009}4", "123 4"),
            ("４１１１＠", "4111@"),
            ("a&nbsp;b&#64;c&#x40;&commat;&lt;", "a b@c@@<"),
        ] {
            assert_eq!(Seen::of(source).unwrap().text(), expected, "{source}");
        }
        // Linear, whatever it holds.
        assert!(Seen::of(&"\\".repeat(1 << 20)).is_none());
        assert!(Seen::of(&"&".repeat(1 << 20)).is_none());
        for source in [
            "plain, “quoted” – é «x»",
            r#"{\"a\": 'b'} C:\Users\d \u00zz \ud83d \u0022"#,
            "a & b &c= &toolongforanentity; &lt &;",
            "",
        ] {
            assert!(Seen::of(source).is_none(), "{source}");
        }
    }

    #[test]
    fn what_is_seen_is_told_of_what_came() {
        let source = "x\\n4111\u{200b}1111\u{200b}, y";
        let seen = Seen::of(source).unwrap();
        let at = seen.text().find("41111111").unwrap();
        assert_eq!(
            &source[seen.sources(&(at..at + 8))],
            "4111\u{200b}1111\u{200b}"
        );
        assert_eq!(seen.sources(&(0..seen.text().len())), 0..source.len());
    }

    #[test]
    fn what_was_left_and_forgotten_moves_the_rest() {
        let mut seen = Seen::of("ab\\ncd\u{200b}e").unwrap();
        assert_eq!(seen.leave(3), 4);
        assert_eq!(seen.sources(&(3..6)), 0..6);
        seen.forget(2);
        assert_eq!((seen.text(), seen.sources(&(1..4))), ("\ncde", 0..6));
    }

    proptest! {
        #[test]
        fn any_text_that_comes_in_pieces_is_seen_as_if_whole(
            parts in prop::collection::vec(prop_oneof![
                prop::sample::select(vec![
                    "\\n", "\\u00e9", "\\ud83d\\ude00", "\\\\", "&nbsp;", "&#64;", "&", "\u{200b}", "４", "é", "\\x41",
                ]).prop_map(str::to_owned),
                "[a-z0-9\\\\u&#; ]{0,4}",
            ], 0..12),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let source = parts.concat();
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(source.len() + 1)).collect();
            places.extend([0, source.len()]);
            places.retain(|place| source.is_char_boundary(*place));
            places.sort_unstable();
            let pieces: Vec<&str> = places.windows(2).map(|cut| &source[cut[0]..cut[1]]).collect();
            let (whole, seen) = (read(&[&source]), read(&pieces));
            prop_assert_eq!(whole.text(), seen.text());
            for at in 0..=whole.text().len() {
                prop_assert_eq!(whole.source(at), seen.source(at));
            }
        }
    }
}
