//! The digits that one would dial, as people group them: `+49 (0)30 123-456`, `089 / 12 34 56 78`.

use super::super::Confidence;
use super::super::scan::Match;
use super::super::text::{Separator, is_word_at, separator_at};

/// An international prefix and the fifteen digits of E.164.
const DIGITS_MAX: usize = 18;
/// Blanks between two groups; more are columns.
const BLANKS_MAX: usize = 4;
/// No number is shorter than what may stand before a wide gap, so that it is no column of its own.
const AREA_DIGITS_MAX: usize = 6;

/// Digits as dialled, in groups.
#[derive(Clone, Copy)]
pub(super) struct Dialled {
    start: usize,
    values: [u8; DIGITS_MAX],
    len: usize,
    groups: [Group; DIGITS_MAX],
    group_count: usize,
    /// How many digits stand before the opening parenthesis, if there is one.
    open: Option<usize>,
    /// Digits within the parentheses once they are closed.
    pub(super) parenthesis: usize,
    /// It goes on as no number does.
    is_cut: bool,
    /// There may be shorter readings.
    has_gap: bool,
}

#[derive(Clone, Copy)]
pub(super) struct Group {
    pub(super) len: u8,
    /// What stands before it.
    pub(super) joint: Joint,
    /// Bytes from the first one's start.
    end: u16,
}

/// What stands between two groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joint {
    /// Nothing but a parenthesis.
    Parenthesis,
    By(Separator),
    /// A slash or a dash with blanks around it.
    Spaced(Separator),
    /// Several blanks, or a tab.
    Wide,
}

impl Joint {
    /// Something else may begin behind it.
    fn is_gap(self) -> bool {
        matches!(self, Self::Spaced(_) | Self::Wide)
    }
}

impl Dialled {
    #[inline]
    fn new(start: usize) -> Self {
        let group = Group {
            len: 0,
            joint: Joint::Parenthesis,
            end: 0,
        };
        Self {
            start,
            values: [0; DIGITS_MAX],
            len: 0,
            groups: [group; DIGITS_MAX],
            group_count: 0,
            open: None,
            parenthesis: 0,
            is_cut: false,
            has_gap: false,
        }
    }

    pub(super) fn digits(&self) -> &[u8] {
        &self.values[..self.len]
    }

    pub(super) fn groups(&self) -> &[Group] {
        &self.groups[..self.group_count]
    }

    /// What stands between the groups.
    pub(super) fn joints(&self) -> impl Iterator<Item = Joint> {
        self.groups().iter().skip(1).map(|group| group.joint)
    }

    pub(super) fn first_len(&self) -> usize {
        usize::from(self.groups[0].len)
    }

    pub(super) fn end(&self) -> usize {
        let len = self.groups().last().map_or(0, |group| group.end);
        self.start + usize::from(len)
    }

    pub(super) fn is_grouped(&self, lens: &[u8]) -> bool {
        self.groups()
            .iter()
            .map(|group| group.len)
            .eq(lens.iter().copied())
    }

    pub(super) fn is_joined_by(&self, joint: Joint) -> bool {
        self.joints().all(|one| one == joint)
    }

    pub(super) fn without(mut self, count: usize) -> Self {
        self.values.copy_within(count.., 0);
        self.len -= count;
        self
    }

    /// What `found` finds in the whole of it, or in what stands before a gap: something else may follow there.
    /// The longest of what is likely.
    pub(super) fn longest(&self, found: impl Fn(&Self) -> Option<Match>) -> Option<Match> {
        let whole = if self.is_cut || !self.is_closed() {
            None
        } else {
            found(self)
        };
        let is_likely = |found: &Match| found.confidence >= Confidence::LIKELY;
        if !self.has_gap || whole.as_ref().is_some_and(is_likely) {
            return whole;
        }
        let shorter = (1..self.group_count)
            .filter(|at| self.groups[*at].joint.is_gap())
            .map(|at| self.before(at))
            .filter(Self::is_closed)
            .filter_map(|shorter| found(&shorter));
        shorter
            .chain(whole)
            .max_by_key(|found| (is_likely(found), found.end))
    }

    fn before(mut self, group: usize) -> Self {
        self.group_count = group;
        self.len = self
            .groups()
            .iter()
            .map(|group| usize::from(group.len))
            .sum();
        if self.open.is_some_and(|open| open >= self.len) {
            (self.open, self.parenthesis) = (None, 0);
        }
        self
    }

    fn is_closed(&self) -> bool {
        self.open
            .is_none_or(|open| self.parenthesis > 0 && open + self.parenthesis <= self.len)
    }

    fn read(&mut self, bytes: &[u8]) {
        let mut next = Some((Joint::Parenthesis, self.start));
        while let Some((joint, mut at)) = next {
            if self.opens_at(bytes, at) {
                self.open = Some(self.len);
                at += 1;
            }
            if !self.read_group(bytes, at, joint) {
                self.is_cut = !joint.is_gap();
                return;
            }
            self.has_gap |= joint.is_gap();
            next = self.next_group(bytes);
        }
        self.leave_time(bytes);
        let end = self.end();
        self.is_cut = is_word_at(bytes, end) || bytes.get(end) == Some(&b'%');
    }

    /// False if what is at `start` is no group.
    fn read_group(&mut self, bytes: &[u8], start: usize, joint: Joint) -> bool {
        let mut end = start;
        for (value, byte) in self.values[self.len..].iter_mut().zip(&bytes[start..]) {
            if !byte.is_ascii_digit() {
                break;
            }
            *value = byte - b'0';
            end += 1;
        }
        if end == start || is_word_at(bytes, end) {
            return false;
        }
        self.len += end - start;
        self.groups[self.group_count] = Group {
            len: (end - start) as u8,
            joint,
            end: (end - self.start) as u16,
        };
        self.group_count += 1;
        true
    }

    /// Where the next group begins, and what joins it.
    fn next_group(&mut self, bytes: &[u8]) -> Option<(Joint, usize)> {
        let end = self.end();
        if bytes.get(end) == Some(&b')') && self.parenthesis == 0 {
            self.parenthesis = self.len - self.open?;
            self.groups[self.group_count - 1].end += 1;
            if bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
                return Some((Joint::Parenthesis, end + 1));
            }
        }
        let end = self.end();
        if self.opens_at(bytes, end) {
            return Some((Joint::Parenthesis, end));
        }
        let (joint, next) = joint_at(bytes, end)?;
        let is_group =
            bytes.get(next).is_some_and(u8::is_ascii_digit) || self.opens_at(bytes, next);
        (is_group && self.may_be_joined_by(joint)).then_some((joint, next))
    }

    fn may_be_joined_by(&self, joint: Joint) -> bool {
        joint != Joint::Wide
            || self.len <= AREA_DIGITS_MAX
            || self
                .groups()
                .get(1)
                .is_some_and(|group| group.joint == joint)
    }

    fn opens_at(&self, bytes: &[u8], at: usize) -> bool {
        self.open.is_none()
            && bytes.get(at) == Some(&b'(')
            && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
    }

    /// `030 901820 10:30`: the time is none of it.
    fn leave_time(&mut self, bytes: &[u8]) {
        let (end, last) = (self.end(), self.group_count - 1);
        let is_time = self.groups[last].len <= 2
            && bytes.get(end) == Some(&b':')
            && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
        if is_time && last > 0 {
            *self = self.before(last);
        }
    }
}

/// Reads groups of digits from `start` on, one pair of them in parentheses.
#[inline]
pub(super) fn dial(bytes: &[u8], start: usize) -> Dialled {
    let mut dialled = Dialled::new(start);
    dialled.read(bytes);
    dialled
}

/// The same behind a parenthesis that opened.
pub(super) fn dial_within(bytes: &[u8], start: usize) -> Dialled {
    let mut dialled = Dialled::new(start);
    dialled.open = Some(0);
    dialled.read(bytes);
    dialled
}

/// Whether a group that only a phone number has follows the digits that end at `end`.
pub(super) fn goes_on_at(bytes: &[u8], end: usize) -> bool {
    joint_at(bytes, end)
        .is_some_and(|(_, next)| matches!(bytes.get(next), Some(b'0'..=b'9' | b'(')))
}

/// Whether what begins at `start` is a later part of the number before it, behind a blank or a dash with
/// blanks. Where that is whole by itself, it is not, and neither where an area begins.
pub(super) fn is_later_part(bytes: &[u8], start: usize) -> bool {
    if matches!(&bytes[..start], [.., digit, b' ' | b'\xa0'] if digit.is_ascii_digit()) {
        return true;
    }
    let begins_area = match &bytes[start..] {
        [b'(', ..] => true,
        [b'0', second, third, ..] => second.is_ascii_digit() && third.is_ascii_digit(),
        _ => false,
    };
    if begins_area {
        return false;
    }
    let Some(end) = end_before_mark(bytes, start) else {
        return false;
    };
    let before = &bytes[..end];
    let digits = before
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit() || b" /-.()".contains(byte))
        .take(2 * DIGITS_MAX)
        .filter(|byte| byte.is_ascii_digit())
        .count();
    digits > 0 && digits <= AREA_DIGITS_MAX
}

/// Where what stands before a slash or a dash ends.
fn end_before_mark(bytes: &[u8], start: usize) -> Option<usize> {
    let blank = |end: usize| {
        bytes[..end]
            .iter()
            .rev()
            .take(BLANKS_MAX)
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count()
    };
    let end = start - blank(start);
    let end = match &bytes[..end] {
        [.., b'/' | b'-'] => end - 1,
        [.., 0xe2, 0x80, 0x93 | 0x94] => end - 3,
        _ => return None,
    };
    Some(end - blank(end))
}

/// Between two groups, and where the second begins.
fn joint_at(bytes: &[u8], at: usize) -> Option<(Joint, usize)> {
    if let Some((separator, width)) = separator_at(bytes, at)
        && bytes.get(at + width).is_some_and(u8::is_ascii_digit)
    {
        return Some((Joint::By(separator), at + width));
    }
    let (blank, blank_end) = blanks_at(bytes, at);
    let Some((separator, width)) = mark_at(bytes, blank_end) else {
        return blank.map(|joint| (joint, blank_end));
    };
    let (blank_behind, next) = blanks_at(bytes, blank_end + width);
    if blank.is_none() && blank_behind.is_none() {
        return Some((Joint::By(separator), next));
    }
    (separator != Separator::Dot).then_some((Joint::Spaced(separator), next))
}

fn mark_at(bytes: &[u8], at: usize) -> Option<(Separator, usize)> {
    if bytes.get(at..)?.starts_with("—".as_bytes()) {
        return Some((Separator::Dash, 3));
    }
    separator_at(bytes, at).filter(|(separator, _)| *separator != Separator::Space)
}

/// Blanks from `at` on, and where they end.
fn blanks_at(bytes: &[u8], at: usize) -> (Option<Joint>, usize) {
    let (mut joint, mut end) = (None, at);
    for _ in 0..BLANKS_MAX {
        let (one, width) = match bytes.get(end) {
            Some(b'\t') => (Joint::Wide, 1),
            _ => match separator_at(bytes, end) {
                Some((Separator::Space, width)) => (Joint::By(Separator::Space), width),
                _ => break,
            },
        };
        joint = Some(if joint.is_some() { Joint::Wide } else { one });
        end += width;
    }
    (joint, end)
}
