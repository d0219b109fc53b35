//! A folder that is removed or replaced under a gateway that runs.

use std::fs;

use super::tampering::copy;
use super::*;

/// Until it has a fault, or has none.
fn wait_for_fault(log: &AuditLog, is_faulty: bool) -> String {
    for _ in 0..2_000 {
        let fault = log.levels().append_fault;
        if fault.is_some() == is_faulty {
            return fault.unwrap_or_default();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{:?}", log.levels());
}

fn displaced(displace: impl FnOnce(&Place)) -> String {
    let calls = two_teams();
    let place = Place::new();
    let log = place.log();
    log.append(&calls[0].draft(), calls[0].at()).unwrap();
    assert!(log.has_room());
    displace(&place);
    // Nobody calls or ticks: it looks by itself.
    let fault = wait_for_fault(&log, true);
    assert!(!log.has_room());
    assert!(log.append(&calls[1].draft(), calls[1].at()).is_err());
    assert!(Archive::of(&log).is_err());
    log.close(NOON);
    fault
}

#[test]
fn a_folder_that_is_removed_while_it_is_written_to_is_a_fault() {
    let fault = displaced(|place| {
        // At once: the writer may be making a file in it.
        let away = place.dir.path().join("away");
        fs::rename(place.store(), &away).unwrap();
        fs::remove_dir_all(away).unwrap();
    });
    assert!(
        fault.contains("folder was removed or replaced") && fault.contains("restart the gateway"),
        "{fault}"
    );
}

#[test]
fn a_folder_that_is_replaced_is_a_fault_and_what_replaced_it_is_left_alone() {
    let calls = two_teams();
    let place = Place::new();
    let log = place.log();
    let away = place.dir.path().join("away");
    fs::rename(place.store(), &away).unwrap();
    copy(&away, &place.store());
    let before = bytes_below(&place.store());
    let fault = wait_for_fault(&log, true);
    assert!(fault.contains("folder was removed or replaced"), "{fault}");
    assert!(log.append(&calls[0].draft(), calls[0].at()).is_err());
    log.close(NOON);
    assert_eq!(bytes_below(&place.store()), before);
}

#[test]
fn a_file_that_is_replaced_is_a_fault_too() {
    let replace = |file: &str| {
        let fault = displaced(|place| {
            let path = place.store().join(file);
            let copy = path.with_extension("copy");
            fs::copy(&path, &copy).unwrap();
            fs::rename(&copy, &path).unwrap();
        });
        assert!(fault.contains(file), "{fault}");
    };
    replace("audit.sqlite");
    replace("content/00000001.tga");
}

#[test]
fn a_folder_that_comes_back_is_written_to_again() {
    let calls = two_teams();
    let place = Place::new();
    let log = place.log();
    log.append(&calls[0].draft(), calls[0].at()).unwrap();
    let away = place.dir.path().join("away");
    fs::rename(place.store(), &away).unwrap();
    wait_for_fault(&log, true);
    fs::rename(&away, place.store()).unwrap();
    wait_for_fault(&log, false);
    log.append(&calls[1].draft(), calls[1].at()).unwrap();
    log.close(NOON);
    assert_eq!(contents(&place, &calls[..2]), [(1, "here"), (2, "here")]);
    assert_eq!(place.problems(), [""; 0]);
}
