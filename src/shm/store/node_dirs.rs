//! The two directories on the node: the root with the metadata, and the shm directory with segments, ledgers and lock
//! files. Unsafe directories are refused here.

use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use nix::sys::stat::{FileStat, Mode};
use nix::unistd::Uid;

use crate::error::{Error, Kind, Result};
use crate::os::credentials;
use crate::os::directory::Directory;
use crate::os::host::Host;
use crate::shm::format::temporary_name::is_rename_of_metadata;

/// The default root, which is that of the Python package.
pub(crate) const DEFAULT_ROOT: &str = "/tmp/cute-shm";
/// The directory of POSIX shared memory objects, the only one that the Python reader uses.
pub(crate) const DEFAULT_SHM_DIR: &str = "/dev/shm";

/// The paths of both directories.
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
pub struct NodeDirs {
    /// The directory of the metadata files; `None` when there is none, and so no metadata.
    pub root: Option<Directory>,
    /// The directory of segments, ledgers and locks.
    pub shm: Directory,
    /// This node.
    pub host: Host,
    /// A warning about an accepted root.
    pub warning: Option<String>,
}

impl NodeDirs {
    /// Opens both directories for reading and removal. The root may be missing.
    ///
    /// # Errors
    /// [`Kind::Permission`] for a root that cannot be trusted.
    pub fn open(paths: &Paths) -> Result<Self> {
        let shm = open_shm(&paths.shm)?;
        let root = match Directory::open(&paths.root) {
            Ok(root) => Some(root.with_linked_names(is_rename_of_metadata)),
            Err(error) if error.kind() == Kind::NotFound => None,
            Err(error) => return Err(error.with_hint(ROOT_HINT)),
        };
        let warning = root.as_ref().map(judge_root).transpose()?.flatten();
        Ok(Self { root, shm, host: Host::this(), warning })
    }

    /// Opens the shm directory alone, for projects whose root cannot be opened.
    ///
    /// # Errors
    /// Returns [`Kind::Permission`] for a shm directory that cannot be trusted.
    pub fn without_root(paths: &Paths) -> Result<Self> {
        Ok(Self { root: None, shm: open_shm(&paths.shm)?, host: Host::this(), warning: None })
    }

    /// Opens both directories for a load. Creates a missing root with mode 1777.
    ///
    /// # Errors
    /// [`Kind::Permission`] for a root that cannot be trusted or written.
    pub fn create(paths: &Paths) -> Result<Self> {
        let mut dirs = Self::open(paths)?;
        check_writable_shm(&dirs.shm)?;
        if dirs.root.is_none() {
            create_root(&paths.root)?;
            dirs = Self::open(paths)?;
        }
        dirs.root()?.probe().map_err(|e| e.with_hint(ROOT_HINT))?;
        Ok(dirs)
    }

    /// Opens both directories, and fails where [`Self::create`] fails, but creates nothing that remains.
    ///
    /// # Errors
    /// The errors of [`Self::create`].
    pub fn rehearse(paths: &Paths) -> Result<Self> {
        let dirs = Self::open(paths)?;
        check_writable_shm(&dirs.shm)?;
        match &dirs.root {
            Some(root) => root.probe().map_err(|e| e.with_hint(ROOT_HINT))?,
            None => check_creatable(&paths.root)?,
        }
        Ok(dirs)
    }

    /// Returns the root.
    ///
    /// # Errors
    /// Returns [`Kind::NotFound`] if it does not exist.
    pub fn root(&self) -> Result<&Directory> {
        self.root
            .as_ref()
            .ok_or_else(|| Error::new(Kind::NotFound, "the root directory does not exist"))
    }
}

const ROOT_HINT: &str = "choose another with --root DIR or CUTE_SHM_ROOT; for all users of the node, \
    let an administrator put 'd /tmp/cute-shm 1777 root root -' into /etc/tmpfiles.d/cute-shm.conf";

/// Opens the shm directory. `/dev/shm` may be a link that root owns: `shm_open(3)` follows it too.
fn open_shm(path: &Path) -> Result<Directory> {
    let opened = match std::fs::symlink_metadata(path) {
        Ok(stat) if path == Path::new(DEFAULT_SHM_DIR) && stat.is_symlink() && stat.uid() == 0 => {
            Directory::open_linked(path)
        }
        _ => Directory::open(path),
    };
    let shm = opened.map_err(|e| {
        e.with_hint("set CUTE_SHM_DIR to a directory on a tmpfs, or unset it to use /dev/shm")
    })?;
    if is_writable_by_others(shm.stat()) && !is_sticky(shm.stat()) {
        let shown = path.display();
        let why =
            format!("'{shown}' is refused: other users can write to it and it has no sticky bit");
        return Err(Error::new(Kind::Permission, why).with_hint(format!("chmod +t '{shown}'")));
    }
    Ok(shm)
}

/// Refuses a root in which other users can replace files. Returns a warning about an accepted one.
fn judge_root(root: &Directory) -> Result<Option<String>> {
    let (stat, shown) = (root.stat(), root.path().display());
    if is_writable_by_others(stat) && !is_sticky(stat) {
        let why = format!(
            "the root '{shown}' is refused: other users can write to it and it has no sticky bit"
        );
        return Err(Error::new(Kind::Permission, why)
            .with_hint(format!("chmod 1777 '{shown}', or {ROOT_HINT}")));
    }
    let mine = Uid::effective().as_raw();
    // In a user namespace root's directories belong to an unknown user.
    let is_unknown = credentials::host_uid(stat.st_uid).is_none();
    if [mine, 0].contains(&stat.st_uid) || is_unknown || !is_sticky(stat) {
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
    // The mode is set through the descriptor, so that the umask and a replaced name have no effect.
    let created = Directory::open(path)?;
    nix::sys::stat::fchmod(&created, Mode::from_bits_truncate(0o1777))
        .map_err(|e| Error::io(format!("cannot set the mode of '{}'", path.display()), e))
}

fn check_writable_shm(shm: &Directory) -> Result<()> {
    shm.probe().map_err(|error| {
        let shown = shm.path().display();
        error.with_hint(format!(
            "let an administrator run 'mount -o remount,rw {shown}' and 'chmod 1777 {shown}', or set \
             CUTE_SHM_DIR to a directory on another tmpfs"
        ))
    })
}

/// Fails where [`create_root`] fails, for a root that does not exist.
fn check_creatable(path: &Path) -> Result<()> {
    let nearest = path.ancestors().skip(1).find_map(|parent| {
        let parent = if parent == Path::new("") { Path::new(".") } else { parent };
        std::fs::canonicalize(parent).ok()
    });
    let nearest = nearest.unwrap_or_else(|| "/".into());
    let probed = Directory::open(&nearest).and_then(|parent| parent.probe());
    probed.map_err(|error| match error.errno() {
        Some(errno) => {
            let source = std::io::Error::from_raw_os_error(errno);
            let what = format!("cannot create the root '{}'", path.display());
            Error::io(what, source).with_hint(ROOT_HINT)
        }
        None => error,
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
        assert!(NodeDirs::open(&paths).unwrap().root.is_none());
        let dirs = NodeDirs::create(&paths).unwrap();
        assert_eq!(fs::metadata(&paths.root).unwrap().permissions().mode() & 0o7777, 0o1777);
        assert_eq!(dirs.warning, None);
    }

    #[test]
    fn a_root_that_others_may_write_without_sticky_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let paths = paths(&temp);
        NodeDirs::create(&paths).unwrap();
        for mode in [0o777, 0o775] {
            fs::set_permissions(&paths.root, Permissions::from_mode(mode)).unwrap();
            let error = NodeDirs::open(&paths).unwrap_err();
            assert_eq!(error.kind(), Kind::Permission);
            assert!(error.hint().unwrap().contains("--root"));
        }
    }

    #[test]
    fn a_rehearsal_creates_nothing() {
        let temp = tempfile::tempdir().unwrap();
        let paths = paths(&temp);
        assert!(NodeDirs::rehearse(&paths).unwrap().root.is_none());
        assert!(!temp.path().join("deep").exists());
        NodeDirs::create(&paths).unwrap();
        assert!(NodeDirs::rehearse(&paths).unwrap().root.is_some());
        assert_eq!(fs::read_dir(&paths.root).unwrap().count(), 0);
        assert_eq!(fs::read_dir(&paths.shm).unwrap().count(), 0);
    }

    #[test]
    fn a_rehearsal_fails_where_a_load_fails() {
        let temp = tempfile::tempdir().unwrap();
        let mut paths = paths(&temp);
        fs::write(temp.path().join("file"), "").unwrap();
        paths.root = temp.path().join("file/root");
        let (rehearsed, created) = (NodeDirs::rehearse(&paths), NodeDirs::create(&paths));
        assert_eq!(rehearsed.unwrap_err().kind(), created.unwrap_err().kind());
    }

    #[test]
    fn a_root_that_is_a_link_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let mut paths = paths(&temp);
        NodeDirs::create(&paths).unwrap();
        let link = temp.path().join("link");
        std::os::unix::fs::symlink(&paths.root, &link).unwrap();
        paths.root = link;
        assert_eq!(NodeDirs::create(&paths).unwrap_err().kind(), Kind::Permission);
    }
}
