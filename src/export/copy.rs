//! Copies into regular files: room is made first, then all processors read and write at once, each its
//! own pieces. Both halve the time of a copy by one thread (see docs/performance.md).

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

use super::source::Source;
use super::{Advance, PIECE};
use crate::error::{Error, Result};
use crate::os::threads;

/// Fewer bytes than this are not worth a thread.
const SHARED: u64 = 8 << 20;
/// More writers than this only wait for the file's lock.
const MOST_THREADS: usize = 4;
/// Room is made in pieces of this many bytes, so that an interrupt is noticed in between.
const ROOM: u64 = 256 << 20;

/// Where the bytes go: a file, how to call it, and where in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot<'a> {
    pub(super) file: &'a File,
    pub(super) shown: &'a str,
    pub(super) offset: u64,
}

/// Writes all of `source`.
///
/// # Errors
/// As the system says; what `advance` fails with.
pub(super) fn copy(source: &Source, spot: Spot, advance: Advance) -> Result<()> {
    make_room(spot, source.bytes(), advance)?;
    let count = match source.bytes() < SHARED {
        true => 1,
        false => threads::processors(),
    };
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let copy = Copy { source, spot, next, done, stop: AtomicBool::new(false) };
    let theirs = Mutex::new(Ok(()));
    let mine = std::thread::scope(|scope| {
        threads::helpers(scope, count.min(MOST_THREADS) - 1, || {
            if let Err(error) = copy.work(&mut |_| Ok(())) {
                *theirs.lock().unwrap_or_else(PoisonError::into_inner) = Err(error);
            }
        });
        // This thread alone may ask for interrupts.
        copy.work(&mut |_| advance(copy.done.swap(0, Ordering::Relaxed)))
    });
    mine.and(theirs.into_inner().unwrap_or_else(PoisonError::into_inner))
}

struct Copy<'a> {
    source: &'a Source,
    spot: Spot<'a>,
    /// Where the next piece begins.
    next: AtomicU64,
    /// Bytes written and not told yet.
    done: AtomicU64,
    stop: AtomicBool,
}

impl Copy<'_> {
    /// Copies pieces until none is left or somebody failed.
    fn work(&self, advance: Advance) -> Result<()> {
        let worked = self.pieces(advance);
        if worked.is_err() {
            self.stop.store(true, Ordering::Relaxed);
        }
        worked
    }

    fn pieces(&self, advance: Advance) -> Result<()> {
        let (all, item) = (self.source.bytes(), self.source.item());
        let most = (PIECE / item).max(1) * item;
        let mut piece = vec![0_u8; usize::try_from(all).map_or(most, |all| all.min(most))];
        let mut field = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            let start = self.next.fetch_add(most as u64, Ordering::Relaxed);
            let Some(left) = all.checked_sub(start).filter(|&left| left > 0) else { break };
            let length = usize::try_from(left).map_or(most, |left| left.min(most));
            let piece = &mut piece[..length];
            self.source.read_at(start, piece, &mut field)?;
            let (file, offset) = (self.spot.file, self.spot.offset + start);
            file.write_all_at(piece, offset).map_err(|e| self.spot.cannot(e))?;
            self.done.fetch_add(length as u64, Ordering::Relaxed);
            advance(0)?;
        }
        Ok(())
    }
}

/// Makes room for bytes that will be written: one long extent, and a full disk is told at once.
pub(super) fn make_room(spot: Spot, bytes: u64, advance: Advance) -> Result<()> {
    let mut done = 0;
    while done < bytes && bytes >= PIECE as u64 {
        let piece = ROOM.min(bytes - done);
        let signed = |n: u64| i64::try_from(n).map_err(|_| spot.cannot(Errno::EFBIG.into()));
        let (start, length) = (signed(spot.offset + done)?, signed(piece)?);
        match fallocate(spot.file, FallocateFlags::empty(), start, length) {
            Ok(()) => done += piece,
            Err(Errno::EINTR) => {}
            Err(errno @ (Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG)) => {
                return Err(spot.cannot(errno.into()));
            }
            // Not every file system can; what is really wrong the writes will tell.
            Err(_) => return Ok(()),
        }
        advance(0)?;
    }
    Ok(())
}

impl Spot<'_> {
    fn cannot(self, error: std::io::Error) -> Error {
        Error::io(format!("cannot write '{}'", self.shown), error)
    }
}
