//! New segments: created exclusively, and removed unless they are persisted.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

use crate::error::{Error, Kind, Result};
use crate::os::directory::{Access, Directory};
use crate::os::limits;
use crate::shm::format::name::SegmentName;
use crate::shm::segment::map::{self, LastingMapping, MappedRanges, PartMapping};

/// A segment of a load that is not published yet. Dropping it removes it.
#[derive(Debug)]
pub struct NewSegment<'a> {
    shm: &'a Directory,
    name: SegmentName,
    file: File,
    kept: bool,
    parts: MappedRanges,
}

impl<'a> NewSegment<'a> {
    /// Creates the segment of an array of so many bytes. It has no memory yet.
    ///
    /// # Errors
    /// Returns [`Kind::NoMemory`] if the file system has no free inode.
    pub fn create(shm: &'a Directory, name: SegmentName, bytes: u64) -> Result<Self> {
        let file = shm.create(name.as_os_str(), 0o600).map_err(|e| full(e, shm))?;
        log::debug!(target: "cute_shm", "created segment {name} ({bytes} bytes)");
        Ok(Self { shm, name, file, kept: false, parts: MappedRanges::default() })
    }

    /// Sets the length of the segment, without allocating memory.
    ///
    /// # Errors
    /// [`Kind::NoMemory`] when it is longer than a file may be.
    pub fn set_len(&self, bytes: u64) -> Result<()> {
        self.file.set_len(bytes).map_err(|e| {
            self.full(Error::io(
                format!("cannot set the length of segment '{}' to {bytes} bytes", self.name),
                e,
            ))
        })
    }

    /// Reserves `bytes` from `start` on.
    ///
    /// # Errors
    /// [`Kind::NoMemory`] when the shared memory is full.
    pub fn reserve_part(&self, start: u64, bytes: u64) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        loop {
            match fallocate(&self.file, FallocateFlags::empty(), signed(start)?, signed(bytes)?) {
                Ok(()) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(self.cannot_reserve(bytes, errno)),
            }
        }
    }

    /// Reserves `bytes` from `start` on in huge pages, where the file system gives them to mappings that
    /// ask for them.
    ///
    /// # Errors
    /// [`Kind::NoMemory`] when the shared memory is full.
    pub(crate) fn reserve_huge(&self, start: u64, bytes: u64) -> Result<()> {
        match map::reserve_huge(&self.file, start, bytes) {
            Err(error) if map::is_unknown(&error) => self.reserve_part(start, bytes),
            done => done.map_err(|e| self.full(e)),
        }
    }

    /// Maps a part that no other mapping overlaps.
    ///
    /// # Errors
    /// If one does, or if the part ends beyond the segment; and the error of the system call.
    pub(crate) fn map_part(&self, start: u64, bytes: u64) -> Result<PartMapping<'_>> {
        PartMapping::map(&self.parts, &self.file, start, bytes)
    }

    /// Maps a part that stays mapped; its memory must be reserved. Nothing else may map it from now on.
    ///
    /// # Errors
    /// As [`Self::map_part`].
    pub(crate) fn map_for_good(&self, start: u64, bytes: u64) -> Result<LastingMapping> {
        LastingMapping::map(&self.parts, &self.file, start, bytes)
    }

    /// Writes `bytes` at `offset`. Where memory was not reserved before, it is taken now: a write into
    /// shared memory that is full is an error like that of a reservation.
    ///
    /// # Errors
    /// [`Kind::NoMemory`] when the shared memory is full.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, offset).map_err(|e| {
            self.full(Error::io(format!("cannot write to segment '{}'", self.name), e))
        })
    }

    /// Whether every byte of it has memory.
    ///
    /// # Errors
    /// Returns the error of the system call.
    pub fn is_whole(&self) -> Result<bool> {
        let cannot = |e| Error::io(format!("cannot inspect segment '{}'", self.name), e);
        let stat = self.file.metadata().map_err(cannot)?;
        // stat(2): in units of 512 bytes.
        Ok(stat.blocks().saturating_mul(512) >= stat.len())
    }

    /// Adds a hint to an error that means that the memory is full.
    pub fn full(&self, error: Error) -> Error {
        full(error, self.shm)
    }

    fn cannot_reserve(&self, bytes: u64, errno: Errno) -> Error {
        full(
            Error::io(format!("cannot reserve {bytes} bytes for segment '{}'", self.name), errno),
            self.shm,
        )
    }

    /// Sets the access: `--mode` and `--group`.
    ///
    /// # Errors
    /// Returns the error of the system call.
    pub fn allow(&self, access: &Access) -> Result<()> {
        if *access == Access::default() {
            return Ok(());
        }
        access.apply(&self.file, &self.shm.join(self.name.as_os_str()))
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The segment's name.
    pub fn name(&self) -> &SegmentName {
        &self.name
    }

    /// Keeps the segment until the project is removed.
    pub fn persist(mut self) {
        self.kept = true;
    }
}

impl Drop for NewSegment<'_> {
    fn drop(&mut self) {
        if !self.kept {
            log::debug!(target: "cute_shm", "removed segment {}, which was not kept", self.name);
            // If this fails, gc finds the segment by the token in the ledger.
            let _ = self.shm.remove(self.name.as_os_str());
        }
    }
}

fn signed(bytes: u64) -> Result<i64> {
    i64::try_from(bytes)
        .map_err(|_| Error::new(Kind::NoMemory, format!("{bytes} bytes are too many")))
}

/// Converts ENOSPC, EFBIG, EDQUOT, ENOMEM and EFAULT (a page that cannot be allocated) to [`Kind::NoMemory`].
pub(crate) fn full(error: Error, shm: &Directory) -> Error {
    match error.errno() {
        // A limit of the process, which its error names: more shared memory would not help.
        errno if limits::is_file_size(errno) => error,
        Some(libc::ENOSPC | libc::EFBIG | libc::EDQUOT | libc::ENOMEM | libc::EFAULT) => {
            let shown = shm.path().display();
            error.with_kind(Kind::NoMemory).with_hint(format!(
                "free memory with 'cute-shm unlink', or enlarge it: mount -o remount,size=BYTES '{shown}' \
                 (containers: --shm-size)"
            ))
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shm::format::name::{ProjectName, Token};
    use std::ffi::OsStr;

    fn name() -> SegmentName {
        let project = ProjectName::new(OsStr::new("p")).unwrap();
        SegmentName::new(&project, &Token::random().unwrap(), 0)
    }

    fn shm() -> (tempfile::TempDir, Directory) {
        let temp = tempfile::tempdir_in("/dev/shm").unwrap();
        let shm = Directory::open(temp.path()).unwrap();
        (temp, shm)
    }

    #[test]
    fn segment_that_is_not_persisted_is_removed() {
        let (_temp, shm) = shm();
        let segment = NewSegment::create(&shm, name(), 1).unwrap();
        segment.reserve_part(0, 5000).unwrap();
        assert_eq!(segment.file().metadata().unwrap().len(), 5000);
        assert_eq!(shm.names().unwrap().len(), 1);
        drop(segment);
        assert_eq!(shm.names().unwrap().len(), 0);
        NewSegment::create(&shm, name(), 1).unwrap().persist();
        assert_eq!(shm.names().unwrap().len(), 1);
    }

    #[test]
    fn too_much_is_an_error_and_not_a_bus_error() {
        let (_temp, shm) = shm();
        let segment = NewSegment::create(&shm, name(), 1).unwrap();
        for bytes in [1 << 62, u64::MAX] {
            assert_eq!(segment.reserve_part(0, bytes).unwrap_err().kind(), Kind::NoMemory);
        }
    }

    #[test]
    fn existing_segment_is_not_created_again() {
        let (_temp, shm) = shm();
        let name = name();
        let _first = NewSegment::create(&shm, name.clone(), 1).unwrap();
        assert_eq!(NewSegment::create(&shm, name, 1).unwrap_err().kind(), Kind::Exists);
    }
}
