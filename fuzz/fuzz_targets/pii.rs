//! Personal data in a text that comes in pieces is what it is in the whole text.
#![no_main]

use content::Detector;
use content::pii::{Piece, Stream};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &str)| {
    let (step, text) = input;
    let whole = found(text.len().max(1), text);
    assert_eq!(whole, found(usize::from(step).max(1), text));
    let all: String = whole.into_iter().map(|(_, text)| text).collect();
    assert!(all.len() <= text.len());
});

/// Runs of plain text, and values with their kind.
fn found(step: usize, text: &str) -> Vec<(Option<&'static str>, String)> {
    let mut stream = Stream::new(Detector::default());
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let cut = (step.min(rest.len())..=rest.len())
            .find(|cut| rest.is_char_boundary(*cut))
            .unwrap_or(rest.len());
        let (piece, after) = rest.split_at(cut);
        stream.push(piece, |piece| put(&mut found, piece));
        rest = after;
    }
    stream.finish(|piece| put(&mut found, piece));
    found
}

fn put(found: &mut Vec<(Option<&'static str>, String)>, piece: Piece<'_>) {
    match (piece, found.last_mut()) {
        (Piece::Text(more), Some((None, text))) => text.push_str(more),
        (Piece::Text(text), _) => found.push((None, text.to_owned())),
        (Piece::Value { kind, text }, _) => found.push((Some(kind.as_str()), text.to_owned())),
    }
}
