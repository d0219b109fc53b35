//! Values that look like personal data and are none.

use super::chance::Chance;

pub fn value(chance: &mut Chance) -> String {
    match chance.below(22) {
        0 => chance.digits(8),
        1 => chance.digits(10),
        2 => chance.digits(12),
        3 => chance.digits(16),
        4 => format!("ORD-{}-{}", chance.within(2019, 2026), chance.digits(6)),
        5 => chance.of("0123456789abcdef", 40),
        6 => chance.of("0123456789abcdef", 64),
        7 => chance.of("0123456789abcdef", 7),
        8 => format!(
            "v{}.{}.{}",
            chance.within(0, 20),
            chance.within(0, 40),
            chance.within(0, 90)
        ),
        9 => format!(
            "{}.{}.{}.{}",
            chance.within(0, 12),
            chance.within(0, 20),
            chance.within(0, 29),
            chance.within(0, 29)
        ),
        10 => format!("17{}", chance.digits(8)),
        11 => format!("17{}", chance.digits(11)),
        12 => format!(
            "{}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            chance.within(2019, 2026),
            chance.within(1, 12),
            chance.within(1, 28),
            chance.within(0, 23),
            chance.within(0, 59),
            chance.within(0, 59)
        ),
        13 => format!(
            "{}-{}-4{}-a{}-{}",
            chance.of(HEX, 8),
            chance.of(HEX, 4),
            chance.of(HEX, 3),
            chance.of(HEX, 3),
            chance.of(HEX, 12)
        ),
        14 => format!(
            "978-3-{}-{}-{}",
            chance.digits(2),
            chance.digits(6),
            chance.digits(1)
        ),
        15 => format!(
            "{}.{:03},{:02} €",
            chance.within(1, 999),
            chance.within(0, 999),
            chance.within(0, 99)
        ),
        16 => format!(
            "1Z{}",
            chance.of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", 16)
        ),
        17 => format!(
            "{}.{}, {}.{}",
            chance.within(10, 60),
            chance.digits(6),
            chance.within(1, 30),
            chance.digits(6)
        ),
        18 => format!("SKU-{}{}", chance.of("ABCDEFGH", 2), chance.digits(6)),
        19 => format!("#{}", chance.digits(7)),
        20 => format!("{}x{}", chance.within(320, 3840), chance.within(240, 2160)),
        _ => format!(
            "{}:{}",
            chance.pick(&["std::fs", "12:30", "16:9", "a@b", "user@host", "@anna"]),
            chance.within(1, 59)
        ),
    }
}

const HEX: &str = "0123456789abcdef";
