//! Calls as bytes, for the journal: compact, versioned, and safe to decode from a damaged disk.
//!
//! Decoding never panics and never allocates more than the bytes at hand could describe. Checksums
//! are the segment's business.

use domain::ServiceTier;
use domain::record::{AttemptFailure, CacheOutcome, Content, Outcome, Ruling};

mod read;
mod write;

pub(super) use read::{charges, opening, opening_id, price, record};
pub(super) use write::{put_charges, put_opening, put_price, put_record};

/// Written first. A change of layout gets a new number and keeps the old one's reader.
const VERSION: u8 = 5;
/// Knew no answers from a cache.
const VERSION_4: u8 = 4;
/// Knew no verdicts.
const VERSION_3: u8 = 3;
/// Knew no model but the one that answered.
const VERSION_2: u8 = 2;
/// Knew no user and no money.
const VERSION_1: u8 = 1;

/// The bytes say something that this version cannot mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// How much of one call's texts and lists is kept.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    text_bytes_max: usize,
    list_len_max: usize,
    /// Of verdicts, and of findings of each.
    verdicts_max: usize,
}

impl Bounds {
    /// All of it: what made the call bounded it already.
    pub(super) const FULL: Self = Self {
        text_bytes_max: usize::MAX,
        list_len_max: usize::MAX,
        verdicts_max: usize::MAX,
    };
    /// For a call whose full form is longer than an entry may be. Its tokens matter more than the
    /// ends of its names. 256 attempts and charges of three such names each are under 400 KiB, and 16 verdicts
    /// of 16 findings under 80 KiB.
    pub(super) const CUT: Self = Self {
        text_bytes_max: 256,
        list_len_max: 256,
        verdicts_max: 16,
    };
}

fn outcome_code(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Ok => 1,
        Outcome::ClientError => 2,
        Outcome::Refused => 3,
        Outcome::UpstreamFailed => 4,
        Outcome::Cut => 5,
        Outcome::HungUp => 6,
        Outcome::Interrupted => 7,
        Outcome::GatewayError => 8,
    }
}

/// Zero stands for no failure.
fn failure_code(failure: AttemptFailure) -> u8 {
    match failure {
        AttemptFailure::Connect => 1,
        AttemptFailure::Tls => 2,
        AttemptFailure::FirstByteTimeout => 3,
        AttemptFailure::IdleTimeout => 4,
        AttemptFailure::TotalTimeout => 5,
        AttemptFailure::Cut => 6,
        AttemptFailure::Credential => 7,
        AttemptFailure::Status => 8,
        AttemptFailure::HungUp => 9,
    }
}

fn cache_code(cache: CacheOutcome) -> u8 {
    match cache {
        CacheOutcome::Off => 0,
        CacheOutcome::Hit => 1,
        CacheOutcome::Miss => 2,
        CacheOutcome::Embedding => 3,
        CacheOutcome::ShadowRight => 4,
        CacheOutcome::ShadowWrong => 5,
        CacheOutcome::ShadowUnknown => 6,
        CacheOutcome::ExploredRight => 7,
        CacheOutcome::ExploredWrong => 8,
        CacheOutcome::ExploredUnknown => 9,
    }
}

fn content_code(content: Content) -> u8 {
    match content {
        Content::Prompt => 0,
        Content::Answer => 1,
    }
}

fn ruling_code(ruling: Ruling) -> u8 {
    match ruling {
        Ruling::Passed => 0,
        Ruling::Redacted => 1,
        Ruling::Blocked => 2,
    }
}

fn tier_code(tier: ServiceTier) -> u8 {
    match tier {
        ServiceTier::Standard => 0,
        ServiceTier::Batch => 1,
        ServiceTier::Priority => 2,
        ServiceTier::Flex => 3,
    }
}

#[cfg(test)]
mod tests {
    use domain::{Cost, Nanos, PriceId, Wall};
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::samples::{any_record, as_recorded};

    proptest! {
        #[test]
        fn a_record_reads_back_as_written(record in any_record()) {
            let mut bytes = Vec::new();
            put_record(&mut bytes, &record, Bounds::FULL);
            prop_assert_eq!(super::record(&bytes), Ok(as_recorded(record)));
        }

        #[test]
        fn journals_of_versions_4_and_3_are_read_and_know_no_cache_and_no_verdicts(mut record in any_record()) {
            (record.saved_tokens, record.similarity) = (0, None);
            let mut bytes = Vec::new();
            put_record(&mut bytes, &record, Bounds::FULL);
            prop_assert_eq!((bytes.pop(), bytes.pop()), (Some(0), Some(0)));
            bytes[0] = VERSION_4;
            prop_assert_eq!(super::record(&bytes), Ok(as_recorded(record.clone())));

            record.verdicts.clear();
            let mut bytes = Vec::new();
            put_record(&mut bytes, &record, Bounds::FULL);
            bytes.truncate(bytes.len() - 3);
            bytes[0] = VERSION_3;
            prop_assert_eq!(super::record(&bytes), Ok(as_recorded(record)));
        }

        #[test]
        fn an_opening_reads_back_as_written(record in any_record()) {
            let mut bytes = Vec::new();
            put_opening(&mut bytes, &record.opening, Bounds::FULL);
            prop_assert_eq!(opening_id(&bytes), Ok(record.opening.id));
            prop_assert_eq!(opening(&bytes), Ok(record.opening));
        }

        #[test]
        fn any_bytes_decode_or_are_malformed(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (record(&bytes), opening(&bytes), charges(&bytes), price(&bytes));
        }

        #[test]
        fn a_record_with_one_wrong_byte_decodes_or_is_malformed(record in any_record(), at: prop::sample::Index, byte: u8) {
            let mut bytes = Vec::new();
            put_record(&mut bytes, &record, Bounds::FULL);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = super::record(&bytes);
        }

        #[test]
        fn a_cut_record_keeps_its_tokens(mut record in any_record()) {
            record.opening.who.caller = "é".repeat(100_000).into();
            let mut bytes = Vec::new();
            put_record(&mut bytes, &record, Bounds::CUT);
            prop_assert!(bytes.len() < 10_000);
            let read = super::record(&bytes).map(|read| (read.metered, read.cost));
            prop_assert_eq!(read, Ok((record.metered, record.cost)));
        }

        #[test]
        fn a_price_reads_back_as_written(id in "[a-f0-9]{0,40}", text in ".{0,99}") {
            let mut bytes = Vec::new();
            put_price(&mut bytes, &PriceId::from(id.as_str()), &text);
            prop_assert_eq!(price(&bytes), Ok((PriceId::from(id.as_str()), text.as_str())));
        }
    }

    /// Written by the version that knew no asked model.
    #[test]
    fn a_journal_of_version_2_is_read_and_was_asked_for_what_answered() {
        let mut record = crate::ledger::samples::call(1, Wall(10));
        record.opening.charges.clear();
        let mut bytes = Vec::new();
        put_record(&mut bytes, &record, Bounds::FULL);
        let model = b"gpt-4o";
        let at = bytes.windows(model.len()).position(|part| part == model);
        // No asked model is one byte, right behind the model.
        assert_eq!(bytes.remove(at.unwrap() + model.len()), 0);
        // Nor did it know of verdicts, or of answers from a cache.
        assert_eq!(bytes.split_off(bytes.len() - 3), [0, 0, 0]);
        bytes[0] = 2;
        assert_eq!(super::record(&bytes), Ok(as_recorded(record)));
    }

    /// Written by the version before money.
    #[test]
    fn a_journal_of_version_1_is_read_and_its_tokens_have_no_price() {
        let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
        let metered = |prompt: u8, completion: u8| vec![0, prompt, completion, 0, 0, 0, 0, 0, 0];
        let opening = [
            vec![1],
            7_u128.to_be_bytes().to_vec(),
            vec![20],
            text("search"),
            text("standard"),
            [vec![1], text("chat-ui")].concat(),
            text("a-key"),
            text("gpt-4o"),
            vec![1, 3, 101],
            vec![1],
            text("global/tpm"),
            text("search"),
            vec![1],
        ]
        .concat();
        let rest = [
            vec![1, 100],
            vec![0],
            [vec![1], text("east")].concat(),
            vec![0],
            metered(99, 20),
            vec![50, 1, 40],
            vec![2],
            [text("west"), vec![0, 1], metered(0, 0), vec![5]].concat(),
            [text("east"), vec![100, 0], metered(99, 20), vec![45]].concat(),
        ]
        .concat();

        let opened = super::opening(&opening).unwrap();
        assert_eq!(
            (opened.who.user.clone(), opened.price.clone()),
            (None, None)
        );
        assert_eq!((opened.at, opened.prompt_tokens), (Wall(10), 101));
        let record = super::record(&[opening, rest].concat()).unwrap();
        assert_eq!(record.opening, opened);
        assert_eq!((record.cost, record.saved), (Cost::Unpriced, Nanos::ZERO));
        let costs: Vec<_> = record
            .attempts
            .into_iter()
            .map(|attempt| attempt.cost)
            .collect();
        assert_eq!(costs, [Cost::Nothing, Cost::Unpriced]);
    }
}
