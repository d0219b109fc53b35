//! Calls as bytes, for the journal: compact, versioned, and safe to decode from a damaged disk.
//!
//! Decoding never panics and never allocates more than the bytes at hand could describe. Checksums
//! are the segment's business.

use std::sync::Arc;
use std::time::Duration;

use domain::record::{
    AttemptFailure, AttemptRecord, CacheOutcome, CallRecord, Charge, ChargeUnit, Opening, Outcome,
    Who,
};
use domain::{BackendId, CallId, LimitId, Metered, Usage, Wall};

/// Written first. A change of layout gets a new number and keeps the old one's reader.
const VERSION: u8 = 1;

/// The bytes say something that this version cannot mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// How much of one call's texts and lists is kept.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    text_bytes_max: usize,
    list_len_max: usize,
}

impl Bounds {
    /// All of it: what made the call bounded it already.
    pub(super) const FULL: Self = Self {
        text_bytes_max: usize::MAX,
        list_len_max: usize::MAX,
    };
    /// For a call whose full form is longer than an entry may be. Its tokens matter more than the
    /// ends of its names. 256 attempts and charges of three such names each are under 400 KiB.
    pub(super) const CUT: Self = Self {
        text_bytes_max: 256,
        list_len_max: 256,
    };
}

pub(super) fn put_opening(out: &mut Vec<u8>, opening: &Opening, bounds: Bounds) {
    out.push(VERSION);
    put_opening_fields(out, opening, bounds);
}

pub(super) fn opening(bytes: &[u8]) -> Result<Opening, Malformed> {
    let mut input = Input::versioned(bytes)?;
    let opening = input.opening()?;
    input.end(opening)
}

pub(super) fn put_record(out: &mut Vec<u8>, record: &CallRecord, bounds: Bounds) {
    let CallRecord {
        opening,
        outcome,
        status,
        rule,
        backend,
        cache,
        metered,
        latency,
        first_byte,
        attempts,
    } = record;
    out.push(VERSION);
    put_opening_fields(out, opening, bounds);
    out.push(outcome_code(*outcome));
    put_number(out, u64::from(*status));
    put_optional_text(out, rule.as_deref(), bounds);
    put_optional_text(out, backend.as_ref().map(BackendId::as_str), bounds);
    out.push(cache_code(*cache));
    put_metered(out, metered);
    put_duration(out, *latency);
    match first_byte {
        None => out.push(0),
        Some(first_byte) => {
            out.push(1);
            put_duration(out, *first_byte);
        }
    }
    let attempts = &attempts[..attempts.len().min(bounds.list_len_max)];
    put_number(out, attempts.len() as u64);
    for attempt in attempts {
        put_attempt(out, attempt, bounds);
    }
}

pub(super) fn record(bytes: &[u8]) -> Result<CallRecord, Malformed> {
    let mut input = Input::versioned(bytes)?;
    let record = CallRecord {
        opening: input.opening()?,
        outcome: input.outcome()?,
        status: input.status()?,
        rule: input.optional_text()?.map(Arc::from),
        backend: input.optional_text()?.map(BackendId::from),
        cache: input.cache()?,
        metered: input.metered()?,
        latency: input.duration()?,
        first_byte: match input.byte()? {
            0 => None,
            1 => Some(input.duration()?),
            _ => return Err(Malformed),
        },
        attempts: input.list(Input::attempt)?,
    };
    input.end(record)
}

pub(super) fn put_charges(out: &mut Vec<u8>, charges: &[Charge]) {
    out.push(VERSION);
    put_charge_list(out, charges, Bounds::FULL);
}

pub(super) fn charges(bytes: &[u8]) -> Result<Vec<Charge>, Malformed> {
    let mut input = Input::versioned(bytes)?;
    let charges = input.list(Input::charge)?;
    input.end(charges)
}

fn put_opening_fields(out: &mut Vec<u8>, opening: &Opening, bounds: Bounds) {
    let Opening {
        id,
        at,
        who,
        model,
        stream,
        revision,
        prompt_tokens,
        charges,
    } = opening;
    let Who {
        subscription,
        product,
        application,
        caller,
    } = who;
    out.extend_from_slice(&id.0.to_be_bytes());
    put_wall(out, *at);
    put_text(out, subscription.as_str(), bounds);
    put_text(out, product.as_str(), bounds);
    put_optional_text(out, application.as_ref().map(|name| name.as_str()), bounds);
    put_text(out, caller, bounds);
    put_text(out, model.as_str(), bounds);
    out.push(u8::from(*stream));
    put_number(out, *revision);
    put_number(out, *prompt_tokens);
    put_charge_list(out, charges, bounds);
}

fn put_charge_list(out: &mut Vec<u8>, charges: &[Charge], bounds: Bounds) {
    let charges = &charges[..charges.len().min(bounds.list_len_max)];
    put_number(out, charges.len() as u64);
    for Charge { limit, key, unit } in charges {
        put_text(out, limit.as_str(), bounds);
        put_text(out, key, bounds);
        match unit {
            ChargeUnit::TokensPerMinute => out.push(1),
            ChargeUnit::RequestsPerMinute => out.push(2),
            ChargeUnit::Quota { period_start } => {
                out.push(3);
                put_wall(out, *period_start);
            }
        }
    }
}

fn put_attempt(out: &mut Vec<u8>, attempt: &AttemptRecord, bounds: Bounds) {
    let AttemptRecord {
        backend,
        status,
        failure,
        metered,
        latency,
    } = attempt;
    put_text(out, backend.as_str(), bounds);
    put_number(out, u64::from(*status));
    out.push(failure.map_or(0, failure_code));
    put_metered(out, metered);
    put_duration(out, *latency);
}

fn put_metered(out: &mut Vec<u8>, metered: &Metered) {
    let Usage {
        prompt,
        completion,
        cached_prompt,
        cache_write,
        reasoning,
        audio_prompt,
        audio_completion,
        images,
    } = *metered.usage();
    out.push(u8::from(metered.is_estimated()));
    for amount in [
        prompt,
        completion,
        cached_prompt,
        cache_write,
        reasoning,
        audio_prompt,
        audio_completion,
        images,
    ] {
        put_number(out, amount);
    }
}

/// Seven bits a byte, the lowest first; the high bit says that more follow.
fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Zigzag, so that times around the epoch are short too.
fn put_wall(out: &mut Vec<u8>, wall: Wall) {
    put_number(out, ((wall.0 << 1) ^ (wall.0 >> 63)).cast_unsigned());
}

/// To the microsecond, as the database keeps it.
fn put_duration(out: &mut Vec<u8>, duration: Duration) {
    put_number(out, u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
}

fn put_text(out: &mut Vec<u8>, text: &str, bounds: Bounds) {
    let mut end = text.len().min(bounds.text_bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    put_number(out, end as u64);
    out.extend_from_slice(&text.as_bytes()[..end]);
}

fn put_optional_text(out: &mut Vec<u8>, text: Option<&str>, bounds: Bounds) {
    match text {
        None => out.push(0),
        Some(text) => {
            out.push(1);
            put_text(out, text, bounds);
        }
    }
}

fn outcome_code(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Ok => 1,
        Outcome::ClientError => 2,
        Outcome::Refused => 3,
        Outcome::UpstreamFailed => 4,
        Outcome::Cut => 5,
        Outcome::HungUp => 6,
        Outcome::Interrupted => 7,
        Outcome::GatewayError => 8,
    }
}

/// Zero stands for no failure.
fn failure_code(failure: AttemptFailure) -> u8 {
    match failure {
        AttemptFailure::Connect => 1,
        AttemptFailure::Tls => 2,
        AttemptFailure::FirstByteTimeout => 3,
        AttemptFailure::IdleTimeout => 4,
        AttemptFailure::TotalTimeout => 5,
        AttemptFailure::Cut => 6,
        AttemptFailure::Credential => 7,
        AttemptFailure::Status => 8,
        AttemptFailure::HungUp => 9,
    }
}

fn cache_code(cache: CacheOutcome) -> u8 {
    match cache {
        CacheOutcome::Off => 0,
        CacheOutcome::Hit => 1,
        CacheOutcome::Miss => 2,
    }
}

/// What is left to decode.
struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    fn versioned(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut input = Self { bytes };
        match input.byte()? {
            VERSION => Ok(input),
            _ => Err(Malformed),
        }
    }

    fn end<T>(&self, value: T) -> Result<T, Malformed> {
        if self.bytes.is_empty() {
            Ok(value)
        } else {
            Err(Malformed)
        }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.bytes.split_at_checked(len).ok_or(Malformed)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    fn flag(&mut self) -> Result<bool, Malformed> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                return Err(Malformed);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    fn wall(&mut self) -> Result<Wall, Malformed> {
        let number = self.number()?;
        Ok(Wall(
            (number >> 1).cast_signed() ^ -(number & 1).cast_signed(),
        ))
    }

    fn duration(&mut self) -> Result<Duration, Malformed> {
        Ok(Duration::from_micros(self.number()?))
    }

    fn status(&mut self) -> Result<u16, Malformed> {
        u16::try_from(self.number()?).map_err(|_| Malformed)
    }

    fn text(&mut self) -> Result<&'a str, Malformed> {
        let len = usize::try_from(self.number()?).map_err(|_| Malformed)?;
        std::str::from_utf8(self.take(len)?).map_err(|_| Malformed)
    }

    fn optional_text(&mut self) -> Result<Option<&'a str>, Malformed> {
        Ok(if self.flag()? {
            Some(self.text()?)
        } else {
            None
        })
    }

    /// The list grows as its elements are read, so a wild length allocates nothing.
    fn list<T>(
        &mut self,
        element: fn(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let len = self.number()?;
        let mut list = Vec::new();
        for _ in 0..len {
            list.push(element(self)?);
        }
        Ok(list)
    }

    fn opening(&mut self) -> Result<Opening, Malformed> {
        let id = self.take(16)?.try_into().map_err(|_| Malformed)?;
        Ok(Opening {
            id: CallId(u128::from_be_bytes(id)),
            at: self.wall()?,
            who: Who {
                subscription: self.text()?.into(),
                product: self.text()?.into(),
                application: self.optional_text()?.map(Into::into),
                caller: self.text()?.into(),
            },
            model: self.text()?.into(),
            stream: self.flag()?,
            revision: self.number()?,
            prompt_tokens: self.number()?,
            charges: self.list(Self::charge)?,
        })
    }

    fn charge(&mut self) -> Result<Charge, Malformed> {
        Ok(Charge {
            limit: LimitId::from(self.text()?),
            key: self.text()?.into(),
            unit: match self.byte()? {
                1 => ChargeUnit::TokensPerMinute,
                2 => ChargeUnit::RequestsPerMinute,
                3 => ChargeUnit::Quota {
                    period_start: self.wall()?,
                },
                _ => return Err(Malformed),
            },
        })
    }

    fn attempt(&mut self) -> Result<AttemptRecord, Malformed> {
        Ok(AttemptRecord {
            backend: self.text()?.into(),
            status: self.status()?,
            failure: self.failure()?,
            metered: self.metered()?,
            latency: self.duration()?,
        })
    }

    fn metered(&mut self) -> Result<Metered, Malformed> {
        let estimated = self.flag()?;
        let usage = Usage {
            prompt: self.number()?,
            completion: self.number()?,
            cached_prompt: self.number()?,
            cache_write: self.number()?,
            reasoning: self.number()?,
            audio_prompt: self.number()?,
            audio_completion: self.number()?,
            images: self.number()?,
        };
        Ok(if estimated {
            Metered::Estimated(usage)
        } else {
            Metered::Reported(usage)
        })
    }

    fn outcome(&mut self) -> Result<Outcome, Malformed> {
        let code = self.byte()?;
        let mut all = Outcome::ALL.into_iter();
        all.find(|outcome| outcome_code(*outcome) == code)
            .ok_or(Malformed)
    }

    fn failure(&mut self) -> Result<Option<AttemptFailure>, Malformed> {
        let code = self.byte()?;
        if code == 0 {
            return Ok(None);
        }
        let mut all = AttemptFailure::ALL.into_iter();
        let failure = all.find(|failure| failure_code(*failure) == code);
        failure.map(Some).ok_or(Malformed)
    }

    fn cache(&mut self) -> Result<CacheOutcome, Malformed> {
        let code = self.byte()?;
        let mut all = CacheOutcome::ALL.into_iter();
        all.find(|cache| cache_code(*cache) == code)
            .ok_or(Malformed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::samples::any_record;

    proptest! {
        #[test]
        fn a_record_reads_back_as_written(record in any_record()) {
            let mut bytes = Vec::new();
            put_record(&mut bytes, &record, Bounds::FULL);
            prop_assert_eq!(super::record(&bytes), Ok(record));
        }

        #[test]
        fn an_opening_reads_back_as_written(record in any_record()) {
            let mut bytes = Vec::new();
            put_opening(&mut bytes, &record.opening, Bounds::FULL);
            prop_assert_eq!(opening(&bytes), Ok(record.opening));
        }

        #[test]
        fn any_bytes_decode_or_are_malformed(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (record(&bytes), opening(&bytes), charges(&bytes));
        }

        #[test]
        fn a_record_with_one_wrong_byte_decodes_or_is_malformed(record in any_record(), at: prop::sample::Index, byte: u8) {
            let mut bytes = Vec::new();
            put_record(&mut bytes, &record, Bounds::FULL);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = super::record(&bytes);
        }

        #[test]
        fn a_cut_record_keeps_its_tokens(mut record in any_record()) {
            record.opening.who.caller = "é".repeat(100_000).into();
            let mut bytes = Vec::new();
            put_record(&mut bytes, &record, Bounds::CUT);
            prop_assert!(bytes.len() < 10_000);
            prop_assert_eq!(super::record(&bytes).map(|read| read.metered), Ok(record.metered));
        }
    }
}
