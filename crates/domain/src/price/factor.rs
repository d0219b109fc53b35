//! What rates are multiplied by: discounts, mark-ups and an exchange rate, in twelve decimals.

use std::fmt;

use crate::money::Nanos;

const DECIMALS: u32 = 12;
const ONE: u128 = 10_u128.pow(DECIMALS);

/// A positive decimal of twelve decimals, up to a million. A product with more is rounded half up at
/// the twelfth; two percentages and an exchange rate of four decimals are still exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Factor(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FactorError {
    #[error("is no decimal number, such as `0.92`")]
    Malformed,
    #[error("has more than {0} decimals")]
    TooFine(u32),
    #[error("is not between 0 and {0}")]
    OutOfRange(u32),
}

impl Factor {
    pub const ONE: Self = Self(ONE as u64);
    const MAX: u128 = 1_000_000 * ONE;

    /// `0.92`: how many units of one currency another's unit is worth. Above zero, up to a million.
    pub fn exchange_rate(text: &str) -> Result<Self, FactorError> {
        let parts = decimal(text, 9, 1_000_000)?;
        match parts {
            0 => Err(FactorError::OutOfRange(1_000_000)),
            parts => Ok(Self::bounded(parts)),
        }
    }

    /// `12.5` is what is left of a price after 12.5% off it.
    pub fn discount(percent: &str) -> Result<Self, FactorError> {
        let parts = decimal(percent, 4, 100)?;
        Ok(Self::bounded(ONE - parts / 100))
    }

    /// `15` adds 15%.
    pub fn mark_up(percent: &str) -> Result<Self, FactorError> {
        let parts = decimal(percent, 4, 10_000)?;
        Ok(Self::bounded(ONE + parts / 100))
    }

    /// Bounded at a million.
    #[must_use]
    pub fn times(self, other: Self) -> Self {
        let product = u128::from(self.0) * u128::from(other.0);
        Self::bounded((product + ONE / 2) / ONE)
    }

    /// Of millionths of a nano, rounded half up to a nano.
    pub(super) fn nanos(self, millionths: i128) -> Nanos {
        let scale = ONE as i128 * 1_000_000;
        // What does not fit here does not fit the result either: that ends at 2^63, and the scale
        // is below 2^60.
        match millionths.checked_mul(i128::from(self.0)) {
            None => Nanos(i64::MAX),
            Some(product) => Nanos::saturated(product.saturating_add(scale / 2).div_euclid(scale)),
        }
    }

    /// Of a rate, rounded up: for bounds.
    pub(super) fn rate_bound(self, rate: Nanos) -> Nanos {
        let product = i128::from(rate.0) * i128::from(self.0);
        Nanos::saturated(product.div_euclid(ONE as i128) + i128::from(product % ONE as i128 != 0))
    }

    /// Of a rate, rounded half up: for showing.
    pub fn rate(self, rate: Nanos) -> Nanos {
        let product = i128::from(rate.0) * i128::from(self.0);
        Nanos::saturated((product + ONE as i128 / 2).div_euclid(ONE as i128))
    }

    fn bounded(parts: u128) -> Self {
        Self(u64::try_from(parts.min(Self::MAX)).unwrap_or(u64::MAX))
    }
}

/// Twelfth decimals of a number from 0 to `max`.
fn decimal(text: &str, decimals_max: u32, max: u32) -> Result<u128, FactorError> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(part) || whole.is_empty() && part.is_empty() {
        return Err(FactorError::Malformed);
    }
    let part = part.trim_end_matches('0');
    if part.len() > decimals_max as usize {
        return Err(FactorError::TooFine(decimals_max));
    }
    let whole = whole.trim_start_matches('0');
    if whole.len() > 9 {
        return Err(FactorError::OutOfRange(max));
    }
    let mut parts = 0_u128;
    for digit in whole.bytes().chain(format!("{part:0<12}").into_bytes()) {
        parts = parts * 10 + u128::from(digit - b'0');
    }
    if parts > u128::from(max) * ONE {
        return Err(FactorError::OutOfRange(max));
    }
    Ok(parts)
}

/// Without zeros at the end.
impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (u128::from(self.0) / ONE, u128::from(self.0) % ONE);
        write!(f, "{whole}")?;
        if part == 0 {
            return Ok(());
        }
        let decimals = format!("{part:012}");
        write!(f, ".{}", decimals.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_and_exchange_rates_multiply_exactly() {
        let off = Factor::discount("12.5").unwrap();
        let up = Factor::mark_up("15").unwrap();
        let to_eur = Factor::exchange_rate("0.9213").unwrap();
        assert_eq!(off.to_string(), "0.875");
        assert_eq!(up.to_string(), "1.15");
        assert_eq!(off.times(up).times(to_eur).to_string(), "0.927058125");
        assert_eq!(Factor::discount("100").unwrap().to_string(), "0");
        assert_eq!(Factor::ONE.to_string(), "1");
    }

    #[test]
    fn what_is_out_of_range_or_too_fine_is_an_error() {
        assert_eq!(
            Factor::exchange_rate("0"),
            Err(FactorError::OutOfRange(1_000_000))
        );
        assert_eq!(
            Factor::discount("100.01"),
            Err(FactorError::OutOfRange(100))
        );
        assert_eq!(Factor::discount("0.00001"), Err(FactorError::TooFine(4)));
        assert_eq!(
            Factor::exchange_rate("99999999999"),
            Err(FactorError::OutOfRange(1_000_000))
        );
        for none in ["", ".", "-1", "1e3", "1,5", " 1"] {
            assert_eq!(
                Factor::mark_up(none),
                Err(FactorError::Malformed),
                "{none:?}"
            );
        }
    }

    #[test]
    fn amounts_are_rounded_half_up_and_never_wrap() {
        assert_eq!(Factor::ONE.nanos(499_999), Nanos(0));
        assert_eq!(Factor::ONE.nanos(500_000), Nanos(1));
        assert_eq!(Factor::ONE.nanos(i128::MAX), Nanos(i64::MAX));
        let million = Factor::exchange_rate("1000000").unwrap();
        assert_eq!(million.times(million), million, "bounded");
        assert_eq!(
            million.nanos(i128::from(i64::MAX) * 1_000_000),
            Nanos(i64::MAX)
        );
    }

    #[test]
    fn a_bound_of_a_rate_is_never_below_it() {
        let third = Factor::exchange_rate("0.333333333").unwrap();
        assert_eq!(third.rate_bound(Nanos(1_000_000_000)), Nanos(333_333_333));
        assert_eq!(third.rate_bound(Nanos(1)), Nanos(1));
        assert_eq!(third.rate(Nanos(1)), Nanos(0));
        assert_eq!(Factor::ONE.rate_bound(Nanos(7)), Nanos(7));
    }
}
