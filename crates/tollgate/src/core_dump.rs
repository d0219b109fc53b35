//! The process's memory holds prompts, answers and keys. A dump of it would be a copy that nobody
//! redacted or encrypted, and that no erasure reaches.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// No dump is so short, so none is written. A program that the system hands dumps to is told by this
/// very figure to leave it: at 0, Linux would still start it (core(5), `coredump.c`).
const BYTES_MAX: u64 = 1;

/// From here on a crash leaves no dump.
pub fn forbid() -> io::Result<()> {
    // Nobody but root may raise what was lowered to 0 before.
    let bytes_max = getrlimit(Resource::Core)
        .maximum
        .map_or(BYTES_MAX, |maximum| maximum.min(BYTES_MAX));
    let limit = Rlimit {
        current: Some(bytes_max),
        maximum: Some(bytes_max),
    };
    Ok(setrlimit(Resource::Core, limit)?)
}
