//! Money: whole billionths of a currency unit, and the currency's code. Never a float.
//!
//! Does not convert between currencies: that takes a dated rate, which is a price's business.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub};
use std::str::FromStr;

const UNIT: i64 = 1_000_000_000;
const DECIMALS: usize = 9;

/// Billionths of a currency unit. Arithmetic saturates, at nine thousand million units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub i64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    #[error("is no decimal number, such as `12.50`")]
    Malformed,
    #[error("has more than 9 decimals")]
    TooFine,
    #[error("is more than 9000000000")]
    TooLarge,
}

impl Nanos {
    pub const ZERO: Self = Self(0);

    /// Saturates instead of wrapping, as results of 128-bit arithmetic may be too large.
    pub fn saturated(nanos: i128) -> Self {
        let bound = if nanos < 0 { i64::MIN } else { i64::MAX };
        Self(i64::try_from(nanos).unwrap_or(bound))
    }

    /// Rounded half up to this many decimals, all of which are shown: for columns of a table.
    pub fn fixed(self, decimals: usize) -> String {
        let decimals = decimals.min(DECIMALS);
        let step = 10_i128.pow((DECIMALS - decimals) as u32);
        let rounded = (i128::from(self.0) + step / 2).div_euclid(step);
        let scale = 10_u128.pow(decimals as u32);
        let (whole, part) = (
            rounded.unsigned_abs() / scale,
            rounded.unsigned_abs() % scale,
        );
        let sign = if rounded < 0 { "-" } else { "" };
        if decimals == 0 {
            return format!("{sign}{whole}");
        }
        format!("{sign}{whole}.{part:0decimals$}")
    }
}

impl Add for Nanos {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Nanos {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Nanos {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for Nanos {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl Sum for Nanos {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// Exact, without zeros at the end: `0.001234`, `12`, `-0.5`.
impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, mut part) = (self.0 / UNIT, (self.0 % UNIT).unsigned_abs());
        if self.0 < 0 {
            f.write_str("-")?;
        }
        write!(f, "{}", whole.unsigned_abs())?;
        if part == 0 {
            return Ok(());
        }
        let mut digits = 9;
        while part.is_multiple_of(10) {
            part /= 10;
            digits -= 1;
        }
        write!(f, ".{part:0digits$}")
    }
}

/// `12.50`, `-3`, `.5`; exact or an error.
impl FromStr for Nanos {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(part) || whole.is_empty() && part.is_empty() {
            return Err(AmountError::Malformed);
        }
        let part = part.trim_end_matches('0');
        if part.len() > DECIMALS {
            return Err(AmountError::TooFine);
        }
        let whole = whole.trim_start_matches('0');
        // Longer ones are too large, and might not fit the arithmetic below.
        if whole.len() > 10 {
            return Err(AmountError::TooLarge);
        }
        let mut nanos = 0_i128;
        for digit in whole.bytes().chain(format!("{part:0<9}").into_bytes()) {
            nanos = nanos * 10 + i128::from(digit - b'0');
        }
        i64::try_from(sign * nanos)
            .map(Self)
            .map_err(|_| AmountError::TooLarge)
    }
}

/// An ISO 4217 code in capitals, `EUR`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no currency code of three letters, such as `EUR`")]
pub struct CurrencyError;

impl Currency {
    pub const USD: Self = Self(*b"USD");

    pub fn as_str(&self) -> &str {
        // Always letters, so always text.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Small letters are taken for capitals.
impl FromStr for Currency {
    type Err = CurrencyError;

    fn from_str(text: &str) -> Result<Self, CurrencyError> {
        let code: [u8; 3] = text.as_bytes().try_into().map_err(|_| CurrencyError)?;
        if !code.iter().all(u8::is_ascii_alphabetic) {
            return Err(CurrencyError);
        }
        Ok(Self(code.map(|letter| letter.to_ascii_uppercase())))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_shown_exactly_and_without_zeros_at_the_end() {
        let shown = |nanos| Nanos(nanos).to_string();
        assert_eq!(shown(0), "0");
        assert_eq!(shown(12 * UNIT), "12");
        assert_eq!(shown(1_234_000), "0.001234");
        assert_eq!(shown(-UNIT / 2), "-0.5");
        assert_eq!(shown(i64::MIN), "-9223372036.854775808");
    }

    #[test]
    fn a_column_rounds_half_up_and_shows_every_decimal() {
        assert_eq!(Nanos(1_234_500).fixed(6), "0.001235");
        assert_eq!(Nanos(1_234_499).fixed(6), "0.001234");
        assert_eq!(Nanos(-1_500 * 1_000_000).fixed(2), "-1.50");
        assert_eq!(Nanos(7 * UNIT).fixed(0), "7");
        assert_eq!(Nanos(-400).fixed(6), "0.000000");
    }

    #[test]
    fn an_amount_that_is_not_exact_or_too_large_is_an_error() {
        let parse = |text: &str| text.parse::<Nanos>();
        assert_eq!(parse("0.0375"), Ok(Nanos(37_500_000)));
        assert_eq!(parse(".5"), Ok(Nanos(UNIT / 2)));
        assert_eq!(parse("1.1000000000"), Ok(Nanos(1_100_000_000)));
        assert_eq!(parse("0.0000000001"), Err(AmountError::TooFine));
        assert_eq!(parse("9223372036.854775808"), Err(AmountError::TooLarge));
        assert_eq!(parse("99999999999"), Err(AmountError::TooLarge));
        for none in ["", ".", "-", "1e3", "1,5", "+1", "--1", "1.-5", " 1"] {
            assert_eq!(parse(none), Err(AmountError::Malformed), "{none:?}");
        }
    }

    #[test]
    fn a_currency_is_three_letters() {
        assert_eq!("eur".parse::<Currency>().unwrap().to_string(), "EUR");
        for none in ["", "EU", "EURO", "E1R", "é1"] {
            assert_eq!(none.parse::<Currency>(), Err(CurrencyError), "{none:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(nanos: i64) {
            prop_assert_eq!(Nanos(nanos).to_string().parse(), Ok(Nanos(nanos)));
        }
    }
}
