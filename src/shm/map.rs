//! Mappings of segments. The only file where memory that other processes can reach becomes a slice.
#![allow(unsafe_code)]

use std::fs::File;

use memmap2::{Advice, Mmap, MmapMut, MmapOptions};

use crate::{Error, Result};

/// A segment that this load has created and not published yet, mapped for writing.
#[derive(Debug)]
pub struct Filling(Option<MmapMut>);

impl Filling {
    /// Maps `len` bytes from `offset` on of a new segment. Their memory must have been reserved, and no
    /// other mapping that lives meanwhile may be filled at the same bytes.
    ///
    /// # Errors
    /// As the system says.
    pub fn map_part(file: &File, offset: u64, len: u64) -> Result<Self> {
        let Ok(size) = usize::try_from(len) else {
            return Err(Error::io(format!("cannot map {len} bytes"), nix::errno::Errno::ENOMEM));
        };
        if size == 0 {
            return Ok(Self(None));
        }
        // SAFETY: the segment was created exclusively by this load and is not published: nobody else
        // knows its name but our keeper, who only unlinks it. Its memory is reserved, so no access
        // beyond the file's end and no SIGBUS can follow. The caller (`load::target`) keeps count of the
        // parts that are mapped.
        let map = unsafe { MmapOptions::new().offset(offset).len(size).map_mut(file) };
        map.map(|map| Self(Some(map))).map_err(|e| Error::io(format!("cannot map {len} bytes"), e))
    }

    /// Takes huge pages for a part of a new segment, where the file system gives them to mappings that
    /// ask for them; small ones otherwise. Full memory is `EFAULT`, not a signal.
    ///
    /// # Errors
    /// As the system says.
    pub fn reserve_huge(file: &File, offset: u64, len: u64) -> Result<()> {
        let part = Self::map_part(file, offset, len)?;
        if let Some(map) = &part.0 {
            // A kernel without huge pages refuses the advice, which is no failure.
            let _ = map.advise(Advice::HugePage);
        }
        match part.populate() {
            Err(error) if is_unknown(&error) => allocate(file, offset, len)
                .map_err(|e| Error::io(format!("cannot reserve {len} bytes of shared memory"), e)),
            done => done,
        }
    }

    /// Takes the memory of what is mapped. Full memory is `EFAULT`, not a signal.
    ///
    /// # Errors
    /// Returns an error for which [`is_unknown`] is true where the advice is not available.
    pub fn populate(&self) -> Result<()> {
        let Some(map) = &self.0 else { return Ok(()) };
        loop {
            match map.advise(Advice::PopulateWrite) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                done => {
                    return done.map_err(|e| {
                        let bytes = map.len();
                        Error::io(format!("cannot reserve {bytes} bytes of shared memory"), e)
                    });
                }
            }
        }
    }

    /// The bytes to fill.
    pub fn bytes(&mut self) -> &mut [u8] {
        self.0.as_deref_mut().unwrap_or_default()
    }
}

/// Whether `error` means that MADV_POPULATE_WRITE is not available: Linux before 5.14 returns EINVAL, a filter
/// of system calls EPERM or ENOSYS.
pub fn is_unknown(error: &Error) -> bool {
    matches!(error.errno(), Some(libc::EINVAL | libc::EPERM | libc::ENOSYS | libc::EACCES))
}

fn allocate(file: &File, offset: u64, len: u64) -> std::io::Result<()> {
    let signed = |n| i64::try_from(n).map_err(|_| std::io::Error::from_raw_os_error(libc::EFBIG));
    let flags = nix::fcntl::FallocateFlags::empty();
    Ok(nix::fcntl::fallocate(file, flags, signed(offset)?, signed(len)?)?)
}

/// A published segment, mapped to read.
#[derive(Debug)]
pub struct Attached(Option<Mmap>);

impl Attached {
    /// Maps the first `len` bytes of a segment for reading.
    ///
    /// # Safety
    /// Other processes can write to a published segment and can shrink it. The caller promises that
    /// what it makes of the bytes is sound for any value, also one that changes while it is read, and
    /// that no process truncates the segment meanwhile (cute-shm never does, nor does the Python package).
    ///
    /// # Errors
    /// As the system says.
    pub unsafe fn map(file: &File, len: u64) -> Result<Self> {
        let Ok(size) = usize::try_from(len) else {
            return Err(Error::io(format!("cannot map {len} bytes"), nix::errno::Errno::ENOMEM));
        };
        if size == 0 {
            return Ok(Self(None));
        }
        // SAFETY: the caller's promise, see above.
        let map = unsafe { MmapOptions::new().len(size).map(file) };
        map.map(|map| Self(Some(map))).map_err(|e| Error::io(format!("cannot map {len} bytes"), e))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn what_is_filled_is_in_the_file() {
        let mut file = tempfile::tempfile().unwrap();
        file.set_len(3).unwrap();
        Filling::map_part(&file, 0, 3).unwrap().bytes().copy_from_slice(b"abc");
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");
        // SAFETY: the file is this test's alone.
        let attached = unsafe { Attached::map(&file, 2) }.unwrap();
        assert_eq!(attached.bytes(), b"ab");
    }

    #[test]
    fn nothing_is_mapped_for_nothing() {
        let file = tempfile::tempfile().unwrap();
        assert!(Filling::map_part(&file, 0, 0).unwrap().bytes().is_empty());
        assert!(Filling::map_part(&file, 0, u64::MAX).is_err());
    }
}
