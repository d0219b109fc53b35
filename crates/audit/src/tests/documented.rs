//! The verifier that `docs/audit.md` shows: another implementation, in another language.

use std::process::Command;

use super::*;

/// What it says, and whether it found the log sound.
fn documented_verifier(place: &Place) -> (String, bool) {
    let docs = include_str!("../../../../docs/audit.md");
    let (_, code) = docs.split_once("```python\n").unwrap();
    let (code, _) = code.split_once("```").unwrap();
    let output = Command::new("python3")
        .args(["-c", code])
        .arg(place.store())
        .output()
        .expect("`make test` needs python3");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        !told.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    (told, output.status.success())
}

#[test]
fn the_documented_verifier_agrees_with_ours() {
    let place = Place::written(&two_teams());
    place.archive().erase_person("bob", &actor(), NOON).unwrap();
    let report = place.report();
    let (told, is_sound) = documented_verifier(&place);
    assert!(is_sound, "{told}");
    let hash: String = report
        .hash
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        told.trim(),
        format!("{} entries, hash {hash}, sound", report.entries)
    );

    let attack = |statement: &str| {
        let connection = rusqlite::Connection::open(place.store().join("audit.sqlite")).unwrap();
        connection.execute(statement, []).unwrap();
    };
    attack("UPDATE chain SET header = CAST(header || x'00' AS BLOB) WHERE sequence = 5");
    attack("DELETE FROM chain WHERE sequence = 7");
    let (told, is_sound) = documented_verifier(&place);
    assert!(!is_sound);
    for problem in ["entry 5: the hash does not fit", "entry 7: missing"] {
        assert!(told.contains(problem), "{told}");
        assert!(has_problem(&place, &problem[..8]));
    }
}

#[test]
fn the_documented_verifier_finds_the_entry_of_a_rollback() {
    let place = super::rollback::rolled_back_and_written_on();
    let (told, is_sound) = documented_verifier(&place);
    assert!(!is_sound);
    assert!(told.contains("entry 6: the log was rolled back"), "{told}");
}

fn has_problem(place: &Place, part: &str) -> bool {
    place
        .problems()
        .iter()
        .any(|problem| problem.starts_with(part))
}
