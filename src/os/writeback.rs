//! Write-back of parts of a file to its disk.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

/// Starts the write-back of a range and returns at once.
///
/// # Errors
/// Returns EIO, ENOSPC or EDQUOT if a previous write-back failed.
pub(crate) fn start(file: &File, offset: u64, length: u64) -> io::Result<()> {
    sync_file_range(file, offset, length, libc::SYNC_FILE_RANGE_WRITE)
}

/// Writes back a range and waits for the disk. Does not flush the metadata of the file.
///
/// # Errors
/// Returns EIO, ENOSPC or EDQUOT if the write-back failed.
pub(crate) fn complete(file: &File, offset: u64, length: u64) -> io::Result<()> {
    let flags = libc::SYNC_FILE_RANGE_WAIT_BEFORE
        | libc::SYNC_FILE_RANGE_WRITE
        | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    sync_file_range(file, offset, length, flags)
}

fn sync_file_range(file: &File, offset: u64, length: u64, flags: libc::c_uint) -> io::Result<()> {
    let (offset, length) = (i64::try_from(offset), i64::try_from(length));
    let (Ok(offset), Ok(length)) = (offset, length) else { return Ok(()) };
    // SAFETY: the call takes numbers only, and the descriptor is open.
    if unsafe { libc::sync_file_range(file.as_raw_fd(), offset, length, flags) } == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // The kernel reports a failed write once: fsync would not report it again.
        Some(libc::EIO | libc::ENOSPC | libc::EDQUOT) => Err(error),
        // Some file systems do not support ranges; the caller ends with fsync.
        _ => Ok(()),
    }
}
