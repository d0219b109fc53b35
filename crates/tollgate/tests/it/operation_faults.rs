//! Faults of the surroundings: a full disk, a locked database, a damaged journal. Calls go on, and
//! nothing that was promised is lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use domain::record::Outcome;
use rusqlite::Connection;
use simulator::Behaviour;

use crate::harness::{Gate, chat, config, eventually, get, provider};

async fn gate() -> (simulator::Running, Gate) {
    let region = provider(Behaviour::default()).await;
    let gate = Gate::start(config().backend("east", region.address())).await;
    (region, gate)
}

async fn calls(gate: &Gate, count: usize) {
    for _ in 0..count {
        let answer = gate.send(chat("answer 5 words")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// What `/readyz` warns of; the gateway stays in service.
async fn warns(gate: &Gate, of: &str) {
    eventually(of, async || {
        let answer = gate.send(get("/readyz")).await;
        assert_eq!(answer.status, 200);
        answer.text().contains(of).then_some(())
    })
    .await;
}

/// A small file system, gone when dropped.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// `None` where mounting is not permitted.
    fn mount(path: &Path, mebibytes: u32) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o"])
            .arg(format!("size={mebibytes}m,mode=700"))
            .arg("tmpfs")
            .arg(path)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self {
                path: path.to_owned(),
            }),
            why => {
                eprintln!(
                    "SKIPPED: a full disk is not tested, for a tmpfs cannot be mounted: {why:?}"
                );
                None
            }
        }
    }

    /// Leaves nothing.
    fn fill(&self) -> PathBuf {
        use std::io::Write as _;
        let filler = self.path.join("filler");
        let mut file = fs::File::create(&filler).unwrap();
        for piece in [1024 * 1024, 4096] {
            while file.write_all(&vec![1; piece]).is_ok() {}
        }
        filler
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_no_call_and_costs_no_record() {
    let (_region, mut gate) = gate().await;
    assert!(gate.stop().await.success());
    fs::remove_dir_all(gate.data()).unwrap();
    let Some(disk) = SmallDisk::mount(&gate.data(), 48) else {
        return;
    };
    gate.restart().await;
    calls(&gate, 10).await;
    gate.all_records(10).await;

    let filler = disk.fill();
    // Enough that the database must grow.
    calls(&gate, 600).await;
    warns(&gate, "warning: database").await;
    assert!(gate.records().len() < 610);
    // Even a crash now loses nothing.
    gate.kill9();
    fs::remove_file(&filler).unwrap();
    gate.restart().await;
    let records = gate.all_records(610).await;
    assert!(records.iter().all(|record| record.outcome == Outcome::Ok));

    // And it recovers by itself when there is room again.
    let filler = disk.fill();
    calls(&gate, 600).await;
    warns(&gate, "warning: database").await;
    fs::remove_file(&filler).unwrap();
    gate.all_records(1_210).await;
    let answer = gate.send(get("/readyz")).await;
    assert_eq!(answer.text(), "ready\n");
    assert!(gate.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_another_process_holds_delays_records_and_nothing_else() {
    let (_region, mut gate) = gate().await;
    calls(&gate, 1).await;
    gate.all_records(1).await;
    let holder = Connection::open(gate.data().join("ledger.sqlite")).unwrap();
    eventually("the lock", async || {
        holder
            .execute_batch("BEGIN EXCLUSIVE")
            .is_ok()
            .then_some(())
    })
    .await;
    calls(&gate, 100).await;
    warns(&gate, "warning: database").await;
    assert!(
        gate.metrics()
            .await
            .sum("tollgate_ledger_behind_bytes", &[])
            > 0
    );

    // A start has to wait for the database too, and says so.
    gate.kill9();
    let output = gate.tollgate(&["serve"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(
        said.contains("(data_dir)") && said.contains("database is locked"),
        "{said}"
    );

    holder.execute_batch("ROLLBACK").unwrap();
    gate.restart().await;
    gate.all_records(101).await;
    assert!(gate.stop().await.success());
}

/// The journal's files that hold something, oldest first.
fn segments(gate: &Gate) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(gate.data().join("journal"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "tgj"))
        .collect();
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_journal_is_kept_aside_and_what_is_readable_is_on_the_ledger() {
    let (_region, mut gate) = gate().await;
    let holder = Connection::open(gate.data().join("ledger.sqlite")).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    calls(&gate, 20).await;
    gate.kill9();
    holder.execute_batch("ROLLBACK").unwrap();
    let segment = segments(&gate).remove(0);
    let mut bytes = fs::read(&segment).unwrap();
    let written = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[written / 2..written / 2 + 8].fill(0xff);
    fs::write(&segment, bytes).unwrap();

    gate.restart().await;
    assert!(
        gate.log().contains("a journal segment is damaged"),
        "{}",
        gate.log()
    );
    assert!(segment.with_extension("tgj.damaged").exists());
    let readable = gate.records().len();
    // What was hit may have been a call's opening, which its record makes up for.
    assert!((15..=20).contains(&readable), "{readable} of 20");
    calls(&gate, 1).await;
    gate.all_records(readable + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_cannot_be_read_is_an_error_that_names_it() {
    let (_region, mut gate) = gate().await;
    calls(&gate, 1).await;
    gate.kill9();
    // Nobody is kept from reading by permissions here, so a folder stands in the file's place.
    let segment = segments(&gate).remove(0);
    let aside = gate.data().join("aside");
    fs::rename(&segment, &aside).unwrap();
    fs::create_dir(&segment).unwrap();
    let output = gate.tollgate(&["serve"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(
        said.contains(segment.file_name().unwrap().to_str().unwrap()),
        "{said}"
    );

    // Nothing was touched: once it is readable, nothing is missing.
    fs::remove_dir(&segment).unwrap();
    fs::rename(&aside, &segment).unwrap();
    gate.restart().await;
    gate.all_records(1).await;
}
