//! Keys as the commands and a gateway use them.

use super::*;

const NOW: Wall = Wall(1_795_348_800_000);
const LATER: Wall = Wall(1_795_348_860_000);

fn registry() -> (tempfile::TempDir, Registry, SubscriptionId) {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::open(dir.path()).unwrap();
    (dir, registry, SubscriptionId::from("search"))
}

#[test]
fn a_key_is_stored_by_its_hash_alone() {
    let (dir, registry, search) = registry();
    let key = registry
        .create(&search, Slot::Primary, Some("chat-ui"), NOW, [0xA7; 40])
        .unwrap();

    assert_eq!(id_of(&key.secret), Some(key.stored.id.as_str()));
    assert_eq!(hash(&key.secret), key.stored.hash);
    assert_eq!(registry.keys().unwrap(), std::slice::from_ref(&key.stored));
    let secret = key.secret.rsplit('_').next().unwrap();
    assert!(!format!("{key:?}").contains(secret));
    drop(registry);
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(
            !bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes())
        );
    }
}

#[test]
fn rotation_keeps_the_other_key_working() {
    let (_dir, registry, search) = registry();
    let primary = registry
        .create(&search, Slot::Primary, Some("chat-ui"), NOW, [1; 40])
        .unwrap();
    let secondary = registry
        .create(&search, Slot::Secondary, None, NOW, [2; 40])
        .unwrap();

    let rotated = registry
        .rotate(&search, Slot::Primary, LATER, [3; 40])
        .unwrap();

    assert_eq!(rotated.stored.application.as_deref(), Some("chat-ui"));
    let keys = registry.keys().unwrap();
    let revoked_at = |key: &NewKey| {
        keys.iter()
            .find(|stored| stored.id == key.stored.id)
            .unwrap()
            .revoked_at
    };
    assert_eq!(revoked_at(&primary), Some(LATER));
    assert_eq!(revoked_at(&secondary), None);
    assert_eq!(revoked_at(&rotated), None);
}

#[test]
fn a_taken_slot_names_its_key() {
    let (_dir, registry, search) = registry();
    let first = registry
        .create(&search, Slot::Primary, None, NOW, [1; 40])
        .unwrap();
    let before = registry.revision().unwrap();

    let refused = registry
        .create(&search, Slot::Primary, None, NOW, [2; 40])
        .unwrap_err();

    assert!(
        matches!(&refused, RegistryError::SlotTaken { id, .. } if *id == first.stored.id),
        "{refused}"
    );
    assert_eq!(registry.revision().unwrap(), before);
}

#[test]
fn a_revoked_key_frees_its_slot_and_cannot_be_revoked_again() {
    let (_dir, registry, search) = registry();
    let key = registry
        .create(&search, Slot::Primary, None, NOW, [1; 40])
        .unwrap();

    assert_eq!(
        registry.revoke(&key.stored.id, LATER).unwrap().revoked_at,
        Some(LATER)
    );
    assert!(matches!(
        registry.revoke(&key.stored.id, LATER),
        Err(RegistryError::NoSuchKey(_))
    ));
    assert!(matches!(
        registry.rotate(&search, Slot::Primary, LATER, [2; 40]),
        Err(RegistryError::NoKeyInSlot { .. })
    ));
    registry
        .create(&search, Slot::Primary, None, LATER, [3; 40])
        .unwrap();
}

#[test]
fn another_process_sees_changes_by_the_revision() {
    let (dir, gateway, search) = registry();
    let command = Registry::open(dir.path()).unwrap();
    let before = gateway.revision().unwrap();

    command
        .create(&search, Slot::Primary, None, NOW, [1; 40])
        .unwrap();

    assert_eq!(gateway.revision().unwrap(), before + 1);
    assert_eq!(gateway.keys().unwrap().len(), 1);
}

#[test]
fn only_the_owner_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("data");
    let registry = Registry::open(&dir).unwrap();
    let key = registry.create(&"search".into(), Slot::Primary, None, NOW, [1; 40]);
    assert!(key.is_ok());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    for file in std::fs::read_dir(&dir).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}

#[test]
fn other_forms_are_not_our_keys() {
    let ours = format!("tg_{}_{}", "a".repeat(12), "7".repeat(52));
    assert_eq!(id_of(&ours), Some("aaaaaaaaaaaa"));
    for other in [
        "",
        "tg_",
        "tg_abc",
        "tg__x",
        "sk-0123456789abcdef",
        &ours[..ours.len() - 1],
        &format!("{ours}_a"),
    ] {
        assert_eq!(id_of(other), None, "{other}");
    }
}

#[test]
fn a_newer_layout_is_refused() {
    let (dir, registry, _) = registry();
    registry
        .connection()
        .pragma_update(None, "user_version", 3)
        .unwrap();
    drop(registry);
    let error = Registry::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("layout 3"), "{error}");
}

#[test]
fn a_registry_of_the_first_layout_gets_raises_and_keeps_its_keys() {
    let (dir, registry, search) = registry();
    let key = registry
        .create(&search, Slot::Primary, None, NOW, [1; 40])
        .unwrap();
    registry
        .connection()
        .execute_batch("DROP TABLE raises; PRAGMA user_version = 1;")
        .unwrap();
    drop(registry);
    let registry = Registry::open(dir.path()).unwrap();
    assert_eq!(registry.keys().unwrap(), [key.stored]);
    assert_eq!(registry.raises().unwrap(), []);
}

fn raise(registry: &Registry, key: Option<&str>) -> StoredRaise {
    let new = NewRaise {
        budget: "search-month",
        key,
        by: domain::Nanos(100_000_000_000),
        currency: domain::Currency::USD,
        until: LATER,
        reason: "launch week",
        granted_by: "ops",
    };
    registry.raise(new, NOW).unwrap()
}

#[test]
fn a_raise_is_kept_with_who_and_why_and_told_by_the_revision() {
    let (dir, gateway, _) = registry();
    let command = Registry::open(dir.path()).unwrap();
    let before = gateway.revision().unwrap();
    let raise = raise(&command, Some("alice"));
    assert_eq!(gateway.revision().unwrap(), before + 1);
    assert_eq!(gateway.raises().unwrap(), std::slice::from_ref(&raise));
    assert_eq!((raise.id, raise.key.as_deref()), (1, Some("alice")));
    assert_eq!(
        (&*raise.reason, &*raise.granted_by, raise.granted_at),
        ("launch week", "ops", NOW)
    );
    assert!(raise.is_in_force(Wall(LATER.0 - 1)));
    assert!(!raise.is_in_force(LATER));
}

#[test]
fn a_raise_can_be_cancelled_once_and_while_it_lasts() {
    let (_dir, registry, _) = registry();
    let first = raise(&registry, None);
    let cancelled = registry.cancel_raise(first.id, "boss", NOW).unwrap();
    assert!(!cancelled.is_in_force(NOW));
    assert_eq!(cancelled.cancelled_by.as_deref(), Some("boss"));
    assert_eq!(registry.raises().unwrap(), [cancelled]);
    assert!(matches!(
        registry.cancel_raise(first.id, "boss", NOW),
        Err(RegistryError::NoSuchRaise(1))
    ));
    let second = raise(&registry, None);
    assert!(registry.cancel_raise(second.id, "boss", LATER).is_err());
}
