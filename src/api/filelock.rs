//! Locks for arrays that are updated: a lock file as Python's `filelock` has it, and the project's own.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::{Error, Kind, Result};

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
    _project: Locked,
    _file: Locked,
}

/// A locked file. Dropping it frees the lock also where a forked process has the file too; that process
/// itself only closes it: the lock is its parent's.
#[derive(Debug)]
struct Locked {
    file: Option<Flock<File>>,
    owner: u32,
}

impl Locked {
    fn new(file: Flock<File>) -> Self {
        Self { file: Some(file), owner: std::process::id() }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        if self.owner != std::process::id()
            && let Some(file) = self.file.take()
        {
            let _ = nix::unistd::close(file.as_raw_fd());
            std::mem::forget(file);
        }
    }
}

impl Hold {
    /// Takes the lock file, then the lock on the file that stands for the project's memory.
    pub fn take(lock: &FileLock, lockable: &File, alone: bool, limit: Duration) -> Result<Self> {
        let begun = Instant::now();
        let how = match alone {
            true => FlockArg::LockExclusiveNonblock,
            false => FlockArg::LockSharedNonblock,
        };
        let until = |take: &mut dyn FnMut() -> Result<Option<Flock<File>>>| loop {
            if let Some(taken) = take()? {
                return Ok(Locked::new(taken));
            }
            if begun.elapsed() >= limit {
                return Err(busy(lock));
            }
            std::thread::sleep(POLL.min(limit));
        };
        let file = until(&mut || take_file(lock, how))?;
        let project = until(&mut || try_lock(reopen(lockable)?, how, lock))?;
        Ok(Self { _project: project, _file: file })
    }
}

/// One attempt. A lock file that was unlinked while it was locked does not count.
fn take_file(lock: &FileLock, how: FlockArg) -> Result<Option<Flock<File>>> {
    let cannot = |e| Error::io(format!("cannot open the lock file '{}'", lock.0.display()), e);
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false).mode(0o644);
    // Another user's lock file may be locked as well as read.
    let file = match options.open(&lock.0) {
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => File::open(&lock.0),
        opened => opened,
    }
    .map_err(cannot)?;
    let Some(taken) = try_lock(file, how, lock)? else { return Ok(None) };
    let ours = taken.metadata().map_err(cannot)?;
    let same = std::fs::metadata(&lock.0)
        .is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino()));
    Ok(same.then_some(taken))
}

fn try_lock(file: File, how: FlockArg, lock: &FileLock) -> Result<Option<Flock<File>>> {
    match Flock::lock(file, how) {
        Ok(taken) => Ok(Some(taken)),
        Err((_, Errno::EAGAIN | Errno::EINTR)) => Ok(None),
        Err((_, errno)) => Err(Error::io(format!("cannot lock '{}'", lock.0.display()), errno)),
    }
}

/// The file on a description of its own, also once it was unlinked: locks of two guards of the same process
/// must not be one.
fn reopen(file: &File) -> Result<File> {
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))
        .map_err(|e| Error::io("cannot open a segment again to lock it", e))
}

fn busy(lock: &FileLock) -> Error {
    let shown = lock.0.display().to_string();
    Error::new(Kind::Busy, format!("the lock '{shown}', or the project's own, is held by another"))
        .about(shown)
}
