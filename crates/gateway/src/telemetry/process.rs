//! The process as Linux sees it. Elsewhere, and where `/proc` is closed, nothing is said of it.

use super::catalogue;
use super::sample::{Family, Value};

/// What `/proc` counts time in; the same on every Linux that is built for programs like this.
const TICKS_PER_SECOND: f64 = 100.0;

pub fn families() -> Vec<Family> {
    let stat = read("/proc/self/stat");
    let stat = stat.as_deref().and_then(Stat::read);
    let booted = read("/proc/stat").and_then(|text| after(&text, "btime "));
    let memory = read("/proc/self/status").and_then(|text| after(&text, "VmRSS:"));
    let handles = std::fs::read_dir("/proc/self/fd").ok().map(Iterator::count);
    let handles_max = read("/proc/self/limits").and_then(|text| after(&text, "Max open files"));

    let mut families = Vec::new();
    let mut say = |metric, value: Option<Value>| {
        families.extend(value.map(|value| Family::of(metric, value)));
    };
    let cpu = stat
        .as_ref()
        .map(|stat| stat.cpu_ticks as f64 / TICKS_PER_SECOND);
    say(&catalogue::PROCESS_CPU, cpu.map(Value::Real));
    say(
        &catalogue::PROCESS_MEMORY,
        memory.map(|kibibytes| Value::Whole(kibibytes * 1024)),
    );
    // The one that lists them is open too.
    let handles = handles.map(|handles| Value::Whole(handles.saturating_sub(1) as u64));
    say(&catalogue::PROCESS_FDS, handles);
    say(&catalogue::PROCESS_FDS_MAX, handles_max.map(Value::Whole));
    let started = booted.zip(stat).map(|(booted, stat)| {
        Value::Real(booted as f64 + stat.started_ticks as f64 / TICKS_PER_SECOND)
    });
    say(&catalogue::PROCESS_START, started);
    families
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// The number after a line's name.
fn after(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

struct Stat {
    cpu_ticks: u64,
    /// Since the machine booted.
    started_ticks: u64,
}

impl Stat {
    /// The program's name, in parentheses, may hold anything: fields are counted after it.
    fn read(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            started_ticks: field(22)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_s_name_does_not_shift_the_fields() {
        let fields: Vec<String> = (4..=30).map(|number| number.to_string()).collect();
        let stat = Stat::read(&format!("1 (a ) b) S {}", fields.join(" "))).unwrap();
        assert_eq!((stat.cpu_ticks, stat.started_ticks), (14 + 15, 22));
        assert!(Stat::read("nothing").is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_described() {
        assert_eq!(families().len(), 5);
    }
}
