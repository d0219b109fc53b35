//! Numbers and texts as bytes, and back: big-endian, lengths first, nothing implied.
//!
//! Reading never panics and never allocates more than the bytes at hand could describe.

/// The bytes say something that this version cannot mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

pub(crate) fn put_u32(bytes: &mut Vec<u8>, number: u32) {
    bytes.extend_from_slice(&number.to_be_bytes());
}

pub(crate) fn put_u64(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_be_bytes());
}

/// A length of 32 bits, then the bytes. What made the text bounded it.
pub(crate) fn put_bytes(bytes: &mut Vec<u8>, piece: &[u8]) {
    let len = u32::try_from(piece.len()).unwrap_or(u32::MAX);
    put_u32(bytes, len);
    bytes.extend_from_slice(&piece[..len as usize]);
}

/// A length of 16 bits, then the text, which is cut at a character past 65,535 bytes.
pub(crate) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    let end = text.floor_char_boundary(usize::from(u16::MAX));
    bytes.extend_from_slice(&(end as u16).to_be_bytes());
    bytes.extend_from_slice(&text.as_bytes()[..end]);
}

/// 0 for none; else 1 and the text.
pub(crate) fn put_optional_text(bytes: &mut Vec<u8>, text: Option<&str>) {
    bytes.push(u8::from(text.is_some()));
    if let Some(text) = text {
        put_text(bytes, text);
    }
}

#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Malformed> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn bool(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.u32()?;
        self.take(len as usize)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        let len = self.u16()?;
        std::str::from_utf8(self.take(usize::from(len))?).map_err(|_| Malformed)
    }

    pub(crate) fn optional_text(&mut self) -> Result<Option<&'a str>, Malformed> {
        if self.bool()? {
            return self.text().map(Some);
        }
        Ok(None)
    }

    /// As many numbers as a length of 32 bits says.
    pub(crate) fn u64s(&mut self) -> Result<Vec<u64>, Malformed> {
        let len = self.u32()? as usize;
        let bytes = self.take(len.checked_mul(8).ok_or(Malformed)?)?;
        let (numbers, _) = bytes.as_chunks::<8>();
        Ok(numbers
            .iter()
            .map(|bytes| u64::from_be_bytes(*bytes))
            .collect())
    }

    pub(crate) fn end(self) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(Malformed)
    }
}
