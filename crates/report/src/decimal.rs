//! Exact decimal numbers of up to 18 decimals: finer than money, which is whole billionths, because
//! a price for a million tokens times a few tokens is.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub};
use std::str::FromStr;

use domain::money::Nanos;

/// Decimals that are kept.
pub const SCALE: u32 = 18;

const ONE: i128 = 10_i128.pow(SCALE);

/// How many digits stand before the point at most, which keeps sums of them within 128 bits.
const WHOLE_DIGITS_MAX: usize = 18;

/// 10^-18 of one. Sums and differences saturate, at some 10^20.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(i128);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no decimal number, such as `12.50` or `1.25E-05`")]
pub struct DecimalError;

impl Decimal {
    pub const ZERO: Self = Self(0);

    pub const fn whole(number: u64) -> Self {
        Self(number as i128 * ONE)
    }

    /// `units` times 10^-`scale`; `None` if that has more decimals than are kept, or is too large.
    pub fn new(units: i128, scale: u32) -> Option<Self> {
        let step = 10_i128.checked_pow(SCALE.checked_sub(scale)?)?;
        units.checked_mul(step).map(Self)
    }

    /// What one of so many units costs on average, in the price of a million of them; zero of none.
    pub fn average_per_million(amount: Nanos, units: u64) -> Self {
        if units == 0 {
            return Self::ZERO;
        }
        let scaled = i128::from(amount.0) * 10_i128.pow(SCALE - 9 + 6);
        Self(rounded(scaled, i128::from(units)))
    }

    /// Whole billionths, the rest cut off.
    pub fn whole_nanos(self) -> Nanos {
        Nanos::saturated(self.0.div_euclid(10_i128.pow(SCALE - 9)))
    }

    /// In units of 10^-`scale`; `None` if it has more decimals.
    pub fn units(self, scale: u32) -> Option<i128> {
        let step = 10_i128.checked_pow(SCALE.checked_sub(scale)?)?;
        (self.0 % step == 0).then_some(self.0 / step)
    }

    pub fn is_negative(self) -> bool {
        self.0 < 0
    }

    pub fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }

    /// Rounded half away from zero.
    pub fn times(self, factor: Self) -> Self {
        // In halves of 64 bits, as the product has up to 256.
        let negative = self.is_negative() != factor.is_negative();
        let (a, b) = (self.0.unsigned_abs(), factor.0.unsigned_abs());
        let one = ONE.unsigned_abs();
        let (a_whole, a_part) = (a / one, a % one);
        let (b_whole, b_part) = (b / one, b % one);
        let product = a_whole
            .saturating_mul(b)
            .saturating_add(a_part.saturating_mul(b_whole))
            .saturating_add((a_part * b_part + one / 2) / one);
        let product = i128::try_from(product).unwrap_or(i128::MAX);
        Self(if negative { -product } else { product })
    }

    /// The nearest whole number; `None` past 63 bits.
    pub fn rounded(self) -> Option<i64> {
        i64::try_from(rounded(self.0, ONE)).ok()
    }

    /// This as a share of `whole`, rounded to a millionth; `None` of nothing.
    pub fn share_of(self, whole: Self) -> Option<Self> {
        if whole.0 == 0 {
            return None;
        }
        let millionths = match self.0.checked_mul(1_000_000) {
            Some(scaled) => rounded(scaled, whole.0),
            // So large that a millionth of the whole is exact enough to divide by.
            None => rounded(self.0, (whole.0 / 1_000_000).max(1)),
        };
        Self::new(millionths, 6)
    }

    /// With so many decimals, rounded half away from zero: for people.
    pub fn fixed(self, decimals: u32) -> String {
        let decimals = decimals.min(SCALE);
        let rounded = rounded(self.0, 10_i128.pow(SCALE - decimals));
        let scale = 10_u128.pow(decimals);
        let (whole, part) = (
            rounded.unsigned_abs() / scale,
            rounded.unsigned_abs() % scale,
        );
        let sign = if rounded < 0 { "-" } else { "" };
        let whole = grouped(&whole.to_string());
        if decimals == 0 {
            return format!("{sign}{whole}");
        }
        format!("{sign}{whole}.{part:0width$}", width = decimals as usize)
    }
}

/// `1,234,567` of digits.
pub fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Half away from zero.
fn rounded(number: i128, by: i128) -> i128 {
    let (quotient, rest) = (number / by, number % by);
    if rest.unsigned_abs() >= by.unsigned_abs().div_ceil(2) {
        quotient + if (number < 0) == (by < 0) { 1 } else { -1 }
    } else {
        quotient
    }
}

impl From<Nanos> for Decimal {
    fn from(nanos: Nanos) -> Self {
        Self(i128::from(nanos.0) * 10_i128.pow(SCALE - 9))
    }
}

impl Add for Decimal {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Decimal {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Decimal {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for Decimal {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl Sum for Decimal {
    fn sum<I: Iterator<Item = Self>>(numbers: I) -> Self {
        numbers.fold(Self::ZERO, Add::add)
    }
}

/// Exact, without zeros at the end, never in scientific notation.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let one = ONE.unsigned_abs();
        let (whole, part) = (self.0.unsigned_abs() / one, self.0.unsigned_abs() % one);
        write!(f, "{whole}")?;
        if part == 0 {
            return Ok(());
        }
        let decimals = format!("{part:018}");
        write!(f, ".{}", decimals.trim_end_matches('0'))
    }
}

/// `12.50`, `-3`, `.5`, `1.25E-05`. Decimals past the 18th are rounded away: exports of floating-point
/// numbers have such, and they mean nothing.
impl FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let (negative, number) = match text.strip_prefix('-') {
            Some(number) => (true, number),
            None => (false, text),
        };
        let (digits, exponent) = match number.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent_of(exponent)?),
            None => (number, 0),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !are_digits(whole) || !are_digits(part) || whole.is_empty() && part.is_empty() {
            return Err(DecimalError);
        }
        let all: Vec<u8> = [whole.as_bytes(), part.as_bytes()].concat();
        // Where the point stands among all digits once the exponent has moved it.
        let point = whole.len() as i64 + exponent;
        let mut units = 0_i128;
        let leading = all.iter().take_while(|digit| **digit == b'0').count() as i64;
        if point - leading > WHOLE_DIGITS_MAX as i64 && leading < all.len() as i64 {
            return Err(DecimalError);
        }
        let last = point + i64::from(SCALE);
        for index in leading..last.max(leading) {
            let digit = usize::try_from(index).ok().and_then(|index| all.get(index));
            units = units * 10 + i128::from(digit.map_or(0, |digit| digit - b'0'));
        }
        let next = usize::try_from(last).ok().and_then(|index| all.get(index));
        if next.is_some_and(|digit| *digit >= b'5') {
            units += 1;
        }
        Ok(Self(if negative { -units } else { units }))
    }
}

fn exponent_of(text: &str) -> Result<i64, DecimalError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || digits.len() > 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DecimalError);
    }
    let exponent: i64 = digits.parse().map_err(|_| DecimalError)?;
    Ok(if text.starts_with('-') {
        -exponent
    } else {
        exponent
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn numbers_read_as_exports_write_them() {
        for (text, shown) in [
            ("12.50", "12.5"),
            ("-3", "-3"),
            (".5", "0.5"),
            ("0007.10", "7.1"),
            ("1.25E-05", "0.0000125"),
            ("2e3", "2000"),
            ("0", "0"),
            ("-0.0", "0"),
            ("0e99", "0"),
            ("0.0000000000000000004", "0"),
            ("0.0000000000000000005", "0.000000000000000001"),
            ("1.0000000000000000001", "1"),
            ("1e-30", "0"),
            ("999999999999999999", "999999999999999999"),
        ] {
            assert_eq!(decimal(text).to_string(), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_or_too_large_is_refused() {
        for text in [
            "",
            "-",
            ".",
            "1,5",
            "1.234,5",
            "$3",
            "+1",
            "1e",
            "1e9999",
            "0x1",
            " 1",
            "NaN",
            "--1",
            "1e19",
            "1000000000000000000",
        ] {
            assert_eq!(text.parse::<Decimal>(), Err(DecimalError), "{text:?}");
        }
    }

    #[test]
    fn an_average_times_the_quantity_is_the_amount_again() {
        let average = Decimal::average_per_million(Nanos(1_234_567), 3_000);
        assert_eq!(average.to_string(), "0.411522333333333333");
        assert_eq!(Decimal::average_per_million(Nanos(5), 0), Decimal::ZERO);
        assert_eq!(decimal("-0.0000000011").whole_nanos(), Nanos(-2));
        assert_eq!(decimal("1.0000000019").whole_nanos(), Nanos(1_000_000_001));
    }

    #[test]
    fn rounding_for_people_is_half_away_from_zero() {
        assert_eq!(decimal("1234567.125").fixed(2), "1,234,567.13");
        assert_eq!(decimal("-0.005").fixed(2), "-0.01");
        assert_eq!(decimal("0.004").fixed(2), "0.00");
        assert_eq!(decimal("999.5").fixed(0), "1,000");
    }

    #[test]
    fn shares_are_of_the_whole() {
        let share = |part: &str, whole: &str| decimal(part).share_of(decimal(whole));
        assert_eq!(share("1", "3").unwrap().to_string(), "0.333333");
        assert_eq!(share("-1", "8").unwrap().to_string(), "-0.125");
        assert_eq!(share("1", "0"), None);
        assert_eq!(
            share("900000000000000000", "900000000000000000").unwrap(),
            decimal("1")
        );
    }

    #[test]
    fn a_rate_is_applied_to_the_last_decimal() {
        assert_eq!(decimal("100.10").times(decimal("0.92")), decimal("92.092"));
        assert_eq!(decimal("-2").times(decimal("1.5")), decimal("-3"));
        assert_eq!(
            decimal("0.000000000000000001").times(decimal("0.5")),
            decimal("0.000000000000000001")
        );
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(units in -(10_i128.pow(36))..10_i128.pow(36)) {
            let decimal = Decimal(units);
            prop_assert_eq!(decimal.to_string().parse(), Ok(decimal));
        }

        #[test]
        fn units_of_any_scale_give_the_number_back(units in -(10_i128.pow(18))..10_i128.pow(18), scale in 0_u32..=18) {
            let decimal = Decimal::new(units, scale).unwrap();
            prop_assert_eq!(decimal.units(scale), Some(units));
        }

        #[test]
        fn no_text_makes_reading_panic(text in "[-+0-9.eE]{0,40}") {
            let _ = text.parse::<Decimal>();
        }
    }
}
