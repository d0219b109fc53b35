//! A kill at any moment, and any order of things.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

const CHILD: &str = "AUDIT_TEST_STORE";
const FIRST: &str = "AUDIT_TEST_FIRST";

/// What the child runs: it appends until it is killed, and says each number once `append` returned.
#[test]
fn child_appends_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD) else {
        return;
    };
    let dir = PathBuf::from(dir);
    let settings = Settings {
        index_tail: 16,
        ..Settings::new(dir.join("store"), "eu")
    };
    let log = AuditLog::open(settings, keys(&dir.join("keys"), "kek-1", &[]), NOON).unwrap();
    let first: u32 = std::env::var(FIRST).unwrap().parse().unwrap();
    for number in first.. {
        let call = Call::new(
            number,
            "search",
            &format!("person-{}", number % 7),
            &"word ".repeat(number as usize % 500),
        );
        log.append(&call.draft(), call.at()).unwrap();
        println!("\nappended {number}");
    }
}

#[test]
fn a_kill_loses_nothing_that_was_appended_and_the_chain_goes_on() {
    let place = Place::new();
    let mut records = 0;
    for round in 1..=3_u32 {
        let first = 100_000 * round;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "child_appends_until_it_is_killed",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(CHILD, place.dir.path())
            .env(FIRST, first.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut appended = 0;
        for line in lines {
            let line = line.unwrap();
            let Some(number) = line.strip_prefix("appended ") else {
                continue;
            };
            appended = number.parse::<u32>().unwrap();
            if appended == first + 400 * round {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(appended >= first + 400 * round);
        records += u64::from(appended - first + 1);
        let mut archive = place.archive();
        let last = Call::new(appended, "search", "", "");
        let found = archive
            .show(last.id(), &Scope::All, &actor(), NOON)
            .unwrap()
            .unwrap();
        let State::Here(content) = found.content else {
            panic!("{:?}", found.content)
        };
        assert_eq!(
            content.prompt.unwrap().len(),
            "word ".len() * (appended as usize % 500)
        );
        let report = archive
            .verify(&Options {
                open: true,
                ..Options::default()
            })
            .unwrap();
        assert_eq!(report.problems, []);
        assert!(report.records >= records);
    }
}

#[test]
fn an_erasure_that_was_killed_half_way_is_ended_by_the_next_start() {
    let place = Place::written(&two_teams());
    // What `erase` commits, and nothing of what follows.
    let mut archive = place.archive();
    let keys: Vec<KeyId> = archive
        .keyring
        .ids_of(None, Some("bob"))
        .into_iter()
        .collect();
    let event = Event::Erased {
        subject: Subject::Person,
        commitment: [0; 32],
        keys: keys.clone(),
        records: 1,
    };
    archive
        .commit_untold(&event, "", &actor(), NOON, |transaction, sequence| {
            transaction.execute(
                "UPDATE chain SET gone_by = ? WHERE sequence = 4",
                [sequence as i64],
            )?;
            transaction.execute(
                "INSERT INTO erasures (sequence) VALUES (?)",
                [sequence as i64],
            )?;
            Ok(())
        })
        .unwrap();
    assert!(matches!(
        archive.keyring.find(keys[0]).unwrap(),
        crate::keys::Found::Key(_)
    ));
    drop(archive);
    let archive = place.archive();
    assert!(matches!(
        archive.keyring.find(keys[0]).unwrap(),
        crate::keys::Found::Destroyed { .. }
    ));
    assert_eq!(place.problems(), [""; 0]);
}

#[test]
fn a_rotation_that_was_killed_half_way_leaves_one_key_file() {
    let place = Place::written(&two_teams());
    let path = |name: &str| place.key_dir().join(name);
    // Before the new file had its name: both names are of the only file.
    std::fs::hard_link(path("keys.tgk"), path("keys.tgk.old")).unwrap();
    place.write(&[Call::new(6, "search", "erin", "x")]);
    assert!(!path("keys.tgk.old").exists());
    // After: the old file is still to be overwritten.
    std::fs::copy(path("keys.tgk"), path("keys.tgk.old")).unwrap();
    place.write(&[Call::new(7, "search", "frank", "x")]);
    assert!(!path("keys.tgk.old").exists());
    assert_eq!(place.problems(), [""; 0]);
    assert_eq!(place.report().records, 7);
}

#[derive(Clone, Debug)]
enum Act {
    Append {
        person: usize,
        days: u32,
    },
    Erase {
        person: usize,
    },
    Hold {
        team: usize,
    },
    Release,
    Purge {
        after_days: u64,
    },
    Search,
    Rotate,
    Reindex,
    /// The log is dropped without being closed.
    Kill,
}

const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];
const TEAMS: [&str; 2] = ["search", "sales"];

fn any_acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        8 => (0..3_usize, prop_oneof![Just(1_u32), Just(30)]).prop_map(|(person, days)| Act::Append { person, days }),
        2 => (0..3_usize).prop_map(|person| Act::Erase { person }),
        1 => (0..2_usize).prop_map(|team| Act::Hold { team }),
        1 => Just(Act::Release),
        2 => prop_oneof![Just(2_u64), Just(40)].prop_map(|after_days| Act::Purge { after_days }),
        1 => Just(Act::Search),
        1 => Just(Act::Rotate),
        1 => Just(Act::Reindex),
        2 => Just(Act::Kill),
    ];
    proptest::collection::vec(act, 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_order_of_things_verifies_and_keeps_what_must_be_kept(acts in any_acts()) {
        let place = Place::new();
        place.log().close(NOON);
        let mut log: Option<AuditLog> = None;
        let mut calls: Vec<(Call, bool)> = Vec::new();
        let mut holds: Vec<(u64, usize)> = Vec::new();
        for act in acts {
            if let Act::Append { person, days } = act {
                let number = calls.len() as u32 + 1;
                let call = Call::new(number, TEAMS[number as usize % 2], PEOPLE[person], &format!("word{number} common")).kept_for(days);
                log.get_or_insert_with(|| place.log()).append(&call.draft(), call.at()).unwrap();
                calls.push((call, true));
                continue;
            }
            if let Some(log) = log.take() && !matches!(act, Act::Kill) {
                log.close(NOON);
            }
            let mut archive = Archive::open(Settings { index_tail: 3, ..place.settings() }, place.keys(), NOON).unwrap();
            let is_held = |call: &Call| holds.iter().any(|(_, team)| TEAMS[*team] == call.subscription.as_str());
            match act {
                Act::Append { .. } | Act::Kill => {}
                Act::Erase { person } => {
                    let theirs = |call: &Call| call.user.as_deref() == Some(PEOPLE[person]);
                    let refused = calls.iter().any(|(call, is_here)| *is_here && theirs(call) && is_held(call));
                    match archive.erase_person(PEOPLE[person], &actor(), NOON) {
                        Ok(_) => {
                            prop_assert!(!refused);
                            for (_, is_here) in calls.iter_mut().filter(|(call, _)| theirs(call)) {
                                *is_here = false;
                            }
                        }
                        Err(AuditError::Held(_)) => prop_assert!(refused),
                        Err(error) => prop_assert!(matches!(error, AuditError::NotFound(_)), "{}", error),
                    }
                }
                Act::Hold { team } => holds.push((archive.hold(&Hold::Subscription(TEAMS[team].into()), &actor(), NOON).unwrap(), team)),
                Act::Release => {
                    if let Some((number, _)) = holds.pop() {
                        archive.release(number, &actor(), NOON).unwrap();
                    }
                }
                Act::Purge { after_days } => {
                    let now = NOON + DAY * after_days as u32;
                    archive.purge(&actor(), now).unwrap();
                    for (call, is_here) in &mut calls {
                        let is_over = call.at() + DAY * call.retention_days <= now;
                        *is_here &= !is_over || is_held(call);
                    }
                }
                Act::Search => {
                    let query = Query { text: Some("common".to_owned()), ..Query::default() };
                    let found = archive.search(&query, &Scope::All, &actor(), NOON).unwrap();
                    prop_assert_eq!(found.found.len(), calls.iter().filter(|(_, is_here)| *is_here).count());
                }
                Act::Rotate => archive.rotate(&actor(), NOON).unwrap(),
                Act::Reindex => archive.reindex().unwrap(),
            }
        }
        drop(log);
        let mut archive = place.archive();
        let report = archive.verify(&Options { open: true, ..Options::default() }).unwrap();
        prop_assert_eq!(&report.problems, &[]);
        prop_assert_eq!(report.records, calls.len() as u64);
        for (call, is_here) in &calls {
            let found = archive.show(call.id(), &Scope::All, &actor(), NOON).unwrap().unwrap();
            let is_readable = matches!(&found.content, State::Here(content) if content.prompt.as_deref() == call.draft().prompt);
            prop_assert_eq!(is_readable, *is_here, "{:?}", call);
        }
    }
}
