//! Pages of a new segment by userfaultfd(2): the kernel takes each page and copies the bytes into it in one
//! go, as write(2) does, but without the file's lock, so that several threads fill one segment at once.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::ffi::c_void;
use std::fs::File;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::sync::{Arc, Mutex};

use crate::os::page_size::page_size;
use crate::os::threads::lock_ignoring_poison;

use memmap2::{MmapOptions, MmapRaw};
use nix::errno::Errno;

/// Bytes of a segment that are mapped at a time; to map and unmap less would cost more than it saves, and
/// the tables of more would take memory.
const REGION: u64 = 16 << 20;
/// Regions that stay mapped: workers are seldom further apart.
const REGIONS: usize = 3;

/// The interface of the kernel. Source: <linux/userfaultfd.h>, ioctl_userfaultfd(2).
mod raw {
    /// Only faults of user code are ours; that needs no privilege (Linux 5.11).
    pub(crate) const USER_MODE_ONLY: i32 = 1;
    pub(crate) const API: u64 = 0xaa;
    pub(crate) const FEATURE_MISSING_SHMEM: u64 = 1 << 5;
    pub(crate) const REGISTER_MODE_MISSING: u64 = 1;
    /// No thread waits for a page.
    pub(crate) const COPY_MODE_DONTWAKE: u64 = 1;

    #[repr(C)]
    pub(crate) struct Api {
        pub version: u64,
        pub features: u64,
        pub ioctls: u64,
    }

    #[repr(C)]
    pub(crate) struct Register {
        pub start: u64,
        pub len: u64,
        pub mode: u64,
        pub ioctls: u64,
    }

    #[repr(C)]
    pub(crate) struct Copy {
        pub dst: u64,
        pub src: u64,
        pub len: u64,
        pub mode: u64,
        pub copied: i64,
    }

    nix::ioctl_readwrite!(api, 0xaa, 0x3f, Api);
    nix::ioctl_readwrite!(register, 0xaa, 0x00, Register);
    nix::ioctl_readwrite!(copy, 0xaa, 0x03, Copy);
}

/// Fills one new segment.
#[derive(Debug)]
pub(crate) struct UffdWriter {
    fd: OwnedFd,
    page: u64,
    regions: Mutex<VecDeque<Arc<Region>>>,
}

/// A part of the segment, mapped. No code of this program touches it: the kernel alone fills its pages.
#[derive(Debug)]
struct Region {
    start: u64,
    map: MmapRaw,
}

impl UffdWriter {
    /// Returns `None` if the kernel or a container forbids it.
    pub(crate) fn open() -> Option<Self> {
        let flags = libc::O_CLOEXEC | libc::O_NONBLOCK | raw::USER_MODE_ONLY;
        // SAFETY: a system call without pointers.
        let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, flags) };
        let fd = i32::try_from(fd).ok().filter(|&fd| fd >= 0)?;
        // SAFETY: the descriptor is new and has no other owner.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let mut api =
            raw::Api { version: raw::API, features: raw::FEATURE_MISSING_SHMEM, ioctls: 0 };
        // SAFETY: the call reads and writes this struct, which is as the kernel defines it.
        unsafe { raw::api(fd.as_raw_fd(), &raw mut api) }.ok()?;
        Some(Self { fd, page: page_size(), regions: Mutex::default() })
    }

    /// Which of `len` bytes at `offset` of a file are whole pages.
    pub(crate) fn whole_pages(&self, offset: u64, len: usize) -> std::ops::Range<usize> {
        let end = offset.saturating_add(len as u64);
        let first = offset.next_multiple_of(self.page).min(end);
        let last = (end - end % self.page).max(first);
        let within = |at: u64| usize::try_from(at - offset).unwrap_or(len);
        within(first)..within(last)
    }

    /// Copies `bytes`, which are whole pages, to `offset` of `file`, a new segment of its full length. It
    /// ends early, maybe at once, where there is a page already, or no memory. Returns the number of copied bytes.
    pub(crate) fn copy(&self, file: &File, offset: u64, bytes: &[u8]) -> usize {
        let Some(region) = self.region(file, offset / REGION * REGION) else { return 0 };
        // Cannot fail: the region begins at or before `offset`, and is no longer than memory.
        let start = usize::try_from(offset - region.start).unwrap_or(usize::MAX);
        let len = bytes.len().min(region.map.len().saturating_sub(start));
        let mut done = 0;
        while done < len {
            let mut copy = raw::Copy {
                dst: (region.map.as_ptr() as u64) + (start + done) as u64,
                src: bytes[done..].as_ptr() as u64,
                len: (len - done) as u64,
                mode: raw::COPY_MODE_DONTWAKE,
                copied: 0,
            };
            // SAFETY: the kernel reads the struct and `len - done` bytes of `bytes`, and writes to pages
            // of the mapping, which lives as long as `region`: no reference to them exists.
            let result = unsafe { raw::copy(self.fd.as_raw_fd(), &raw mut copy) };
            // The kernel reports the bytes that it copied before an error.
            let copied = usize::try_from(copy.copied).unwrap_or(0).min(len - done);
            done += copied;
            match result {
                Ok(_) => {}
                Err(Errno::EAGAIN | Errno::EINTR) if copied > 0 => {}
                Err(_) => break,
            }
        }
        done
    }

    fn region(&self, file: &File, start: u64) -> Option<Arc<Region>> {
        let mut regions = lock_ignoring_poison(&self.regions);
        if let Some(region) = regions.iter().find(|region| region.start == start) {
            return Some(Arc::clone(region));
        }
        let size = file.metadata().ok()?.len().next_multiple_of(self.page);
        let len = usize::try_from(size.checked_sub(start)?.min(REGION)).ok()?;
        let region = Arc::new(self.map(file, start, len)?);
        if regions.len() >= REGIONS {
            regions.pop_front();
        }
        regions.push_back(Arc::clone(&region));
        Some(region)
    }

    fn map(&self, file: &File, start: u64, len: usize) -> Option<Region> {
        let map = MmapOptions::new().offset(start).len(len).map_raw(file).ok()?;
        let mut register = raw::Register {
            start: map.as_ptr().cast::<c_void>() as u64,
            len: len as u64,
            mode: raw::REGISTER_MODE_MISSING,
            ioctls: 0,
        };
        // SAFETY: the call reads and writes this struct, which is as the kernel defines it. What it changes
        // is what a fault in this mapping does, and there are none.
        unsafe { raw::register(self.fd.as_raw_fd(), &raw mut register) }.ok()?;
        Some(Region { start, map })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt as _;

    fn uffd() -> UffdWriter {
        UffdWriter::open()
            .expect("userfaultfd(2), which a container may forbid and a load can do without")
    }

    fn read(file: &File) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    #[test]
    fn whole_pages_are_those_within() {
        let uffd = uffd();
        let page = usize::try_from(uffd.page).unwrap();
        assert_eq!(uffd.whole_pages(0, 2 * page), 0..2 * page);
        assert_eq!(uffd.whole_pages(1, 2 * page), page - 1..2 * page - 1);
        assert_eq!(uffd.whole_pages(1, page).len(), 0);
        assert_eq!(uffd.whole_pages(uffd.page - 1, 1).len(), 0);
        assert_eq!(uffd.whole_pages(7, 0).len(), 0);
    }

    #[test]
    fn threads_fill_one_file_across_regions() {
        let uffd = uffd();
        let file = tempfile::tempfile_in("/dev/shm").unwrap();
        let page = usize::try_from(uffd.page).unwrap();
        let pages = 2 * usize::try_from(REGION).unwrap() / page;
        // Nothing is taken of what lies between.
        file.set_len(2 * REGION).unwrap();
        std::thread::scope(|scope| {
            for worker in 0..3_usize {
                let (uffd, file) = (&uffd, &file);
                scope.spawn(move || {
                    for number in (worker..pages).step_by(3).filter(|n| n % 512 < 3) {
                        let bytes = vec![u8::try_from(number % 251).unwrap(); page];
                        assert_eq!(uffd.copy(file, (number * page) as u64, &bytes), page);
                    }
                });
            }
        });
        let expected = |number: usize| match number % 512 < 3 {
            true => u8::try_from(number % 251).unwrap(),
            false => 0,
        };
        let mut bytes = vec![0; page];
        for number in 0..pages {
            file.read_exact_at(&mut bytes, (number * page) as u64).unwrap();
            assert!(bytes.iter().all(|&b| b == expected(number)), "page {number}");
        }
    }

    #[test]
    fn existing_pages_are_not_replaced() {
        let uffd = uffd();
        let file = tempfile::tempfile_in("/dev/shm").unwrap();
        let page = usize::try_from(uffd.page).unwrap();
        file.set_len(3 * uffd.page - 1).unwrap();
        file.write_all_at(b"there", uffd.page).unwrap();
        assert_eq!(uffd.copy(&file, 0, &vec![7; 3 * page]), page);
        assert_eq!(uffd.copy(&file, uffd.page, &vec![7; page]), 0);
        assert_eq!(uffd.copy(&file, 2 * uffd.page, &vec![7; page]), page);
        let bytes = read(&file);
        assert_eq!(bytes.len(), 3 * page - 1);
        assert_eq!((&bytes[page..page + 5], bytes[page + 5]), (&b"there"[..], 0));
        assert!(bytes[..page].iter().chain(&bytes[2 * page..]).all(|&b| b == 7));
    }
}
