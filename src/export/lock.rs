//! The lock by which programs that update a project keep readers away: `flock` on a file of their
//! choice, as Python's `filelock` takes it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::{Error, Result};

/// A held lock; dropping it lets go.
#[derive(Debug)]
pub struct FileLock(#[allow(dead_code)] Flock<File>);

impl FileLock {
    /// Takes the lock if it is free; the file is made if there is none.
    ///
    /// # Errors
    /// As the system says.
    pub fn try_take(path: &Path) -> Result<Option<Self>> {
        let cannot = |e| {
            Error::io(format!("cannot lock '{}'", path.display()), e).about(path.to_string_lossy())
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(path)
            .map_err(cannot)?;
        let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((_, Errno::EWOULDBLOCK | Errno::EINTR)) => return Ok(None),
            Err((_, errno)) => return Err(cannot(errno.into())),
        };
        // Some versions of filelock remove the file on release: a lock on a lost file keeps nobody away.
        let mine = lock.metadata().map_err(cannot)?;
        let there = std::fs::metadata(path).ok();
        let same =
            there.is_some_and(|there| (there.dev(), there.ino()) == (mine.dev(), mine.ino()));
        Ok(same.then_some(Self(lock)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_has_the_lock() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("lock");
        let held = FileLock::try_take(&path).unwrap().unwrap();
        assert!(FileLock::try_take(&path).unwrap().is_none());
        drop(held);
        assert!(FileLock::try_take(&path).unwrap().is_some());
    }
}
