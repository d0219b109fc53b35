//! How a value is spelled where it was found, where it is put back, and what all its spellings have
//! in common.

use std::borrow::Cow;

use crate::pii::Kind;

use super::written::Form;

/// A value as it was written first.
#[derive(Debug)]
pub struct Spelling {
    text: Box<str>,
    /// In how many strings of JSON, one in the other, it stood; `None` if nobody said.
    depth: Option<usize>,
}

impl Spelling {
    pub fn at(depth: usize, text: &str) -> Self {
        Self {
            text: text.into(),
            depth: Some(depth),
        }
    }

    /// It stays as it is wherever it may.
    pub fn of_anybody(text: &str) -> Self {
        Self {
            text: text.into(),
            depth: None,
        }
    }

    pub fn meaning(&self) -> Cow<'_, str> {
        unescaped(&self.text, self.depth.unwrap_or(0))
    }

    /// For a place that deep, where its placeholder is in that form.
    pub fn put(&self, depth: usize, form: Form) -> Cow<'_, str> {
        match form {
            Form::Plain => self.plain(depth),
            Form::Json => self.plain(depth.max(1)),
            Form::Html => escaped(in_html(&self.meaning()).into(), depth),
            Form::Percent => escaped(in_link(&self.meaning()).into(), depth),
        }
    }

    /// Byte for byte where it stands as deep as it stood.
    fn plain(&self, depth: usize) -> Cow<'_, str> {
        let Some(own) = self.depth else {
            let may_stay = depth > 0 && read_string(&self.text).is_some();
            return escaped(Cow::Borrowed(&*self.text), if may_stay { 0 } else { depth });
        };
        match depth.checked_sub(own) {
            Some(further) => escaped(Cow::Borrowed(&*self.text), further),
            None => unescaped(&self.text, own - depth),
        }
    }
}

/// As JSON writes it in a string, so many times.
fn escaped(text: Cow<'_, str>, times: usize) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        return text;
    }
    (0..times).fold(text, |text, _| {
        let quoted = serde_json::Value::from(&*text).to_string();
        Cow::Owned(quoted[1..quoted.len() - 1].to_owned())
    })
}

fn unescaped(text: &str, times: usize) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for _ in 0..times {
        if !text.contains('\\') {
            break;
        }
        // Half an escape at its end: it is what it is.
        let Some(meant) = read_string(&text) else {
            break;
        };
        text = Cow::Owned(meant);
    }
    text
}

/// What it means between the quotes of a JSON string; `None` if it cannot stand there.
fn read_string(text: &str) -> Option<String> {
    serde_json::from_str(&format!("\"{text}\"")).ok()
}

fn in_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(char),
        }
    }
    out
}

/// `mailto:anna@example.com` reads as people write it; all else that is not unreserved (RFC 3986) is
/// escaped.
fn in_link(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
            out.push(char::from(byte));
            continue;
        }
        out.push('%');
        for half in [byte >> 4, byte & 0xf] {
            let digit = char::from_digit(u32::from(half), 16);
            out.extend(digit.map(|digit| digit.to_ascii_uppercase()));
        }
    }
    out
}

/// What spellings of one value have in common: they differ in separators, or in the case of a mail's
/// domain. `None` for kinds whose values are no longer the same without their separators.
pub fn alike(kind: Kind, value: &str) -> Option<String> {
    match kind {
        Kind::Email => {
            let (local, domain) = value.rsplit_once('@')?;
            Some(format!("{local}@{}", domain.to_lowercase()))
        }
        Kind::Phone | Kind::UsSsn | Kind::UkNino => Some(without_separators(value)),
        kind if kind.is_checksummed() => Some(without_separators(value)),
        _ => None,
    }
}

fn without_separators(value: &str) -> String {
    // A plus tells numbers with a country's from others, and Swedes past a hundred.
    let is_kept = |char: &char| char.is_alphanumeric() || *char == '+';
    value.chars().filter(is_kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_as_it_was_where_it_stands_as_deep() {
        for (own, text, depth, expected) in [
            (0, r#"a"\u"#, 0, r#"a"\u"#),
            (0, r#"a"\u"#, 1, r#"a\"\\u"#),
            (0, r#"a""#, 2, r#"a\\\""#),
            (1, r"key\n\/\u00fc", 1, r"key\n\/\u00fc"),
            (1, r"key\n\/\u00fc", 0, "key\n/ü"),
            (1, r#"a\""#, 2, r#"a\\\""#),
            (2, r#"a\\\""#, 1, r#"a\""#),
            (1, r"half\", 0, r"half\"),
        ] {
            let spelling = Spelling::at(own, text);
            assert_eq!(spelling.put(depth, Form::Plain), expected, "{own} {text}");
        }
    }

    #[test]
    fn what_others_found_stays_as_it_is_wherever_it_may() {
        for (text, depth, expected) in [
            (r"Jos\u00e9", 1, r"Jos\u00e9"),
            (r"Jos\u00e9", 0, r"Jos\u00e9"),
            (r"D\anna", 1, r"D\\anna"),
            (r#"Anna "A""#, 1, r#"Anna \"A\""#),
        ] {
            let spelling = Spelling::of_anybody(text);
            assert_eq!(spelling.put(depth, Form::Plain), expected, "{text}");
        }
    }

    #[test]
    fn spellings_of_one_value_are_alike_and_those_of_two_are_not() {
        for (kind, one, other, are_alike) in [
            (Kind::Phone, "+49 171 1234567", "+49-171-1234567", true),
            (Kind::Phone, "+49 171 1234567", "+491711234567", true),
            (
                Kind::Phone,
                "+49 (171) 123.4567",
                "+49\u{a0}171/1234567",
                true,
            ),
            (Kind::Phone, "+49 171 1234567", "49 171 1234567", false),
            (
                Kind::PaymentCard,
                "4111 1111 1111 1111",
                "4111-1111-1111-1111",
                true,
            ),
            (
                Kind::Iban,
                "DE89 3704 0044 0532 0130 00",
                "DE89370400440532013000",
                true,
            ),
            (Kind::SePersonnummer, "811228-9874", "811228+9874", false),
            (Kind::Email, "anna@Example.COM", "anna@example.com", true),
            (Kind::Email, "Anna@example.com", "anna@example.com", false),
            (Kind::Email, "an.na@example.com", "anna@example.com", false),
        ] {
            let are = alike(kind, one) == alike(kind, other);
            assert_eq!(are, are_alike, "{one} and {other}");
        }
        for (kind, value) in [
            (Kind::DateOfBirth, "1.12.1980"),
            (Kind::IpAddress, "1.12.1.1"),
            (Kind::Credential, "a-b"),
        ] {
            assert_eq!(alike(kind, value), None, "{value}");
        }
    }
}
