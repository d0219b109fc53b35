//! Points in time as text: UTC, whole seconds unless there is more, always ending in `Z`.

use domain::Wall;
use jiff::Timestamp;

/// Past the calendar's ends, the end.
pub fn text(at: Wall) -> String {
    let end = if at.0 < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_millisecond(at.0).unwrap_or(end).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_in_utc() {
        assert_eq!(text(Wall(1_793_534_400_000)), "2026-11-01T12:00:00Z");
        assert_eq!(text(Wall(1_793_534_400_250)), "2026-11-01T12:00:00.25Z");
        assert!(text(Wall(i64::MAX)).starts_with("9999-12-30T22:00:00.999"));
    }
}
