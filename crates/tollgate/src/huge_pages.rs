//! No huge pages for the gateway's memory.
//!
//! The allocator asks for them, and then the kernel replaces what is used here and there of 2 MB by one page of
//! 2 MB, minutes after it was used, so that resident memory grows for as long as such pages are to be had
//! (`docs/operations.md`, Soak).

use std::io;

/// For the whole process, whenever its memory was mapped. What the kernel does not know it need not give up.
#[cfg(target_os = "linux")]
pub fn decline() -> io::Result<()> {
    use rustix::io::Errno;

    match rustix::thread::disable_transparent_huge_pages(true) {
        Ok(()) | Err(Errno::INVAL | Errno::PERM) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
pub fn decline() -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_declined_gets_none() {
        decline().unwrap();
        assert!(rustix::thread::transparent_huge_pages_are_disabled().unwrap());
    }
}
