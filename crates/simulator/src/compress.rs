//! Compressed answers, piece by piece: each can be read as soon as it arrives.

use std::collections::VecDeque;
use std::io::{self, Write};

use bytes::Bytes;

use crate::behaviour::Compression;
use crate::delivery::Piece;

pub fn encoding_name(compression: Compression) -> &'static str {
    match compression {
        Compression::Gzip => "gzip",
        Compression::Br => "br",
        Compression::Zstd => "zstd",
    }
}

pub fn pieces(compression: Compression, pieces: &VecDeque<Piece>) -> io::Result<VecDeque<Piece>> {
    let mut encoder = match compression {
        Compression::Gzip => Encoder::Gzip(flate2::write::GzEncoder::new(
            Vec::new(),
            flate2::Compression::fast(),
        )),
        Compression::Br => Encoder::Br(Box::new(brotli::CompressorWriter::new(
            Vec::new(),
            4096,
            3,
            18,
        ))),
        Compression::Zstd => Encoder::Zstd(zstd::stream::write::Encoder::new(Vec::new(), 1)?),
    };
    let mut compressed = VecDeque::with_capacity(pieces.len());
    for Piece { bytes, tokens } in pieces {
        compressed.push_back(Piece {
            bytes: encoder.piece(bytes)?,
            tokens: *tokens,
        });
    }
    let end = encoder.finish()?;
    match compressed.back_mut() {
        Some(last) => last.bytes = [&last.bytes[..], &end].concat().into(),
        None => compressed.push_back(Piece {
            bytes: end.into(),
            tokens: 0,
        }),
    }
    Ok(compressed)
}

enum Encoder {
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Br(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    fn piece(&mut self, bytes: &[u8]) -> io::Result<Bytes> {
        let written = match self {
            Self::Gzip(encoder) => {
                encoder.write_all(bytes)?;
                encoder.flush()?;
                encoder.get_mut()
            }
            Self::Br(encoder) => {
                encoder.write_all(bytes)?;
                encoder.flush()?;
                encoder.get_mut()
            }
            Self::Zstd(encoder) => {
                encoder.write_all(bytes)?;
                encoder.flush()?;
                encoder.get_mut()
            }
        };
        Ok(std::mem::take(written).into())
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Br(encoder) => Ok(encoder.into_inner()),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn what_is_compressed_in_pieces_is_read_back_whole() {
        let piece = |text: &'static str, tokens| Piece {
            bytes: Bytes::from_static(text.as_bytes()),
            tokens,
        };
        let plain: VecDeque<_> = [piece("data: one\n\n", 1), piece("data: two\n\n", 2)].into();
        for compression in [Compression::Gzip, Compression::Br, Compression::Zstd] {
            let compressed = pieces(compression, &plain).unwrap();
            assert_eq!(
                compressed
                    .iter()
                    .map(|piece| piece.tokens)
                    .collect::<Vec<_>>(),
                [1, 2]
            );
            let bytes: Vec<u8> = compressed
                .iter()
                .flat_map(|piece| piece.bytes.to_vec())
                .collect();
            let mut text = String::new();
            match compression {
                Compression::Gzip => flate2::read::GzDecoder::new(&bytes[..])
                    .read_to_string(&mut text)
                    .unwrap(),
                Compression::Br => brotli::Decompressor::new(&bytes[..], 4096)
                    .read_to_string(&mut text)
                    .unwrap(),
                Compression::Zstd => zstd::stream::read::Decoder::new(&bytes[..])
                    .unwrap()
                    .read_to_string(&mut text)
                    .unwrap(),
            };
            assert_eq!(text, "data: one\n\ndata: two\n\n");
        }
    }
}
