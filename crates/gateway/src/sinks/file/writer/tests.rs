use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use config::snapshot::FileCompression;

use super::*;

/// 2026-11-22 12:00 UTC.
const NOON: Wall = Wall(1_795_348_800_000);

fn writer(dir: &Path, change: impl FnOnce(&mut FileSink)) -> Writer {
    let mut definition = FileSink {
        path: dir.join("usage.jsonl"),
        bytes_max: 100,
        every: None,
        files_max: 100,
        compression: FileCompression::None,
        sync: true,
    };
    change(&mut definition);
    Writer::new(definition)
}

/// Names in the folder, sorted, and the lines in all of them.
fn files(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

fn line(number: u64) -> Vec<u8> {
    format!("{{\"number\":{number:020}}}\n").into_bytes()
}

fn seconds(seconds: u64) -> Wall {
    NOON + Duration::from_secs(seconds)
}

#[test]
fn a_full_file_gets_the_name_of_its_time_and_a_new_one_begins() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), |_| {});
    for number in 0..7 {
        writer.add(&line(number), seconds(number)).unwrap();
    }
    assert_eq!(
        files(dir.path()),
        [
            "usage-20261122T120003.000Z.jsonl",
            "usage-20261122T120006.000Z.jsonl",
            "usage.jsonl",
        ]
    );
    let mut all = Vec::new();
    for name in files(dir.path()) {
        all.extend(fs::read(dir.path().join(name)).unwrap());
    }
    let wanted: Vec<u8> = (0..7).flat_map(line).collect();
    assert_eq!(all, wanted, "nothing is lost or doubled on the way");
}

#[test]
fn a_file_is_full_after_its_time_even_if_nothing_comes() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), |file| {
        file.every = Some(Duration::from_secs(60));
    });
    writer.rotate_if_due(NOON).unwrap();
    writer.rotate_if_due(seconds(600)).unwrap();
    assert_eq!(files(dir.path()), ["usage.jsonl"], "an empty one is kept");
    writer.add(&line(1), seconds(600)).unwrap();
    writer.rotate_if_due(seconds(659)).unwrap();
    assert_eq!(files(dir.path()), ["usage.jsonl"]);
    writer.rotate_if_due(seconds(660)).unwrap();
    assert_eq!(files(dir.path()), ["usage-20261122T121100.000Z.jsonl"]);
}

#[test]
fn the_oldest_full_files_go_and_other_files_stay() {
    let dir = tempfile::tempdir().unwrap();
    let others = [
        "usage-backup.jsonl",
        "usage-20261122T120003.000Z.txt",
        "other.jsonl",
    ];
    for name in others {
        fs::write(dir.path().join(name), "mine").unwrap();
    }
    let mut writer = writer(dir.path(), |file| file.files_max = 2);
    for number in 0..20 {
        writer.add(&line(number), seconds(number)).unwrap();
    }
    let names = files(dir.path());
    for name in others {
        assert!(names.iter().any(|found| found == name), "{name}");
    }
    let full = names
        .iter()
        .filter(|name| name.starts_with("usage-2026") && name.ends_with(".jsonl"));
    assert_eq!(full.count(), 2);
}

#[test]
fn full_files_are_compressed_and_those_that_a_crash_left_too() {
    for (compression, suffix) in [
        (FileCompression::Gzip, "gz"),
        (FileCompression::Zstd, "zst"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        // Killed after the rename: one is whole, of another a part was written.
        let left = dir.path().join("usage-20261122T110000.000Z.jsonl");
        fs::write(&left, line(0)).unwrap();
        let part = dir.path().join("usage-20261122T110000.000Z.jsonl.part");
        fs::write(part, "half").unwrap();
        let mut writer = writer(dir.path(), |file| file.compression = compression);
        for number in 1..5 {
            writer.add(&line(number), seconds(number)).unwrap();
        }
        let first = format!("usage-20261122T110000.000Z.jsonl.{suffix}");
        let second = format!("usage-20261122T120004.000Z.jsonl.{suffix}");
        assert_eq!(
            files(dir.path()),
            [first.clone(), second.clone(), "usage.jsonl".into()]
        );
        assert_eq!(unpacked(&dir.path().join(first)), line(0));
        let wanted: Vec<u8> = (1..4).flat_map(line).collect();
        assert_eq!(unpacked(&dir.path().join(second)), wanted);
    }
}

fn unpacked(path: &Path) -> Vec<u8> {
    let packed = fs::read(path).unwrap();
    if path.extension().is_some_and(|extension| extension == "zst") {
        return zstd::decode_all(&*packed).unwrap();
    }
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&*packed)
        .read_to_end(&mut plain)
        .unwrap();
    plain
}

#[test]
fn a_line_that_a_kill_cut_is_removed_before_the_next_is_added() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("usage.jsonl");
    let mut whole = line(1);
    whole.extend_from_slice(&line(2)[..10]);
    fs::write(&path, whole).unwrap();
    let mut writer = writer(dir.path(), |_| {});
    writer.add(&line(2), NOON).unwrap();
    assert_eq!(fs::read(&path).unwrap(), [line(1), line(2)].concat());
}

#[test]
fn a_file_that_somebody_moved_away_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("usage.jsonl");
    let mut writer = writer(dir.path(), |_| {});
    writer.add(&line(1), NOON).unwrap();
    fs::rename(&path, dir.path().join("taken")).unwrap();
    writer.add(&line(2), NOON).unwrap();
    assert_eq!(fs::read(&path).unwrap(), line(2));
}

#[test]
fn a_folder_that_is_not_there_is_an_error_and_works_once_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("later");
    let mut writer = writer(&folder, |_| {});
    assert!(writer.add(&line(1), NOON).is_err());
    fs::create_dir(&folder).unwrap();
    writer.add(&line(1), NOON).unwrap();
    assert_eq!(fs::read(folder.join("usage.jsonl")).unwrap(), line(1));
}
