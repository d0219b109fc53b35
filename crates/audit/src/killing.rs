//! Where a process may be killed with half its work done. Tests end it there; elsewhere it is nothing.

#[cfg(not(test))]
#[inline]
#[expect(clippy::unnecessary_wraps, reason = "tests have it fail")]
pub(crate) fn kill_point() -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(crate) use counted::{kill_at, kill_point};

#[cfg(test)]
mod counted {
    use std::cell::Cell;
    use std::io;

    thread_local! {
        /// Points that are passed before one is not.
        static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    }

    /// Has this thread's work end at a point after so many; `None`: nowhere.
    pub(crate) fn kill_at(points: Option<usize>) {
        LEFT.set(points);
    }

    pub(crate) fn kill_point() -> io::Result<()> {
        match LEFT.get() {
            Some(0) => Err(io::Error::other("killed")),
            left => {
                LEFT.set(left.map(|left| left - 1));
                Ok(())
            }
        }
    }
}
