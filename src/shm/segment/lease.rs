//! The proof that a segment is unused: the kernel refuses a write lease while any process, in any namespace, has the file
//! open or mapped. The lease is held across the unlink.
#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::AsRawFd as _;

use nix::fcntl::OFlag;
use nix::sys::signal::{SigHandler, Signal, signal};

use crate::error::{Error, Result};
use crate::os::directory::Directory;
use crate::shm::format::name::SegmentName;

/// A lease on a segment that no other process has open or mapped.
#[derive(Debug)]
pub(crate) struct Lease {
    file: File,
}

impl Lease {
    /// Takes the lease. Returns `None` if the segment is in use or does not exist.
    ///
    /// # Errors
    /// Returns the error of the system call.
    pub(crate) fn take(shm: &Directory, name: &SegmentName) -> Result<Option<Self>> {
        // If a process opens the leased file, the kernel sends SIGIO to the holder, which would end this process.
        // SAFETY: ignoring a signal installs no handler.
        unsafe { signal(Signal::SIGIO, SigHandler::SigIgn) }
            .map_err(|e| Error::io("cannot ignore SIGIO", e))?;
        let Some((file, _)) = shm.open_file(name.as_os_str(), OFlag::O_RDONLY).known()? else {
            return Ok(None);
        };
        // SAFETY: fcntl with F_SETLEASE takes an integer and touches no memory of ours.
        let set = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) };
        if set == 0 {
            return Ok(Some(Self { file }));
        }
        let error = std::io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EAGAIN) => Ok(None),
            _ => Err(Error::io(format!("cannot determine whether '{name}' is in use"), error)),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // SAFETY: as above. Closing the file would end the lease as well.
        unsafe { libc::fcntl(self.file.as_raw_fd(), libc::F_SETLEASE, libc::F_UNLCK) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shm::format::name::{ProjectName, Token};
    use std::ffi::OsStr;

    #[test]
    fn a_segment_that_is_open_or_mapped_has_no_lease() {
        let temp = tempfile::tempdir_in("/dev/shm").unwrap();
        let shm = Directory::open(temp.path()).unwrap();
        let project = ProjectName::new(OsStr::new("p")).unwrap();
        let name = SegmentName::new(&project, &Token::random().unwrap(), 0);
        assert!(Lease::take(&shm, &name).unwrap().is_none());
        let file = shm.create(name.as_os_str(), 0o600).unwrap();
        file.set_len(1).unwrap();
        assert!(Lease::take(&shm, &name).unwrap().is_none(), "it is open");
        // SAFETY: the segment is this test's alone.
        let mapped = unsafe { memmap2::Mmap::map(&file) }.unwrap();
        drop(file);
        assert!(Lease::take(&shm, &name).unwrap().is_none(), "it is mapped");
        drop(mapped);
        assert!(Lease::take(&shm, &name).unwrap().is_some());
    }
}
