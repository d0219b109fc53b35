//! What a broken disk may cost: answers, and nothing else.

use super::*;

#[test]
fn a_file_that_is_no_database_is_set_aside() {
    let place = Place::new();
    fs::create_dir_all(place.cache_dir()).unwrap();
    fs::write(
        place.file(),
        "this is no database, it only has its name".repeat(200),
    )
    .unwrap();
    let cache = place.cache();
    cache.put(at_noon(entry(1, "an answer")));
    drop(cache);
    assert_eq!(
        answer_of(&place.cache(), 1, NOON).as_deref(),
        Some(&b"an answer"[..])
    );
    assert!(place.cache_dir().join("cache.db.damaged").exists());
}

#[test]
fn a_directory_that_cannot_be_written_costs_no_call() {
    let place = Place::new();
    fs::write(place.cache_dir(), "a file is in its way").unwrap();
    let cache = place.cache();
    cache.put(at_noon(entry(1, "an answer")));
    cache.catch_up();
    assert_eq!(
        answer_of(&cache, 1, NOON).as_deref(),
        Some(&b"an answer"[..])
    );
    let disk = cache.levels().disk.unwrap();
    assert_eq!((disk.written, disk.unwritten), (0, 1));
    assert!(disk.fault.unwrap().contains("cache.db"));
    // As soon as it can be, it is.
    fs::remove_file(place.cache_dir()).unwrap();
    cache.catch_up();
    cache.put(at_noon(entry(2, "another")));
    cache.catch_up();
    assert_eq!(cache.levels().disk.unwrap().fault, None);
    drop(cache);
    assert_eq!(
        answer_of(&place.cache(), 2, NOON).as_deref(),
        Some(&b"another"[..])
    );
}

/// A file system of a few MiB, gone when dropped. `None` where mounting is not permitted.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs"])
            .arg(dir.path())
            .output();
        if mount.as_ref().is_ok_and(|output| output.status.success()) {
            return Some(Self(dir));
        }
        eprintln!("SKIPPED: a full disk is not tested, for a tmpfs cannot be mounted: {mount:?}");
        None
    }

    fn fill(&self) -> PathBuf {
        use std::io::Write as _;
        let filler = self.0.path().join("filler");
        let mut file = fs::File::create(&filler).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
        filler
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmount = std::process::Command::new("umount")
            .arg("-l")
            .arg(self.0.path())
            .status();
        assert!(unmount.is_ok());
    }
}

#[test]
fn a_full_disk_leaves_answers_in_memory_until_there_is_room_again() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let place = Place::new();
    let dir = disk.0.path().join("cache");
    let open = || {
        let mut settings = place.settings(16 * MEBIBYTE, 64 * MEBIBYTE);
        if let Some(disk) = &mut settings.disk {
            disk.dir.clone_from(&dir);
        }
        let cache = Cache::open(settings, NOON).unwrap();
        cache.catch_up();
        cache
    };
    let cache = open();
    cache.put(at_noon(entry(0, "in time")));
    cache.catch_up();
    let filler = disk.fill();
    let large = |number: u64| Bytes::from(format!("{number:0>20000}"));
    for number in 1..=100 {
        cache.put(NewEntry {
            answer: large(number),
            ..at_noon(entry(number, ""))
        });
    }
    cache.catch_up();
    let full = cache.levels().disk.unwrap();
    assert!(full.fault.is_some(), "{full:?}");
    assert!(full.unwritten > 50, "{full:?}");
    assert_eq!(full.written + full.unwritten, 101, "{full:?}");
    for number in 1..=100 {
        assert_eq!(answer_of(&cache, number, NOON), Some(large(number)));
    }
    assert_eq!(answer_of(&cache, 0, NOON).as_deref(), Some(&b"in time"[..]));

    fs::remove_file(filler).unwrap();
    cache.put(at_noon(entry(500, "with room again")));
    cache.catch_up();
    let again = cache.levels().disk.unwrap();
    assert_eq!(
        (again.fault, again.unwritten),
        (None, full.unwritten),
        "what came later is written"
    );
    assert_eq!(again.written, full.written + 1);
    drop(cache);
    let cache = open();
    assert_eq!(cache.levels().entries, again.written);
    for (number, answer) in [(0, "in time"), (500, "with room again")] {
        let found = answer_of(&cache, number, NOON);
        assert_eq!(found.as_deref(), Some(answer.as_bytes()));
    }
}

#[test]
fn a_database_that_is_damaged_while_in_use_costs_answers_and_nothing_else() {
    let place = Place::new();
    let cache = place.cache();
    let large = "x".repeat(20_000);
    for number in 0..200 {
        cache.put(at_noon(entry(number, &large)));
    }
    drop(cache);
    // Every page but the first.
    let len = fs::metadata(place.file()).unwrap().len() as usize;
    let mut bytes = fs::read(place.file()).unwrap();
    bytes[8_192..len].fill(0xa5);
    fs::write(place.file(), &bytes).unwrap();
    let cache = place.cache();
    for number in 0..200 {
        let answer = answer_of(&cache, number, NOON);
        assert!(answer.is_none_or(|answer| answer.len() == large.len()));
    }
    cache.catch_up();
    cache.put(at_noon(entry(1, "again")));
    cache.catch_up();
    assert_eq!(answer_of(&cache, 1, NOON).as_deref(), Some(&b"again"[..]));
    drop(cache);
    assert_eq!(
        answer_of(&place.cache(), 1, NOON).as_deref(),
        Some(&b"again"[..])
    );
}

/// A kill leaves the write-ahead log cut anywhere.
#[test]
fn whatever_a_kill_leaves_of_the_log_opens_and_holds_whole_entries_only() {
    let place = Place::new();
    let cache = place.cache();
    let mut log_len = 0;
    for number in 0..12 {
        cache.put(bought_by("hr", "anna", number));
        cache.catch_up();
        log_len = fs::metadata(place.cache_dir().join("cache.db-wal"))
            .unwrap()
            .len();
    }
    let (file, log) = (
        fs::read(place.file()).unwrap(),
        fs::read(place.cache_dir().join("cache.db-wal")).unwrap(),
    );
    assert_eq!(log.len() as u64, log_len);
    drop(cache);
    let mut seen = std::collections::BTreeSet::new();
    for cut in (0..log.len()).step_by(1_789).chain([log.len()]) {
        fs::remove_dir_all(place.cache_dir()).unwrap();
        fs::create_dir_all(place.cache_dir()).unwrap();
        fs::write(place.file(), &file).unwrap();
        fs::write(place.cache_dir().join("cache.db-wal"), &log[..cut]).unwrap();
        let cache = place.cache();
        let there = cache.levels().entries;
        for number in 0..there {
            let wanted = format!("answer {number} for anna");
            assert_eq!(
                answer_of(&cache, number, NOON),
                Some(Bytes::from(wanted)),
                "cut {cut}"
            );
        }
        seen.insert(there);
        cache.put(bought_by("hr", "anna", 100));
        cache.catch_up();
        assert!(answer_of(&cache, 100, NOON).is_some());
    }
    assert_eq!(seen.last(), Some(&12));
    assert!(seen.len() > 8, "{seen:?}");
}
