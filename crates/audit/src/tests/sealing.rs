//! What others keep under the log's keys.

use super::*;

const AAD: &[u8] = b"somewhere else";

fn whose<'w>(subscription: &'w SubscriptionId, person: &'w str) -> Whose<'w> {
    Whose {
        subscription,
        person,
        at: NOON,
    }
}

#[test]
fn what_was_sealed_opens_in_its_place_only_and_after_a_restart() {
    let place = Place::new();
    let (hr, mut sealed) = (SubscriptionId::from("hr"), b"an answer".to_vec());
    let log = place.log();
    let key = log
        .sealer()
        .seal(whose(&hr, "anna"), &mut sealed, AAD)
        .unwrap();
    assert!(!sealed.windows(6).any(|window| window == b"answer"));
    log.close(NOON);
    let sealer = place.archive().sealer();
    let open = |key, aad| {
        let mut sealed = sealed.clone();
        sealer
            .open(key, &mut sealed, aad)
            .unwrap()
            .map(<[u8]>::to_vec)
    };
    assert_eq!(open(key, AAD).as_deref(), Some(&b"an answer"[..]));
    assert_eq!(open(key, b"another place"), None);
    assert_eq!(open(KeyId(7), AAD), None);
}

#[test]
fn an_erasure_by_another_process_is_known_at_the_next_look_and_is_of_one_person_only() {
    let place = Place::new();
    let hr = SubscriptionId::from("hr");
    let log = place.log();
    let sealer = log.sealer();
    let (mut annas, mut bobs) = (b"anna's".to_vec(), b"bob's".to_vec());
    let annas_key = sealer.seal(whose(&hr, "anna"), &mut annas, AAD).unwrap();
    let bobs_key = sealer.seal(whose(&hr, "bob"), &mut bobs, AAD).unwrap();
    let mut own = b"nobody's".to_vec();
    let own_key = sealer.seal_own(&mut own, AAD).unwrap();
    let epoch = sealer.epoch().unwrap();
    assert_eq!(sealer.epoch().unwrap(), epoch);

    // Its own ring, as a command has it.
    let erased = place
        .archive()
        .erase_person("anna", &actor(), NOON)
        .unwrap();
    assert_eq!(erased.keys, [annas_key]);

    assert_eq!(sealer.open(annas_key, &mut annas, AAD).unwrap(), None);
    assert_ne!(sealer.epoch().unwrap(), epoch);
    assert!(sealer.is_gone(annas_key).unwrap());
    assert!(!sealer.is_gone(bobs_key).unwrap());
    assert_eq!(
        sealer.open(bobs_key, &mut bobs, AAD).unwrap(),
        Some(&b"bob's"[..])
    );
    assert_eq!(
        sealer.open(own_key, &mut own, AAD).unwrap(),
        Some(&b"nobody's"[..])
    );
    // What comes after an erasure is a new person's, as the log has it too.
    let again = sealer
        .seal(whose(&hr, "anna"), &mut b"new".to_vec(), AAD)
        .unwrap();
    assert_ne!(again, annas_key);
}

#[test]
fn a_rotation_by_another_process_changes_no_key() {
    let place = Place::new();
    let hr = SubscriptionId::from("hr");
    let mut log = AuditLog::open(place.settings(), place.keys(), NOON).unwrap();
    let mut sealed = b"an answer".to_vec();
    let key = log
        .sealer()
        .seal(whose(&hr, "anna"), &mut sealed, AAD)
        .unwrap();
    log.close(NOON);
    let both = || keys(&place.key_dir(), "kek-2", &["kek-1"]);
    log = AuditLog::open(place.settings(), both(), NOON).unwrap();
    let sealer = log.sealer();
    let mut archive = Archive::open(place.settings(), both(), NOON).unwrap();
    archive.rotate(&actor(), NOON).unwrap();
    let epoch = sealer.epoch().unwrap();
    archive
        .erase_subscription(&"hr".into(), &actor(), NOON)
        .unwrap();
    assert_ne!(sealer.epoch().unwrap(), epoch, "the new file counts anew");
    assert_eq!(sealer.open(key, &mut sealed, AAD).unwrap(), None);
}
