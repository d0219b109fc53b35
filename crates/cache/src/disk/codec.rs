//! What finds an entry, as bytes and back; and purges that are waiting. All of it is sealed before it is
//! written. Reading never panics, and takes no more memory than the bytes at hand describe.

use std::sync::Arc;

use domain::usage::ServiceTier;
use domain::{Usage, Wall};
use likeness::verified::{Observation, Observations};

use crate::index::Vector;
use crate::{Entry, Key, Owner, Partition, Selection};

const VERSION: u8 = 2;

/// What an entry is, but its answer.
pub(crate) struct Head {
    pub(crate) key: Key,
    pub(crate) owner: Owner,
    pub(crate) model: Arc<str>,
    pub(crate) usage: Usage,
    pub(crate) stored_at: Wall,
    pub(crate) expires_at: Wall,
    pub(crate) answer_bytes: usize,
    pub(crate) asked: Option<Known>,
}

/// What it answers, where it may be found by meaning.
pub(crate) struct Known {
    pub(crate) partition: Partition,
    pub(crate) text: Arc<str>,
    pub(crate) embedder: Arc<str>,
    pub(crate) vector: Vector,
}

/// The bytes say something that this version cannot mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

pub(crate) fn put_head(entry: &Entry, codes: Option<&[i8]>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256 + codes.map_or(0, <[i8]>::len));
    bytes.push(VERSION);
    bytes.extend_from_slice(&entry.key.0);
    let Owner {
        subscription,
        product,
        user,
        caller,
    } = &entry.owner;
    put_text(&mut bytes, subscription.as_str());
    put_text(&mut bytes, product.as_str());
    put_optional(&mut bytes, user.as_deref());
    put_text(&mut bytes, caller);
    put_text(&mut bytes, entry.model.as_str());
    put_usage(&mut bytes, &entry.usage);
    bytes.extend_from_slice(&entry.stored_at.0.to_be_bytes());
    bytes.extend_from_slice(&entry.expires_at.0.to_be_bytes());
    bytes.extend_from_slice(&(entry.answer_bytes as u64).to_be_bytes());
    let asked = entry.asked.as_ref().zip(codes);
    bytes.push(u8::from(asked.is_some()));
    if let Some((asked, codes)) = asked {
        bytes.extend_from_slice(&asked.partition.0);
        put_text(&mut bytes, &asked.text);
        put_text(&mut bytes, &asked.embedder);
        put_length(&mut bytes, codes.len());
        bytes.extend(codes.iter().map(|code| code.cast_unsigned()));
    }
    bytes
}

/// `share` is given texts that many entries have.
pub(crate) fn read_head(
    bytes: &[u8],
    mut share: impl FnMut(&str) -> Arc<str>,
) -> Result<Head, Malformed> {
    let mut reader = Reader { rest: bytes };
    if reader.byte()? != VERSION {
        return Err(Malformed);
    }
    let key = Key(reader.array()?);
    let owner = Owner {
        subscription: domain::SubscriptionId(share(reader.text()?)),
        product: domain::ProductId(share(reader.text()?)),
        user: reader.optional()?.map(&mut share),
        caller: share(reader.text()?),
    };
    let model = share(reader.text()?);
    let usage = read_usage(&mut reader)?;
    let stored_at = Wall(i64::from_be_bytes(reader.array()?));
    let expires_at = Wall(i64::from_be_bytes(reader.array()?));
    let answer_bytes = usize::try_from(reader.number()?).map_err(|_| Malformed)?;
    let mut asked = None;
    if reader.byte()? == 1 {
        let partition = Partition(reader.array()?);
        let text = Arc::from(reader.text()?);
        let embedder = share(reader.text()?);
        let len = reader.length()?;
        let codes: Box<[i8]> = reader
            .take(len)?
            .iter()
            .map(|code| code.cast_signed())
            .collect();
        if codes.is_empty() {
            return Err(Malformed);
        }
        asked = Some(Known {
            partition,
            text,
            embedder,
            vector: Vector::from_codes(codes),
        });
    }
    reader.end()?;
    Ok(Head {
        key,
        owner,
        model,
        usage,
        stored_at,
        expires_at,
        answer_bytes,
        asked,
    })
}

/// A number and whether it was right for each, oldest first: five bytes. Not sealed: they name nothing.
pub(crate) fn put_observations(observations: &Observations) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(observations.len() * 5);
    for observation in observations.iter() {
        bytes.extend_from_slice(&(observation.similarity as f32).to_be_bytes());
        bytes.push(u8::from(observation.right));
    }
    bytes
}

pub(crate) fn read_observations(bytes: &[u8]) -> impl Iterator<Item = Observation> {
    let (pieces, _) = bytes.as_chunks::<5>();
    pieces.iter().map(|[a, b, c, d, right]| Observation {
        similarity: f64::from(f32::from_be_bytes([*a, *b, *c, *d])),
        right: *right == 1,
    })
}

pub(crate) fn put_selection(what: &Selection) -> Vec<u8> {
    let Selection {
        subscription,
        model,
        person,
        stored_before,
        keys,
    } = what;
    let mut bytes = vec![VERSION];
    put_optional(&mut bytes, subscription.as_ref().map(|id| id.as_str()));
    put_optional(&mut bytes, model.as_ref().map(|model| model.as_str()));
    put_optional(&mut bytes, person.as_deref());
    bytes.extend_from_slice(&stored_before.map_or(i64::MAX, |at| at.0).to_be_bytes());
    bytes.push(u8::from(keys.is_some()));
    for key in keys.iter().flatten() {
        bytes.extend_from_slice(&key.0);
    }
    bytes
}

pub(crate) fn read_selection(bytes: &[u8]) -> Result<Selection, Malformed> {
    let mut reader = Reader { rest: bytes };
    if reader.byte()? != VERSION {
        return Err(Malformed);
    }
    let subscription = reader.optional()?.map(Into::into);
    let model = reader.optional()?.map(Into::into);
    let person = reader.optional()?.map(ToOwned::to_owned);
    let stored_before = Some(Wall(i64::from_be_bytes(reader.array()?)));
    let has_keys = reader.byte()? == 1;
    let (keys, rest) = reader.rest.as_chunks::<32>();
    if !rest.is_empty() {
        return Err(Malformed);
    }
    Ok(Selection {
        subscription,
        model,
        person,
        stored_before,
        keys: has_keys.then(|| keys.iter().map(|key| Key(*key)).collect()),
    })
}

fn put_usage(bytes: &mut Vec<u8>, usage: &Usage) {
    let Usage {
        tier,
        prompt,
        completion,
        cached_prompt,
        cache_write,
        cache_write_1h,
        reasoning,
        audio_prompt,
        audio_completion,
        images,
    } = usage;
    bytes.push(match tier {
        ServiceTier::Standard => 0,
        ServiceTier::Batch => 1,
        ServiceTier::Priority => 2,
        ServiceTier::Flex => 3,
    });
    for number in [
        prompt,
        completion,
        cached_prompt,
        cache_write,
        cache_write_1h,
        reasoning,
        audio_prompt,
        audio_completion,
        images,
    ] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
}

fn read_usage(reader: &mut Reader<'_>) -> Result<Usage, Malformed> {
    let tier = *ServiceTier::ALL
        .get(usize::from(reader.byte()?))
        .ok_or(Malformed)?;
    Ok(Usage {
        tier,
        prompt: reader.number()?,
        completion: reader.number()?,
        cached_prompt: reader.number()?,
        cache_write: reader.number()?,
        cache_write_1h: reader.number()?,
        reasoning: reader.number()?,
        audio_prompt: reader.number()?,
        audio_completion: reader.number()?,
        images: reader.number()?,
    })
}

fn put_length(bytes: &mut Vec<u8>, len: usize) {
    bytes.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_length(bytes, text.len());
    bytes.extend_from_slice(text.as_bytes());
}

fn put_optional(bytes: &mut Vec<u8>, text: Option<&str>) {
    bytes.push(u8::from(text.is_some()));
    if let Some(text) = text {
        put_text(bytes, text);
    }
}

struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    fn take(&mut self, len: usize) -> Result<&'b [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    fn number(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    fn length(&mut self) -> Result<usize, Malformed> {
        self.array().map(|bytes| u32::from_be_bytes(bytes) as usize)
    }

    fn text(&mut self) -> Result<&'b str, Malformed> {
        let len = self.length()?;
        std::str::from_utf8(self.take(len)?).map_err(|_| Malformed)
    }

    fn optional(&mut self) -> Result<Option<&'b str>, Malformed> {
        match self.byte()? {
            0 => Ok(None),
            _ => self.text().map(Some),
        }
    }

    fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Malformed)
        }
    }
}
