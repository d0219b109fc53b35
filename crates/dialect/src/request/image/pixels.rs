//! The size of an inline image, from the first bytes of its file.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pixels {
    pub width: u64,
    pub height: u64,
}

/// Sizes stand in the first few bytes, but a JPEG's after its metadata. Past this it is unknown.
const HEADER_CHARACTERS_MAX: usize = 256 * 1024;

impl Pixels {
    /// Of the PNG, JPEG, GIF or WebP in a base64 `data:` URL.
    pub(super) fn of(url: &str) -> Option<Self> {
        let (scheme, data) = url.split_once(";base64,")?;
        if !scheme.get(..5)?.eq_ignore_ascii_case("data:") {
            return None;
        }
        let end = data.len().min(HEADER_CHARACTERS_MAX) & !3;
        let header = STANDARD.decode(data.as_bytes().get(..end)?).ok()?;
        let pixels = png(&header)
            .or_else(|| gif(&header))
            .or_else(|| webp(&header))
            .or_else(|| jpeg(&header))?;
        (pixels.width > 0 && pixels.height > 0).then_some(pixels)
    }
}

fn png(header: &[u8]) -> Option<Pixels> {
    let rest = header.strip_prefix(b"\x89PNG\r\n\x1a\n")?;
    let side = |at| Some(u32::from_be_bytes(*rest.get(at..)?.first_chunk()?).into());
    Some(Pixels {
        width: side(8)?,
        height: side(12)?,
    })
}

fn gif(header: &[u8]) -> Option<Pixels> {
    let rest = header
        .strip_prefix(b"GIF87a")
        .or_else(|| header.strip_prefix(b"GIF89a"))?;
    Some(Pixels {
        width: u16_le(rest, 0)?,
        height: u16_le(rest, 2)?,
    })
}

fn webp(header: &[u8]) -> Option<Pixels> {
    let chunk = header
        .strip_prefix(b"RIFF")?
        .get(4..)?
        .strip_prefix(b"WEBP")?;
    let (kind, body) = (chunk.get(..4)?, chunk.get(8..)?);
    match kind {
        b"VP8 " => Some(Pixels {
            width: u16_le(body, 6)? & 0x3fff,
            height: u16_le(body, 8)? & 0x3fff,
        }),
        b"VP8L" => {
            let bits = u64::from(u32::from_le_bytes(*body.get(1..)?.first_chunk()?));
            Some(Pixels {
                width: (bits & 0x3fff) + 1,
                height: ((bits >> 14) & 0x3fff) + 1,
            })
        }
        b"VP8X" => {
            let side = |at| Some((u16_le(body, at)? | u64::from(*body.get(at + 2)?) << 16) + 1);
            Some(Pixels {
                width: side(4)?,
                height: side(7)?,
            })
        }
        _ => None,
    }
}

/// Follows the segments to the start of frame, which holds the size.
fn jpeg(header: &[u8]) -> Option<Pixels> {
    let mut rest = header.strip_prefix(b"\xff\xd8")?;
    loop {
        let (&[0xff, marker], segment) = rest.split_first_chunk::<2>()? else {
            return None;
        };
        match marker {
            // A fill byte.
            0xff => rest = &rest[1..],
            // Markers without a segment.
            0x01 | 0xd0..=0xd7 => rest = segment,
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                return Some(Pixels {
                    width: u16_be(segment, 5)?,
                    height: u16_be(segment, 3)?,
                });
            }
            _ => {
                // A length counts its own two bytes; less would never advance.
                let length = u16_be(segment, 0).filter(|&length| length >= 2)?;
                rest = segment.get(usize::try_from(length).ok()?..)?;
            }
        }
    }
}

fn u16_le(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?).into())
}

fn u16_be(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn url(header: &[u8]) -> String {
        format!("data:image/any;base64,{}", STANDARD.encode(header))
    }

    #[test]
    fn sizes_are_read_from_every_format() {
        let expected = Some(Pixels {
            width: 1024,
            height: 513,
        });
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x04\0\0\0\x02\x01\x08";
        let gif = b"GIF89a\x00\x04\x01\x02\xf7\0";
        let webp_lossy = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x00\x04\x01\x02";
        let webp_lossless = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\xff\x03\x80\x00";
        let webp_extended = b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0\xff\x03\0\x00\x02\0";
        let jpeg = b"\xff\xd8\xff\xe1\0\x06EXIF\xff\xc0\0\x11\x08\x02\x01\x04\x00\x03";
        for header in [
            &png[..],
            gif,
            webp_lossy,
            webp_lossless,
            webp_extended,
            jpeg,
        ] {
            assert_eq!(
                Pixels::of(&url(header)),
                expected,
                "{}",
                String::from_utf8_lossy(header)
            );
        }
        assert_eq!(Pixels::of("https://example.com/a.png"), None);
        assert_eq!(Pixels::of("data:image/png;base64,!!!!"), None);
    }

    proptest! {
        #[test]
        fn any_header_is_read_to_an_end(kind in 0usize..4, bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let start: [&[u8]; 4] = [b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBP", b"\xff\xd8"];
            Pixels::of(&url(&[start[kind], &bytes].concat()));
        }
    }
}
