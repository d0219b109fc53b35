//! E-mail addresses, as RFC 5321 bounds them and people write them.

use super::scan::Match;
use super::text::{Word, is_word_at};
use super::{Confidence, Kind};

pub(super) const LOCAL_BYTES_MAX: usize = 64;
const DOMAIN_BYTES_MAX: usize = 255;

/// Where an `@` begins and ends, as people and addresses in links write it: `@`, `%40`, `＠`.
#[derive(Clone, Copy, Debug)]
pub(super) struct AtSign {
    pub(super) start: usize,
    end: usize,
}

impl AtSign {
    /// The next one at `from` or behind it.
    pub(super) fn next(bytes: &[u8], from: usize) -> Option<Self> {
        const FULL_WIDTH: &[u8] = "＠".as_bytes();
        let firsts = memchr::memchr3_iter(b'@', b'%', FULL_WIDTH[0], &bytes[from..]);
        for start in firsts.map(|at| from + at) {
            let rest = &bytes[start..];
            let forms: [&[u8]; 3] = [b"@", b"%40", FULL_WIDTH];
            if let Some(form) = forms.iter().find(|form| rest.starts_with(form)) {
                let end = start + form.len();
                return Some(Self { start, end });
            }
        }
        None
    }
}

/// `word` begins the local part; `at_sign` is the next `@` of the text.
pub(super) fn find(word: &Word<'_>, at_sign: Option<AtSign>) -> Option<Match> {
    let bytes = word.bytes();
    let AtSign {
        start: at_sign,
        end: domain,
    } = at_sign?;
    if at_sign.checked_sub(word.start)? > LOCAL_BYTES_MAX {
        return None;
    }
    let local = &bytes[word.start..at_sign];
    if local.is_empty() || !local.iter().all(|&byte| is_local(byte)) || local.ends_with(b".") {
        return None;
    }
    let end = domain_end(bytes, domain)?;
    if is_file(&bytes[domain..end]) {
        return None;
    }
    Some(Match {
        kind: Kind::Email,
        end,
        confidence: Confidence(97),
    })
}

/// What people use of what RFC 5321 allows; `=` and `&` are rather what stands before an address.
/// Letters outside ASCII are allowed in both parts (RFC 6531).
pub(super) fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._%+-'".contains(&byte) || byte >= 0x80
}

/// `logo@2x.webp`, `jquery@3.6.0.min.js`. None of these endings is a top-level domain.
fn is_file(domain: &[u8]) -> bool {
    const ENDING_BYTES_MAX: usize = 5;
    let mut ending = [0; ENDING_BYTES_MAX];
    let from = domain.len().saturating_sub(ENDING_BYTES_MAX);
    for (to, byte) in ending.iter_mut().rev().zip(domain[from..].iter().rev()) {
        *to = byte.to_ascii_lowercase();
    }
    match &ending {
        b".jpeg" | b".webp" | b".avif" | b".html" | b".json" | b".yaml" => true,
        [_, b'.', rest @ ..] => matches!(
            rest,
            b"png" | b"jpg" | b"gif" | b"svg" | b"ico" | b"css" | b"mjs" | b"tgz"
        ),
        [.., b'.', b'j', b's'] | [.., b'.', b'g', b'z'] => true,
        _ => false,
    }
}

fn domain_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    let mut labels = 0;
    let mut end = None;
    while at - start <= DOMAIN_BYTES_MAX {
        let label = at;
        while is_word_at(bytes, at) || bytes.get(at) == Some(&b'-') && at > label {
            at += 1;
        }
        if at == label {
            break;
        }
        labels += 1;
        // A hyphen may be the text's, not the domain's.
        let mut last = at;
        while bytes[last - 1] == b'-' {
            last -= 1;
        }
        let top = &bytes[label..last];
        if labels > 1 && top.len() > 1 && !top.iter().all(u8::is_ascii_digit) {
            end = Some(last);
        }
        if last != at || bytes.get(at) != Some(&b'.') {
            break;
        }
        at += 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use crate::pii::tests::values as emails;

    #[test]
    fn addresses_are_found_without_the_sentence_around_them() {
        for (text, expected) in [
            (
                "Write to anna.schmidt+x@mail.example.com.",
                "anna.schmidt+x@mail.example.com",
            ),
            (
                "?to=anna.schmidt%40example.com&cc=b",
                "anna.schmidt%40example.com",
            ),
            ("an anna＠example.com", "anna＠example.com"),
            ("<o'neil@example.co.uk>", "o'neil@example.co.uk"),
            ("mailto:jörg@müller.de?subject=a", "jörg@müller.de"),
            ("a@example.com-", "a@example.com"),
            (
                "4111111111111111@example.com",
                "4111111111111111@example.com",
            ),
        ] {
            assert_eq!(emails(text), [expected], "{text}");
        }
    }

    #[test]
    fn what_only_holds_an_at_sign_is_none() {
        for text in [
            "@anna",
            "a@b",
            "meet @ noon",
            "x@1.2",
            "user@localhost",
            "a.@example",
            "git@v1.2.3",
            "logo@2x.webp",
            "icon@3x.JPG",
            "jquery@3.6.0.min.js",
        ] {
            assert_eq!(emails(text), [""; 0], "{text}");
        }
    }
}
