//! From bytes to a call, or to `Malformed`.

use std::sync::Arc;
use std::time::Duration;

use domain::record::{
    AttemptFailure, AttemptRecord, CacheOutcome, CallRecord, Charge, ChargeUnit, Content, Cost,
    Opening, OpeningPrice, Outcome, PriceId, Ruling, Verdict, Who,
};
use domain::{BackendId, CallId, Currency, LimitId, Metered, Nanos, ServiceTier, Usage, Wall};

use super::{
    Malformed, VERSION, VERSION_1, VERSION_2, VERSION_3, VERSION_4, cache_code, content_code,
    failure_code, outcome_code, ruling_code, tier_code,
};

pub(in crate::ledger) fn opening(bytes: &[u8]) -> Result<Opening, Malformed> {
    let mut input = Input::versioned(bytes)?;
    let mut opening = input.opening()?;
    opening.price = input.opening_price()?;
    input.end(opening)
}

/// Alone, for those who only follow which calls are open.
pub(in crate::ledger) fn opening_id(bytes: &[u8]) -> Result<CallId, Malformed> {
    Input::versioned(bytes)?.id()
}

pub(in crate::ledger) fn record(bytes: &[u8]) -> Result<CallRecord, Malformed> {
    let mut input = Input::versioned(bytes)?;
    let opening = input.opening()?;
    let outcome = input.outcome()?;
    let status = input.status()?;
    let rule = input.optional_text()?.map(Arc::from);
    let backend = input.optional_text()?.map(BackendId::from);
    let cache = input.cache()?;
    let metered = input.metered()?;
    let record = CallRecord {
        opening,
        outcome,
        status,
        rule,
        backend,
        cache,
        metered,
        cost: input.cost(&metered)?,
        saved: input.saved()?,
        latency: input.duration()?,
        first_byte: match input.byte()? {
            0 => None,
            1 => Some(input.duration()?),
            _ => return Err(Malformed),
        },
        attempts: input.list(Input::attempt)?,
        verdicts: input.verdicts()?,
        saved_tokens: input.saved_tokens()?,
        similarity: input.similarity()?,
    };
    input.end(record)
}

pub(in crate::ledger) fn charges(bytes: &[u8]) -> Result<Vec<Charge>, Malformed> {
    let mut input = Input::versioned(bytes)?;
    let charges = input.list(Input::charge)?;
    input.end(charges)
}

pub(in crate::ledger) fn price(bytes: &[u8]) -> Result<(PriceId, &str), Malformed> {
    let mut input = Input::versioned(bytes)?;
    let price = (PriceId::from(input.text()?), input.text()?);
    input.end(price)
}

/// What is left to decode.
struct Input<'a> {
    bytes: &'a [u8],
    version: u8,
}

impl<'a> Input<'a> {
    fn versioned(bytes: &'a [u8]) -> Result<Self, Malformed> {
        match bytes {
            [
                version @ (VERSION | VERSION_4 | VERSION_3 | VERSION_2 | VERSION_1),
                bytes @ ..,
            ] => Ok(Self {
                bytes,
                version: *version,
            }),
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

    fn signed(&mut self) -> Result<i64, Malformed> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    fn wall(&mut self) -> Result<Wall, Malformed> {
        self.signed().map(Wall)
    }

    fn nanos(&mut self) -> Result<Nanos, Malformed> {
        self.signed().map(Nanos)
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

    fn id(&mut self) -> Result<CallId, Malformed> {
        let id = self.take(16)?.try_into().map_err(|_| Malformed)?;
        Ok(CallId(u128::from_be_bytes(id)))
    }

    fn opening(&mut self) -> Result<Opening, Malformed> {
        Ok(Opening {
            id: self.id()?,
            at: self.wall()?,
            who: Who {
                subscription: self.text()?.into(),
                product: self.text()?.into(),
                application: self.optional_text()?.map(Into::into),
                caller: self.text()?.into(),
                user: match self.version {
                    VERSION_1 => None,
                    _ => self.optional_text()?.map(Into::into),
                },
            },
            model: self.text()?.into(),
            asked_model: match self.version {
                VERSION_1 | VERSION_2 => None,
                _ => self.optional_text()?.map(Into::into),
            },
            stream: self.flag()?,
            revision: self.number()?,
            prompt_tokens: self.number()?,
            charges: self.list(Self::charge)?,
            price: None,
        })
    }

    fn opening_price(&mut self) -> Result<Option<OpeningPrice>, Malformed> {
        if self.version == VERSION_1 || !self.flag()? {
            return Ok(None);
        }
        Ok(Some(OpeningPrice {
            id: self.text()?.into(),
            currency: self.currency()?,
            prompt_per_million: self.nanos()?,
            completion_per_million: self.nanos()?,
        }))
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
                4 => ChargeUnit::Budget {
                    period_start: self.wall()?,
                },
                _ => return Err(Malformed),
            },
        })
    }

    fn attempt(&mut self) -> Result<AttemptRecord, Malformed> {
        let backend = self.text()?.into();
        let status = self.status()?;
        let failure = self.failure()?;
        let metered = self.metered()?;
        Ok(AttemptRecord {
            backend,
            status,
            failure,
            metered,
            cost: self.cost(&metered)?,
            latency: self.duration()?,
        })
    }

    fn verdicts(&mut self) -> Result<Vec<Verdict>, Malformed> {
        match self.version {
            VERSION_1 | VERSION_2 | VERSION_3 => Ok(Vec::new()),
            _ => self.list(Self::verdict),
        }
    }

    fn verdict(&mut self) -> Result<Verdict, Malformed> {
        let guard = self.text()?.into();
        let (on, verdict) = (self.byte()?, self.byte()?);
        let mut contents = Content::ALL.into_iter();
        let mut rulings = Ruling::ALL.into_iter();
        Ok(Verdict {
            guard,
            on: contents
                .find(|content| content_code(*content) == on)
                .ok_or(Malformed)?,
            verdict: rulings
                .find(|ruling| ruling_code(*ruling) == verdict)
                .ok_or(Malformed)?,
            findings: self.list(Self::finding)?,
            failure: self.optional_text()?.map(Into::into),
        })
    }

    fn finding(&mut self) -> Result<(Arc<str>, u32), Malformed> {
        let kind = self.text()?.into();
        let amount = u32::try_from(self.number()?).map_err(|_| Malformed)?;
        Ok((kind, amount))
    }

    fn cost(&mut self, metered: &Metered) -> Result<Cost, Malformed> {
        if self.version == VERSION_1 {
            return Ok(Cost::without_price(metered.usage()));
        }
        Ok(match self.byte()? {
            0 => Cost::Nothing,
            1 => Cost::Priced {
                amount: self.nanos()?,
                currency: self.currency()?,
                price: self.text()?.into(),
            },
            2 => Cost::Unpriced,
            _ => return Err(Malformed),
        })
    }

    fn saved(&mut self) -> Result<Nanos, Malformed> {
        match self.version {
            VERSION_1 => Ok(Nanos::ZERO),
            _ => self.nanos(),
        }
    }

    fn knows_cached_answers(&self) -> bool {
        !matches!(self.version, VERSION_1 | VERSION_2 | VERSION_3 | VERSION_4)
    }

    fn saved_tokens(&mut self) -> Result<u64, Malformed> {
        if self.knows_cached_answers() {
            self.number()
        } else {
            Ok(0)
        }
    }

    /// One more than it is; zero where there is none.
    fn similarity(&mut self) -> Result<Option<u16>, Malformed> {
        if !self.knows_cached_answers() {
            return Ok(None);
        }
        let similarity = self.number()?.checked_sub(1).map(u16::try_from);
        similarity.transpose().map_err(|_| Malformed)
    }

    fn currency(&mut self) -> Result<Currency, Malformed> {
        let code = std::str::from_utf8(self.take(3)?).map_err(|_| Malformed)?;
        code.parse().map_err(|_| Malformed)
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
            cache_write_1h: self.unless_version_1(Self::number)?,
            tier: self.unless_version_1(Self::tier)?,
        };
        Ok(if estimated {
            Metered::Estimated(usage)
        } else {
            Metered::Reported(usage)
        })
    }

    /// What that version did not know is nothing.
    fn unless_version_1<T: Default>(
        &mut self,
        read: fn(&mut Self) -> Result<T, Malformed>,
    ) -> Result<T, Malformed> {
        match self.version {
            VERSION_1 => Ok(T::default()),
            _ => read(self),
        }
    }

    fn tier(&mut self) -> Result<ServiceTier, Malformed> {
        let code = self.byte()?;
        let mut all = ServiceTier::ALL.into_iter();
        all.find(|tier| tier_code(*tier) == code).ok_or(Malformed)
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
