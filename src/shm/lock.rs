//! Locks on a project: open-file-description byte-range locks on its lock file, which the kernel frees
//! however a process dies. Byte 0 is the change lock; behind it lies one life lock for every load.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::fstat;
use serde::{Deserialize, Serialize};

use super::directory::{Directory, FileId};
use super::ledger::{self, Key};
use super::name::Token;
use super::segment::full;
use crate::error::Told;
use crate::{Error, Kind, Result};

/// How often a wait for a lock looks again.
const POLL: Duration = Duration::from_millis(20);

/// How long somebody else at work on a project is waited for unless told: gc, or a keeper that leaves, is
/// done in a moment.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// Goes on waiting until [`PATIENCE`] is over.
pub fn patience() -> impl FnMut() -> Result<bool> {
    let begun = Instant::now();
    move || Ok(begun.elapsed() < PATIENCE)
}

/// Which byte of the lock file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Byte {
    Change,
    Life(u64),
}

impl Byte {
    fn life(token: &Token) -> Self {
        Self::Life(token.number())
    }

    fn flock(self, kind: libc::c_int) -> libc::flock {
        let start = match self {
            Self::Change => 0,
            Self::Life(number) => 1 + i64::try_from(number).unwrap_or(i64::MAX - 1),
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
    pub error: Told,
}

/// The right to create, replace or remove a project; free again when it is dropped, in every process
/// that inherited it.
#[derive(Debug)]
pub struct ChangeLock {
    key: Key,
    file: File,
    heard: Option<FailedLoad>,
}

impl ChangeLock {
    /// Takes the change lock, making the lock file where there is none. Another holder is waited for as
    /// long as `go_on` says so.
    ///
    /// # Errors
    /// [`Kind::Busy`] when somebody else holds it, or what `go_on` returns; else as the system says.
    pub fn take(
        shm: &Directory,
        key: &Key,
        go_on: &mut dyn FnMut() -> Result<bool>,
    ) -> Result<Self> {
        let mut heard = None;
        loop {
            let Some(file) = open(shm, key)? else {
                match make(shm, key)? {
                    Some(file) => return Ok(Self { key: key.clone(), file, heard }),
                    None => continue,
                }
            };
            let waited = wait_for(&file, key, go_on)?;
            if waited {
                heard = last_words(&file);
            }
            if is_current(shm, key, &file)? {
                return Self { key: key.clone(), file, heard }.silence();
            }
        }
    }

    /// What the holder that was waited for said it failed of.
    pub fn heard(&self) -> Option<&FailedLoad> {
        self.heard.as_ref()
    }

    /// Leaves word, for those who wait, of what failed.
    pub fn leave_word(&self, told: &FailedLoad) {
        // Whoever cannot read it tries for itself: nothing depends on it.
        if let Ok(text) = serde_json::to_vec(told) {
            let _ = self.file.set_len(0).and_then(|()| self.file.write_all_at(&text, 0));
        }
    }

    /// Takes back what an earlier holder said.
    fn silence(self) -> Result<Self> {
        self.file.set_len(0).map_err(|e| Error::io("cannot clear a lock file", e))?;
        Ok(self)
    }

    /// Takes it or gives up at once.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn take_now(shm: &Directory, key: &Key) -> Result<Self> {
        Self::take(shm, key, &mut || Ok(false))
    }

    /// Whose lock this is.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The locked file: whoever inherits its descriptor holds the lock too.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Removes the lock file: the last step of a removal.
    ///
    /// # Errors
    /// As the system says.
    pub fn remove_file(self, shm: &Directory) -> Result<()> {
        shm.remove(&self.key.file(ledger::File::Lock)).map(drop)
    }
}

/// A keeper's sign of life: a shared lock on the byte of its load.
#[derive(Debug)]
pub struct LifeLock {
    file: File,
    byte: Byte,
    owner: u32,
}

impl LifeLock {
    /// Takes the life lock of `token`, on a description of its own. The change lock must be held, so
    /// that the lock file stays.
    ///
    /// # Errors
    /// As the system says.
    pub fn take(shm: &Directory, key: &Key, token: &Token) -> Result<Self> {
        let (file, byte) = (open(shm, key)?.ok_or_else(|| busy(key))?, Byte::life(token));
        if !try_lock(&file, byte, libc::F_RDLCK)? || !is_current(shm, key, &file)? {
            return Err(busy(key));
        }
        Ok(Self { file, byte, owner: std::process::id() })
    }
}

impl Drop for LifeLock {
    /// Another thread may be starting a program just now: its process has the description too until then,
    /// and closing would not free the lock. A forked process that goes on leaves it to who took it.
    fn drop(&mut self) {
        if self.owner == std::process::id() {
            // The file is closed next, which frees it too where nobody else has it.
            let _ = fcntl(&self.file, FcntlArg::F_OFD_SETLK(&self.byte.flock(libc::F_UNLCK)));
        }
    }
}

/// Whether somebody changes the project now; `None` when we may not look.
///
/// # Errors
/// As the system says.
pub fn is_changing(shm: &Directory, key: &Key) -> Result<Option<bool>> {
    is_locked(shm, key, Byte::Change)
}

/// Whether the load `token` has a living keeper; `None` when we may not look.
///
/// # Errors
/// As the system says.
pub fn is_kept(shm: &Directory, key: &Key, token: &Token) -> Result<Option<bool>> {
    is_locked(shm, key, Byte::life(token))
}

fn is_locked(shm: &Directory, key: &Key, byte: Byte) -> Result<Option<bool>> {
    let name = key.file(ledger::File::Lock);
    let file = match shm.open_file(&name, OFlag::O_RDONLY) {
        Ok(Some((file, _))) => file,
        Ok(None) => return Ok(Some(false)),
        Err(error) if error.kind() == Kind::Permission => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut asked = byte.flock(libc::F_WRLCK);
    fcntl(&file, FcntlArg::F_OFD_GETLK(&mut asked))
        .map_err(|e| Error::io("cannot ask for a lock", e))?;
    Ok(Some(libc::c_int::from(asked.l_type) != libc::F_UNLCK))
}

fn open(shm: &Directory, key: &Key) -> Result<Option<File>> {
    Ok(shm.open_file(&key.file(ledger::File::Lock), OFlag::O_RDWR)?.map(|(file, _)| file))
}

/// Makes the lock file, locked before it has a name; `None` when another was quicker.
fn make(shm: &Directory, key: &Key) -> Result<Option<File>> {
    let file = shm.create_unnamed().map_err(|e| full(e, shm))?;
    try_lock(&file, Byte::Change, libc::F_WRLCK)?;
    let linked = shm.link(&file, &key.file(ledger::File::Lock))?;
    Ok(linked.then_some(file))
}

/// Locks the change byte; true when another holder had to be waited for.
fn wait_for(file: &File, key: &Key, go_on: &mut dyn FnMut() -> Result<bool>) -> Result<bool> {
    let mut waited = false;
    while !try_lock(file, Byte::Change, libc::F_WRLCK)? {
        waited = true;
        if !go_on()? {
            return Err(busy(key));
        }
        std::thread::sleep(POLL);
    }
    Ok(waited)
}

/// What the last holder of a lock file failed of.
fn last_words(file: &File) -> Option<FailedLoad> {
    let mut text = vec![0; 1 << 16];
    let length = file.read_at(&mut text, 0).ok()?;
    serde_json::from_slice(&text[..length]).ok()
}

fn try_lock(file: &File, byte: Byte, kind: libc::c_int) -> Result<bool> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&byte.flock(kind))) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(errno) => Err(Error::io("cannot lock", errno)),
    }
}

/// A lock on a file that was unlinked meanwhile does not count.
fn is_current(shm: &Directory, key: &Key, file: &File) -> Result<bool> {
    let ours = fstat(file).map_err(|e| Error::io("cannot stat a lock file", e))?;
    let there = shm.stat_of(&key.file(ledger::File::Lock))?;
    Ok(ours.st_nlink > 0 && there.is_some_and(|there| FileId::of(&there) == FileId::of(&ours)))
}

fn busy(key: &Key) -> Error {
    let project = key.project.to_text();
    Error::new(Kind::Busy, format!("project '{project}' is being changed by another process"))
        .about(project)
        .with_hint("try again, or let load-hdf5 wait for it with --wait SECONDS or --ensure")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shm::name::ProjectName;
    use std::ffi::OsStr;

    fn key() -> (tempfile::TempDir, Directory, Key) {
        let temp = tempfile::tempdir_in("/dev/shm").unwrap();
        let shm = Directory::open(temp.path()).unwrap();
        let project = ProjectName::new(OsStr::new("p")).unwrap();
        let key = Key::new(&project, shm.id(), 0);
        (temp, shm, key)
    }

    #[test]
    fn who_waited_hears_what_failed_and_who_comes_later_does_not() {
        let (_temp, shm, key) = key();
        let mut lock = Some(ChangeLock::take_now(&shm, &key).unwrap());
        let error = Told::from(&Error::new(Kind::Corrupt, "bad file"));
        let told = FailedLoad { request: "the same".to_owned(), error };
        let second = ChangeLock::take(&shm, &key, &mut || {
            if let Some(lock) = lock.take() {
                lock.leave_word(&told);
                lock.remove_file(&shm)?;
            }
            Ok(true)
        });
        assert_eq!(second.unwrap().heard(), Some(&told));
        assert_eq!(ChangeLock::take_now(&shm, &key).unwrap().heard(), None);
    }

    fn token(text: &str) -> Token {
        Token::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn one_holder_at_a_time() {
        let (_temp, shm, key) = key();
        assert_eq!(is_changing(&shm, &key).unwrap(), Some(false));
        let lock = ChangeLock::take_now(&shm, &key).unwrap();
        assert_eq!(is_changing(&shm, &key).unwrap(), Some(true));
        assert_eq!(ChangeLock::take_now(&shm, &key).unwrap_err().kind(), Kind::Busy);
        drop(lock);
        assert_eq!(is_changing(&shm, &key).unwrap(), Some(false));
        ChangeLock::take_now(&shm, &key).unwrap();
    }

    #[test]
    fn a_waiter_sees_that_the_file_was_unlinked_and_takes_a_new_one() {
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
    fn each_load_has_a_life_lock_of_its_own_that_several_may_hold() {
        let (_temp, shm, key) = key();
        let _change = ChangeLock::take_now(&shm, &key).unwrap();
        let [a, b] = [token("aaaaa"), token("aaaab")];
        let first = LifeLock::take(&shm, &key, &a).unwrap();
        let second = LifeLock::take(&shm, &key, &a).unwrap();
        assert_eq!(is_kept(&shm, &key, &a).unwrap(), Some(true));
        assert_eq!(is_kept(&shm, &key, &b).unwrap(), Some(false));
        drop(first);
        assert_eq!(is_kept(&shm, &key, &a).unwrap(), Some(true));
        drop(second);
        assert_eq!(is_kept(&shm, &key, &a).unwrap(), Some(false));
    }
}
