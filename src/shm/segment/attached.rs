//! Attached segments: memory that other processes can write. It is a raw mapping, which becomes a slice only in unsafe
//! functions whose callers make a promise. Copies need no promise.
#![allow(unsafe_code)]

use std::fs::File;
use std::sync::OnceLock;

use memmap2::{MmapOptions, MmapRaw};
use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::error::{Error, Kind, Result};
use crate::os::directory::{Directory, FileId};
use crate::shm::format::name::SegmentName;

/// A segment that this process has attached. The memory remains while this value exists, even if the segment is
/// unlinked.
#[derive(Debug)]
pub(crate) struct Segment {
    name: SegmentName,
    file: FileId,
    bytes: usize,
    read: Option<MmapRaw>,
    write: OnceLock<MmapRaw>,
}

impl Segment {
    /// Attaches the first `bytes` of a segment of user `uid` for reading. Returns `None` if it does not exist.
    ///
    /// # Errors
    /// Returns [`Kind::Corrupt`] if it belongs to another user or is shorter than `bytes`, else the error of the system
    /// call.
    pub(crate) fn attach(
        shm: &Directory,
        name: &SegmentName,
        bytes: u64,
        uid: u32,
    ) -> Result<Option<Self>> {
        let Some((file, stat)) = shm.open_file(name.as_os_str(), OFlag::O_RDONLY).known()? else {
            return Ok(None);
        };
        let corrupt =
            |why: String| Err(Error::new(Kind::Corrupt, format!("segment '{name}' {why}")));
        if stat.st_uid != uid {
            return corrupt(format!("belongs to user {}", stat.st_uid));
        }
        if u64::try_from(stat.st_size).unwrap_or(0) < bytes {
            return corrupt(format!("has {} bytes, its array needs {bytes}", stat.st_size));
        }
        let size = usize::try_from(bytes).map_err(|_| cannot_map(name, Errno::ENOMEM))?;
        let read = map(name, size, &file, |options, file| options.map_raw_read_only(file))?;
        log::trace!(target: "cute_shm", "attached segment {name} ({bytes} bytes)");
        let file = FileId::of(&stat);
        Ok(Some(Self { name: name.clone(), file, bytes: size, read, write: OnceLock::new() }))
    }

    /// Bytes of the array in it.
    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    /// Copies the bytes from `offset` on into `out`. Sound whatever other processes do: each word is
    /// read once, volatile; a writer at work at that time leaves a mixture of old and new ones.
    ///
    /// # Panics
    /// When `offset` and `out` reach beyond the end.
    pub(crate) fn copy_to(&self, offset: usize, out: &mut [u8]) {
        assert!(offset.checked_add(out.len()).is_some_and(|end| end <= self.bytes));
        // Never the mapping for writing: a slice of this process may stand in it, which must not be read
        // past its borrow. What was written before, through that one, is in memory after the fence.
        let Some(map) = self.read.as_ref() else { return };
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        // SAFETY: the assertion keeps the whole range within the mapping.
        let from = unsafe { map.as_ptr().add(offset) };
        let (mut words, mut done) = (out.chunks_exact_mut(WORD), 0);
        if from.align_offset(WORD) == 0 {
            for word in words.by_ref() {
                // SAFETY: within the range, and aligned, because the step is a word.
                #[expect(clippy::cast_ptr_alignment, reason = "asked for above")]
                let value = unsafe { from.add(done).cast::<u64>().read_volatile() };
                word.copy_from_slice(&value.to_ne_bytes());
                done += WORD;
            }
        }
        for byte in &mut out[done..] {
            // SAFETY: within the range.
            *byte = unsafe { from.add(done).read_volatile() };
            done += 1;
        }
    }

    /// The bytes as a slice.
    ///
    /// # Safety
    /// As long as the slice lives no process writes to the segment, and none truncates it.
    pub(crate) unsafe fn bytes(&self) -> &[u8] {
        match self.write.get().or(self.read.as_ref()) {
            // SAFETY: the mapping has this length and lives as long as `self`; the caller's promise.
            Some(map) => unsafe { std::slice::from_raw_parts(map.as_ptr(), self.bytes) },
            None => &[],
        }
    }

    /// Opens the file of the segment for reading. Returns `None` if it was removed or replaced in the meantime.
    ///
    /// # Errors
    /// Returns the error of the system call.
    pub(crate) fn open(&self, shm: &Directory) -> Result<Option<File>> {
        self.open_as(shm, OFlag::O_RDONLY)
    }

    fn open_as(&self, shm: &Directory, how: OFlag) -> Result<Option<File>> {
        let opened = shm.open_file(self.name.as_os_str(), how).known()?;
        Ok(opened.filter(|(_, stat)| FileId::of(stat) == self.file).map(|(file, _)| file))
    }

    /// Maps the segment for writing too, once. From then on every slice is of that mapping.
    ///
    /// # Errors
    /// Returns [`Kind::NotFound`] if the segment was removed or replaced in the meantime, and [`Kind::Permission`] if
    /// this process must not write to it.
    pub(crate) fn allow_writing(&self, shm: &Directory) -> Result<()> {
        if self.write.get().is_some() || self.bytes == 0 {
            return Ok(());
        }
        let gone = || Error::new(Kind::NotFound, format!("segment '{}' was removed", self.name));
        let file = self.open_as(shm, OFlag::O_RDWR)?.ok_or_else(gone)?;
        let mapped = map(&self.name, self.bytes, &file, |options, file| options.map_raw(file))?;
        if let Some(mapped) = mapped {
            // If another thread mapped it first, its mapping is used.
            let _ = self.write.set(mapped);
        }
        Ok(())
    }

    /// The bytes to write; none before [`Self::allow_writing`].
    ///
    /// # Safety
    /// While the slice exists, no other code of this process and no other process reads or writes these bytes, and no
    /// process truncates the segment.
    #[expect(clippy::mut_from_ref, reason = "the memory is not the value's; the caller promises")]
    pub(crate) unsafe fn bytes_mut(&self) -> &mut [u8] {
        match self.write.get() {
            // SAFETY: the mapping has this length and lives as long as `self`; the caller's promise.
            Some(map) => unsafe { std::slice::from_raw_parts_mut(map.as_mut_ptr(), self.bytes) },
            None => &mut [],
        }
    }
}

/// The size of the words that are copied.
const WORD: usize = size_of::<u64>();

fn map(
    name: &SegmentName,
    size: usize,
    file: &File,
    how: impl FnOnce(&MmapOptions, &File) -> std::io::Result<MmapRaw>,
) -> Result<Option<MmapRaw>> {
    if size == 0 {
        return Ok(None);
    }
    how(MmapOptions::new().len(size), file).map(Some).map_err(|e| cannot_map(name, e))
}

fn cannot_map(name: &SegmentName, error: impl Into<std::io::Error>) -> Error {
    Error::io(format!("cannot map segment '{name}'"), error)
        .with_hint("a process maps at most vm.max_map_count segments: sysctl vm.max_map_count")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shm::format::name::{ProjectName, Token};
    use std::ffi::OsStr;
    use std::io::Write as _;

    fn segment(bytes: &[u8]) -> (tempfile::TempDir, Directory, SegmentName) {
        let temp = tempfile::tempdir_in("/dev/shm").unwrap();
        let shm = Directory::open(temp.path()).unwrap();
        let project = ProjectName::new(OsStr::new("p")).unwrap();
        let name = SegmentName::new(&project, &Token::random().unwrap(), 0);
        shm.create(name.as_os_str(), 0o600).unwrap().write_all(bytes).unwrap();
        (temp, shm, name)
    }

    fn uid() -> u32 {
        nix::unistd::Uid::effective().as_raw()
    }

    #[test]
    fn every_range_is_copied_as_it_is() {
        let bytes: Vec<u8> = (0..50).collect();
        let (_temp, shm, name) = segment(&bytes);
        let segment = Segment::attach(&shm, &name, 50, uid()).unwrap().unwrap();
        for (from, to) in [(0, 50), (8, 24), (3, 20), (49, 50), (7, 7)] {
            let mut out = vec![0; to - from];
            segment.copy_to(from, &mut out);
            assert_eq!(out, bytes[from..to]);
        }
    }

    #[test]
    fn short_or_missing_segment_is_not_attached() {
        let (_temp, shm, name) = segment(b"abc");
        assert_eq!(Segment::attach(&shm, &name, 4, uid()).unwrap_err().kind(), Kind::Corrupt);
        assert_eq!(Segment::attach(&shm, &name, 3, uid() + 1).unwrap_err().kind(), Kind::Corrupt);
        let kept = Segment::attach(&shm, &name, 3, uid()).unwrap().unwrap();
        shm.remove(name.as_os_str()).unwrap();
        assert!(Segment::attach(&shm, &name, 3, uid()).unwrap().is_none());
        assert_eq!(kept.allow_writing(&shm).unwrap_err().kind(), Kind::NotFound);
        // SAFETY: the segment is this test's alone.
        assert_eq!(unsafe { kept.bytes() }, b"abc");
    }

    #[test]
    fn written_bytes_are_visible_in_another_mapping() {
        let (_temp, shm, name) = segment(b"abc");
        let one = Segment::attach(&shm, &name, 3, uid()).unwrap().unwrap();
        let two = Segment::attach(&shm, &name, 3, uid()).unwrap().unwrap();
        one.allow_writing(&shm).unwrap();
        // SAFETY: no other code reads in the meantime.
        unsafe { one.bytes_mut() }.copy_from_slice(b"xyz");
        let mut out = [0; 3];
        two.copy_to(0, &mut out);
        assert_eq!(&out, b"xyz");
    }
}
