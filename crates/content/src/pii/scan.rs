//! The one pass over a text. Each word is offered to the rules that its first bytes admit; of what
//! they find there the surest wins, and the pass goes on behind it.

use std::ops::Range;

use super::column::Column;
use super::context::{Context, Heard, Topic};
use super::digits::Digits;
use super::email::AtSign;
use super::secret::{Assigned, Named, Quote};
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
                scan.pass(kind, at..end);
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
    /// The last step read a secret's name, and what it says depends on what is still to come.
    is_name_open: bool,
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
            is_name_open: false,
        }
    }

    /// Looks at what begins at `at`.
    pub(super) fn step(&mut self, at: usize) -> Step {
        let bytes = self.text.as_bytes();
        self.is_name_open = false;
        match self.memory.secret {
            Some(secret) if secret.start == at => {
                if let Some(found) = secret.value(bytes)
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
        let found = match bytes[at] {
            b'+' => phone::international(self.text, at, &self.memory.context),
            b'(' => phone::behind_parenthesis(self.text, at, &self.memory.context),
            b'-' => {
                let named = secret::option(bytes, at);
                self.expect_secret(named, at);
                if let Some(value) = named.value
                    && value.start == at + 2
                {
                    // It begins within a word.
                    return Step::To(value.start);
                }
                secret::private_key(bytes, at)
            }
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

    /// Whether what begins at `at`, where the last step was, can be told only once more has come: what
    /// a secret's name joins, or a secret in quotes that are still to be closed.
    pub(super) fn is_in_open_secret(&self, at: usize) -> bool {
        let here = self.memory.secret.filter(|secret| secret.start == at);
        self.is_name_open || here.is_some_and(|secret| secret.is_open(self.text.as_bytes()))
    }

    /// Of the secret that begins at `at`.
    pub(super) fn quote_of_secret(&self, at: usize) -> Option<Quote> {
        let here = self.memory.secret.filter(|secret| secret.start == at);
        here.and_then(|secret| secret.quote)
    }

    /// A value of this kind was reported.
    pub(super) fn pass(&mut self, kind: Kind, value: Range<usize>) {
        let topic = match kind {
            Kind::Passport => Topic::Passport,
            Kind::DrivingLicence => Topic::Licence,
            Kind::DateOfBirth => Topic::Birth,
            _ => return,
        };
        let column = Column::of(self.text.as_bytes(), value);
        self.memory.context.pass(topic, column);
    }

    fn word(&mut self, start: usize) -> Step {
        let bytes = self.text.as_bytes();
        let mut end = start;
        let mut has_digit = false;
        while is_word_at(bytes, end) {
            has_digit |= bytes[end].is_ascii_digit();
            end += 1;
        }
        let is_secret = !has_digit && self.hear(start, end);
        if !has_digit && !is_secret && !self.may_begin_value(start, end) {
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
        Step::To(end)
    }

    /// Takes note of a word. Whether a secret's name may begin in it.
    #[inline]
    fn hear(&mut self, start: usize, end: usize) -> bool {
        let bytes = self.text.as_bytes();
        match self.memory.context.hear(&bytes[start..end], end) {
            Heard::Secret => self.hear_secret(start, end),
            Heard::Topic => false,
            Heard::Nothing => match bytes.get(end) {
                Some(b'"' | b'\'' | b'`' | b':' | b'=' | b'>' | b'\\' | b'*') => {
                    self.hear_humps(start, end)
                }
                Some(b' ') if matches!(bytes.get(end + 1), Some(b':' | b'=')) => {
                    self.hear_humps(start, end)
                }
                Some(b'.') if end == start + 1 => {
                    self.hear_initials(start);
                    false
                }
                _ => false,
            },
        }
    }

    /// `D.O.B.` speaks as `DOB` does.
    #[cold]
    fn hear_initials(&mut self, start: usize) {
        const INITIALS_MAX: usize = 4;
        let bytes = self.text.as_bytes();
        if bytes[..start].ends_with(b".") {
            return;
        }
        let mut initials = [0; INITIALS_MAX];
        let mut end = start;
        let mut len = 0;
        for letter in &mut initials {
            if !bytes.get(end).is_some_and(u8::is_ascii_alphabetic) || is_word_at(bytes, end + 1) {
                break;
            }
            *letter = bytes[end];
            len += 1;
            end += 1;
            if bytes.get(end) != Some(&b'.') {
                break;
            }
            end += 1;
        }
        self.memory.context.hear(&initials[..len], end);
    }

    /// A name of several words speaks as they do: `dateOfBirth`, `dbPassword`.
    #[cold]
    fn hear_humps(&mut self, start: usize, end: usize) -> bool {
        let mut is_secret = false;
        for (at, hump) in humps(&self.text.as_bytes()[start..end]) {
            let (from, to) = (start + at, start + at + hump.len());
            if self.memory.context.hear(hump, to) == Heard::Secret {
                is_secret |= self.hear_secret(from, to);
            }
        }
        is_secret
    }

    #[cold]
    fn hear_secret(&mut self, start: usize, end: usize) -> bool {
        let word = Word {
            text: self.text,
            start,
            end,
            joined: Joined::No,
        };
        let named = secret::assigned(&word);
        self.expect_secret(named, start);
        true
    }

    /// A name whose value is still to come goes before those that begin within it: `accessToken`.
    fn expect_secret(&mut self, named: Named, at: usize) {
        self.is_name_open |= named.is_open;
        let pending = self.memory.secret;
        if !pending.is_some_and(|secret| secret.outweighs(named.value, at)) {
            self.memory.secret = named.value;
        }
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
                best.offer(network::mac(word, context));
                best.offer(network::ip_v6(word.text, word.start, word.joined));
            }
            Some(b'-' | b'.') => best.offer(network::mac(word, context)),
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
            best.offer(card::find(word, digits, context));
            best.offer(phone::national(word.text, word.start, digits, context));
            best.offer(national::find(word, digits, context));
        } else {
            best.offer(iban::find(word, context));
            best.offer(national::find(word, &Digits::default(), context));
        }
        best.offer(birth::find(word, context));
        best.offer(network::bare_mac(word, context));
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
