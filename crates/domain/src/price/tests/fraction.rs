//! Exact fractions for a calculation that shares nothing with the one under test.

use std::ops::{Add, Mul, Sub};

/// Reduced; the denominator is positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fraction {
    above: i128,
    below: i128,
}

impl Fraction {
    pub fn of(above: i128, below: i128) -> Self {
        let divisor = greatest_common_divisor(above.abs(), below.abs()).max(1) * below.signum();
        Self {
            above: above / divisor,
            below: below / divisor,
        }
    }

    pub fn whole(number: u64) -> Self {
        Self::of(i128::from(number), 1)
    }

    /// `2.50` is 5/2.
    pub fn decimal(text: &str) -> Self {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits: i128 = format!("{whole}{part}").parse().expect("digits");
        Self::of(digits, 10_i128.pow(part.len() as u32))
    }

    /// To the nearest billionth, a half to the one above.
    pub fn nanos(self) -> i128 {
        let billionths = self * Self::of(1_000_000_000, 1);
        let twice = 2 * billionths.above + billionths.below;
        twice.div_euclid(2 * billionths.below)
    }
}

fn greatest_common_divisor(a: i128, b: i128) -> i128 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

impl Add for Fraction {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::of(
            self.above * other.below + other.above * self.below,
            self.below * other.below,
        )
    }
}

impl Sub for Fraction {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + Self::of(-other.above, other.below)
    }
}

impl Mul for Fraction {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self::of(self.above * other.above, self.below * other.below)
    }
}

#[test]
fn fractions_add_multiply_and_round_half_up() {
    let third = Fraction::of(1, 3);
    assert_eq!(third + Fraction::decimal("0.50"), Fraction::of(5, 6));
    assert_eq!(third * Fraction::of(-3, 2), Fraction::of(-1, 2));
    assert_eq!(Fraction::whole(1) - third, Fraction::of(2, 3));
    assert_eq!(third.nanos(), 333_333_333);
    assert_eq!(Fraction::decimal("0.0000000005").nanos(), 1);
    assert_eq!(Fraction::decimal("0.0000000004").nanos(), 0);
}
