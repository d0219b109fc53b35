//! Content encodings undone: compressed requests are read, compressed answers are metered and
//! reach the client readable.

use std::io::Write;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};

use crate::refusal::Refusal;

/// The encodings that a header names, outermost first, `identity` left out.
pub fn named(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let mut all: Vec<String> = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|one| one.trim().to_ascii_lowercase())
        .filter(|one| !one.is_empty() && one != "identity")
        .collect();
    all.reverse();
    all
}

/// Decodes piece by piece; what a piece makes readable can be taken at once.
pub struct Decoder {
    stage: Stage,
}

enum Stage {
    Gzip(flate2::write::MultiGzDecoder<Readable>),
    Deflate(flate2::write::ZlibDecoder<Readable>),
    Brotli(Box<brotli::DecompressorWriter<Readable>>),
    Zstd(zstd::stream::write::Decoder<'static, Readable>),
}

/// Read buffer inside the brotli decoder.
const BROTLI_BUFFER_BYTES: usize = 4096;

/// Why a piece cannot be decoded.
#[derive(Debug)]
pub enum Undecodable {
    Damaged(std::io::Error),
    /// It inflates to more than was asked for. Kilobytes can become gigabytes.
    TooMuch,
}

impl Decoder {
    /// Gives back the name of an encoding that is not supported. Stacked encodings are not: nobody
    /// sends them, and each one multiplies what a small body can grow to.
    pub fn new(encodings: &[String]) -> Result<Self, String> {
        let [encoding] = encodings else {
            return Err(encodings.join(", "));
        };
        let readable = Readable::default();
        let stage = match encoding.as_str() {
            "gzip" | "x-gzip" => Stage::Gzip(flate2::write::MultiGzDecoder::new(readable)),
            "deflate" => Stage::Deflate(flate2::write::ZlibDecoder::new(readable)),
            "br" => Stage::Brotli(Box::new(brotli::DecompressorWriter::new(
                readable,
                BROTLI_BUFFER_BYTES,
            ))),
            "zstd" => match zstd::stream::write::Decoder::new(readable) {
                Ok(decoder) => Stage::Zstd(decoder),
                Err(_) => return Err(encoding.clone()),
            },
            other => return Err(other.to_owned()),
        };
        Ok(Self { stage })
    }

    /// Feeds `input` and takes what is readable now. Stops at `readable_max` bytes, before they are
    /// inflated; nothing can be decoded after an error.
    pub fn push(&mut self, input: &[u8], readable_max: usize) -> Result<Bytes, Undecodable> {
        self.readable().room = readable_max;
        let fed = match &mut self.stage {
            Stage::Gzip(decoder) => feed(decoder, input),
            Stage::Deflate(decoder) => feed(decoder, input),
            Stage::Brotli(decoder) => feed(decoder, input),
            Stage::Zstd(decoder) => feed(decoder, input),
        };
        let readable = self.readable();
        match fed {
            Ok(()) => Ok(std::mem::take(&mut readable.bytes).into()),
            Err(_) if readable.is_full => Err(Undecodable::TooMuch),
            Err(error) => Err(Undecodable::Damaged(error)),
        }
    }

    /// Decodes a whole body.
    pub fn decode_whole(&mut self, input: &[u8], bytes_max: u64) -> Result<Bytes, Refusal> {
        let readable_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        self.push(input, readable_max).map_err(|error| match error {
            Undecodable::Damaged(error) => Refusal::BodyBroken {
                reason: error.to_string(),
            },
            Undecodable::TooMuch => Refusal::BodyTooLarge { bytes_max },
        })
    }

    fn readable(&mut self) -> &mut Readable {
        match &mut self.stage {
            Stage::Gzip(decoder) => decoder.get_mut(),
            Stage::Deflate(decoder) => decoder.get_mut(),
            Stage::Brotli(decoder) => decoder.get_mut(),
            Stage::Zstd(decoder) => decoder.get_mut(),
        }
    }
}

fn feed(decoder: &mut impl Write, input: &[u8]) -> std::io::Result<()> {
    decoder.write_all(input)?;
    decoder.flush()
}

/// Takes what a decoder writes, as far as there is room.
#[derive(Default)]
struct Readable {
    bytes: Vec<u8>,
    room: usize,
    is_full: bool,
}

impl Write for Readable {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        if piece.len() > self.room {
            self.is_full = true;
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.room -= piece.len();
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROOM: usize = 1024 * 1024;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn brotli(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        {
            let mut encoder = brotli::CompressorWriter::new(&mut out, 4096, 5, 20);
            encoder.write_all(text).unwrap();
        }
        out
    }

    #[test]
    fn every_encoding_is_decoded_whatever_the_cut() {
        let text = b"data: {\"choices\":[]}\n\n".repeat(50);
        let zstd = zstd::encode_all(&text[..], 3).unwrap();
        for (name, packed) in [("gzip", gzip(&text)), ("br", brotli(&text)), ("zstd", zstd)] {
            for cut in [1, packed.len() / 2, packed.len() - 1] {
                let mut decoder = Decoder::new(&[name.to_owned()]).unwrap();
                let mut out = decoder.push(&packed[..cut], ROOM).unwrap().to_vec();
                out.extend_from_slice(&decoder.push(&packed[cut..], ROOM).unwrap());
                assert_eq!(out, text, "{name} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_and_what_just_fits_is_not() {
        let text = vec![b' '; 8 * 1024 * 1024];
        let zstd = zstd::encode_all(&text[..], 3).unwrap();
        for (name, bomb) in [("gzip", gzip(&text)), ("br", brotli(&text)), ("zstd", zstd)] {
            assert!(bomb.len() < 16 * 1024, "{name}: {}", bomb.len());
            let decoder = || Decoder::new(&[name.to_owned()]).unwrap();
            let less = text.len() as u64 - 1;
            let refused = decoder().decode_whole(&bomb, less).unwrap_err();
            assert!(matches!(refused, Refusal::BodyTooLarge { .. }), "{name}");
            let whole = decoder().decode_whole(&bomb, less + 1).unwrap();
            assert_eq!(whole, text, "{name}");
        }
    }

    #[test]
    fn damage_is_no_bomb() {
        let mut damaged = gzip(b"a good text");
        damaged[0] ^= 1;
        let mut decoder = Decoder::new(&["gzip".to_owned()]).unwrap();
        let refused = decoder.decode_whole(&damaged, 1024).unwrap_err();
        assert!(matches!(refused, Refusal::BodyBroken { .. }));
    }

    #[test]
    fn an_unknown_encoding_is_named() {
        assert_eq!(
            Decoder::new(&["compress".to_owned()]).err().as_deref(),
            Some("compress")
        );
    }

    proptest! {
        /// A good body, some bytes of it changed, in two pieces cut anywhere.
        #[test]
        fn whatever_comes_is_decoded_within_its_room_or_refused(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
            cut: prop::sample::Index,
            room in 0..4096_usize,
        ) {
            let text = b"data: {\"choices\":[]}\n\n".repeat(100);
            let zstd = zstd::encode_all(&text[..], 3).unwrap();
            for (name, mut packed) in [("gzip", gzip(&text)), ("br", brotli(&text)), ("zstd", zstd)] {
                for (at, byte) in &changes {
                    let at = at.index(packed.len());
                    packed[at] = *byte;
                }
                let mut decoder = Decoder::new(&[name.to_owned()]).unwrap();
                let (first, rest) = packed.split_at(cut.index(packed.len()));
                for piece in [first, rest] {
                    let Ok(readable) = decoder.push(piece, room) else { break };
                    prop_assert!(readable.len() <= room);
                }
            }
        }
    }
}
