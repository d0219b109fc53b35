//! What becomes of full files: a name with their time, compression, and an end.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use config::snapshot::FileCompression;
use domain::Wall;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use jiff::tz::TimeZone;

const ZSTD_LEVEL: i32 = 3;
/// Names of one millisecond that are tried.
const NAMES_MAX: i64 = 1000;

/// Gives the file a name of its own, beside it. Nothing is there in between: either name has it all.
pub fn put_away(path: &Path, now: Wall) -> io::Result<()> {
    for later_ms in 0..NAMES_MAX {
        let full = full_name(path, Wall(now.0 + later_ms));
        let is_free = [&full, &with(&full, ".gz"), &with(&full, ".zst")]
            .into_iter()
            .all(|name| !name.exists());
        if is_free {
            fs::rename(path, &full)?;
            return sync_folder(path);
        }
    }
    Err(io::Error::other("no name is free for the full file"))
}

/// All full files that are not compressed yet: one, and those that a crash left.
pub fn compress(path: &Path, compression: FileCompression) -> io::Result<()> {
    let suffix = match compression {
        FileCompression::None => return Ok(()),
        FileCompression::Gzip => ".gz",
        FileCompression::Zstd => ".zst",
    };
    for full in full_files(path)? {
        if is_compressed(&full) {
            continue;
        }
        let (done, part) = (with(&full, suffix), with(&full, ".part"));
        let mut from = File::open(&full)?;
        let to = File::create(&part)?;
        let to = match compression {
            FileCompression::None => to,
            FileCompression::Gzip => {
                let mut encoder = GzEncoder::new(to, flate2::Compression::default());
                io::copy(&mut from, &mut encoder)?;
                encoder.finish()?
            }
            FileCompression::Zstd => {
                let mut encoder = zstd::Encoder::new(to, ZSTD_LEVEL)?;
                io::copy(&mut from, &mut encoder)?;
                encoder.finish()?
            }
        };
        to.set_permissions(from.metadata()?.permissions())?;
        to.sync_all()?;
        fs::rename(&part, &done)?;
        sync_folder(path)?;
        fs::remove_file(&full)?;
    }
    Ok(())
}

/// Names sort by time.
pub fn remove_oldest(path: &Path, files_max: usize) -> io::Result<()> {
    let mut full = full_files(path)?;
    full.sort_unstable();
    let too_many = full.len().saturating_sub(files_max);
    for oldest in full.into_iter().take(too_many) {
        fs::remove_file(oldest)?;
    }
    Ok(())
}

/// `usage-20261122T153000.000Z.jsonl` of `usage.jsonl`.
fn full_name(path: &Path, at: Wall) -> PathBuf {
    let at = Timestamp::from_millisecond(at.0).unwrap_or_default();
    let at = at.to_zoned(TimeZone::UTC);
    let stamp = format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}.{:03}Z",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.millisecond()
    );
    let (stem, extension) = parts(path);
    path.with_file_name(format!("{stem}-{stamp}{extension}"))
}

fn full_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = folder(path);
    let mut full = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?.path();
        if is_full_file_of(&entry, path) {
            full.push(entry);
        }
    }
    Ok(full)
}

/// Only what this sink made: other files may stand in the same folder.
fn is_full_file_of(entry: &Path, path: &Path) -> bool {
    const STAMP: &[u8] = b"00000000T000000.000Z";
    let (stem, extension) = parts(path);
    let rest = entry
        .file_name()
        .and_then(|name| name.to_str())
        .and_then(|name| name.strip_prefix(&*stem))
        .and_then(|name| name.strip_prefix('-'));
    let Some((stamp, rest)) = rest.and_then(|rest| rest.split_at_checked(STAMP.len())) else {
        return false;
    };
    let is_stamp = stamp.bytes().zip(STAMP).all(|(byte, form)| match form {
        b'0' => byte.is_ascii_digit(),
        form => byte == *form,
    });
    let end = rest.strip_prefix(&*extension);
    is_stamp && end.is_some_and(|end| matches!(end, "" | ".gz" | ".zst"))
}

fn is_compressed(full: &Path) -> bool {
    let extension = full.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("gz" | "zst"))
}

/// `usage` and `.jsonl`
fn parts(path: &Path) -> (String, String) {
    let text = |part: Option<&std::ffi::OsStr>| {
        part.map(|part| part.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    let extension = text(path.extension());
    let extension = if extension.is_empty() {
        extension
    } else {
        format!(".{extension}")
    };
    (text(path.file_stem()), extension)
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// So that a power loss undoes no name.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder(path))?.sync_all()
}
