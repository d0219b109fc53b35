//! What passed, kept so that it can be counted if the usage never comes: first as the events' own
//! bytes, which costs one copy, then as their text, then as a sum. Each step has a bound, past
//! which the next one is taken.

use crate::json::Json;
use crate::{Encoding, choice};

const RAW_BYTES_MAX: usize = 64 * 1024;
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Further choices or tool calls are counted as if they went on in the last.
const CHANNELS_MAX: usize = 256;

#[derive(Default)]
pub(super) struct Evidence {
    /// Data of events, one a line.
    raw: Vec<u8>,
    texts: Vec<(choice::Channel, String)>,
    text_bytes: usize,
    counted: Vec<(Encoding, u64)>,
    only: Option<Encoding>,
}

impl Evidence {
    pub(super) fn count_only(&mut self, encoding: Encoding) {
        self.only = Some(encoding);
    }

    pub(super) fn keep(&mut self, data: &[u8]) {
        if self.raw.len() + data.len() >= RAW_BYTES_MAX {
            self.raw_to_text();
            if data.len() >= RAW_BYTES_MAX {
                self.texts_of(data);
                return;
            }
        }
        let start = self.raw.len();
        self.raw.extend_from_slice(data);
        // Between JSON's tokens any whitespace is as good as another.
        self.raw[start..]
            .iter_mut()
            .filter(|byte| **byte == b'\n')
            .for_each(|byte| *byte = b' ');
        self.raw.push(b'\n');
    }

    pub(super) fn tokens(&mut self, encoding: Encoding) -> u64 {
        self.raw_to_text();
        let counted: u64 = self
            .counted
            .iter()
            .filter(|(of, _)| *of == encoding)
            .map(|(_, tokens)| tokens)
            .sum();
        counted
            + self
                .texts
                .iter()
                .map(|(_, text)| encoding.count(text))
                .sum::<u64>()
    }

    fn raw_to_text(&mut self) {
        let mut raw = std::mem::take(&mut self.raw);
        for data in raw.split(|&byte| byte == b'\n') {
            self.texts_of(data);
        }
        raw.clear();
        self.raw = raw;
    }

    fn texts_of(&mut self, data: &[u8]) {
        choice::each_text(Json::whole(data), |channel, piece| {
            self.append(channel, piece);
        });
        if self.text_bytes > TEXT_BYTES_MAX {
            self.text_to_sum();
        }
    }

    fn append(&mut self, channel: choice::Channel, piece: &str) {
        self.text_bytes += piece.len();
        let is_full = self.texts.len() == CHANNELS_MAX;
        match self.texts.iter_mut().find(|(of, _)| *of == channel) {
            Some((_, text)) => text.push_str(piece),
            None if is_full => {
                if let Some((_, text)) = self.texts.last_mut() {
                    text.push_str(piece);
                }
            }
            None => self.texts.push((channel, piece.to_owned())),
        }
    }

    fn text_to_sum(&mut self) {
        if self.counted.is_empty() {
            let every = [Encoding::O200k, Encoding::Cl100k];
            self.counted = self
                .only
                .as_slice()
                .iter()
                .chain(if self.only.is_none() { &every[..] } else { &[] })
                .map(|&encoding| (encoding, 0))
                .collect();
        }
        self.text_bytes = 0;
        for (_, text) in &mut self.texts {
            let boundary = token_boundary(text);
            for (encoding, tokens) in &mut self.counted {
                *tokens += encoding.count(&text[..boundary]);
            }
            text.drain(..boundary);
            self.text_bytes += text.len();
        }
    }
}

/// The last place where no token can span: before a space between two letters. Text that has none
/// near its end is cut at its end, at the cost of a token or so in 64 KiB.
fn token_boundary(text: &str) -> usize {
    const SEARCHED_BYTES: usize = 4096;
    let bytes = text.as_bytes();
    let from = bytes.len().saturating_sub(SEARCHED_BYTES);
    let is_boundary = |window: &[u8]| matches!(window, [before, b' ', after] if before.is_ascii_alphabetic() && after.is_ascii_alphabetic());
    match bytes[from..].windows(3).rposition(is_boundary) {
        Some(at) => from + at + 1,
        None => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta(choice: usize, text: &str) -> String {
        let text = serde_json::Value::from(text);
        format!(r#"{{"choices":[{{"index":{choice},"delta":{{"content":{text}}}}}]}}"#)
    }

    #[test]
    fn memory_stays_bounded_and_the_count_exact_however_long_the_answer() {
        let mut evidence = Evidence::default();
        let words = [
            "The", " gate", " counts", ",", " and", " keeps", "\n", " nothing", " it", " need",
            " not", ".",
        ];
        let mut whole = String::new();
        for turn in 0..60_000 {
            let word = words[(turn * 7 + turn / 11) % words.len()];
            whole.push_str(word);
            evidence.keep(delta(0, word).as_bytes());
            assert!(evidence.raw.len() <= RAW_BYTES_MAX);
            assert!(evidence.text_bytes <= TEXT_BYTES_MAX);
        }
        assert!(whole.len() > 3 * TEXT_BYTES_MAX);
        for encoding in [Encoding::O200k, Encoding::Cl100k] {
            assert_eq!(evidence.tokens(encoding), encoding.count(&whole));
            assert_eq!(
                evidence.tokens(encoding),
                encoding.count(&whole),
                "asking again changes nothing"
            );
        }
    }

    #[test]
    fn text_without_spaces_is_counted_within_two_percent() {
        let mut evidence = Evidence::default();
        evidence.count_only(Encoding::O200k);
        let whole = "東京都千代田区永田町一丁目".repeat(10_000);
        for character in whole.chars() {
            evidence.keep(delta(0, character.encode_utf8(&mut [0; 4])).as_bytes());
        }
        let exact = Encoding::O200k.count(&whole);
        assert!(evidence.tokens(Encoding::O200k).abs_diff(exact) * 50 < exact);
    }

    #[test]
    fn choices_are_counted_each_on_its_own() {
        let mut evidence = Evidence::default();
        for piece in ["hel", "lo wor", "ld"] {
            evidence.keep(delta(0, piece).as_bytes());
            evidence.keep(delta(1, piece).as_bytes());
        }
        assert_eq!(
            evidence.tokens(Encoding::O200k),
            2 * Encoding::O200k.count("hello world")
        );
    }

    #[test]
    fn more_channels_than_are_kept_are_still_counted() {
        let mut evidence = Evidence::default();
        for choice in 0..CHANNELS_MAX + 100 {
            evidence.keep(delta(choice, " word").as_bytes());
        }
        assert_eq!(evidence.texts.len(), 0);
        assert_eq!(
            evidence.tokens(Encoding::O200k),
            (CHANNELS_MAX + 100) as u64
        );
        assert_eq!(evidence.texts.len(), CHANNELS_MAX);
    }

    #[test]
    fn one_event_larger_than_the_copy_is_counted() {
        let mut evidence = Evidence::default();
        let text = "word ".repeat(20_000);
        evidence.keep(delta(0, &text).as_bytes());
        let exact = Encoding::O200k.count(&text);
        assert!(evidence.tokens(Encoding::O200k).abs_diff(exact) <= 2);
    }
}
