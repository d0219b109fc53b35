//! The application's name: cleaned and bounded, because clients choose it.

use std::borrow::Cow;

use domain::ApplicationName;
use http::{HeaderMap, HeaderName};

/// Names are keys of counters and labels of metrics: a longer one is cut.
pub(super) const NAME_BYTES_MAX: usize = 128;

/// What the header says; nothing if it is absent or blank. Of several values the first counts.
pub(super) fn from_header(headers: &HeaderMap, name: &HeaderName) -> Option<ApplicationName> {
    application(&String::from_utf8_lossy(headers.get(name)?.as_bytes()))
}

/// Without control characters, which would forge lines of a log; nothing if nothing is left.
pub(super) fn application(text: &str) -> Option<ApplicationName> {
    let text = bounded(text);
    if text.is_empty() {
        None
    } else {
        Some(ApplicationName::from(&*text))
    }
}

pub(super) fn bounded(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if text.len() <= NAME_BYTES_MAX && text.bytes().all(is_plain) {
        return Cow::Borrowed(text.trim());
    }
    let mut name: String = text
        .chars()
        .filter(|c| !c.is_control())
        .take(NAME_BYTES_MAX * 2)
        .collect();
    name = name.trim().to_owned();
    name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
    name.truncate(name.trim_end().len());
    Cow::Owned(name)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn header(value: &[u8]) -> Option<String> {
        let name = HeaderName::from_static("x-app-name");
        let mut headers = HeaderMap::new();
        headers.append(&name, HeaderValue::from_bytes(value).unwrap());
        headers.append(&name, HeaderValue::from_static("second"));
        from_header(&headers, &name).map(|application| application.as_str().to_owned())
    }

    #[test]
    fn a_name_is_trimmed_and_the_first_counts() {
        assert_eq!(header(b"  chat bot \t"), Some("chat bot".into()));
        assert_eq!(
            header("Büro-Assistent".as_bytes()),
            Some("Büro-Assistent".into())
        );
        assert_eq!(header(b"  "), None);
        assert_eq!(header(b""), None);
    }

    #[test]
    fn a_name_is_cut_to_128_bytes_at_a_character() {
        assert_eq!(header(&[b'a'; 300]), Some("a".repeat(128)));
        let cut = header(format!("a{}", "é".repeat(100)).as_bytes()).unwrap();
        assert_eq!(cut.len(), 127);
    }

    #[test]
    fn control_characters_and_bytes_that_are_no_text_do_no_harm() {
        assert_eq!(
            application("a\r\nlevel=error\u{9b}b\u{0}"),
            application("alevel=errorb")
        );
        assert_eq!(header(b"caf\xe9"), Some("caf\u{fffd}".into()));
    }

    proptest! {
        #[test]
        fn any_text_is_bounded(text in any::<String>()) {
            let name = bounded(&text);
            prop_assert!(name.len() <= NAME_BYTES_MAX);
            prop_assert!(!name.chars().any(char::is_control));
            prop_assert_eq!(name.trim(), &name);
        }
    }
}
