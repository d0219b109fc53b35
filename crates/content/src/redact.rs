//! What is done with personal data that was found, by kind: let through, replace, mask so that it
//! can be put back, hash, or block.

use std::borrow::Cow;

use crate::pii::{Confidence, Detector, Kind, KindSet, Piece, Stream, meant};

mod masks;

mod restore;

// What both are made of.
mod written;

mod spelling;

mod nesting;

pub use masks::Masks;
pub use restore::Restore;

use nesting::Nesting;
use spelling::Spelling;

/// What becomes of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    #[default]
    Allow,
    /// Replaced by its kind: `[EMAIL]`.
    Redact,
    /// Replaced by a placeholder of its own, `<EMAIL_1>`, which is put back in the answer. The same
    /// value has the same placeholder throughout a conversation, whatever its separators: what is put
    /// back is as the client spelled it first.
    Mask,
    /// Replaced by its kind and eight digits of its keyed hash, `[EMAIL:9f86d081]`: the same value
    /// can be told, and not what it is.
    Hash,
    /// The whole text is turned away.
    Block,
}

/// An action for each kind, and how sure a finding must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    actions: [Action; Kind::ALL.len()],
    detector: Detector,
    hash_key: HashKey,
}

/// Secret, so that nobody can try values against hashes. Debug prints none of it.
#[derive(Clone, PartialEq, Eq)]
pub struct HashKey(pub [u8; 32]);

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey(..)")
    }
}

/// What was found in a text, by kind. Holds none of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    counts: [u32; Kind::ALL.len()],
    /// The first kind that its rule blocks.
    pub blocked: Option<Kind>,
}

impl Findings {
    pub fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }

    /// Kinds that occur, and how often.
    pub fn kinds(&self) -> impl Iterator<Item = (Kind, u32)> {
        let counts = self.counts;
        Kind::ALL
            .into_iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0)
    }

    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
        self.blocked = self.blocked.or(other.blocked);
    }
}

impl Rules {
    pub fn new(
        actions: impl IntoIterator<Item = (Kind, Action)>,
        confidence_min: Confidence,
        hash_key: HashKey,
    ) -> Self {
        let mut rules = Self {
            actions: [Action::Allow; Kind::ALL.len()],
            detector: Detector {
                kinds: KindSet::NONE,
                confidence_min,
            },
            hash_key,
        };
        for (kind, action) in actions {
            rules.actions[kind as usize] = action;
        }
        rules.detector.kinds = Kind::ALL
            .into_iter()
            .filter(|kind| rules.action(*kind) != Action::Allow)
            .collect();
        rules
    }

    pub fn action(&self, kind: Kind) -> Action {
        self.actions[kind as usize]
    }

    /// The same rules, with another key for hashes.
    #[must_use]
    pub fn keyed(mut self, hash_key: HashKey) -> Self {
        self.hash_key = hash_key;
        self
    }

    pub fn hashes(&self) -> bool {
        self.actions.contains(&Action::Hash)
    }

    pub fn masks(&self) -> bool {
        self.actions.contains(&Action::Mask)
    }

    pub fn detector(&self) -> Detector {
        self.detector
    }

    /// The text with every value replaced as its rule says. A text that is blocked is returned as
    /// far as it is not: the caller must look at `findings.blocked`.
    pub fn edit<'a>(
        &self,
        text: &'a str,
        masks: &mut Masks,
        findings: &mut Findings,
    ) -> Cow<'a, str> {
        self.edit_called("", text, masks, findings)
    }

    /// As `edit`, of a text that is the value of what is called so: `date_of_birth`.
    pub fn edit_called<'a>(
        &self,
        name: &str,
        text: &'a str,
        masks: &mut Masks,
        findings: &mut Findings,
    ) -> Cow<'a, str> {
        let found = self.detector.find_called(name, text);
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut edited = String::with_capacity(text.len());
        let mut nesting = Nesting::default();
        let mut at = 0;
        for finding in found {
            let before = &text[at..finding.range.start];
            edited.push_str(before);
            nesting.pass(before);
            at = finding.range.end;
            let value = &text[finding.range];
            let depth = nesting.depth();
            nesting.pass(value);
            self.replace(finding.kind, (value, depth), masks, findings, &mut edited);
        }
        edited.push_str(&text[at..]);
        Cow::Owned(edited)
    }

    /// `depth`: in how many strings of JSON the value stands.
    fn replace(
        &self,
        kind: Kind,
        (value, depth): (&str, usize),
        masks: &mut Masks,
        findings: &mut Findings,
        edited: &mut String,
    ) {
        let count = &mut findings.counts[kind as usize];
        *count = count.saturating_add(1);
        match self.action(kind) {
            Action::Allow => edited.push_str(value),
            Action::Redact => push_typed(edited, kind, ""),
            Action::Block => {
                findings.blocked = findings.blocked.or(Some(kind));
                push_typed(edited, kind, "");
            }
            Action::Mask => match masks.placeholder(kind, Spelling::at(depth, value)) {
                Some(placeholder) => edited.push_str(&placeholder),
                // Past the bound of what one conversation may hold, it cannot be put back.
                None => push_typed(edited, kind, ""),
            },
            Action::Hash => push_typed(edited, kind, &hash(&self.hash_key, &meant(value))),
        }
    }
}

/// `[EMAIL]`, `[EMAIL:9f86d081]`.
fn push_typed(edited: &mut String, kind: Kind, detail: &str) {
    edited.push('[');
    edited.push_str(&kind.as_str().to_ascii_uppercase());
    if !detail.is_empty() {
        edited.push(':');
        edited.push_str(detail);
    }
    edited.push(']');
}

/// HMAC-SHA-256 (RFC 2104), its first four bytes.
fn hash(key: &HashKey, value: &str) -> String {
    use sha2::{Digest, Sha256};

    const BLOCK: usize = 64;
    let mut inner = [0x36; BLOCK];
    let mut outer = [0x5c; BLOCK];
    for ((inner, outer), key) in inner.iter_mut().zip(&mut outer).zip(key.0) {
        *inner ^= key;
        *outer ^= key;
    }
    let digest = Sha256::new()
        .chain_update(inner)
        .chain_update(value)
        .finalize();
    let digest = Sha256::new()
        .chain_update(outer)
        .chain_update(digest)
        .finalize();
    digest[..4]
        .iter()
        .fold(String::with_capacity(8), |mut text, byte| {
            for half in [byte >> 4, byte & 0xf] {
                text.extend(char::from_digit(u32::from(half), 16));
            }
            text
        })
}

/// The same for a text that comes in pieces, such as a streamed answer.
#[derive(Debug)]
pub struct Editor {
    stream: Stream,
    nesting: Nesting,
}

impl Editor {
    pub fn new(rules: &Rules) -> Self {
        Self {
            stream: Stream::new(rules.detector),
            nesting: Nesting::default(),
        }
    }

    /// Of a text that is the value of what is called so.
    pub fn called(rules: &Rules, name: &str) -> Self {
        Self {
            stream: Stream::called(rules.detector, name),
            nesting: Nesting::default(),
        }
    }

    /// Bytes that came and were not given out yet.
    pub fn held_bytes(&self) -> usize {
        self.stream.held_bytes()
    }

    /// Takes the next piece; adds to `out` what is certain.
    pub fn push(
        &mut self,
        chunk: &str,
        rules: &Rules,
        masks: &mut Masks,
        findings: &mut Findings,
        out: &mut String,
    ) {
        let Self { stream, nesting } = self;
        stream.push(chunk, |piece| {
            let depth = passed(nesting, &piece);
            put(piece, depth, rules, masks, findings, out);
        });
    }

    /// Adds the rest.
    pub fn finish(
        self,
        rules: &Rules,
        masks: &mut Masks,
        findings: &mut Findings,
        out: &mut String,
    ) {
        let Self {
            stream,
            mut nesting,
        } = self;
        stream.finish(|piece| {
            let depth = passed(&mut nesting, &piece);
            put(piece, depth, rules, masks, findings, out);
        });
    }
}

/// How deep the piece stands, which is passed.
fn passed(nesting: &mut Nesting, piece: &Piece<'_>) -> usize {
    let depth = nesting.depth();
    match piece {
        Piece::Text(text) | Piece::Value { text, .. } => nesting.pass(text),
    }
    depth
}

fn put(
    piece: Piece<'_>,
    depth: usize,
    rules: &Rules,
    masks: &mut Masks,
    findings: &mut Findings,
    out: &mut String,
) {
    match piece {
        Piece::Text(text) => out.push_str(text),
        Piece::Value { kind, text } => rules.replace(kind, (text, depth), masks, findings, out),
    }
}

#[cfg(test)]
mod tests;
