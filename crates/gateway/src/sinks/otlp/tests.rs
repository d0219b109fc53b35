use super::*;

#[test]
fn what_a_collector_dropped_is_read_from_its_answer() {
    // partial_success { rejected_log_records: 300, error_message: "no" }
    let answer = [0x0a, 0x07, 0x08, 0xac, 0x02, 0x12, 0x02, b'n', b'o'];
    assert_eq!(dropped(&answer), Some(300));
    assert_eq!(dropped(&[]), None, "all were taken");
    // A warning alone: nothing was dropped.
    assert_eq!(dropped(&[0x0a, 0x04, 0x12, 0x02, b'n', b'o']), None);
    assert_eq!(dropped(&[0x0a, 0xff]), None, "an answer that is cut");
    assert_eq!(dropped(b"{}"), None, "or none at all");
}
