//! The one pass over a text. Each word is offered to the rules that its first bytes admit; of what
//! they find there the surest wins, and the pass goes on behind it.

use super::context::{Context, Heard, Topic};
use super::digits::Digits;
use super::email::AtSign;
use super::secret::Assigned;
use super::text::{Joined, Word, humps, is_word_at};
use super::{
    Confidence, Detector, Finding, Kind, birth, card, document, email, iban, national, network,
    phone, secret,
};

/// What a rule found from a word on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) kind: Kind,
    pub(super) end: usize,
    pub(super) confidence: Confidence,
}

/// What a pass remembers of the text behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    context: Context,
    /// Where a value begins that its name called a secret.
    secret: Option<Assigned>,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self {
            context: Context::new(),
            secret: None,
        }
    }

    /// The first `bytes` of the text are gone.
    pub(super) fn shift(&mut self, bytes: usize) {
        self.context.shift(bytes);
        self.secret = self.secret.and_then(|secret| secret.shifted(bytes));
    }
}

pub(super) fn findings(text: &str, detector: Detector) -> Vec<Finding> {
    let mut memory = Memory::new();
    let mut scan = Scan::new(text, 0, detector, &mut memory);
    let mut findings = Vec::new();
    let mut at = 0;
    while at < text.len() {
        match scan.step(at) {
            Step::To(next) => at = next,
            Step::Found(Match {
                kind,
                end,
                confidence,
            }) => {
                findings.push(Finding {
                    kind,
                    range: at..end,
                    confidence,
                });
                scan.pass(kind);
                at = end;
            }
        }
    }
    findings
}

/// What begins at one place of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing: the pass goes on there.
    To(usize),
    Found(Match),
}

pub(super) struct Scan<'a> {
    text: &'a str,
    detector: Detector,
    memory: &'a mut Memory,
    /// The next one at or behind the pass.
    at_sign: Option<AtSign>,
    /// Of the last number.
    digits: Digits,
}

impl<'a> Scan<'a> {
    /// For steps at `from` and behind it.
    pub(super) fn new(
        text: &'a str,
        from: usize,
        detector: Detector,
        memory: &'a mut Memory,
    ) -> Self {
        Self {
            text,
            detector,
            memory,
            at_sign: AtSign::next(text.as_bytes(), from),
            digits: Digits::default(),
        }
    }

    /// Looks at what begins at `at`.
    pub(super) fn step(&mut self, at: usize) -> Step {
        let bytes = self.text.as_bytes();
        match self.memory.secret {
            Some(secret) if secret.start == at => {
                if let Some(found) = secret::assigned_value(bytes, secret)
                    && self.wants(found)
                {
                    return Step::Found(found);
                }
            }
            Some(secret) if secret.start < at => self.memory.secret = None,
            _ => {}
        }
        if is_word_at(bytes, at) {
            return self.word(at);
        }
        let context = &self.memory.context;
        let found = match bytes[at] {
            b'+' => phone::international(self.text, at, context),
            b'(' => phone::behind_parenthesis(self.text, at, context),
            b'-' => secret::private_key(bytes, at),
            b':' if bytes[at..].starts_with(b"::") => {
                network::ip_v6(self.text, at, Joined::before(self.text, at))
            }
            _ => None,
        };
        match found {
            Some(found) if self.wants(found) => Step::Found(found),
            _ => Step::To(at + 1),
        }
    }

    /// Whether a secret's value begins at `at` whose end is still to come.
    pub(super) fn is_in_open_secret(&self, at: usize) -> bool {
        let here = self.memory.secret.filter(|secret| secret.start == at);
        here.is_some_and(|secret| secret::is_assigned_open(self.text.as_bytes(), secret))
    }

    /// A value of this kind was reported.
    pub(super) fn pass(&mut self, kind: Kind) {
        let context = &mut self.memory.context;
        match kind {
            Kind::Passport => context.forget(Topic::Passport),
            Kind::DrivingLicence => context.forget(Topic::Licence),
            Kind::DateOfBirth => context.forget(Topic::Birth),
            _ => {}
        }
    }

    fn word(&mut self, start: usize) -> Step {
        let bytes = self.text.as_bytes();
        let mut end = start;
        let mut has_digit = false;
        while is_word_at(bytes, end) {
            has_digit |= bytes[end].is_ascii_digit();
            end += 1;
        }
        let secret_name = if has_digit {
            None
        } else {
            self.hear(start, end)
        };
        if !has_digit && secret_name.is_none() && !self.may_begin_value(start, end) {
            return Step::To(end);
        }
        let word = Word {
            text: self.text,
            start,
            end,
            joined: Joined::before(self.text, start),
        };
        if let Some(end) = end_of_uuid(&word) {
            return Step::To(end);
        }
        if let Some(found) = self.best(&word, has_digit) {
            return Step::Found(found);
        }
        if let Some(start) = secret_name {
            self.memory.secret = secret::assigned(&Word { start, ..word });
        }
        Step::To(end)
    }

    /// Takes note of a word. Where a secret's name may begin in it.
    #[inline]
    fn hear(&mut self, start: usize, end: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        match self.memory.context.hear(&bytes[start..end], end) {
            Heard::Secret => Some(start),
            Heard::Topic => None,
            Heard::Nothing => match bytes.get(end) {
                Some(b'"' | b'\'' | b'`' | b':' | b'=' | b'>') => self.hear_humps(start, end),
                _ => None,
            },
        }
    }

    /// A name of several words speaks as they do: `dateOfBirth`, `dbPassword`.
    #[cold]
    fn hear_humps(&mut self, start: usize, end: usize) -> Option<usize> {
        let mut secret = None;
        for (at, hump) in humps(&self.text.as_bytes()[start..end]) {
            let from = start + at;
            if self.memory.context.hear(hump, from + hump.len()) == Heard::Secret {
                secret = Some(from);
            }
        }
        secret
    }

    /// Whether any rule would look at a word without digits.
    fn may_begin_value(&mut self, start: usize, end: usize) -> bool {
        let bytes = self.text.as_bytes();
        while self.at_sign.is_some_and(|at| at.start < start) {
            self.at_sign = AtSign::next(bytes, start);
        }
        let len = end - start;
        self.at_sign
            .is_some_and(|at| at.start - start <= email::LOCAL_BYTES_MAX)
            || matches!(bytes.get(end), Some(b':' | b'-' | b'.' | b'_' | b'<'))
            || len <= 3 && bytes[start].is_ascii_uppercase()
            || len >= 16
            || self.memory.context.is_near(Topic::Birth, start)
    }

    /// The surest of what the rules find from `word` on.
    fn best(&mut self, word: &Word<'_>, has_digit: bool) -> Option<Match> {
        while self.at_sign.is_some_and(|at| at.start < word.start) {
            self.at_sign = AtSign::next(word.bytes(), word.start);
        }
        let mut best = Best {
            detector: self.detector,
            found: None,
        };
        let context = &self.memory.context;
        best.offer(email::find(word, self.at_sign));
        let starts_with_digit = word.starts_with_digit();
        if !starts_with_digit {
            best.offer(secret::in_url(word));
            best.offer(secret::jwt(word));
            best.offer(secret::prefixed(word));
        }
        match word.bytes().get(word.end) {
            Some(b':') => {
                best.offer(network::mac(word));
                best.offer(network::ip_v6(word.text, word.start, word.joined));
            }
            Some(b'-' | b'.') => best.offer(network::mac(word)),
            _ => {}
        }
        if word.joined == Joined::ToMore {
            // No number and no name begins within another.
            return best.found;
        }
        if starts_with_digit {
            self.digits.read_next(word.bytes(), word.start);
            let digits = &self.digits;
            best.offer(network::ip_v4(word, context));
            if digits.len() >= 6 {
                best.offer(card::find(word, digits, context));
            }
            best.offer(phone::national(word.text, word.start, digits, context));
            best.offer(national::find(word, digits, context));
            best.offer(birth::find(word, digits, context));
        } else {
            best.offer(iban::find(word));
            best.offer(national::find(word, &Digits::default(), context));
            best.offer(birth::find(word, &Digits::default(), context));
        }
        best.offer(document::find(word, has_digit, context));
        best.found
    }

    fn wants(&self, found: Match) -> bool {
        self.detector.wants(found) && self.text.is_char_boundary(found.end)
    }
}

/// The surest match so far, and of equals the longest.
struct Best {
    detector: Detector,
    found: Option<Match>,
}

impl Best {
    fn offer(&mut self, found: Option<Match>) {
        let Some(found) = found else { return };
        let is_wanted =
            self.detector.kinds.has(found.kind) && found.confidence >= self.detector.confidence_min;
        let is_better = self
            .found
            .is_none_or(|best| (best.confidence, best.end) < (found.confidence, found.end));
        if is_wanted && is_better {
            self.found = Some(found);
        }
    }
}

/// RFC 9562: its digits are no number.
fn end_of_uuid(word: &Word<'_>) -> Option<usize> {
    if word.end - word.start != 8 || word.bytes().get(word.end) != Some(&b'-') {
        return None;
    }
    let candidate = word.rest().get(..36)?;
    let is_uuid = candidate.iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    (is_uuid && !is_word_at(word.bytes(), word.start + 36)).then_some(word.start + 36)
}
