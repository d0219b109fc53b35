use proptest::prelude::*;

use super::*;

const FIRST: &str = "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hello\"}}],\"usage\":null}\n\n";
const SECOND: &str = "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\", \\\"usage\\\" world\"}}],\"usage\":null}\n\n";
const AZURE_OPENING: &str = "data: {\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\",\"object\":\"\",\"prompt_filter_results\":[]}\n\n";
const EXTRA: &str = "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":5,\"total_tokens\":14}}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const USAGE: Usage = Usage {
    tier: domain::ServiceTier::Standard,
    cache_write_1h: 0,
    prompt: 9,
    completion: 5,
    cached_prompt: 0,
    cache_write: 0,
    reasoning: 0,
    audio_prompt: 0,
    audio_completion: 0,
    images: 0,
};

fn meter(strip_usage: bool) -> StreamMeter {
    StreamMeter::new(Operation::ChatCompletions, strip_usage)
}

/// Everything that can be told of a stream, fed in `chunks`.
fn run<'a>(
    strip_usage: bool,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<u8>, Option<Usage>, [u64; 4]) {
    let mut meter = meter(strip_usage);
    let mut sent = Vec::new();
    for chunk in chunks {
        sent.extend_from_slice(&meter.push(Bytes::copy_from_slice(chunk)));
    }
    sent.extend_from_slice(&meter.finish());
    let tokens = meter.completion_tokens(Encoding::O200k);
    let flags = [
        meter.deltas(),
        u64::from(meter.is_complete()),
        u64::from(meter.saw_error()),
        tokens,
    ];
    (sent, meter.reported(), flags)
}

#[test]
fn the_extra_chunk_is_read_and_dropped_and_all_else_keeps_its_bytes() {
    let stream = [AZURE_OPENING, FIRST, SECOND, EXTRA, DONE].concat();
    let (sent, usage, [deltas, is_complete, saw_error, _]) = run(true, [stream.as_bytes()]);
    assert_eq!(
        sent,
        [AZURE_OPENING, FIRST, SECOND, DONE].concat().as_bytes()
    );
    assert_eq!(
        (usage, deltas, is_complete, saw_error),
        (Some(USAGE), 3, 1, 0)
    );
    let (sent, usage, _) = run(false, [stream.as_bytes()]);
    assert_eq!((sent, usage), (stream.into_bytes(), Some(USAGE)));
}

#[test]
fn whole_events_pass_as_the_very_same_bytes() {
    let mut meter = meter(true);
    for text in [FIRST, DONE, "data: {\"a\":1}\r\n\r\n", ": ping\n\n"] {
        let chunk = Bytes::copy_from_slice(text.as_bytes());
        let sent = meter.push(chunk.clone());
        assert_eq!((sent.as_ptr(), sent.len()), (chunk.as_ptr(), chunk.len()));
    }
    let (cut_at, both) = (FIRST.len(), Bytes::from([FIRST, "data: {\"choi"].concat()));
    let sent = meter.push(both.clone());
    assert_eq!(
        (sent.as_ptr(), sent.len()),
        (both.as_ptr(), cut_at),
        "a slice, with the unfinished event held"
    );
    let sent = meter.push(Bytes::from_static(b"ces\":[]}\n\n"));
    assert_eq!(sent, "data: {\"choices\":[]}\n\n");
    let edge = Bytes::from([EXTRA, FIRST].concat());
    assert_eq!(
        meter.push(edge.clone()).as_ptr(),
        edge[EXTRA.len()..].as_ptr(),
        "stripping at an edge copies nothing"
    );
}

#[test]
fn usage_beside_choices_is_read_and_stays() {
    let chunk = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":5}}\n\n";
    let (sent, usage, [deltas, ..]) = run(true, [chunk.as_bytes()]);
    assert_eq!(
        (sent.as_slice(), usage, deltas),
        (chunk.as_bytes(), Some(USAGE), 1)
    );
}

#[test]
fn null_usage_and_the_word_in_a_text_are_no_usage() {
    let (_, usage, _) = run(true, [FIRST.as_bytes(), SECOND.as_bytes()]);
    assert_eq!(usage, None);
    let nested = "data: {\"choices\":[{\"x\":{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}}]}\n\n";
    assert_eq!(run(true, [nested.as_bytes()]).1, None);
}

#[test]
fn errors_inside_a_stream_are_seen_and_pass() {
    for event in [
        "data: {\"error\":{\"message\":\"x\"}}\n\n",
        "event: error\ndata: {}\n\n",
        "event:error\r\ndata: x\r\n\r\n",
    ] {
        let (sent, _, [_, is_complete, saw_error, _]) = run(true, [event.as_bytes()]);
        assert_eq!(
            (sent.as_slice(), is_complete, saw_error),
            (event.as_bytes(), 0, 1),
            "{event}"
        );
    }
    let no_error =
        "data: {\"error\":null,\"choices\":[{\"delta\":{\"content\":\"\\\"error\\\"\"}}]}\n\n";
    assert_eq!(run(true, [no_error.as_bytes()]).2[2], 0);
}

#[test]
fn an_event_of_several_data_lines_is_one() {
    let event = "event: message\ndata: {\"choices\":[],\ndata: \"usage\":{\"prompt_tokens\":9,\ndata:\"completion_tokens\":5}}\n\n";
    let (sent, usage, _) = run(true, [event.as_bytes()]);
    assert_eq!((sent.len(), usage), (0, Some(USAGE)));
}

#[test]
fn an_unterminated_last_event_is_metered_and_handed_on() {
    let (sent, _, [deltas, is_complete, ..]) = run(true, [FIRST.as_bytes(), b"data: [DONE]"]);
    assert_eq!(
        (sent, deltas, is_complete),
        ([FIRST, "data: [DONE]"].concat().into_bytes(), 1, 1)
    );
    let (sent, usage, _) = run(true, [FIRST.as_bytes(), EXTRA.trim_end().as_bytes()]);
    assert_eq!((sent.as_slice(), usage), (FIRST.as_bytes(), Some(USAGE)));
    let cut = &EXTRA.as_bytes()[..EXTRA.len() - 4];
    assert_eq!(
        run(true, [cut]).1,
        None,
        "usage that was cut is not believed"
    );
}

#[test]
fn an_event_too_large_to_hold_passes_as_it_comes() {
    let mut meter = meter(true);
    let piece = Bytes::from(vec![b'x'; 100_000]);
    let mut sent = 0;
    meter.push(Bytes::from_static(b"data: "));
    for _ in 0..30 {
        sent += meter.push(piece.clone()).len();
        assert!(meter.held.len() <= EVENT_BYTES_MAX);
    }
    assert_eq!(sent, 3_000_006);
    assert!(meter.has_unmetered());
    assert_eq!(meter.push(Bytes::from_static(b"\n\n")), "\n\n");
    assert_eq!(
        meter.push(Bytes::from_static(FIRST.as_bytes())),
        FIRST,
        "the next event is metered again"
    );
    assert_eq!(meter.deltas(), 1);
    assert_eq!(
        meter.completion_tokens(Encoding::O200k),
        3_000_008 / 4 + Encoding::O200k.count("Hello")
    );
}

#[test]
fn a_large_event_is_unmetered_however_it_was_cut() {
    let text = "word ".repeat(EVENT_BYTES_MAX / 5);
    let stream = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n{EXTRA}{DONE}"
    );
    let whole = run(true, [stream.as_bytes()]);
    for size in [1 << 10, 65_537, EVENT_BYTES_MAX, EVENT_BYTES_MAX + 30] {
        assert!(run(true, stream.as_bytes().chunks(size)) == whole, "{size}");
    }
    assert_eq!(whole.1, Some(USAGE));
}

#[test]
fn what_passed_is_counted_when_no_usage_comes() {
    let calls = concat!(
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"function\":{\"name\":\"look\",\"arguments\":\"\"}}]}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\"\"}}]}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\":1}\"}}]}}]}\n\n",
        "data: {\"choices\":[{\"index\":1,\"delta\":{\"refusal\":\"no\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":1,\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":2,\"text\":\"once upon\"}]}\n\n",
    );
    let (_, _, [deltas, .., tokens]) = run(
        true,
        [FIRST.as_bytes(), SECOND.as_bytes(), calls.as_bytes()],
    );
    let texts = [
        "Hello, \"usage\" world",
        "look",
        "{\"a\":1}",
        "no",
        "hm",
        "once upon",
    ];
    assert_eq!(
        tokens,
        texts
            .iter()
            .map(|text| Encoding::O200k.count(text))
            .sum::<u64>()
    );
    assert_eq!(deltas, 8);
}

#[test]
fn debug_output_holds_no_answer() {
    let mut meter = meter(true);
    meter.push(Bytes::from_static(b"data: secret"));
    assert!(!format!("{meter:?}").contains("secret"));
}

#[test]
fn every_cut_of_a_stream_gives_the_same() {
    let crlf = EXTRA.replace('\n', "\r\n");
    let stream = [
        AZURE_OPENING,
        ": ping\n\n",
        FIRST,
        SECOND,
        crlf.as_str(),
        "\n",
        FIRST,
        "event: x\n\n",
        DONE,
    ]
    .concat();
    let bytes = stream.as_bytes();
    for strip_usage in [true, false] {
        let whole = run(strip_usage, [bytes]);
        for cut in 0..=bytes.len() {
            assert_eq!(
                run(strip_usage, [&bytes[..cut], &bytes[cut..]]),
                whole,
                "cut at {cut}"
            );
        }
        assert_eq!(run(strip_usage, bytes.chunks(1)), whole);
    }
}

fn event() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            FIRST,
            SECOND,
            AZURE_OPENING,
            EXTRA,
            DONE,
            "\n",
            "\r\n",
            ": ping\n\n",
            "data\n\n",
            "data:\n\n"
        ])
        .prop_map(str::to_owned),
        "[\"usage:{}\\[\\]\r\n 0-9da]{0,40}",
        any::<String>().prop_map(|text| format!("data: {}\r\n\r\n", serde_json::Value::from(text))),
    ]
}

proptest! {
    #[test]
    fn every_way_to_cut_any_stream_gives_the_same(
        events in prop::collection::vec(event(), 0..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        strip_usage in any::<bool>(),
    ) {
        let stream = events.concat();
        let bytes = stream.as_bytes();
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        let chunks = places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
        let whole = run(strip_usage, [bytes]);
        prop_assert_eq!(&run(strip_usage, chunks), &whole);
        if !strip_usage {
            prop_assert_eq!(&whole.0[..], bytes);
        }
    }

    #[test]
    fn no_bytes_are_too_odd_to_meter(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..6)) {
        let (sent, ..) = run(false, chunks.iter().map(Vec::as_slice));
        prop_assert_eq!(sent, chunks.concat());
    }
}
