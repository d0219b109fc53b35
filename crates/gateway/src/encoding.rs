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
    Gzip(flate2::write::MultiGzDecoder<Vec<u8>>),
    Deflate(flate2::write::ZlibDecoder<Vec<u8>>),
    Brotli(Box<brotli::DecompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Decoder<'static, Vec<u8>>),
}

/// Read buffer inside the brotli decoder.
const BROTLI_BUFFER_BYTES: usize = 4096;

impl Decoder {
    /// Gives back the name of an encoding that is not supported. Stacked encodings are not: nobody
    /// sends them, and each one multiplies what a small body can grow to.
    pub fn new(encodings: &[String]) -> Result<Self, String> {
        let [encoding] = encodings else {
            return Err(encodings.join(", "));
        };
        let stage = match encoding.as_str() {
            "gzip" | "x-gzip" => Stage::Gzip(flate2::write::MultiGzDecoder::new(Vec::new())),
            "deflate" => Stage::Deflate(flate2::write::ZlibDecoder::new(Vec::new())),
            "br" => Stage::Brotli(Box::new(brotli::DecompressorWriter::new(
                Vec::new(),
                BROTLI_BUFFER_BYTES,
            ))),
            "zstd" => match zstd::stream::write::Decoder::new(Vec::new()) {
                Ok(decoder) => Stage::Zstd(decoder),
                Err(_) => return Err(encoding.clone()),
            },
            other => return Err(other.to_owned()),
        };
        Ok(Self { stage })
    }

    /// Feeds `input` and takes what is readable now. An error means the input is damaged.
    pub fn push(&mut self, input: &[u8]) -> std::io::Result<Bytes> {
        match &mut self.stage {
            Stage::Gzip(decoder) => {
                decoder.write_all(input)?;
                decoder.flush()?;
                Ok(std::mem::take(decoder.get_mut()).into())
            }
            Stage::Deflate(decoder) => {
                decoder.write_all(input)?;
                decoder.flush()?;
                Ok(std::mem::take(decoder.get_mut()).into())
            }
            Stage::Brotli(decoder) => {
                decoder.write_all(input)?;
                decoder.flush()?;
                Ok(std::mem::take(decoder.get_mut()).into())
            }
            Stage::Zstd(decoder) => {
                decoder.write_all(input)?;
                decoder.flush()?;
                Ok(std::mem::take(decoder.get_mut()).into())
            }
        }
    }

    /// Decodes a whole body in steps small enough that a bomb is noticed before it is inflated.
    pub fn decode_whole(&mut self, input: &[u8], bytes_max: u64) -> Result<Bytes, Refusal> {
        const STEP_BYTES: usize = 16 * 1024;
        let mut whole = Vec::new();
        for piece in input.chunks(STEP_BYTES) {
            let readable = self.push(piece).map_err(|error| Refusal::BodyBroken {
                reason: error.to_string(),
            })?;
            if (whole.len() + readable.len()) as u64 > bytes_max {
                return Err(Refusal::BodyTooLarge { bytes_max });
            }
            whole.extend_from_slice(&readable);
        }
        Ok(whole.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                let mut out = decoder.push(&packed[..cut]).unwrap().to_vec();
                out.extend_from_slice(&decoder.push(&packed[cut..]).unwrap());
                assert_eq!(out, text, "{name} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_inflated() {
        let bomb = gzip(&vec![b' '; 64 * 1024 * 1024]);
        let mut decoder = Decoder::new(&["gzip".to_owned()]).unwrap();
        let refused = decoder.decode_whole(&bomb, 1024 * 1024).unwrap_err();
        assert!(matches!(refused, Refusal::BodyTooLarge { .. }));
    }

    #[test]
    fn an_unknown_encoding_is_named() {
        assert_eq!(
            Decoder::new(&["compress".to_owned()]).err().as_deref(),
            Some("compress")
        );
    }
}
