//! Room on disk, taken before it is needed: a full disk then shows where somebody can be told.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// So much of a new file, all of it zeros.
pub fn take(file: &File, bytes: u64) -> io::Result<()> {
    match fs4::FileExt::allocate(file, bytes) {
        // A file system that cannot reserve room: zeros take it as well.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => zero(file, 0, bytes),
        taken => taken,
    }
}

/// In pieces that a file system keeps together in memory: of one page each, every page costs; of a
/// megabyte, every later write into it does.
pub fn zero(file: &File, from: u64, length: u64) -> io::Result<()> {
    static ZEROS: [u8; 65_536] = [0; 65_536];
    let mut done = 0;
    while done < length {
        let piece = (length - done).min(ZEROS.len() as u64);
        file.write_all_at(&ZEROS[..piece as usize], from + done)?;
        done += piece;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_zeros_and_zeroing_leaves_what_stands_around() {
        let file = tempfile::tempfile().unwrap();
        take(&file, 200_000).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 200_000);
        file.write_all_at(&[7; 200_000], 0).unwrap();
        zero(&file, 10, 150_000).unwrap();
        let mut bytes = vec![1; 200_000];
        file.read_exact_at(&mut bytes, 0).unwrap();
        let mut expected = vec![7; 200_000];
        expected[10..150_010].fill(0);
        assert!(bytes == expected);
    }
}
