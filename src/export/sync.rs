//! Ensures that an exported file is on the disk, or that all errors of its writes were reported.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use super::interrupt::CheckInterrupt;
use crate::error::Result;
use crate::os::writeback;

/// Bytes per write-back. Interrupts are checked in between.
const RANGE_BYTES: u64 = 32 << 20;

/// Waits until all `size` bytes of a file are on the disk. The inner result is that of the system calls.
///
/// # Errors
/// Returns the errors of `check_interrupt`.
pub(super) fn sync_file(
    file: &File,
    size: u64,
    check_interrupt: CheckInterrupt,
) -> Result<io::Result<()>> {
    for number in 0..size.div_ceil(RANGE_BYTES) {
        // The disk writes the next range during the wait for this one.
        let written = writeback::start(file, (number + 1) * RANGE_BYTES, RANGE_BYTES)
            .and_then(|()| writeback::complete(file, number * RANGE_BYTES, RANGE_BYTES));
        if written.is_err() {
            return Ok(written);
        }
        check_interrupt()?;
    }
    Ok(file.sync_all())
}

/// Closes a duplicate of the descriptor: network file systems report failed writes when a file is closed.
///
/// # Errors
/// Returns the error of a failed write.
pub(super) fn report_failed_writes(file: &File) -> io::Result<()> {
    let duplicate: OwnedFd = file.try_clone()?.into();
    nix::unistd::close(duplicate).map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Kind};
    use std::io::Write as _;

    #[test]
    fn sync_checks_for_interrupts_per_range_and_keeps_all_bytes() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; 3 << 20]).unwrap();
        let mut calls = 0;
        let mut check_interrupt = || {
            calls += 1;
            Ok(())
        };
        sync_file(&file, 3 << 20, &mut check_interrupt).unwrap().unwrap();
        report_failed_writes(&file).unwrap();
        assert_eq!((calls, file.metadata().unwrap().len()), (1, 3 << 20));
    }

    #[test]
    fn interrupt_cancels_sync() {
        let file = tempfile::tempfile().unwrap();
        let mut cancel = || Err(Error::new(Kind::Signal(2), "cancelled"));
        assert_eq!(sync_file(&file, 1, &mut cancel).unwrap_err().kind(), Kind::Signal(2));
    }
}
