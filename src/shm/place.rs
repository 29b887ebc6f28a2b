//! The two directories that everything is about: the root with the metadata, and the shm directory
//! with segments, ledgers and locks. Who may be trusted with them is decided here.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use nix::sys::stat::{FileStat, Mode};
use nix::unistd::{AccessFlags, Uid, access};

use super::directory::Directory;
use super::host::Host;
use crate::{Error, Kind, Result};

/// Where the metadata lies unless told otherwise: the Python package's own choice.
pub const DEFAULT_ROOT: &str = "/tmp/cute-shm";
/// Where POSIX shared memory objects lie: the only place where Python's reader looks.
pub const DEFAULT_SHM_DIR: &str = "/dev/shm";

/// Where to look; nothing is opened yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The directory of the metadata files.
    pub root: PathBuf,
    /// The directory of the segments.
    pub shm: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self { root: DEFAULT_ROOT.into(), shm: DEFAULT_SHM_DIR.into() }
    }
}

/// The open root and shm directory on this host.
#[derive(Debug)]
pub struct Place {
    /// The directory of the metadata files; `None` when there is none, and so no metadata.
    pub root: Option<Directory>,
    /// The directory of segments, ledgers and locks.
    pub shm: Directory,
    /// This node.
    pub host: Host,
    /// What is odd about the root, but no reason to refuse it.
    pub warning: Option<String>,
}

impl Place {
    /// Opens both directories to look and to remove; the root need not be there.
    ///
    /// # Errors
    /// [`Kind::Permission`] for a root that cannot be trusted.
    pub fn open(paths: &Paths) -> Result<Self> {
        let shm = open_shm(&paths.shm)?;
        let root = match Directory::open(&paths.root) {
            Ok(root) => Some(root),
            Err(error) if error.kind() == Kind::NotFound => None,
            Err(error) => return Err(error.with_hint(ROOT_HINT)),
        };
        let warning = root.as_ref().map(judge_root).transpose()?.flatten();
        Ok(Self { root, shm, host: Host::this(), warning })
    }

    /// Opens both directories to make a project; the root is created with mode 1777.
    ///
    /// # Errors
    /// [`Kind::Permission`] for a root that cannot be trusted or written.
    pub fn create(paths: &Paths) -> Result<Self> {
        create_root(&paths.root)?;
        let place = Self::open(paths)?;
        check_writable(place.root()?)?;
        check_writable(&place.shm)?;
        Ok(place)
    }

    /// The root, where it must be there.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when it is not.
    pub fn root(&self) -> Result<&Directory> {
        self.root
            .as_ref()
            .ok_or_else(|| Error::new(Kind::NotFound, "the root directory is not there"))
    }
}

const ROOT_HINT: &str = "choose another with --root DIR or CUTE_SHM_ROOT; for all users of the node, \
    let an administrator put 'd /tmp/cute-shm 1777 root root -' into /etc/tmpfiles.d/cute-shm.conf";

fn open_shm(path: &Path) -> Result<Directory> {
    let shm = Directory::open(path).map_err(|e| {
        e.with_hint("CUTE_SHM_DIR must name a directory; without it, /dev/shm is used")
    })?;
    if is_writable_by_others(shm.stat()) && !is_sticky(shm.stat()) {
        let shown = path.display();
        let why = format!("'{shown}' is refused: others may write there and it is not sticky");
        return Err(Error::new(Kind::Permission, why).with_hint(format!("chmod +t '{shown}'")));
    }
    Ok(shm)
}

/// Refuses a root in which others could swap files; says what is odd about an accepted one.
fn judge_root(root: &Directory) -> Result<Option<String>> {
    let (stat, shown) = (root.stat(), root.path().display());
    if is_writable_by_others(stat) && !is_sticky(stat) {
        let why =
            format!("the root '{shown}' is refused: others may write there and it is not sticky");
        return Err(Error::new(Kind::Permission, why)
            .with_hint(format!("chmod 1777 '{shown}', or {ROOT_HINT}")));
    }
    let mine = Uid::effective().as_raw();
    if [mine, 0].contains(&stat.st_uid) || mine == 0 || !is_sticky(stat) {
        return Ok(None);
    }
    Ok(Some(format!(
        "the root '{shown}' belongs to user {}, who can remove files in it",
        stat.st_uid
    )))
}

fn is_writable_by_others(stat: &FileStat) -> bool {
    stat.st_mode & 0o022 != 0
}

fn is_sticky(stat: &FileStat) -> bool {
    stat.st_mode & 0o1000 != 0
}

fn create_root(path: &Path) -> Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)
            .map_err(|e| Error::io(format!("cannot create '{}'", parent.display()), e))?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        Err(e) => {
            let error = Error::io(format!("cannot create the root '{}'", path.display()), e);
            return Err(error.with_hint(ROOT_HINT));
        }
    }
    // Made private first and opened up through its descriptor: the umask and a swapped name cannot interfere.
    let made = Directory::open(path)?;
    nix::sys::stat::fchmod(&made, Mode::from_bits_truncate(0o1777))
        .map_err(|e| Error::io(format!("cannot set the mode of '{}'", path.display()), e))
}

fn check_writable(directory: &Directory) -> Result<()> {
    let path = directory.path();
    access(path, AccessFlags::W_OK | AccessFlags::X_OK).map_err(|e| {
        let error = Error::io(format!("cannot write in '{}'", path.display()), e);
        error.with_kind(Kind::Permission).with_hint(ROOT_HINT)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    fn paths(temp: &tempfile::TempDir) -> Paths {
        let shm = temp.path().join("shm");
        fs::create_dir(&shm).unwrap();
        Paths { root: temp.path().join("deep/root"), shm }
    }

    #[test]
    fn the_root_is_created_sticky_for_all() {
        let temp = tempfile::tempdir().unwrap();
        let paths = paths(&temp);
        assert!(Place::open(&paths).unwrap().root.is_none());
        let place = Place::create(&paths).unwrap();
        assert_eq!(fs::metadata(&paths.root).unwrap().permissions().mode() & 0o7777, 0o1777);
        assert_eq!(place.warning, None);
    }

    #[test]
    fn a_root_that_others_may_write_without_sticky_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let paths = paths(&temp);
        Place::create(&paths).unwrap();
        for mode in [0o777, 0o775] {
            fs::set_permissions(&paths.root, Permissions::from_mode(mode)).unwrap();
            let error = Place::open(&paths).unwrap_err();
            assert_eq!(error.kind(), Kind::Permission);
            assert!(error.hint().unwrap().contains("--root"));
        }
    }

    #[test]
    fn a_root_that_is_a_link_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let mut paths = paths(&temp);
        Place::create(&paths).unwrap();
        let link = temp.path().join("link");
        std::os::unix::fs::symlink(&paths.root, &link).unwrap();
        paths.root = link;
        assert_eq!(Place::create(&paths).unwrap_err().kind(), Kind::Permission);
    }
}
