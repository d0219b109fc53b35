//! Kafka's primitive types, big-endian, in their classic (not "flexible") encoding.

/// What came does not have the form that its version says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

#[derive(Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    pub fn int8(&mut self, value: i8) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub fn int16(&mut self, value: i16) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub fn int32(&mut self, value: i32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub fn int64(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// Callers' texts are configured, and bounded there.
    pub fn string(&mut self, text: &str) {
        self.int16(i16::try_from(text.len()).unwrap_or(i16::MAX));
        self.0.extend_from_slice(text.as_bytes());
    }

    pub fn no_string(&mut self) {
        self.int16(-1);
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Of an array, whose items follow, or of bytes.
    pub fn length(&mut self, length: usize) {
        self.int32(i32::try_from(length).unwrap_or(i32::MAX));
    }

    /// Zigzag, seven bits a byte.
    pub fn varint(&mut self, value: i64) {
        let mut rest = (value << 1 ^ value >> 63).cast_unsigned();
        while rest >= 0x80 {
            self.0.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
    }

    /// Bytes within a record.
    pub fn var_bytes(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as i64);
        self.0.extend_from_slice(bytes);
    }
}

pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn int8(&mut self) -> Result<i8, Malformed> {
        self.array().map(i8::from_be_bytes)
    }

    pub fn int16(&mut self) -> Result<i16, Malformed> {
        self.array().map(i16::from_be_bytes)
    }

    pub fn int32(&mut self) -> Result<i32, Malformed> {
        self.array().map(i32::from_be_bytes)
    }

    pub fn int64(&mut self) -> Result<i64, Malformed> {
        self.array().map(i64::from_be_bytes)
    }

    pub fn string(&mut self) -> Result<&'a str, Malformed> {
        self.nullable_string()?.ok_or(Malformed)
    }

    pub fn nullable_string(&mut self) -> Result<Option<&'a str>, Malformed> {
        let Ok(length) = usize::try_from(self.int16()?) else {
            return Ok(None);
        };
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| Malformed)?;
        Ok(Some(text))
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.int32()?).unwrap_or(0);
        self.take(length)
    }

    /// Reads each item of an array. Bounded by what is there: an item takes at least one byte.
    pub fn items<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count = usize::try_from(self.int32()?).unwrap_or(0);
        if count > self.rest.len() {
            return Err(Malformed);
        }
        (0..count).map(|_| read(self)).collect()
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*array)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_zigzag_in_groups_of_seven_bits() {
        for (value, bytes) in [
            (0, &[0x00][..]),
            (-1, &[0x01]),
            (1, &[0x02]),
            (63, &[0x7e]),
            (64, &[0x80, 0x01]),
            (-64, &[0x7f]),
            (150, &[0xac, 0x02]),
        ] {
            let mut writer = Writer::default();
            writer.varint(value);
            assert_eq!(writer.0, bytes, "{value}");
        }
    }

    #[test]
    fn an_array_that_claims_more_than_is_there_is_malformed_and_takes_no_memory() {
        let bytes = i32::MAX.to_be_bytes();
        assert_eq!(Reader::new(&bytes).items(Reader::int8), Err(Malformed));
    }
}
