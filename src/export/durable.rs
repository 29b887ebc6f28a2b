//! When an exported file's bytes are on the disk. A file that replaces another must be there before the
//! name changes, or a power failure could take both; a new one takes nothing's place, and is left to
//! the kernel as `cp` leaves it.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use super::Advance;
use crate::error::Result;

/// Bytes that are waited for at once; an interrupt is noticed in between.
const PIECE: u64 = 32 << 20;
const START: libc::c_uint = libc::SYNC_FILE_RANGE_WRITE;
const AWAIT: libc::c_uint = libc::SYNC_FILE_RANGE_WAIT_BEFORE
    | libc::SYNC_FILE_RANGE_WRITE
    | libc::SYNC_FILE_RANGE_WAIT_AFTER;

/// Returns when all of `file` is on the disk.
///
/// # Errors
/// What `advance` fails with; as the system says.
pub(super) fn to_disk(file: &File, size: u64, advance: Advance) -> Result<io::Result<()>> {
    let pieces = size.div_ceil(PIECE);
    for number in 0..pieces {
        // The disk is busy with the next piece while this one is waited for.
        let passed = range(file, (number + 1) * PIECE, START)
            .and_then(|()| range(file, number * PIECE, AWAIT));
        if passed.is_err() {
            return Ok(passed);
        }
        advance(0)?;
    }
    Ok(file.sync_all())
}

fn range(file: &File, start: u64, what: libc::c_uint) -> io::Result<()> {
    let (start, length) = (i64::try_from(start), i64::try_from(PIECE));
    let (Ok(start), Ok(length)) = (start, length) else { return Ok(()) };
    // SAFETY: the call takes numbers only, and the descriptor is open.
    if unsafe { libc::sync_file_range(file.as_raw_fd(), start, length, what) } == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // What was written before failed: the next call would no longer tell.
        Some(libc::EIO | libc::ENOSPC | libc::EDQUOT) => Err(error),
        // Some file systems cannot do parts: all is done at the end.
        _ => Ok(()),
    }
}

/// What only closing tells: file systems of the network write, and fail, as late as that.
///
/// # Errors
/// As the system says.
pub(super) fn close(file: &File) -> io::Result<()> {
    let copy: OwnedFd = file.try_clone()?.into();
    nix::unistd::close(copy).map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Kind};
    use std::io::Write as _;

    #[test]
    fn what_is_synced_piece_by_piece_is_there() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; 3 << 20]).unwrap();
        let mut asked = 0;
        let mut advance = |_| {
            asked += 1;
            Ok(())
        };
        to_disk(&file, 3 << 20, &mut advance).unwrap().unwrap();
        close(&file).unwrap();
        assert_eq!((asked, file.metadata().unwrap().len()), (1, 3 << 20));
    }

    #[test]
    fn an_interrupt_ends_it() {
        let file = tempfile::tempfile().unwrap();
        let mut cancel = |_| Err(Error::new(Kind::Signal(2), "cancelled"));
        assert_eq!(to_disk(&file, 1, &mut cancel).unwrap_err().kind(), Kind::Signal(2));
    }
}
