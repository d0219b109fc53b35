//! A log of requests whose caller is not known, which such requests cannot flood.

use domain::Mono;

/// Ten lines a second; what is more is counted and said with the next line.
#[derive(Debug, Default)]
pub struct SecurityLog {
    second: u64,
    lines: u32,
    suppressed: u64,
}

impl SecurityLog {
    const LINES_PER_SECOND: u32 = 10;

    /// Whether a line may be written now, and how many were not since the last one.
    pub fn admits(&mut self, now: Mono) -> Option<u64> {
        let second = now.0 / 1_000_000_000;
        if second != self.second {
            self.second = second;
            self.lines = 0;
        }
        if self.lines == Self::LINES_PER_SECOND {
            self.suppressed += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_bad_keys_writes_ten_lines_a_second_and_says_what_it_left_out() {
        let mut log = SecurityLog::default();
        let written = (0..1000)
            .filter(|_| log.admits(Mono::from_secs(5)).is_some())
            .count();
        assert_eq!(written, 10);
        assert_eq!(log.admits(Mono::from_secs(6)), Some(990));
    }
}
