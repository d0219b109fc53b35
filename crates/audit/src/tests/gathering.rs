//! Records that wait for others in memory, and are then as if each had been written alone.

use super::*;
use crate::gathering::Gathering;

/// Nothing is written until the log is closed or a record is written alone.
const UNTIL_CLOSED: Duration = Duration::from_secs(86_400);

fn gathers(place: &Place, length: Duration) -> AuditLog {
    let settings = Settings {
        gathering: length,
        index_tail: 1,
        ..place.settings()
    };
    AuditLog::open(settings, place.keys(), NOON).unwrap()
}

fn optional(call: &Call) -> Draft<'_> {
    Draft {
        required: false,
        ..call.draft()
    }
}

fn call(number: u32, text: &str) -> Call {
    let user = format!("person-{}", number % 3);
    let prompt = format!("own{number} shared {text}");
    Call::new(
        number,
        if number.is_multiple_of(2) {
            "search"
        } else {
            "sales"
        },
        &user,
        &prompt,
    )
}

#[test]
fn gathered_records_stand_on_the_chain_as_others_do() {
    let place = Place::new();
    let log = gathers(&place, UNTIL_CLOSED);
    let long = "long ".repeat(110_000);
    let calls: Vec<Call> = (1..=300)
        .map(|number| match number {
            // More than may wait, so written by its call; and more than is written at once.
            41 => call(number, &long),
            81 => call(number, &long[..500_000]),
            _ => call(number, "text"),
        })
        .collect();
    for one in &calls {
        let draft = Draft {
            required: one.number % 10 == 0,
            ..one.draft()
        };
        log.append(&draft, one.at()).unwrap();
    }
    assert_eq!(log.levels().appended, 31, "required ones, and a long one");
    log.close(NOON);
    assert_eq!(place.problems(), [""; 0]);
    assert!(contents(&place, &calls).iter().all(|of| of.1 == "here"));
    let mut archive = place.archive();
    for (text, expected) in [("own7", vec![7]), ("long", vec![81, 41])] {
        let query = Query {
            text: Some(text.to_owned()),
            ..Query::default()
        };
        let page = archive.find(&query, &Scope::All).unwrap();
        assert_eq!(numbers(&page, &calls), expected);
    }
    let erased = archive.erase_person("person-1", &actor(), NOON).unwrap();
    assert_eq!(erased.records, 100);
    drop(archive);
    let gone = contents(&place, &calls);
    assert!(
        gone.iter()
            .all(|(number, state)| (*state == "gone") == (number % 3 == 1))
    );
    assert_eq!(place.problems(), [""; 0]);
}

#[test]
fn what_waits_is_in_no_file_and_counts_as_behind_until_it_is_written() {
    let place = Place::new();
    let log = gathers(&place, UNTIL_CLOSED);
    let calls = [call(1, "marmalade"), call(2, "marmalade")];
    for call in &calls {
        log.append(&optional(call), call.at()).unwrap();
    }
    let levels = log.levels();
    assert_eq!((levels.appended, levels.refused, levels.lost), (0, 0, 0));
    assert!(levels.behind_bytes > 400, "{levels:?}");
    // A log that is dropped leaves its chain to the next start, and loses no record.
    drop(log);
    assert_eq!(holds_text(place.dir.path(), "marmalade"), None);
    place.write(&[call(3, "later")]);
    assert_eq!(contents(&place, &calls), [(1, "here"), (2, "here")]);
    assert_eq!(place.problems(), [""; 0]);
}

#[test]
fn what_finds_no_room_to_wait_is_not_taken() {
    let gathering = Gathering::new(UNTIL_CLOSED);
    let text = "word ".repeat(20_000);
    let calls: Vec<Call> = (1..=40).map(|number| call(number, &text)).collect();
    let taken = calls
        .iter()
        .take_while(|call| gathering.take(&optional(call), 1 << 20, call.at()))
        .count();
    // Two megabytes wait, and the record with which it became more.
    assert!((20..=22).contains(&taken), "{taken} of 40");
    assert!(gathering.behind_bytes() > 2 << 20);
}

#[test]
fn half_a_megabyte_is_written_at_once() {
    let place = Place::new();
    let log = gathers(&place, UNTIL_CLOSED);
    let text = "word ".repeat(10_000);
    let calls: Vec<Call> = (1..=12).map(|number| call(number, &text)).collect();
    for call in &calls[..10] {
        log.append(&optional(call), call.at()).unwrap();
    }
    assert_eq!(log.levels().appended, 0);
    for call in &calls[10..] {
        log.append(&optional(call), call.at()).unwrap();
    }
    while log.levels().appended < 11 {
        std::thread::sleep(Duration::from_millis(1));
    }
    log.close(NOON);
    assert_eq!(place.report().records, 12);
    assert_eq!(place.problems(), [""; 0]);
}

#[test]
fn what_cannot_be_sealed_is_counted_and_no_other_waits_until_one_can() {
    let place = Place::new();
    let log = gathers(&place, Duration::from_millis(1));
    let append = |number: u32, now: Wall| log.append(&optional(&call(number, "marmalade")), now);
    let wait_until = |is_so: &dyn Fn(&Levels) -> bool| {
        while !is_so(&log.levels()) {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    append(1, NOON).unwrap();
    wait_until(&|levels| levels.appended == 1);

    let rotate = |to: &str, from: &str| {
        let keys = keys(&place.key_dir(), to, &[from]);
        let mut archive = Archive::open(place.settings(), keys, NOON).unwrap();
        archive.rotate(&actor(), NOON).unwrap();
    };
    rotate("kek-2", "kek-1");
    let later = NOON + DAY;
    append(2, later).unwrap();
    wait_until(&|levels| levels.lost == 1);
    assert!(log.levels().append_fault.is_some());
    assert!(append(3, later).is_err(), "its call is told");

    rotate("kek-1", "kek-2");
    let later = later + DAY;
    append(4, later).unwrap();
    assert_eq!(log.levels().appended, 2, "written by its call");
    append(5, later).unwrap();
    wait_until(&|levels| levels.appended == 3 && levels.behind_bytes == 0);
    let levels = log.levels();
    assert_eq!((levels.refused, levels.lost), (1, 1));
    log.close(later);
    assert_eq!(place.report().records, 3);
    assert_eq!(place.problems(), [""; 0]);
    assert_eq!(holds_text(place.dir.path(), "marmalade"), None);
}
