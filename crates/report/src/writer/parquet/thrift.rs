//! Thrift's compact protocol, in which Parquet writes its headers and its footer.
//!
//! <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// A struct being written, fields in rising order of their ids.
#[derive(Debug, Default)]
pub struct Struct {
    bytes: Vec<u8>,
    last: u8,
}

impl Struct {
    pub fn new() -> Self {
        Self::default()
    }

    /// The struct's bytes, closed.
    pub fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }

    pub fn bool(&mut self, id: u8, value: bool) {
        self.field(id, if value { TRUE } else { FALSE });
    }

    pub fn i32(&mut self, id: u8, value: i32) {
        self.field(id, I32);
        push_varint(&mut self.bytes, zigzag(i64::from(value)));
    }

    pub fn i64(&mut self, id: u8, value: i64) {
        self.field(id, I64);
        push_varint(&mut self.bytes, zigzag(value));
    }

    pub fn string(&mut self, id: u8, text: &str) {
        self.field(id, BINARY);
        self.push_string(text);
    }

    pub fn struct_(&mut self, id: u8, value: Self) {
        self.field(id, STRUCT);
        self.bytes.extend(value.end());
    }

    pub fn i32s(&mut self, id: u8, values: &[i32]) {
        self.list(id, I32, values.len());
        for value in values {
            push_varint(&mut self.bytes, zigzag(i64::from(*value)));
        }
    }

    pub fn strings(&mut self, id: u8, texts: &[&str]) {
        self.list(id, BINARY, texts.len());
        for text in texts {
            self.push_string(text);
        }
    }

    pub fn structs(&mut self, id: u8, values: Vec<Self>) {
        self.list(id, STRUCT, values.len());
        for value in values {
            self.bytes.extend(value.end());
        }
    }

    fn push_string(&mut self, text: &str) {
        push_varint(&mut self.bytes, text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn list(&mut self, id: u8, of: u8, length: usize) {
        self.field(id, LIST);
        if length < 15 {
            self.bytes.push((length as u8) << 4 | of);
        } else {
            self.bytes.push(0xf0 | of);
            push_varint(&mut self.bytes, length as u64);
        }
    }

    /// Ids rise by less than 16 in everything that Parquet has.
    fn field(&mut self, id: u8, kind: u8) {
        debug_assert!(id > self.last && id - self.last < 16, "fields in order");
        self.bytes.push((id - self.last) << 4 | kind);
        self.last = id;
    }
}

pub fn push_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_deltas_and_numbers_zigzag_varints() {
        let mut inner = Struct::new();
        inner.bool(1, true);
        let mut outer = Struct::new();
        outer.i32(1, -1);
        outer.i64(4, 300);
        outer.string(5, "ab");
        outer.struct_(8, inner);
        assert_eq!(
            outer.end(),
            [
                0x15, 1, 0x36, 0xd8, 4, 0x18, 2, b'a', b'b', 0x3c, 0x11, 0, 0
            ]
        );
    }

    #[test]
    fn long_lists_have_their_length_apart() {
        let mut short = Struct::new();
        short.i32s(1, &[1; 14]);
        assert_eq!(short.end()[..3], [0x19, 0xe5, 2]);
        let mut long = Struct::new();
        long.i32s(1, &[1; 15]);
        assert_eq!(long.end()[..4], [0x19, 0xf5, 15, 2]);
    }
}
