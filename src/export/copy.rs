//! Copies arrays into regular files. The space is allocated first, then all threads read and write blocks of
//! their own. Each step halves the time of a copy by one thread (see docs/performance.md).

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

use super::interrupt::CheckInterrupt;
use super::source::{BLOCK_BYTES, Source};
use crate::error::{Error, Result};
use crate::os::threads::{self, lock_ignoring_poison};

/// Smaller arrays are copied by one thread.
const MIN_PARALLEL_BYTES: u64 = 8 << 20;
/// More threads would only wait for the lock of the file.
const MAX_THREADS: usize = 4;
/// Bytes per call of fallocate. Interrupts are checked in between.
const PREALLOCATION_BYTES: u64 = 256 << 20;

/// A position in an open file.
#[derive(Debug, Clone, Copy)]
pub(super) struct FilePosition<'a> {
    pub(super) file: &'a File,
    pub(super) display_name: &'a str,
    pub(super) offset: u64,
}

impl FilePosition<'_> {
    pub(super) fn write_error(self, error: std::io::Error) -> Error {
        write_error(self.display_name, error)
    }
}

/// The error of a file or a stream that cannot be written.
pub(super) fn write_error(name: &str, error: std::io::Error) -> Error {
    Error::io(format!("cannot write '{name}'"), error).with_subject(name)
}

/// Writes all bytes of `source`.
///
/// # Errors
/// Returns an I/O error if the segment cannot be read or the file cannot be written, and the errors of `check_interrupt`.
pub(super) fn copy(
    source: &Source,
    position: FilePosition,
    check_interrupt: CheckInterrupt,
) -> Result<()> {
    preallocate(position, source.bytes(), check_interrupt)?;
    let count = match source.bytes() < MIN_PARALLEL_BYTES {
        true => 1,
        false => threads::processors(),
    };
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let copy = ParallelCopy { source, position, next, stop };
    let others = Mutex::new(Ok(()));
    let own = std::thread::scope(|scope| {
        threads::helpers(scope, count.min(MAX_THREADS) - 1, || {
            if let Err(error) = copy.run(&mut || Ok(())) {
                *lock_ignoring_poison(&others) = Err(error);
            }
        });
        // Only this thread checks for interrupts.
        copy.run(check_interrupt)
    });
    let others = std::mem::replace(&mut *lock_ignoring_poison(&others), Ok(()));
    own.and(others)
}

struct ParallelCopy<'a> {
    source: &'a Source,
    position: FilePosition<'a>,
    /// The start of the next block.
    next: AtomicU64,
    stop: AtomicBool,
}

impl ParallelCopy<'_> {
    /// Copies blocks until all are copied or a thread fails.
    fn run(&self, check_interrupt: CheckInterrupt) -> Result<()> {
        let copied = self.copy_blocks(check_interrupt);
        if copied.is_err() {
            self.stop.store(true, Ordering::Relaxed);
        }
        copied
    }

    fn copy_blocks(&self, check_interrupt: CheckInterrupt) -> Result<()> {
        let (bytes, item) = (self.source.bytes(), self.source.item());
        let max = (BLOCK_BYTES / item).max(1) * item;
        let length_of = |bytes: u64| usize::try_from(bytes).map_or(max, |bytes| bytes.min(max));
        let mut buffer = vec![0_u8; length_of(bytes)];
        let mut field = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            let start = self.next.fetch_add(max as u64, Ordering::Relaxed);
            let Some(rest) = bytes.checked_sub(start).filter(|&rest| rest > 0) else { break };
            let block = &mut buffer[..length_of(rest)];
            self.source.read_at(start, block, &mut field)?;
            let FilePosition { file, offset, .. } = self.position;
            file.write_all_at(block, offset + start).map_err(|e| self.position.write_error(e))?;
            check_interrupt()?;
        }
        Ok(())
    }
}

/// Allocates space for bytes to be written, in one extent if possible, so that a full disk is reported before the
/// first write. Does nothing if the file system cannot allocate in advance, or for less than a block.
///
/// # Errors
/// Returns an I/O error if the space is not available, and the errors of `check_interrupt`.
pub(super) fn preallocate(
    position: FilePosition,
    bytes: u64,
    check_interrupt: CheckInterrupt,
) -> Result<()> {
    let mut done = 0;
    while done < bytes && bytes >= BLOCK_BYTES as u64 {
        let part = PREALLOCATION_BYTES.min(bytes - done);
        let signed =
            |n: u64| i64::try_from(n).map_err(|_| position.write_error(Errno::EFBIG.into()));
        let (start, length) = (signed(position.offset + done)?, signed(part)?);
        match fallocate(position.file, FallocateFlags::empty(), start, length) {
            Ok(()) => done += part,
            Err(Errno::EINTR) => {}
            Err(errno @ (Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG)) => {
                return Err(position.write_error(errno.into()));
            }
            // Some file systems do not support it. Other errors are reported by the writes.
            Err(_) => return Ok(()),
        }
        check_interrupt()?;
    }
    Ok(())
}
