//! What the local model costs: processor time by length and by batch, loading, memory (Linux).
//!
//!   cargo run --release -p embed --example embed_cost

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::io::{self, Write};
use std::path::PathBuf;

use embed::{Lane, Model, count_pieces};

/// The kernel counts processor time in hundredths of a second: this many make a figure of 1%.
const TICKS_MIN: u64 = 100;
const TICK_MS: f64 = 10.0;

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout().lock();
    let idle = resident_mib()?;
    let named = std::env::var_os("TOLLGATE_MODELS").map(PathBuf::from);
    let cache = embed::user_cache(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"));
    let folders: Vec<PathBuf> = named.into_iter().chain(cache).collect();
    let files = embed::find(&folders)?;

    let before = ticks()?;
    let model = Model::open(&files)?;
    let loaded = ticks()? - before;
    writeln!(out, "load: {} ms CPU", loaded as f64 * TICK_MS)?;
    writeln!(
        out,
        "memory: {idle} MiB before, {} MiB loaded",
        resident_mib()?
    )?;

    let lane = Lane::default();
    for pieces in [10, 30, 100, 256] {
        let text = text(pieces);
        let each = cost(|| model.embed(&[&text], &lane).map(black_box).map(|_| ()))?;
        writeln!(out, "{pieces} pieces: {each:.2} ms CPU")?;
    }
    for batch in [2, 4, 8, 16] {
        for pieces in [10, 30] {
            let text = text(pieces);
            let texts = vec![&*text; batch];
            let all = cost(|| model.embed(&texts, &lane).map(black_box).map(|_| ()))?;
            let each = all / batch as f64;
            writeln!(
                out,
                "{pieces} pieces, {batch} at once: {each:.2} ms CPU each"
            )?;
        }
    }
    let lengths: Vec<String> = (0..8).map(|at| text(29 + at % 3)).collect();
    let texts: Vec<&str> = lengths.iter().map(|text| &**text).collect();
    let all = cost(|| model.embed(&texts, &lane).map(black_box).map(|_| ()))?;
    writeln!(
        out,
        "29 to 31 pieces, 8 at once: {:.2} ms CPU each",
        all / 8.0
    )?;
    let text = text(256);
    let counting = cost(|| {
        black_box(count_pieces(black_box(&text)));
        Ok(())
    })?;
    writeln!(out, "counting 256 pieces: {:.1} us CPU", counting * 1000.0)?;
    writeln!(out, "memory: {} MiB after all", resident_mib()?)?;
    Ok(())
}

/// A question that has that many pieces.
fn text(pieces: usize) -> String {
    let words = "how many days after the delivery may a customer return an opened product \
                 and who has to pay for sending it back to the warehouse then";
    let text: Vec<&str> = words.split(' ').cycle().take(pieces - 2).collect();
    let text = text.join(" ");
    assert_eq!(count_pieces(&text), pieces);
    text
}

/// Milliseconds of processor time of one run, on all threads.
fn cost(mut run: impl FnMut() -> Result<(), embed::ModelError>) -> Result<f64, Box<dyn Error>> {
    run()?;
    let (start, mut runs) = (ticks()?, 0_u32);
    loop {
        for _ in 0..10 {
            run()?;
        }
        runs += 10;
        let spent = ticks()? - start;
        if spent >= TICKS_MIN {
            return Ok(spent as f64 * TICK_MS / f64::from(runs));
        }
    }
}

fn ticks() -> Result<u64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The command's name stands in brackets and may hold spaces; user and system time are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(')').ok_or("/proc/self/stat has no name")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
}

fn resident_mib() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(kib
        .ok_or("/proc/self/status has no VmRSS")?
        .parse::<u64>()?
        / 1024)
}
