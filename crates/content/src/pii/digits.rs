//! Numbers that people write in groups: `4111 1111 1111 1111`, `12.345.678-Z`, `030/1234567`.

use super::text::{Separator, is_word_at, separator_at};

/// No number that is looked for has more digits; a longer one is none of them.
const DIGITS_MAX: usize = 24;
const GROUPS_MAX: usize = 12;

/// Digits from one place on, and how they are grouped.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Digits {
    start: usize,
    values: [u8; DIGITS_MAX],
    len: u8,
    groups: [Group; GROUPS_MAX],
    group_count: u8,
    /// Bit *n*: a group ends with the *n*th digit.
    ends: u32,
}

/// Small, because one is made for every number of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    /// Digits in it.
    len: u8,
    /// Bytes from the first group's first digit to this one's last.
    end: u8,
    /// Absent before the first.
    separator: Option<Separator>,
}

impl Digits {
    /// Groups of digits with one separator between them. Ends before a group that a letter follows.
    pub(super) fn read(bytes: &[u8], start: usize) -> Self {
        let mut digits = Self {
            start,
            ..Self::default()
        };
        if digits.read_group(bytes, start, None) {
            digits.go_on(bytes);
        }
        digits
    }

    /// The same as reading from `start` on. Where that is the second group of these, only what comes
    /// behind the last one is read: a long row of numbers would be read once for each of them.
    pub(super) fn read_next(&mut self, bytes: &[u8], start: usize) {
        let (first, second) = (self.groups[0], self.groups[1]);
        let begin = usize::from(second.end) - usize::from(second.len).min(usize::from(second.end));
        if self.group_count < 2 || start != self.start + begin {
            *self = Self::read(bytes, start);
            return;
        }
        self.start = start;
        self.values.copy_within(usize::from(first.len).., 0);
        self.len -= first.len;
        self.ends >>= first.len;
        // Bit 0 would be the end of what is gone.
        self.ends &= !1;
        self.group_count -= 1;
        self.groups.copy_within(1.., 0);
        self.groups[0].separator = None;
        for group in &mut self.groups[..usize::from(self.group_count)] {
            group.end -= begin as u8;
        }
        self.go_on(bytes);
    }

    /// Reads groups behind the last one.
    fn go_on(&mut self, bytes: &[u8]) {
        while let Some(last) = self.group_count.checked_sub(1)
            && usize::from(self.group_count) < GROUPS_MAX
        {
            let end = self.start + usize::from(self.groups[usize::from(last)].end);
            let Some((separator, width)) = separator_at(bytes, end) else {
                return;
            };
            if !self.read_group(bytes, end + width, Some(separator)) {
                return;
            }
        }
    }

    /// False if no group that can be taken is at `first`.
    fn read_group(&mut self, bytes: &[u8], first: usize, separator: Option<Separator>) -> bool {
        let used = usize::from(self.len);
        let mut len = 0;
        for (value, byte) in self.values[used..].iter_mut().zip(&bytes[first..]) {
            if !byte.is_ascii_digit() {
                break;
            }
            *value = byte - b'0';
            len += 1;
        }
        let end = first + len;
        if len == 0 || is_word_at(bytes, end) {
            return false;
        }
        self.len += len as u8;
        self.ends |= 1 << self.len;
        self.groups[usize::from(self.group_count)] = Group {
            len: len as u8,
            end: (end - self.start) as u8,
            separator,
        };
        self.group_count += 1;
        true
    }

    pub(super) fn groups(&self) -> &[Group] {
        &self.groups[..usize::from(self.group_count)]
    }

    /// Whether a group ends after any of these counts of digits, given as bits.
    pub(super) fn has_group_end(&self, counts: u32) -> bool {
        self.ends & counts != 0
    }

    /// After which counts of digits a group ends, as bits.
    pub(super) fn group_ends(&self) -> u32 {
        self.ends
    }

    /// Digits of all groups.
    pub(super) fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Where the last group ends.
    pub(super) fn end(&self) -> usize {
        self.groups()
            .last()
            .map_or(self.start, |group| self.start + usize::from(group.end))
    }

    /// The first `count` digits and their groups, if a group ends there.
    pub(super) fn take(&self, count: usize) -> Option<Number<'_>> {
        if count > DIGITS_MAX || self.ends & (1 << count) == 0 {
            return None;
        }
        let mut len = 0;
        let last = self.groups().iter().position(|group| {
            len += usize::from(group.len);
            len == count
        })?;
        Some(Number {
            start: self.start,
            digits: &self.values[..count],
            groups: &self.groups[..=last],
        })
    }
}

impl Group {
    pub(super) fn len(self) -> usize {
        usize::from(self.len)
    }

    pub(super) fn separator(self) -> Option<Separator> {
        self.separator
    }
}

/// A number of known length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number<'a> {
    start: usize,
    pub(super) digits: &'a [u8],
    pub(super) groups: &'a [Group],
}

impl Number<'_> {
    pub(super) fn end(&self) -> usize {
        self.groups
            .last()
            .map_or(self.start, |group| self.start + usize::from(group.end))
    }

    pub(super) fn is_bare(&self) -> bool {
        self.groups.len() == 1
    }

    /// Whether its groups have these lengths, with this separator between all of them.
    pub(super) fn is_grouped(&self, lens: &[usize], separator: Separator) -> bool {
        self.groups.len() == lens.len()
            && self.groups.iter().zip(lens).all(|(group, &len)| {
                group.len() == len && group.separator.is_none_or(|by| by == separator)
            })
    }

    /// All its separators are this one.
    pub(super) fn is_separated_by(&self, separator: Separator) -> bool {
        self.groups
            .iter()
            .all(|group| group.separator.is_none_or(|by| by == separator))
    }

    /// Digits from `from` up to `to` as a number.
    pub(super) fn value(&self, from: usize, to: usize) -> u64 {
        value(&self.digits[from..to])
    }
}

pub(super) fn value(digits: &[u8]) -> u64 {
    digits
        .iter()
        .fold(0, |value, &digit| value * 10 + u64::from(digit))
}

/// ISO/IEC 7812-1: doubling every second digit from the right, the sum of all is a multiple of 10.
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, &digit)| match (index % 2, digit) {
            (0, digit) => u32::from(digit),
            (_, digit @ 0..=4) => u32::from(digit) * 2,
            (_, digit) => u32::from(digit) * 2 - 9,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Sum of each digit times its weight.
pub(super) fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits
        .iter()
        .zip(weights)
        .map(|(&digit, weight)| u32::from(digit) * weight)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_groups_up_to_what_is_no_group() {
        let digits = Digits::read(b"12 345-67x", 0);
        let lens: Vec<_> = digits
            .groups()
            .iter()
            .map(|group| (group.len(), group.separator))
            .collect();
        assert_eq!(lens, [(2, None), (3, Some(Separator::Space))]);
        assert!(digits.take(5).is_some_and(|number| number.end() == 6));
        assert!(digits.take(4).is_none());
    }

    proptest::proptest! {
        #[test]
        fn the_next_number_of_a_row_is_as_if_read_anew(row in "[0-9]{1,6}([ ./-][0-9]{1,6}[a]?){0,16}") {
            let bytes = row.as_bytes();
            let mut digits = Digits::read(bytes, 0);
            for start in 1..bytes.len() {
                if bytes[start].is_ascii_digit() && !is_word_at(bytes, start - 1) {
                    digits.read_next(bytes, start);
                    let anew = Digits::read(bytes, start);
                    proptest::prop_assert_eq!(digits.groups(), anew.groups());
                    proptest::prop_assert_eq!((digits.len, digits.ends, digits.start), (anew.len, anew.ends, anew.start));
                    proptest::prop_assert_eq!(&digits.values[..digits.len()], &anew.values[..anew.len()]);
                }
            }
        }
    }

    #[test]
    fn a_number_longer_than_any_is_not_cut_to_fit() {
        let digits = Digits::read(&[b'7'; 40], 0);
        assert_eq!((digits.len(), digits.groups().len()), (0, 0));
    }

    #[test]
    fn luhn_finds_one_wrong_digit() {
        let good = [4, 5, 3, 9, 1, 4, 8, 8, 0, 3, 4, 3, 6, 4, 6, 7];
        assert!(luhn(&good));
        for at in 0..good.len() {
            let mut bad = good;
            bad[at] = (bad[at] + 1) % 10;
            assert!(!luhn(&bad));
        }
    }
}
