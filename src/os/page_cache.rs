//! The page cache: whether it has a part of a file, and reading a part into it.
#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::AsRawFd as _;

use nix::errno::Errno;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

/// Whether reads of a file go through the page cache. FUSE refuses shared mappings of files that bypass it
/// (`FOPEN_DIRECT_IO` in the kernel's fuse.rst).
pub(crate) fn is_used(file: &File) -> bool {
    // SAFETY: a new mapping at an address of the kernel's choice. Nothing reads it.
    unsafe {
        let map = libc::mmap(
            std::ptr::null_mut(),
            1,
            libc::PROT_READ,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        );
        if map == libc::MAP_FAILED {
            return Errno::last() != Errno::ENODEV;
        }
        libc::munmap(map, 1);
    }
    true
}

/// Whether the byte at `offset` can be read without waiting for the storage. `None` if the file system does not report it.
pub(crate) fn is_cached(file: &File, offset: u64) -> Option<bool> {
    let mut byte = 0_u8;
    let vector = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let offset = libc::off_t::try_from(offset).ok()?;
    // SAFETY: the descriptor is open, and the vector names one byte that outlives the call.
    let done =
        unsafe { libc::preadv2(file.as_raw_fd(), &raw const vector, 1, offset, libc::RWF_NOWAIT) };
    match (done, Errno::last()) {
        (0.., _) => Some(true),
        (_, Errno::EAGAIN) => Some(false),
        _ => None,
    }
}

/// Starts to read a part of a file into the page cache, and does not wait for the end. A kernel or a file system that
/// cannot do so ignores it.
pub(crate) fn will_need(file: &File, offset: u64, bytes: u64) {
    if let (Ok(offset), Ok(bytes)) = (offset.try_into(), bytes.try_into()) {
        let _ = posix_fadvise(file, offset, bytes, PosixFadviseAdvice::POSIX_FADV_WILLNEED);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn bytes_just_written_are_cached_and_may_be_needed() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[1; 5000]).unwrap();
        assert!(is_used(&file));
        will_need(&file, 0, 5000);
        will_need(&file, u64::MAX, 1);
        assert_ne!(is_cached(&file, 4999), Some(false));
        assert_eq!(is_cached(&file, u64::MAX), None);
    }
}
