//! Writes protobuf: the few wire types that OTLP's messages are made of.

#[derive(Default)]
pub struct Writer(pub Vec<u8>);

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const DELIMITED: u32 = 2;
const FIXED32: u32 = 5;

impl Writer {
    pub fn uint(&mut self, field: u32, value: u64) {
        self.tag(field, VARINT);
        self.varint(value);
    }

    pub fn fixed64(&mut self, field: u32, value: u64) {
        self.tag(field, FIXED64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub fn fixed32(&mut self, field: u32, value: u32) {
        self.tag(field, FIXED32);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub fn double(&mut self, field: u32, value: f64) {
        self.fixed64(field, value.to_bits());
    }

    pub fn bytes(&mut self, field: u32, value: &[u8]) {
        self.tag(field, DELIMITED);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    pub fn text(&mut self, field: u32, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    /// A message within this one. Its length goes before it once it is known.
    pub fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        self.tag(field, DELIMITED);
        let start = self.0.len();
        write(self);
        let mut length = (self.0.len() - start) as u64;
        let mut prefix = [0; 10];
        let mut used = 0;
        loop {
            prefix[used] = (length & 0x7f) as u8;
            length >>= 7;
            used += 1;
            if length == 0 {
                break;
            }
            prefix[used - 1] |= 0x80;
        }
        self.0.splice(start..start, prefix[..used].iter().copied());
    }

    /// Numbers of one field without a tag for each.
    pub fn packed(&mut self, field: u32, values: impl Iterator<Item = u64>) {
        self.message(field, |packed| {
            for value in values {
                packed.0.extend_from_slice(&value.to_le_bytes());
            }
        });
    }

    /// `KeyValue`, of which every OTLP message has some.
    pub fn attribute(&mut self, field: u32, key: &str, value: Attribute<'_>) {
        self.message(field, |pair| {
            pair.text(1, key);
            pair.message(2, |any| match value {
                Attribute::Text(text) => any.text(1, text),
                Attribute::Bool(value) => any.uint(2, u64::from(value)),
                Attribute::Whole(value) => any.uint(3, value),
                Attribute::Real(value) => any.double(4, value),
            });
        });
    }

    fn tag(&mut self, field: u32, wire_type: u32) {
        self.varint(u64::from(field << 3 | wire_type));
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Attribute<'a> {
    Text(&'a str),
    Bool(bool),
    Whole(u64),
    Real(f64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_once_they_are_known() {
        let mut writer = Writer::default();
        writer.message(1, |outer| {
            outer.text(2, &"x".repeat(300));
            outer.message(3, |_| {});
        });
        assert_eq!(writer.0[..6], [0x0a, 0xb1, 0x02, 0x12, 0xac, 0x02]);
        assert_eq!(writer.0[writer.0.len() - 2..], [0x1a, 0x00]);
        let mut writer = Writer::default();
        writer.uint(1, 300);
        writer.fixed32(2, 1);
        writer.packed(6, [1, 2].into_iter());
        assert_eq!(writer.0[..8], [0x08, 0xac, 0x02, 0x15, 1, 0, 0, 0]);
        assert_eq!(writer.0[8..10], [0x32, 16]);
    }
}
