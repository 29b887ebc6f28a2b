//! The lock by which programs that update a project keep others away: `flock` on a file, as Python's
//! `filelock` takes it.

use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::error::{Error, Result};

/// With whom a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// With nobody: to write.
    Exclusive,
    /// With others that read.
    Shared,
}

impl LockMode {
    fn how(self) -> FlockArg {
        match self {
            Self::Exclusive => FlockArg::LockExclusiveNonblock,
            Self::Shared => FlockArg::LockSharedNonblock,
        }
    }
}

/// A locked file. Dropping it frees the lock also where a forked process has the file too; that process
/// itself only closes it: the lock is its parent's.
#[derive(Debug)]
pub struct Flocked {
    file: Option<Flock<File>>,
    owner: u32,
}

impl Flocked {
    /// Locks the file of this path if it is free; it is made if there is none.
    ///
    /// # Errors
    /// As the system says.
    pub fn try_path(path: &Path, mode: LockMode) -> Result<Option<Self>> {
        let cannot = |e| {
            Error::io(format!("cannot lock '{}'", path.display()), e)
                .with_subject(path.to_string_lossy())
        };
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o644);
        // Another user's lock file may be locked as well as read.
        let opened = match options.open(path) {
            Err(e) if e.kind() == ErrorKind::PermissionDenied => File::open(path),
            opened => opened,
        };
        let Some(locked) = Self::try_open(opened.map_err(cannot)?, mode).map_err(cannot)? else {
            return Ok(None);
        };
        // Some versions of filelock remove the file on release: a lock on a lost file keeps nobody away.
        let ours = locked.file.as_deref().map(File::metadata).transpose().map_err(cannot)?;
        let same = std::fs::metadata(path)
            .ok()
            .zip(ours)
            .is_some_and(|(there, ours)| (there.dev(), there.ino()) == (ours.dev(), ours.ino()));
        Ok(same.then_some(locked))
    }

    /// Locks an open file if it is free.
    ///
    /// # Errors
    /// As the system says.
    pub fn try_open(file: File, mode: LockMode) -> std::io::Result<Option<Self>> {
        match Flock::lock(file, mode.how()) {
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
    fn one_writes_or_several_read() {
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
    fn a_lock_on_a_file_that_was_removed_is_none() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("lock");
        let _lost = Flocked::try_path(&path, LockMode::Exclusive).unwrap().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(Flocked::try_path(&path, LockMode::Exclusive).unwrap().is_some());
    }
}
