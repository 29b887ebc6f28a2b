//! An open directory. File operations are relative to it, never follow a link, and refuse files that are not regular
//! or have several names.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, openat, renameat, renameat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat};
use nix::unistd::{AccessFlags, LinkatFlags, UnlinkatFlags, access, faccessat, linkat, unlinkat};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::os::lookup::Lookup;

/// The identity of a file: `st_dev` and `st_ino`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileId {
    /// The file system.
    pub dev: u64,
    /// The file on it.
    pub ino: u64,
}

impl FileId {
    /// The identity of the file that `stat` describes.
    pub fn of(stat: &FileStat) -> Self {
        Self { dev: stat.st_dev, ino: stat.st_ino }
    }
}

impl std::fmt::Display for FileId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.dev, self.ino)
    }
}

/// An open directory with its path.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
    stat: FileStat,
    are_linked: Option<fn(&OsStr, &OsStr) -> bool>,
}

impl Directory {
    /// Opens the directory at `path`; its last component may not be a link.
    ///
    /// # Errors
    /// Returns [`Kind::Permission`] if it is a link or not a directory.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, OFlag::O_NOFOLLOW).map_err(|error| {
            if path.is_symlink() {
                let message = format!("'{}' is refused: it is a symbolic link", path.display());
                return Error::new(Kind::Permission, message);
            }
            error
        })
    }

    /// Opens the directory at `path`, whose last component may be a link.
    ///
    /// # Errors
    /// Returns the error of open(2), and [`Kind::Permission`] if `path` is not a directory.
    pub fn open_linked(path: &Path) -> Result<Self> {
        Self::open_with(path, OFlag::empty())
    }

    fn open_with(path: &Path, flags: OFlag) -> Result<Self> {
        let flags = flags | OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let shown = path.display();
        let fd = nix::fcntl::open(path, flags, Mode::empty()).map_err(|errno| {
            let error = Error::io(format!("cannot open the directory '{shown}'"), errno);
            if errno == Errno::ENOTDIR { error.with_kind(Kind::Permission) } else { error }
        })?;
        let stat = fstat(&fd).map_err(|e| Error::io(format!("cannot stat '{shown}'"), e))?;
        Ok(Self { fd, path: path.to_owned(), stat, are_linked: None })
    }

    /// Accepts a file with two names for which `are_linked` is true. Where [`Self::rename_new`] has to link, a kill
    /// leaves both names.
    #[must_use]
    pub fn with_linked_names(self, are_linked: fn(&OsStr, &OsStr) -> bool) -> Self {
        Self { are_linked: Some(are_linked), ..self }
    }

    /// The path by which it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The identity of the directory.
    pub fn id(&self) -> FileId {
        FileId::of(&self.stat)
    }

    /// The stat of the directory when it was opened.
    pub fn stat(&self) -> &FileStat {
        &self.stat
    }

    /// The path of a file in it, for messages.
    pub fn join(&self, name: &OsStr) -> PathBuf {
        self.path.join(name)
    }

    /// The names in it, in no order.
    ///
    /// # Errors
    /// Returns the error of open(2) or readdir(3).
    pub fn names(&self) -> Result<Vec<OsString>> {
        self.filter_names(|name| Some(name.to_owned()))
    }

    /// The results of `convert` for the names in it for which there is one. Only these are kept in memory.
    ///
    /// # Errors
    /// As [`Self::names`].
    pub fn filter_names<T>(&self, convert: impl Fn(&OsStr) -> Option<T>) -> Result<Vec<T>> {
        let mut found = Vec::new();
        self.each_name(&mut |name| found.extend(convert(name)))?;
        Ok(found)
    }

    /// Calls `act` with each name in it.
    ///
    /// # Errors
    /// As [`Self::names`].
    pub fn each_name(&self, act: &mut dyn FnMut(&OsStr)) -> Result<()> {
        let failed =
            |e| Error::io(format!("cannot read the directory '{}'", self.path.display()), e);
        let mut dir =
            nix::dir::Dir::openat(&self.fd, ".", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
                .map_err(failed)?;
        for entry in dir.iter() {
            let entry = entry.map_err(failed)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                act(name);
            }
        }
        Ok(())
    }

    /// Inspects `name` without following a link. A name that is too long for the file system is absent.
    pub fn stat_of(&self, name: &OsStr) -> Lookup<FileStat> {
        match fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Lookup::Present(stat),
            Err(Errno::ENOENT | Errno::ENAMETOOLONG) => Lookup::Absent,
            Err(errno) => Lookup::Unreadable(self.failed("stat", name, errno)),
        }
    }

    /// Opens an existing regular file. Links, FIFOs and files with several names are unreadable
    /// ([`Kind::Permission`]).
    pub fn open_file(&self, name: &OsStr, flags: OFlag) -> Lookup<(File, FileStat)> {
        let flags =
            flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let fd = match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::ENOENT | Errno::ENAMETOOLONG) => return Lookup::Absent,
            Err(errno @ (Errno::ELOOP | Errno::ENXIO)) => {
                let error = self.failed("open", name, errno).with_kind(Kind::Permission);
                return Lookup::Unreadable(error);
            }
            Err(errno) => return Lookup::Unreadable(self.failed("open", name, errno)),
        };
        Lookup::from(self.check_opened(fd, name))
    }

    fn check_opened(&self, fd: OwnedFd, name: &OsStr) -> Result<(File, FileStat)> {
        let stat = fstat(&fd).map_err(|errno| self.failed("stat", name, errno))?;
        let refused = |why: &str| {
            let path = self.join(name);
            Err(Error::new(Kind::Permission, format!("'{}' is refused: {why}", path.display())))
        };
        if !is_regular(&stat) {
            return refused("it is not a regular file");
        }
        if stat.st_nlink > 1 && !self.is_being_renamed(name, &stat) {
            return refused("it has more than one name (a hard link)");
        }
        Ok((File::from(fd), stat))
    }

    /// Whether the second name of this file belongs to an interrupted rename, see [`Self::with_linked_names`].
    fn is_being_renamed(&self, name: &OsStr, stat: &FileStat) -> bool {
        let Some(are_linked) = self.are_linked.filter(|_| stat.st_nlink == 2) else { return false };
        let mut is_found = false;
        let listed = self.each_name(&mut |other| {
            is_found |= are_linked(name, other)
                && matches!(self.stat_of(other), Lookup::Present(found) if FileId::of(&found) == FileId::of(stat));
        });
        listed.is_ok() && is_found
    }

    /// As [`Self::open_file`]. A file that does not belong to user `uid` is unreadable: authority comes
    /// from ownership, never from a name.
    pub fn open_owned(&self, name: &OsStr, flags: OFlag, uid: u32) -> Lookup<(File, FileStat)> {
        match self.open_file(name, flags) {
            Lookup::Present((_, stat)) if stat.st_uid != uid => {
                Lookup::Unreadable(self.foreign(name, stat.st_uid, uid))
            }
            // A file of another user is reported as such, whether or not it can be opened.
            Lookup::Unreadable(error) => match self.stat_of(name) {
                Lookup::Present(stat) if stat.st_uid != uid => {
                    Lookup::Unreadable(self.foreign(name, stat.st_uid, uid))
                }
                _ => Lookup::Unreadable(error),
            },
            found => found,
        }
    }

    /// The error for a file that occupies a name of user `uid` but belongs to user `owner`.
    fn foreign(&self, name: &OsStr, owner: u32, uid: u32) -> Error {
        let path = self.join(name);
        let shown = path.display();
        let message = format!("'{shown}' belongs to user {owner}, not to user {uid}");
        Error::new(Kind::Permission, message).with_hint(format!(
            "user {owner} or root must remove it: rm {}",
            crate::error::shell_quote(&path.to_string_lossy())
        ))
    }

    /// Reads a text file of at most `limit` bytes. A file that is larger, sparse or not UTF-8 is
    /// unreadable ([`Kind::Corrupt`]).
    pub fn read_text(&self, name: &OsStr, limit: u64) -> Lookup<(String, FileStat)> {
        self.open_file(name, OFlag::O_RDONLY).and_then(|opened| self.text_of(name, opened, limit))
    }

    /// As [`Self::read_text`]. A file that does not belong to user `uid` is unreadable.
    pub fn read_owned(&self, name: &OsStr, limit: u64, uid: u32) -> Lookup<(String, FileStat)> {
        self.open_owned(name, OFlag::O_RDONLY, uid)
            .and_then(|opened| self.text_of(name, opened, limit))
    }

    fn text_of(
        &self,
        name: &OsStr,
        (file, stat): (File, FileStat),
        limit: u64,
    ) -> Lookup<(String, FileStat)> {
        let path = self.join(name);
        let corrupt = |why: &str| {
            Lookup::Unreadable(Error::new(Kind::Corrupt, format!("'{}' {why}", path.display())))
        };
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if size > limit {
            return corrupt("is too large");
        }
        if size > max_bytes_of(&stat) {
            return corrupt("is a sparse file");
        }
        let mut text = String::new();
        match file.take(limit + 1).read_to_string(&mut text) {
            Ok(n) if n as u64 > limit => corrupt("is too large"),
            Ok(_) => Lookup::Present((text, stat)),
            Err(e) if e.kind() == std::io::ErrorKind::InvalidData => corrupt("is not UTF-8"),
            Err(e) => Lookup::Unreadable(Error::io(format!("cannot read '{}'", path.display()), e)),
        }
    }

    /// Creates a new file. The umask does not change `mode`.
    ///
    /// # Errors
    /// Returns [`Kind::Exists`] if the name exists.
    pub fn create(&self, name: &OsStr, mode: u32) -> Result<File> {
        let flags =
            OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = openat(&self.fd, name, flags, Mode::from_bits_truncate(0o600))
            .map_err(|errno| self.failed("create", name, errno))?;
        if mode != 0o600 {
            fchmod(&fd, Mode::from_bits_truncate(mode))
                .map_err(|errno| self.failed("set the mode of", name, errno))?;
        }
        Ok(File::from(fd))
    }

    /// Creates a file without a name, with mode 0600. [`Self::link`] gives it a name.
    ///
    /// # Errors
    /// Returns the error of the system call.
    pub fn create_unnamed(&self) -> Result<File> {
        let flags = OFlag::O_RDWR | OFlag::O_TMPFILE | OFlag::O_CLOEXEC;
        openat(&self.fd, ".", flags, Mode::from_bits_truncate(0o600))
            .map(File::from)
            .map_err(|errno| self.failed("create a file in", OsStr::new("."), errno))
    }

    /// Creates a file and removes it: fails where this process cannot create files.
    ///
    /// # Errors
    /// Returns the error of open(2).
    pub fn probe(&self) -> Result<()> {
        match self.create_unnamed() {
            // Not a file with a name: a kill would leave it behind.
            Err(error) if is_unavailable(&error) => {
                let rights = AccessFlags::W_OK | AccessFlags::X_OK;
                faccessat(&self.fd, ".", rights, AtFlags::AT_EACCESS)
                    // Filters of containers forbid faccessat2(2), which the C library uses for it.
                    .or_else(|_| access(&self.path, rights))
                    .map_err(|errno| self.failed("create a file in", OsStr::new("."), errno))
            }
            created => created.map(drop),
        }
    }

    /// Gives an unnamed file a name. Returns false if the name exists.
    ///
    /// # Errors
    /// Returns the error of the system call.
    pub fn link(&self, file: &File, name: &OsStr) -> Result<bool> {
        let from = format!("/proc/self/fd/{}", file.as_raw_fd());
        let linked =
            linkat(nix::fcntl::AT_FDCWD, from.as_str(), &self.fd, name, AtFlags::AT_SYMLINK_FOLLOW);
        match linked {
            Ok(()) => Ok(true),
            Err(Errno::EEXIST) => Ok(false),
            Err(errno) => Err(self.failed("link", name, errno)),
        }
    }

    /// Renames within the directory. Replaces an existing file.
    ///
    /// # Errors
    /// Returns the error of the system call.
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> Result<()> {
        renameat(&self.fd, from, &self.fd, to).map_err(|errno| self.failed("rename", from, errno))
    }

    /// Renames within the directory. Returns false if the new name exists.
    ///
    /// # Errors
    /// Returns the error of the system call.
    pub fn rename_new(&self, from: &OsStr, to: &OsStr) -> Result<bool> {
        match renameat2(&self.fd, from, &self.fd, to, RenameFlags::RENAME_NOREPLACE) {
            Ok(()) => Ok(true),
            Err(Errno::EEXIST) => Ok(false),
            // Network file systems have no such flag, and a filter of system calls may forbid it: a second name,
            // then the first one is removed.
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::EPERM | Errno::EOPNOTSUPP) => {
                match linkat(&self.fd, from, &self.fd, to, LinkatFlags::empty()) {
                    Ok(()) => {
                        // The new name exists: a failure now must not look like a name that was taken.
                        let _ = self.remove(from);
                        Ok(true)
                    }
                    Err(Errno::EEXIST) => Ok(false),
                    Err(errno) => Err(self.failed("link", to, errno)),
                }
            }
            Err(errno) => Err(self.failed("rename", from, errno)),
        }
    }

    /// Removes a file. Returns false if it does not exist.
    ///
    /// # Errors
    /// Returns the error of the system call.
    pub fn remove(&self, name: &OsStr) -> Result<bool> {
        match unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(self.failed("remove", name, errno)),
        }
    }

    /// Removes a file of user `uid`; returns false if it does not exist or belongs to another user.
    ///
    /// # Errors
    /// Returns an I/O error if the file cannot be inspected or removed.
    pub fn remove_owned(&self, name: &OsStr, uid: u32) -> Result<bool> {
        match self.stat_of(name).known()? {
            Some(stat) if stat.st_uid == uid => self.remove(name),
            _ => Ok(false),
        }
    }

    fn failed(&self, what: &str, name: &OsStr, errno: Errno) -> Error {
        let path = if name == "." { self.path.clone() } else { self.join(name) };
        let error = Error::io(format!("cannot {what} '{}'", path.display()), errno);
        match errno {
            Errno::EEXIST => error.with_kind(Kind::Exists),
            _ => error,
        }
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The maximum size of a text file with this number of blocks. File systems with compression or with
/// small files in the inode have fewer blocks than bytes; a file that is almost only holes has far fewer.
fn max_bytes_of(stat: &FileStat) -> u64 {
    const INLINE: u64 = 1 << 16;
    const COMPRESSION: u64 = 64;
    let blocks = u64::try_from(stat.st_blocks).unwrap_or(0);
    blocks.saturating_mul(512 * COMPRESSION).saturating_add(INLINE)
}

/// Whether a call for files without a name is missing: O_TMPFILE on file systems such as NFS, in old kernels or under a
/// filter of system calls, and `/proc` for the name that such a file gets later.
pub(crate) fn is_unavailable(error: &Error) -> bool {
    matches!(
        error.errno(),
        Some(
            libc::ENOSYS
                | libc::EPERM
                | libc::EOPNOTSUPP
                | libc::EISDIR
                | libc::EINVAL
                | libc::ENOENT
                | libc::ENOTDIR
        )
    )
}

/// Whether `stat` is of a regular file.
pub(crate) fn is_regular(stat: &FileStat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFREG
}

/// The access to a segment and its metadata: `--mode` and `--group`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Permission bits. The umask does not change them.
    pub mode: u32,
    /// The group that owns it.
    pub group: Option<u32>,
}

impl Default for Access {
    fn default() -> Self {
        Self { mode: 0o600, group: None }
    }
}

impl Access {
    /// Sets the group and the mode of `file`.
    ///
    /// # Errors
    /// Returns [`Kind::Permission`] for a group that the user is not a member of.
    pub fn apply(&self, file: &File, path: &Path) -> Result<()> {
        let shown = path.display();
        if let Some(group) = self.group {
            nix::unistd::fchown(file, None, Some(nix::unistd::Gid::from_raw(group)))
                .map_err(|e| Error::io(format!("cannot give '{shown}' to group {group}"), e))?;
        }
        fchmod(file, Mode::from_bits_truncate(self.mode))
            .map_err(|e| Error::io(format!("cannot set the mode of '{shown}'"), e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> (tempfile::TempDir, Directory) {
        let temp = tempfile::tempdir().unwrap();
        let directory = Directory::open(temp.path()).unwrap();
        (temp, directory)
    }

    #[test]
    fn links_fifos_and_hard_links_are_refused() {
        let (temp, directory) = directory();
        std::fs::write(temp.path().join("a"), "x").unwrap();
        std::os::unix::fs::symlink("a", temp.path().join("link")).unwrap();
        nix::unistd::mkfifo(&temp.path().join("fifo"), Mode::S_IRWXU).unwrap();
        for name in ["link", "fifo"] {
            let error = directory.read_text(OsStr::new(name), 10).known().unwrap_err();
            assert_eq!(error.kind(), Kind::Permission, "{name}: {error}");
        }
        std::fs::hard_link(temp.path().join("a"), temp.path().join("b")).unwrap();
        let error = directory.read_text(OsStr::new("a"), 10).known().unwrap_err();
        assert_eq!(error.kind(), Kind::Permission);
    }

    #[test]
    fn a_large_file_is_not_read() {
        let (temp, directory) = directory();
        std::fs::write(temp.path().join("a"), "12345").unwrap();
        let read = |name, limit| directory.read_text(OsStr::new(name), limit).known();
        assert_eq!(read("a", 4).unwrap_err().kind(), Kind::Corrupt);
        assert_eq!(read("a", 5).unwrap().unwrap().0, "12345");
        assert!(read("none", 5).unwrap().is_none());
    }

    #[test]
    fn sparse_file_is_refused_before_it_is_read() {
        let (temp, directory) = directory();
        let file = File::create(temp.path().join("a")).unwrap();
        file.set_len(100 << 20).unwrap();
        let error = directory.read_text(OsStr::new("a"), 256 << 20).known().unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt);
        assert!(error.to_string().contains("sparse"), "{error}");
    }

    #[test]
    fn name_too_long_for_the_file_system_is_absent() {
        let (_temp, directory) = directory();
        let name = OsString::from("x".repeat(300));
        assert!(directory.stat_of(&name).known().unwrap().is_none());
        assert!(directory.read_text(&name, 1).known().unwrap().is_none());
    }

    #[test]
    fn file_of_another_user_is_unreadable_and_names_its_owner() {
        let (temp, directory) = directory();
        std::fs::write(temp.path().join("a"), "x").unwrap();
        let uid = nix::unistd::Uid::effective().as_raw();
        let read = |uid| directory.read_owned(OsStr::new("a"), 10, uid).known();
        assert_eq!(read(uid).unwrap().unwrap().0, "x");
        let error = read(uid + 1).unwrap_err();
        assert_eq!(error.kind(), Kind::Permission);
        assert!(error.to_string().contains(&format!("belongs to user {uid}")), "{error}");
        assert!(!directory.remove_owned(OsStr::new("a"), uid + 1).unwrap());
        assert!(directory.remove_owned(OsStr::new("a"), uid).unwrap());
    }

    #[test]
    fn a_taken_name_is_not_replaced() {
        let (temp, directory) = directory();
        std::fs::write(temp.path().join("a"), "old").unwrap();
        std::fs::write(temp.path().join("b"), "new").unwrap();
        let [a, b] = ["a", "b"].map(OsStr::new);
        assert!(!directory.rename_new(b, a).unwrap());
        directory.rename(b, a).unwrap();
        assert_eq!(std::fs::read_to_string(temp.path().join("a")).unwrap(), "new");
        let unnamed = directory.create_unnamed().unwrap();
        assert!(!directory.link(&unnamed, a).unwrap());
        assert!(directory.link(&unnamed, b).unwrap());
    }

    #[test]
    fn the_umask_does_not_weaken_a_mode() {
        let (_temp, directory) = directory();
        let access = Access { mode: 0o666, group: None };
        let file = directory.create(OsStr::new("a"), 0o600).unwrap();
        access.apply(&file, Path::new("a")).unwrap();
        let stat = directory.stat_of(OsStr::new("a")).known().unwrap().unwrap();
        assert_eq!(stat.st_mode & 0o777, 0o666);
    }

    #[test]
    fn a_link_to_a_directory_is_refused() {
        let (temp, _directory) = directory();
        let link = temp.path().join("link");
        std::os::unix::fs::symlink(temp.path(), &link).unwrap();
        assert_eq!(Directory::open(&link).unwrap_err().kind(), Kind::Permission);
        assert_eq!(Directory::open(&temp.path().join("no")).unwrap_err().kind(), Kind::NotFound);
    }
}
