//! Locks on a project: open-file-description byte-range locks on its lock file. The kernel releases them however a
//! process exits. Byte 0 is the change lock. Each load has a liveness lock on a byte of its own.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::fstat;
use serde::{Deserialize, Serialize};

use crate::error::ErrorReport;
use crate::error::{Error, Kind, Result};
use crate::os::directory::{Directory, FileId, is_unavailable};
use crate::os::lookup::Lookup;
use crate::shm::format::ledger::{Key, KeyFile};
use crate::shm::format::name::Token;
use crate::shm::segment::new_segment::full;

/// Interval between two attempts to take a lock.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// How long to wait for another process that is changing a project, such as `gc` or a keeper that exits.
pub(crate) const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// Continues waiting until [`LOCK_TIMEOUT`] is over.
pub(crate) fn until_timeout() -> impl FnMut() -> Result<bool> {
    until(Some(LOCK_TIMEOUT))
}

/// Continues waiting until `limit` is over; without a limit if it is `None`.
pub(crate) fn until(limit: Option<Duration>) -> impl FnMut() -> Result<bool> {
    let begun = Instant::now();
    move || Ok(limit.is_none_or(|limit| begun.elapsed() < limit))
}

/// A byte of the lock file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Byte {
    Change,
    Liveness(u64),
}

impl Byte {
    fn liveness(token: &Token) -> Self {
        Self::Liveness(token.number())
    }

    fn flock(self, kind: libc::c_int) -> libc::flock {
        let start = match self {
            Self::Change => 0,
            Self::Liveness(number) => 1 + i64::try_from(number).unwrap_or(i64::MAX - 1),
        };
        // l_pid must be 0 for open-file-description locks (fcntl(2)).
        libc::flock {
            l_type: i16::try_from(kind).unwrap_or(i16::MAX),
            l_whence: 0,
            l_start: start,
            l_len: 1,
            l_pid: 0,
        }
    }
}

/// The error of a failed load, for processes that waited for the same load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedLoad {
    /// Identifies the load: an equal request fails in the same way.
    pub request: String,
    /// The error.
    pub error: ErrorReport,
}

/// The right to create, replace or remove a project. Dropping it in the process that took it releases it
/// for every process that inherited it. Dropping it in another process leaves it locked.
#[derive(Debug)]
pub struct ChangeLock {
    key: Key,
    file: File,
    received_error: Option<FailedLoad>,
    owner: u32,
}

impl ChangeLock {
    /// Takes the change lock, and creates the lock file if there is none. Waits for another holder while `keep_waiting`
    /// returns true.
    ///
    /// # Errors
    /// Returns [`Kind::Busy`] if another process holds it, the error of `keep_waiting`, or the error of a system call.
    pub fn take(
        shm: &Directory,
        key: &Key,
        keep_waiting: &mut dyn FnMut() -> Result<bool>,
    ) -> Result<Self> {
        let mut received_error = None;
        loop {
            let Some(file) = open(shm, key).known()? else {
                match create(shm, key)? {
                    Some(file) => return Ok(Self::held(key, file, received_error)),
                    None => continue,
                }
            };
            let waited = wait_for(&file, key, keep_waiting)?;
            if waited {
                received_error = read_error(&file);
            }
            if is_current(shm, key, &file)? {
                return Self::held(key, file, received_error).clear_error();
            }
        }
    }

    fn held(key: &Key, file: File, received_error: Option<FailedLoad>) -> Self {
        Self { key: key.clone(), file, received_error, owner: std::process::id() }
    }

    /// Whether the locked file still has its name. Only then does the lock exclude other processes.
    ///
    /// # Errors
    /// Returns an I/O error if the file cannot be inspected.
    pub fn is_current(&self, shm: &Directory) -> Result<bool> {
        is_current(shm, &self.key, &self.file)
    }

    /// The error that the previous holder stored while this process waited.
    pub fn received_error(&self) -> Option<&FailedLoad> {
        self.received_error.as_ref()
    }

    /// Stores the error of a failed load in the lock file, for processes that wait for the same load.
    pub fn store_error(&self, failed: &FailedLoad) {
        // A process that cannot read it loads the file itself.
        if let Ok(text) = toml::to_string(failed) {
            let _ = self.file.set_len(0).and_then(|()| self.file.write_all_at(text.as_bytes(), 0));
        }
    }

    /// Clears the error that an earlier holder stored.
    fn clear_error(self) -> Result<Self> {
        self.file.set_len(0).map_err(|e| Error::io("cannot clear a lock file", e))?;
        Ok(self)
    }

    /// Takes the lock without waiting.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn take_now(shm: &Directory, key: &Key) -> Result<Self> {
        Self::take(shm, key, &mut || Ok(false))
    }

    /// The key of the project.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The locked file. A process that inherits its descriptor holds the lock too.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Removes the lock file: the last step of a removal.
    ///
    /// # Errors
    /// Returns the error of the system call.
    pub fn remove_file(self, shm: &Directory) -> Result<()> {
        if self.is_current(shm)? {
            shm.remove(&self.key.file(KeyFile::Lock))?;
        }
        Ok(())
    }
}

impl Drop for ChangeLock {
    /// A child of another thread may have inherited the open file, and would keep the project locked.
    fn drop(&mut self) {
        if self.owner == std::process::id() {
            unlock(&self.file, Byte::Change);
        }
    }
}

/// The liveness lock of a keeper: a shared lock on the byte of its load.
#[derive(Debug)]
pub struct LivenessLock {
    file: File,
    byte: Byte,
    owner: u32,
}

impl LivenessLock {
    /// Takes the liveness lock of `token`, on an open file description of its own. The change lock must be held, so that
    /// the lock file remains.
    ///
    /// # Errors
    /// Returns the error of the system call.
    pub fn take(shm: &Directory, key: &Key, token: &Token) -> Result<Self> {
        let file = open(shm, key).known()?.ok_or_else(|| busy(key))?;
        let byte = Byte::liveness(token);
        if !try_lock(&file, byte, libc::F_RDLCK)? || !is_current(shm, key, &file)? {
            return Err(busy(key));
        }
        Ok(Self { file, byte, owner: std::process::id() })
    }

    /// Whether the locked file is still the lock file of `key`. If it is not, no other process sees that the
    /// project is alive.
    ///
    /// # Errors
    /// Returns an I/O error if the file cannot be inspected.
    pub fn is_current(&self, shm: &Directory, key: &Key) -> Result<bool> {
        is_current(shm, key, &self.file)
    }
}

impl Drop for LivenessLock {
    /// Another thread may be starting a program: until exec, its process has the description too, and closing the file
    /// would not release the lock. A forked process leaves the lock to the process that took it.
    fn drop(&mut self) {
        if self.owner == std::process::id() {
            unlock(&self.file, self.byte);
        }
    }
}

/// Releases a lock for every process that has the same open file description.
fn unlock(file: &File, byte: Byte) {
    // The file is closed next, which releases the lock too if no other process has the description.
    let _ = fcntl(file, FcntlArg::F_OFD_SETLK(&byte.flock(libc::F_UNLCK)));
}

/// Whether another process changes the project now. Absent: there is no lock file, so no process does.
pub(crate) fn is_changing(shm: &Directory, key: &Key) -> Lookup<bool> {
    is_locked(shm, key, Byte::Change)
}

/// Whether the load `token` has a living keeper. Absent: there is no lock file, so it has none.
pub(crate) fn is_alive(shm: &Directory, key: &Key, token: &Token) -> Lookup<bool> {
    is_locked(shm, key, Byte::liveness(token))
}

fn is_locked(shm: &Directory, key: &Key, byte: Byte) -> Lookup<bool> {
    let name = key.file(KeyFile::Lock);
    shm.open_owned(&name, OFlag::O_RDONLY, key.uid).and_then(|(file, _)| {
        let mut asked = byte.flock(libc::F_WRLCK);
        Lookup::from(match fcntl(&file, FcntlArg::F_OFD_GETLK(&mut asked)) {
            Ok(_) => Ok(libc::c_int::from(asked.l_type) != libc::F_UNLCK),
            Err(errno) => Err(Error::io("cannot query a lock", errno)),
        })
    })
}

/// Opens the lock file. A file that the key's user does not own is not a lock file: its owner could remove it
/// while it is locked.
fn open(shm: &Directory, key: &Key) -> Lookup<File> {
    shm.open_owned(&key.file(KeyFile::Lock), OFlag::O_RDWR, key.uid).map(|(file, _)| file)
}

/// Creates the lock file, locked before it has a name. Returns `None` if it exists already.
fn create(shm: &Directory, key: &Key) -> Result<Option<File>> {
    let name = key.file(KeyFile::Lock);
    let linked = shm.create_unnamed().and_then(|file| {
        try_lock(&file, Byte::Change, libc::F_WRLCK)?;
        Ok(shm.link(&file, &name)?.then_some(file))
    });
    match linked {
        // Without O_TMPFILE or /proc the file has its name before it is locked. Another process may lock it first, or
        // remove it; the caller notices either.
        Err(error) if is_unavailable(&error) => match shm.create(&name, 0o600) {
            Err(error) if error.kind() == Kind::Exists => Ok(None),
            created => created.map(|_| None).map_err(|e| full(e, shm)),
        },
        linked => linked.map_err(|e| full(e, shm)),
    }
}

/// Locks the change byte. Returns whether it had to wait for another holder.
fn wait_for(
    file: &File,
    key: &Key,
    keep_waiting: &mut dyn FnMut() -> Result<bool>,
) -> Result<bool> {
    let mut waited = false;
    while !try_lock(file, Byte::Change, libc::F_WRLCK)? {
        waited = true;
        if !keep_waiting()? {
            return Err(busy(key));
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok(waited)
}

/// The error that the last holder stored.
fn read_error(file: &File) -> Option<FailedLoad> {
    let mut text = vec![0; 1 << 16];
    let length = file.read_at(&mut text, 0).ok()?;
    toml::from_slice(&text[..length]).ok()
}

fn try_lock(file: &File, byte: Byte, kind: libc::c_int) -> Result<bool> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&byte.flock(kind))) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(errno) => Err(Error::io("cannot lock", errno)),
    }
}

/// Whether the locked file still has its name. A lock on an unlinked file does not count.
fn is_current(shm: &Directory, key: &Key, file: &File) -> Result<bool> {
    let ours = fstat(file).map_err(|e| Error::io("cannot stat a lock file", e))?;
    let there = shm.stat_of(&key.file(KeyFile::Lock)).known()?;
    Ok(ours.st_nlink > 0 && there.is_some_and(|there| FileId::of(&there) == FileId::of(&ours)))
}

fn busy(key: &Key) -> Error {
    let project = key.project.to_text();
    Error::new(Kind::Busy, format!("project '{project}' is being changed by another process"))
        .with_subject(project)
        .with_hint("try again, or let load-hdf5 wait for it with --wait SECONDS or --ensure")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shm::format::name::ProjectName;
    use std::ffi::OsStr;

    fn key() -> (tempfile::TempDir, Directory, Key) {
        let temp = tempfile::tempdir_in("/dev/shm").unwrap();
        let shm = Directory::open(temp.path()).unwrap();
        let project = ProjectName::new(OsStr::new("p")).unwrap();
        let key = Key::new(&project, shm.id(), nix::unistd::Uid::effective().as_raw());
        (temp, shm, key)
    }

    #[test]
    fn waiter_receives_error_of_failed_load_and_later_caller_does_not() {
        let (_temp, shm, key) = key();
        let mut lock = Some(ChangeLock::take_now(&shm, &key).unwrap());
        let error = Error::new(Kind::Status(7), "bad 'file'\n\0\u{1b}\"\"\"").with_hint("x = [\\");
        let failed = FailedLoad { request: "[\"the same\"]".to_owned(), error: (&error).into() };
        let second = ChangeLock::take(&shm, &key, &mut || {
            if let Some(lock) = lock.take() {
                lock.store_error(&failed);
                lock.remove_file(&shm)?;
            }
            Ok(true)
        });
        assert_eq!(second.unwrap().received_error(), Some(&failed));
        assert_eq!(ChangeLock::take_now(&shm, &key).unwrap().received_error(), None);
    }

    fn token(text: &str) -> Token {
        Token::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn change_lock_has_one_holder() {
        let (_temp, shm, key) = key();
        assert_eq!(is_changing(&shm, &key).known().unwrap(), None);
        let lock = ChangeLock::take_now(&shm, &key).unwrap();
        assert_eq!(is_changing(&shm, &key).known().unwrap(), Some(true));
        assert_eq!(ChangeLock::take_now(&shm, &key).unwrap_err().kind(), Kind::Busy);
        drop(lock);
        assert_eq!(is_changing(&shm, &key).known().unwrap(), Some(false));
        ChangeLock::take_now(&shm, &key).unwrap();
    }

    #[test]
    fn waiter_notices_unlinked_lock_file_and_takes_a_new_one() {
        let (_temp, shm, key) = key();
        let mut lock = Some(ChangeLock::take_now(&shm, &key).unwrap());
        let second = ChangeLock::take(&shm, &key, &mut || {
            if let Some(lock) = lock.take() {
                lock.remove_file(&shm)?;
            }
            Ok(true)
        });
        let second = second.unwrap();
        assert!(is_current(&shm, &key, second.file()).unwrap());
    }

    #[test]
    fn each_load_has_its_own_liveness_lock_with_several_holders() {
        let (_temp, shm, key) = key();
        let _change = ChangeLock::take_now(&shm, &key).unwrap();
        let [a, b] = [token("aaaaa"), token("aaaab")];
        let first = LivenessLock::take(&shm, &key, &a).unwrap();
        let second = LivenessLock::take(&shm, &key, &a).unwrap();
        assert_eq!(is_alive(&shm, &key, &a).known().unwrap(), Some(true));
        assert_eq!(is_alive(&shm, &key, &b).known().unwrap(), Some(false));
        drop(first);
        assert_eq!(is_alive(&shm, &key, &a).known().unwrap(), Some(true));
        drop(second);
        assert_eq!(is_alive(&shm, &key, &a).known().unwrap(), Some(false));
    }

    #[test]
    fn lock_file_of_another_user_does_not_count() {
        let (_temp, shm, key) = key();
        drop(ChangeLock::take_now(&shm, &key).unwrap());
        let victim = Key { uid: key.uid + 1, ..key };
        let error = ChangeLock::take_now(&shm, &victim).unwrap_err();
        assert_eq!(error.kind(), Kind::Permission, "{error}");
        assert!(is_changing(&shm, &victim).known().is_err());
        assert!(is_alive(&shm, &victim, &token("aaaaa")).known().is_err());
    }

    #[test]
    fn keeper_notices_that_its_lock_file_was_removed_or_replaced() {
        let (_temp, shm, key) = key();
        let change = ChangeLock::take_now(&shm, &key).unwrap();
        let life = LivenessLock::take(&shm, &key, &token("aaaaa")).unwrap();
        assert!(life.is_current(&shm, &key).unwrap() && change.is_current(&shm).unwrap());
        shm.remove(&key.file(KeyFile::Lock)).unwrap();
        assert!(!life.is_current(&shm, &key).unwrap() && !change.is_current(&shm).unwrap());
        let other = ChangeLock::take_now(&shm, &key).unwrap();
        assert!(!life.is_current(&shm, &key).unwrap());
        // The lock file of another holder is not removed.
        change.remove_file(&shm).unwrap();
        assert!(other.is_current(&shm).unwrap());
    }

    #[test]
    fn dropped_change_lock_is_free_although_a_duplicate_of_its_file_is_open() {
        let (_temp, shm, key) = key();
        let lock = ChangeLock::take_now(&shm, &key).unwrap();
        // The same open file description, as a child that was forked without exec has it.
        let _inherited = lock.file().try_clone().unwrap();
        drop(lock);
        ChangeLock::take_now(&shm, &key).unwrap();
    }
}
