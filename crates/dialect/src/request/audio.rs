//! What audio input costs: one token for each 100 ms, as OpenAI publishes it for user audio.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::json::Json;

const TOKENS_PER_SECOND: u64 = 10;
/// No accepted format plays slower: MP3's lowest rate is 8 kbit/s, WAV is far above.
const BYTES_PER_SECOND_MIN: u64 = 1000;

/// At most so many tokens in `base64_bytes` of base64.
pub(super) fn tokens_max(base64_bytes: u64) -> u64 {
    duration_tokens(base64_bytes / 4 * 3 + 3, BYTES_PER_SECOND_MIN)
}

/// The tokens of a content part's `input_audio`, by the rate in a WAV's header, else at most.
pub(super) fn tokens(input: Json<'_>) -> u64 {
    let Some(data) = input.get("data").and_then(Json::text) else {
        return 0;
    };
    let header = data
        .as_bytes()
        .get(..64)
        .and_then(|start| STANDARD.decode(start).ok());
    match header.as_deref().and_then(wav_bytes_per_second) {
        Some(rate) => duration_tokens(data.len() as u64 / 4 * 3, rate.max(BYTES_PER_SECOND_MIN)),
        None => tokens_max(data.len() as u64),
    }
}

fn duration_tokens(bytes: u64, bytes_per_second: u64) -> u64 {
    bytes
        .saturating_mul(TOKENS_PER_SECOND)
        .div_ceil(bytes_per_second)
}

fn wav_bytes_per_second(header: &[u8]) -> Option<u64> {
    let format = header
        .strip_prefix(b"RIFF")?
        .get(4..)?
        .strip_prefix(b"WAVEfmt ")?;
    Some(u64::from(u32::from_le_bytes(
        format.get(12..16)?.try_into().ok()?,
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_wav_is_ten_tokens() {
        let mut wav = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data\0\x7d\0\0".to_vec();
        wav.resize(32_000, 0);
        let input = format!(r#"{{"data":"{}","format":"wav"}}"#, STANDARD.encode(wav));
        assert_eq!(tokens(Json::whole(input.as_bytes())), 11);
    }

    #[test]
    fn other_formats_count_at_their_lowest_rate() {
        let input = format!(r#"{{"data":"{}","format":"mp3"}}"#, "A".repeat(4000));
        assert_eq!(tokens(Json::whole(input.as_bytes())), 31);
        assert_eq!(tokens_max(u64::MAX), u64::MAX.div_ceil(1000));
    }
}
