//! IP and MAC addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::context::{Context, Topic};
use super::scan::Match;
use super::text::{Joined, Word, ends_at, is_word_at};
use super::{Confidence, Kind};

pub(super) fn ip_v4(word: &Word<'_>, context: &Context) -> Option<Match> {
    if word.joined != Joined::No || word.bytes().get(word.end) != Some(&b'.') {
        return None;
    }
    let bytes = word.rest();
    let len = bytes
        .iter()
        .take(15)
        .take_while(|byte| byte.is_ascii_digit() || **byte == b'.')
        .count();
    let text = std::str::from_utf8(&bytes[..len])
        .ok()?
        .trim_end_matches('.');
    let address: Ipv4Addr = text.parse().ok()?;
    let end = word.start + text.len();
    let all = word.bytes();
    // A fifth number makes it something else; a port does not.
    let is_continued = is_word_at(all, end)
        || matches!(all.get(end), Some(b'.' | b'-' | b'_'))
            && all.get(end + 1).is_some_and(u8::is_ascii_alphanumeric);
    if is_continued || !names_a_host(address) {
        return None;
    }
    let octets = address.octets();
    let looks_like_version = octets.iter().all(|octet| *octet < 30) || octets[0] == 0;
    let base = Confidence(if looks_like_version { 40 } else { 85 });
    let is_reference = context.is_reference(word.bytes(), word.start, Topic::Network);
    let confidence = if is_reference {
        base.lowered(45)
    } else if context.is_near(Topic::Network, word.start) {
        base.raised(25)
    } else {
        base
    };
    Some(Match {
        kind: Kind::IpAddress,
        end,
        confidence,
    })
}

/// Not this machine, nobody, everybody, or a mask.
fn names_a_host(address: Ipv4Addr) -> bool {
    !(address.is_loopback()
        || address.is_unspecified()
        || address.octets()[0] == 0
        || address.is_broadcast()
        || address.octets()[0] >= 240)
}

/// `start` is at a hexadecimal digit, or at the `::` that an address may begin with.
pub(super) fn ip_v6(text: &str, start: usize, joined: Joined) -> Option<Match> {
    if joined != Joined::No || follows_hex(text.as_bytes(), start) {
        return None;
    }
    let bytes = &text.as_bytes()[start..];
    let len = bytes
        .iter()
        .take(45)
        .take_while(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'))
        .count();
    let mut text = std::str::from_utf8(&bytes[..len]).ok()?;
    if is_word_at(bytes, len) {
        return None;
    }
    // The sentence's own full stop or colon.
    while let Some(shorter) = text.strip_suffix(['.', ':']) {
        if text.ends_with("::") {
            break;
        }
        text = shorter;
    }
    if text.bytes().filter(|byte| *byte == b':').count() < 2 {
        return None;
    }
    let address: Ipv6Addr = text.parse().ok()?;
    // `ab::cd` is a path in some languages.
    let groups = text
        .split([':', '.'])
        .filter(|group| !group.is_empty())
        .count();
    let is_plain = groups < 3 && !text.bytes().any(|byte| byte.is_ascii_digit());
    if is_plain || address.is_loopback() || address.is_unspecified() || groups < 2 {
        return None;
    }
    Some(Match {
        kind: Kind::IpAddress,
        end: start + text.len(),
        confidence: Confidence(95),
    })
}

/// It is a later part of a fingerprint, say: a group of hexadecimal digits stands before it.
fn follows_hex(bytes: &[u8], start: usize) -> bool {
    let [before @ .., b':' | b'-'] = &bytes[..start] else {
        return false;
    };
    let group = before
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    (1..=4).contains(&group)
        && !before[..before.len() - group]
            .last()
            .is_some_and(u8::is_ascii_alphanumeric)
}

/// `00:1a:2b:3c:4d:5e`, `00-1A-2B-3C-4D-5E`, `001a.2b3c.4d5e`.
pub(super) fn mac(word: &Word<'_>, context: &Context) -> Option<Match> {
    let bytes = word.rest();
    let (group, groups, separators): (usize, usize, &[u8]) = match word.end - word.start {
        2 => (2, 6, b":-"),
        4 => (4, 3, b"."),
        _ => return None,
    };
    let separator = *bytes.get(group)?;
    let is_later_part = word.joined == Joined::ToMore || follows_hex(word.bytes(), word.start);
    if !separators.contains(&separator) || is_later_part {
        return None;
    }
    let len = groups * (group + 1) - 1;
    let candidate = bytes.get(..len)?;
    let is_form = candidate.iter().enumerate().all(|(at, byte)| {
        if at % (group + 1) == group {
            *byte == separator
        } else {
            byte.is_ascii_hexdigit()
        }
    });
    let continues = is_word_at(bytes, len)
        || bytes.get(len) == Some(&separator)
            && bytes.get(len + 1).is_some_and(u8::is_ascii_hexdigit);
    let mut hex = candidate.iter().filter(|byte| byte.is_ascii_hexdigit());
    let first = *hex.next()?;
    let is_one_digit = hex.all(|byte| *byte == first);
    // A fingerprint is longer; 00-00-… and ff:ff:… are no card.
    if !is_form || continues || is_one_digit || !ends_at(word.bytes(), word.start + len) {
        return None;
    }
    // `10:20:30:40:50:60`.
    let is_decimal = !candidate.iter().any(u8::is_ascii_alphabetic);
    let is_named = [Topic::Hardware, Topic::Network]
        .iter()
        .any(|topic| context.is_near(*topic, word.start));
    Some(Match {
        kind: Kind::MacAddress,
        end: word.start + len,
        confidence: Confidence(if is_decimal && !is_named { 45 } else { 92 }),
    })
}

/// `001122334455`, where it is called one.
#[inline]
pub(super) fn bare_mac(word: &Word<'_>, context: &Context) -> Option<Match> {
    if !context.is_close(Topic::Hardware, word.start) {
        return None;
    }
    let bytes: &[u8; 12] = word.as_bytes().try_into().ok()?;
    let has = |one: fn(&u8) -> bool| bytes.iter().any(one);
    let is_form = bytes.iter().all(u8::is_ascii_hexdigit)
        && !(has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase));
    let is_reference = context.is_reference(word.bytes(), word.start, Topic::Hardware);
    (is_form && !is_reference && ends_at(word.bytes(), word.end)).then_some(Match {
        kind: Kind::MacAddress,
        end: word.end,
        confidence: Confidence(92),
    })
}

#[cfg(test)]
mod tests {
    use crate::pii::tests::named as found;

    #[test]
    fn addresses_are_found_in_every_form() {
        for (text, kind, value) in [
            ("from 203.0.113.77.", "ip_address", "203.0.113.77"),
            ("host 203.0.113.77:8080", "ip_address", "203.0.113.77"),
            (
                "[2001:db8::8a2e:370:7334]",
                "ip_address",
                "2001:db8::8a2e:370:7334",
            ),
            (
                "fe80::1ff:fe23:4567:890a up",
                "ip_address",
                "fe80::1ff:fe23:4567:890a",
            ),
            ("mac 00:1A:2b:3c:4d:5E.", "mac_address", "00:1A:2b:3c:4d:5E"),
            ("MAC:00-1A-2B-3C-4D-5F", "mac_address", "00-1A-2B-3C-4D-5F"),
            ("00-1A-2B-3C-4D-5E", "mac_address", "00-1A-2B-3C-4D-5E"),
            ("001a.2b3c.4d5e", "mac_address", "001a.2b3c.4d5e"),
            ("MAC: 001122334455", "mac_address", "001122334455"),
            ("MAC-Adresse 001A2B3C4D5E", "mac_address", "001A2B3C4D5E"),
            ("mac 10:20:30:40:50:60", "mac_address", "10:20:30:40:50:60"),
            ("upgraded host 203.0.113.77", "ip_address", "203.0.113.77"),
            ("login from 10.4.17.25", "ip_address", "10.4.17.25"),
        ] {
            assert_eq!(found(text), [(kind, value)], "{text}");
        }
    }

    #[test]
    fn look_alikes_are_none() {
        for text in [
            "version 10.4.17.250",
            "1.2.3.4",
            "upgrade from 2.4.1.0 to 2.5.0.1",
            "10:20:30:40:50:60",
            "a Mac, order 001122334455",
            "001A2B3C4D5E",
            "mac 001A2b3C4D5E",
            "1.2.3.4.5",
            "127.0.0.1",
            "::1",
            "std::fs",
            "ab::cd",
            "at 12:30:45",
            "255.255.255.0",
            "300.1.1.1",
            "ab:cd:ef:01:23:45:67:89:ab:cd:ef:01:23:45:67:89:ab:cd:ef:01",
            "550e8400-e29b-41d4-a716-446655440000",
        ] {
            assert_eq!(found(text), [("", ""); 0], "{text}");
        }
    }
}
