//! What stands on disk: it reads back as it was written, and damage is found and costs nothing else.

use proptest::prelude::*;

use super::*;
use crate::bytes::Reader;
use crate::event::{is_record, put_record_mark};
use crate::frame::{Frame, Scan};
use crate::keys::KeyId;
use crate::record::{Opened, put_content, put_skeleton};
use crate::seal::SealingKey;
use crate::segment::Segment;

fn any_event() -> impl Strategy<Value = Event> {
    let keys = proptest::collection::vec(any::<u64>().prop_map(KeyId), 0..9);
    let ranges = proptest::collection::vec(
        any::<(u64, u64)>().prop_map(|(first, last)| first..=last),
        0..9,
    );
    let hold = prop_oneof![
        ".{0,20}".prop_map(|id| Hold::Subscription(id.as_str().into())),
        any::<[u8; 16]>().prop_map(Hold::Person),
        any::<u128>().prop_map(|id| Hold::Call(CallId(id))),
        any::<(i64, i64)>().prop_map(|(since, until)| Hold::Time {
            since: Wall(since),
            until: Wall(until)
        }),
    ];
    let read = prop_oneof![
        Just(Read::Search),
        Just(Read::Show),
        Just(Read::Export),
        Just(Read::Verify),
        Just(Read::Forward)
    ];
    let subject = prop_oneof![Just(Subject::Person), Just(Subject::Subscription)];
    prop_oneof![
        (any::<[u8; 16]>(), ".{0,20}", any::<[u8; 32]>()).prop_map(
            |(store, region, public_key)| Event::Opened {
                store,
                region,
                public_key
            }
        ),
        read.prop_map(Event::Read),
        hold.prop_map(Event::Held),
        any::<u64>().prop_map(|hold| Event::Released { hold }),
        (subject, any::<[u8; 32]>(), keys.clone(), any::<u64>()).prop_map(
            |(subject, commitment, keys, records)| Event::Erased {
                subject,
                commitment,
                keys,
                records
            }
        ),
        (ranges, keys).prop_map(|(ranges, keys)| Event::Purged { ranges, keys }),
        any_head().prop_map(Event::Head),
        (".{0,20}", ".{0,20}").prop_map(|(from, to)| Event::Rotated { from, to }),
        any::<(u64, u64)>().prop_map(|(segment, places)| Event::Damaged { segment, places }),
        any::<(u64, [u8; 32])>().prop_map(|(known, hash)| Event::RolledBack { known, hash }),
    ]
}

fn any_head() -> impl Strategy<Value = Head> {
    let signature = (any::<[u8; 32]>(), any::<[u8; 32]>());
    (
        any::<[u8; 16]>(),
        any::<u64>(),
        any::<[u8; 32]>(),
        any::<i64>(),
        signature,
    )
        .prop_map(|(store, sequence, hash, at, (first, second))| {
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&first);
            signature[32..].copy_from_slice(&second);
            Head {
                store,
                sequence,
                hash,
                at: Wall(at),
                signature,
            }
        })
}

/// Frames of these contents, as a segment's file has them, and where each ends.
fn segment_of(contents: &[Vec<u8>]) -> (Vec<u8>, Vec<usize>) {
    let dir = tempfile::tempdir().unwrap();
    let segment = Segment::create(dir.path(), 7, 64 * 1024).unwrap();
    let key = SealingKey::new(&[3; 32]).unwrap();
    let mut ends = Vec::new();
    for content in contents {
        let header = |header: &mut Vec<u8>| header.extend_from_slice(b"header");
        let mut memory = Vec::new();
        let mut frame = Frame::of(&mut memory, &key, content.len(), header, |bytes| {
            bytes.extend_from_slice(content);
        })
        .unwrap();
        assert!(segment.room() >= frame.len());
        segment.write(frame.placed(7, segment.end())).unwrap();
        segment.reach(frame.len());
        ends.push(segment.end() as usize);
    }
    let bytes = std::fs::read(crate::segment::path_of(dir.path(), 7)).unwrap();
    (bytes, ends)
}

/// What opens of what a scan finds, and the scan.
fn scanned(bytes: &[u8]) -> (Vec<Vec<u8>>, u64, bool) {
    let key = SealingKey::new(&[3; 32]).unwrap();
    let mut scan = Scan::new(bytes, 7, 0, bytes.len() as u64);
    let mut contents = Vec::new();
    while let Some(found) = scan.next() {
        assert_eq!(found.header, b"header");
        contents.push(
            key.open(&mut found.sealed.to_vec(), found.header)
                .unwrap()
                .to_vec(),
        );
    }
    (contents, scan.damaged, scan.torn)
}

proptest! {
    #[test]
    fn an_event_reads_back_as_it_was_written(event in any_event()) {
        let header = event.to_header();
        prop_assert!(!is_record(&header));
        prop_assert_eq!(Event::from_header(&header), Ok(event));
    }

    #[test]
    fn a_record_reads_back_as_it_was_written(
        names in proptest::collection::vec(".{0,30}", 8), user: Option<bool>, numbers: [u64; 4], status: u16,
        prompt: Option<Vec<u8>>, answer: Option<Vec<u8>>, retention_days: u32, required: bool, at in 0..i64::MAX / 2,
    ) {
        let subscription = names[0].as_str().into();
        let user = user.map(|_| names[1].as_str());
        let draft = Draft {
            call: CallId(u128::from(numbers[0]) << 64 | u128::from(numbers[1])),
            at: Wall(at),
            subscription: &subscription,
            product: &names[2],
            application: user,
            user,
            caller: &names[3],
            model: &names[4],
            backend: user,
            outcome: Outcome::ALL[usize::from(status) % Outcome::ALL.len()],
            status,
            hit: [None, Some(Hit::Exact), Some(Hit::Semantic)][usize::from(status) % 3],
            rule: user,
            prompt_tokens: numbers[2],
            completion_tokens: numbers[3],
            cost: &names[5],
            verdicts: &names[6],
            prompt: prompt.as_deref(),
            answer: answer.as_deref(),
            retention_days,
            required,
        };
        let mut header = Vec::new();
        put_record_mark(&mut header);
        put_skeleton(&mut header, &draft, KeyId(numbers[0]), 20, Wall(at + 1));
        let Ok(Event::Record(kept)) = Event::from_header(&header) else { panic!() };
        prop_assert_eq!((kept.call, kept.at, kept.recorded_at, kept.key), (draft.call, draft.at, Wall(at + 1), KeyId(numbers[0])));
        prop_assert_eq!((&kept.subscription, &*kept.product, kept.application.as_deref()), (&subscription, draft.product, user));
        prop_assert_eq!((&*kept.model, kept.backend.as_deref(), kept.rule.as_deref()), (draft.model, user, user));
        prop_assert_eq!((&*kept.cost, &*kept.verdicts, kept.outcome, kept.status), (draft.cost, draft.verdicts, draft.outcome, status));
        prop_assert_eq!((kept.prompt_tokens, kept.completion_tokens), (numbers[2], numbers[3]));
        prop_assert_eq!((kept.retention_days, kept.required, kept.hit), (retention_days, required, draft.hit));
        let len = |content: &Option<Vec<u8>>| content.as_ref().map(|content| content.len() as u64);
        prop_assert_eq!((kept.prompt_bytes, kept.answer_bytes), (len(&prompt), len(&answer)));
        prop_assert_eq!((kept.prompt_cut, kept.answer_cut), (len(&prompt) > Some(20), len(&answer) > Some(20)));

        let mut plain = Vec::new();
        put_content(&mut plain, &draft, usize::MAX);
        let opened = Opened::read(&plain).unwrap();
        prop_assert_eq!((opened.user, opened.caller), (user, draft.caller));
        prop_assert_eq!((opened.prompt, opened.answer), (draft.prompt, draft.answer));
    }

    #[test]
    fn a_head_reads_back_from_its_line(head in any_head()) {
        let line = head.to_string();
        prop_assert_eq!(line.parse::<Head>().unwrap(), head);
        for end in 0..line.len() {
            let cut = line[..end].parse::<Head>();
            prop_assert!(cut.is_err(), "{}", &line[..end]);
        }
    }

    #[test]
    fn any_bytes_are_read_or_malformed(mut bytes in proptest::collection::vec(any::<u8>(), 2..300), kind in 0..12_u8, text in ".{0,300}") {
        let _ = (Opened::read(&bytes), Details::read(&bytes), Hold::read(&mut Reader::new(&bytes)));
        bytes[..2].copy_from_slice(&[kind, 1]);
        let _ = Event::from_header(&bytes);
        let _ = text.parse::<Head>();
    }

    #[test]
    fn a_kill_within_a_write_costs_that_frame_alone(contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..12), at: prop::sample::Index) {
        let (mut cut, ends) = segment_of(&contents);
        let at = at.index(ends[ends.len() - 1]);
        cut[at..].fill(0);
        let (found, damaged, _) = scanned(&cut);
        prop_assert_eq!(damaged, 0);
        prop_assert_eq!(&found[..], &contents[..found.len()]);
        let whole = ends.iter().filter(|end| **end <= at).count();
        prop_assert!(found.len() >= whole);
    }

    #[test]
    fn a_changed_byte_costs_one_frame_at_most_and_is_noticed(contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..12), at: prop::sample::Index, flip in 1..=255_u8) {
        let (mut bytes, ends) = segment_of(&contents);
        bytes[at.index(ends[ends.len() - 1])] ^= flip;
        let (found, damaged, torn) = scanned(&bytes);
        if found != contents {
            prop_assert!(damaged + u64::from(torn) > 0);
            prop_assert_eq!(found.len(), contents.len() - 1);
        }
    }
}
