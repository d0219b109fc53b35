//! What a provider streams. Wherever its bytes are cut, the same leaves and the same is counted.
#![no_main]

use bytes::Bytes;
use dialect::{Encoding, Operation, StreamMeter};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, bool, &[u8])| {
    let (step, strip_usage, answer) = input;
    let whole = metered(answer.len().max(1), strip_usage, answer);
    let pieces = metered(usize::from(step).max(1), strip_usage, answer);
    assert_eq!(whole, pieces);
    if !strip_usage {
        assert_eq!(whole.0, answer);
    }
});

fn metered(step: usize, strip_usage: bool, answer: &[u8]) -> (Vec<u8>, String, bool, u64) {
    let mut meter =
        StreamMeter::new(Operation::ChatCompletions, strip_usage).counting(Encoding::O200k);
    let mut sent = Vec::new();
    for piece in answer.chunks(step) {
        sent.extend_from_slice(&meter.push(Bytes::copy_from_slice(piece)));
    }
    sent.extend_from_slice(&meter.finish());
    let usage = format!("{:?}", meter.reported());
    (sent, usage, meter.is_complete(), meter.deltas())
}
