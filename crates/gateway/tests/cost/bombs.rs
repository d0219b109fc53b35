//! Compressed bodies that would be larger than they may be.

use std::io::Write;

use gateway::encoding::Decoder;

const INFLATED_BYTES: usize = 16 * 1024 * 1024;
const BOUND_BYTES: u64 = 1024 * 1024;

#[test]
fn a_bomb_of_any_encoding_is_refused_before_it_is_in_memory() {
    let text = vec![b' '; INFLATED_BYTES];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&text).unwrap();
    let mut brotli = brotli::CompressorWriter::new(Vec::new(), 4096, 1, 20);
    brotli.write_all(&text).unwrap();
    let zstd = zstd::encode_all(&text[..], 3).unwrap();
    for (name, bomb) in [
        ("gzip", gzip.finish().unwrap()),
        ("br", brotli.into_inner()),
        ("zstd", zstd),
    ] {
        let cost = allocation_counter::measure(|| {
            let mut decoder = Decoder::new(&[name.to_owned()]).unwrap();
            assert!(decoder.decode_whole(&bomb, BOUND_BYTES).is_err(), "{name}");
        });
        println!("{name}: {} bytes took {}", bomb.len(), cost.bytes_max);
        // The decoder's own window, and a vector that doubles.
        assert!(
            cost.bytes_max < 4 * BOUND_BYTES,
            "{name}: {} bytes held",
            cost.bytes_max
        );
    }
}
