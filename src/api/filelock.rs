//! Locks for arrays that are updated: a lock file as Python's `filelock` has it, and the project's own.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::os::flock::{Flocked, LockMode};

/// How often a lock that another holds is asked for again: as often as `filelock` does.
const POLL: Duration = Duration::from_millis(50);

/// The name of a lock file. Python's `filelock.FileLock` of the same path takes the same lock: `flock`
/// on the whole file. Nothing is opened before a guard is asked for; the file is made, and stays.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use cute_shm::{FileLock, Node, Tree};
/// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
/// # let node = Node::new(temp.path().join("root"), temp.path());
/// # let lock_path = temp.path().join("demo.lock");
/// let mut tree = Tree::new();
/// tree.array("x", &[0_i64; 3])?;
/// let _guard = node.share("demo").hold(&tree)?;
/// let (project, lock) = (node.open("demo")?, FileLock::new(lock_path));
/// let limit = Duration::from_secs(1);
/// project.write_locked(&lock, limit)?.slice_mut::<i64>("x")?[1] = 7;
/// assert_eq!(project.read_locked(&lock, limit)?.slice::<i64>("x")?, [0, 7, 0]);
/// # Ok::<(), cute_shm::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLock(PathBuf);

impl FileLock {
    /// The lock on this file, whose folder must be there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// Both locks of a guard. Dropping it frees them, the project's first.
#[derive(Debug)]
pub(super) struct Hold {
    _project: Flocked,
    _file: Flocked,
}

impl Hold {
    /// Takes the lock file, then the lock on the file that stands for the project's memory.
    pub(crate) fn take(
        lock: &FileLock,
        lockable: &File,
        mode: LockMode,
        limit: Duration,
    ) -> Result<Self> {
        let begun = Instant::now();
        let until = |take: &mut dyn FnMut() -> Result<Option<Flocked>>| loop {
            if let Some(taken) = take()? {
                return Ok(taken);
            }
            if begun.elapsed() >= limit {
                return Err(busy(lock));
            }
            std::thread::sleep(POLL.min(limit));
        };
        let file = until(&mut || Flocked::try_path(&lock.0, mode))?;
        let project = until(&mut || {
            let again = reopen(lockable).and_then(|file| Flocked::try_open(file, mode));
            again.map_err(|e| Error::io("cannot lock the project's first segment", e))
        })?;
        Ok(Self { _project: project, _file: file })
    }
}

/// The file on a description of its own, also once it was unlinked: locks of two guards of the same process
/// must not be one.
fn reopen(file: &File) -> std::io::Result<File> {
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn busy(lock: &FileLock) -> Error {
    let shown = lock.0.display().to_string();
    Error::new(Kind::Busy, format!("the lock '{shown}', or the project's own, is held by another"))
        .with_subject(shown)
}
