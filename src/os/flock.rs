//! `flock` locks on files, compatible with Python's `filelock`. Programs that update a project exclude readers with
//! them.

use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::error::{Error, Result};

/// The mode of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LockMode {
    /// One process holds the lock, to write.
    Exclusive,
    /// Several processes hold the lock, to read.
    Shared,
}

impl LockMode {
    fn flock_arg(self) -> FlockArg {
        match self {
            Self::Exclusive => FlockArg::LockExclusiveNonblock,
            Self::Shared => FlockArg::LockSharedNonblock,
        }
    }
}

/// A locked file. Dropping it in the process that took it releases the lock, although a forked process has the file
/// open. Dropping it in a forked process only closes the file.
#[derive(Debug)]
pub(crate) struct Flocked {
    file: Option<Flock<File>>,
    owner: u32,
}

impl Flocked {
    /// Locks the file at this path and creates it if needed. Returns `None` if another process holds the lock.
    ///
    /// # Errors
    /// Returns the error of the system call.
    pub(crate) fn try_path(path: &Path, mode: LockMode) -> Result<Option<Self>> {
        let cannot = |e| {
            Error::io(format!("cannot lock '{}'", path.display()), e)
                .with_subject(path.to_string_lossy())
        };
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o644);
        // A lock file of another user can be locked if it can be read.
        let opened = match options.open(path) {
            Err(e) if e.kind() == ErrorKind::PermissionDenied => File::open(path),
            opened => opened,
        };
        let Some(locked) = Self::try_open(opened.map_err(cannot)?, mode).map_err(cannot)? else {
            return Ok(None);
        };
        // Some versions of filelock remove the file on release. A lock on a removed file excludes no process.
        let ours = locked.file.as_deref().map(File::metadata).transpose().map_err(cannot)?;
        let same = std::fs::metadata(path)
            .ok()
            .zip(ours)
            .is_some_and(|(there, ours)| (there.dev(), there.ino()) == (ours.dev(), ours.ino()));
        Ok(same.then_some(locked))
    }

    /// Locks an open file. Returns `None` if another process holds the lock.
    ///
    /// # Errors
    /// Returns the error of the system call.
    pub(crate) fn try_open(file: File, mode: LockMode) -> std::io::Result<Option<Self>> {
        match Flock::lock(file, mode.flock_arg()) {
            Ok(file) => Ok(Some(Self { file: Some(file), owner: std::process::id() })),
            Err((_, Errno::EAGAIN | Errno::EINTR)) => Ok(None),
            Err((_, errno)) => Err(errno.into()),
        }
    }
}

impl Drop for Flocked {
    fn drop(&mut self) {
        if self.owner != std::process::id()
            && let Some(file) = self.file.take()
        {
            let _ = nix::unistd::close(file.as_raw_fd());
            std::mem::forget(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_has_one_exclusive_or_several_shared_holders() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("lock");
        let take = |mode| Flocked::try_path(&path, mode).unwrap();
        let held = take(LockMode::Exclusive).unwrap();
        assert!(take(LockMode::Exclusive).is_none() && take(LockMode::Shared).is_none());
        drop(held);
        let reading = take(LockMode::Shared).unwrap();
        assert!(take(LockMode::Shared).is_some() && take(LockMode::Exclusive).is_none());
        drop(reading);
        assert!(take(LockMode::Exclusive).is_some());
    }

    #[test]
    fn lock_on_a_removed_file_does_not_count() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("lock");
        let _lost = Flocked::try_path(&path, LockMode::Exclusive).unwrap().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(Flocked::try_path(&path, LockMode::Exclusive).unwrap().is_some());
    }
}
