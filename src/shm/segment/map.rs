//! Mappings of segments. The only file where memory that other processes can reach becomes a slice.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Mutex, MutexGuard};

use memmap2::{Advice, MmapMut, MmapOptions};
use nix::errno::Errno;

use crate::error::{Error, Kind, Result};
use crate::os::threads::lock_ignoring_poison;

/// The parts of one new segment that are mapped for writing: start and end of each. No two overlap.
#[derive(Debug, Default)]
pub(crate) struct MappedRanges(Mutex<BTreeMap<u64, u64>>);

impl MappedRanges {
    /// Adds a part; false if it overlaps another.
    fn add(&self, start: u64, end: u64) -> bool {
        let mut parts = self.lock();
        let is_free = parts.range(..end).next_back().is_none_or(|(_, &other)| other <= start);
        if is_free {
            parts.insert(start, end);
        }
        is_free
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, u64>> {
        // Each change is one call, so that a panicking thread leaves nothing half done.
        lock_ignoring_poison(&self.0)
    }
}

/// A part of a segment that this load has created and not published yet, mapped for writing.
#[derive(Debug)]
pub(crate) struct PartMapping<'p> {
    map: Option<MmapMut>,
    start: u64,
    /// Where the part is noted; an empty one is noted nowhere.
    parts: Option<&'p MappedRanges>,
}

impl<'p> PartMapping<'p> {
    /// Maps `len` bytes from `start` on of the new segment that `parts` belongs to. Their memory must be
    /// reserved, or be taken with [`Self::populate`] first.
    ///
    /// # Errors
    /// If the part overlaps one that is mapped, or ends beyond the segment; and the error of the system call.
    pub(crate) fn map(parts: &'p MappedRanges, file: &File, start: u64, len: u64) -> Result<Self> {
        let cannot = |error| Error::io(format!("cannot map {len} bytes"), error);
        let size = file.metadata().map_err(cannot)?.len();
        let Some(end) = start.checked_add(len).filter(|&end| end <= size) else {
            return Err(Error::new(Kind::Io, "a mapping beyond the end of a segment"));
        };
        if len == 0 {
            return Ok(Self { map: None, start, parts: None });
        }
        let bytes = usize::try_from(len).map_err(|_| cannot(Errno::ENOMEM.into()))?;
        if !parts.add(start, end) {
            return Err(Error::new(Kind::Io, "two mappings of the same part of a segment"));
        }
        let mut part = Self { map: None, start, parts: Some(parts) };
        // SAFETY: the segment was created exclusively by this load and is not published: only its keeper
        // knows its name, and only unlinks it. The part is within the file and overlaps no other one, as
        // `parts` makes sure.
        let map = unsafe { MmapOptions::new().offset(start).len(bytes).map_mut(file) };
        part.map = Some(map.map_err(cannot)?);
        Ok(part)
    }

    /// Takes the memory of the part. Full memory is `EFAULT`, not a signal.
    ///
    /// # Errors
    /// Returns an error for which [`is_unknown`] is true where the advice is not available.
    pub(crate) fn populate(&self) -> Result<()> {
        let Some(map) = &self.map else { return Ok(()) };
        populate(map.len(), || map.advise(Advice::PopulateWrite))
    }

    /// The bytes to fill.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        self.map.as_deref_mut().unwrap_or_default()
    }
}

impl Drop for PartMapping<'_> {
    fn drop(&mut self) {
        // The mapping goes before its place is free for another.
        self.map = None;
        if let Some(parts) = self.parts {
            parts.lock().remove(&self.start);
        }
    }
}

/// A part of a new segment that stays mapped for writing. As long as the segment is new, nothing else maps the
/// part, not even after this was dropped.
#[derive(Debug)]
pub(crate) struct LastingMapping(MmapMut);

impl LastingMapping {
    /// Maps `len` bytes from `start` on of the new segment that `parts` belongs to. Their memory must be
    /// reserved.
    ///
    /// # Errors
    /// As [`PartMapping::map`].
    pub(crate) fn map(parts: &MappedRanges, file: &File, start: u64, len: u64) -> Result<Self> {
        let mut part = PartMapping::map(parts, file, start, len)?;
        // The part stays noted, so that the mapping needs no way back to `parts`.
        part.parts = None;
        let map = part.map.take();
        map.map(Self).ok_or_else(|| Error::new(Kind::Io, "a mapping of no bytes"))
    }

    /// The bytes to fill.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// Takes huge pages for a part of a new segment, where the file system gives them to mappings that ask for
/// them; small ones otherwise. Full memory is `EFAULT`, not a signal.
///
/// # Errors
/// Returns the error of the system call; [`is_unknown`] if the kernel cannot do it.
pub(crate) fn reserve_huge(file: &File, offset: u64, len: u64) -> Result<()> {
    let cannot = |error| Error::io(format!("cannot map {len} bytes"), error);
    let bytes = usize::try_from(len).map_err(|_| cannot(Errno::ENOMEM.into()))?;
    if bytes == 0 {
        return Ok(());
    }
    let map = MmapOptions::new().offset(offset).len(bytes).map_raw(file).map_err(cannot)?;
    // A kernel without huge pages refuses the advice, which is no failure.
    let _ = map.advise(Advice::HugePage);
    populate(bytes, || map.advise(Advice::PopulateWrite))
}

fn populate(bytes: usize, advise: impl Fn() -> std::io::Result<()>) -> Result<()> {
    loop {
        match advise() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            done => {
                return done.map_err(|e| {
                    Error::io(format!("cannot reserve {bytes} bytes of shared memory"), e)
                });
            }
        }
    }
}

/// Whether `error` means that MADV_POPULATE_WRITE is not available: Linux before 5.14 returns EINVAL, a filter
/// of system calls EPERM or ENOSYS.
pub(crate) fn is_unknown(error: &Error) -> bool {
    matches!(error.errno(), Some(libc::EINVAL | libc::EPERM | libc::ENOSYS | libc::EACCES))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn filled_bytes_are_in_the_file() {
        let mut file = tempfile::tempfile().unwrap();
        file.set_len(3).unwrap();
        let parts = MappedRanges::default();
        PartMapping::map(&parts, &file, 0, 3).unwrap().bytes().copy_from_slice(b"abc");
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");
        // SAFETY: the file is this test's alone.
        let mapped = unsafe { memmap2::Mmap::map(&file) }.unwrap();
        assert_eq!(mapped[..], *b"abc");
    }

    #[test]
    fn a_part_that_overlaps_a_mapped_one_or_leaves_the_file_is_refused() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(12 << 10).unwrap();
        let parts = MappedRanges::default();
        let map = |start: u64, len: u64| PartMapping::map(&parts, &file, start << 10, len << 10);
        let first = map(4, 4).unwrap();
        for (start, len) in [(4, 4), (0, 5), (7, 1), (5, 1), (0, 12)] {
            assert!(map(start, len).is_err(), "{len} from {start} on");
        }
        let empty = map(4, 0).unwrap();
        let (_before, _after) = (map(0, 4).unwrap(), map(8, 4).unwrap());
        drop((first, empty));
        assert!(map(4, 4).is_ok());
        assert!(map(8, 5).is_err() && map(u64::MAX >> 10, 1).is_err());
    }
}
