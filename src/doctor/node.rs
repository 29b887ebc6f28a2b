//! The node that the checks examine. Its files may be below any directory.

use std::fs;
use std::path::{Path, PathBuf};

use crate::shm::store::node_dirs::Paths;

/// The inputs of the checks.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Directory of its files: `/`, or a test tree.
    pub(crate) top: PathBuf,
    /// Root and shm directory, as absolute paths on the node.
    pub(crate) paths: Paths,
    /// Size and use of the shm file system; `None` if they cannot be read.
    pub(crate) space: Option<Space>,
    /// User id that the checks apply to.
    pub(crate) uid: u32,
    /// Name of this user.
    pub(crate) user: String,
    /// Number of arrays of the largest project.
    pub(crate) most_arrays: u64,
}

impl Node {
    /// Returns this node for `user`, or for the effective user of this process.
    pub(crate) fn this(paths: &Paths, user: Option<u32>, most_arrays: u64) -> Self {
        let uid = user.map_or_else(nix::unistd::Uid::effective, nix::unistd::Uid::from_raw);
        let user = nix::unistd::User::from_uid(uid).ok().flatten();
        Self {
            top: "/".into(),
            paths: paths.clone(),
            space: Space::of(&paths.shm),
            uid: uid.as_raw(),
            user: user.map_or_else(|| uid.to_string(), |user| user.name),
            most_arrays,
        }
    }

    /// Returns the path of a file of the node.
    pub(super) fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.top.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Returns the text of a file; empty if it cannot be read.
    pub(super) fn text(&self, path: impl AsRef<Path>) -> String {
        fs::read_to_string(self.at(path)).unwrap_or_default()
    }

    pub(super) fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.at(path).exists()
    }

    /// Whether systemd is the init system, like sd_booted(3).
    pub(super) fn has_systemd(&self) -> bool {
        self.exists("/run/systemd/system")
    }

    /// Returns the `*.conf` files of several directories by name. A file hides those of the same name in later
    /// directories, as in systemd; a link to /dev/null hides them with an empty text.
    pub(super) fn configuration(&self, directories: &[&str]) -> Vec<(PathBuf, String)> {
        let mut files = std::collections::BTreeMap::new();
        for directory in directories {
            for entry in fs::read_dir(self.at(directory)).into_iter().flatten().flatten() {
                let name = entry.file_name();
                if Path::new(&name).extension().is_some_and(|extension| extension == "conf") {
                    files.entry(name.clone()).or_insert_with(|| Path::new(directory).join(name));
                }
            }
        }
        files.into_values().map(|path| (path.clone(), self.text(path))).collect()
    }
}

/// Size and use of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Space {
    /// Total bytes; 0 if unlimited.
    pub(crate) total: u64,
    /// Free bytes.
    pub(crate) free: u64,
    /// Total inodes; 0 if unlimited.
    pub(crate) inodes: u64,
    /// Free inodes.
    pub(crate) free_inodes: u64,
    /// Whether it is a tmpfs.
    pub(crate) tmpfs: bool,
}

impl Space {
    /// Returns the file system of `path`; `None` if it cannot be read.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let fs = nix::sys::statvfs::statvfs(path).ok()?;
        let kind = nix::sys::statfs::statfs(path).ok()?.filesystem_type();
        Some(Self {
            total: fs.blocks().saturating_mul(fs.fragment_size()),
            free: fs.blocks_available().saturating_mul(fs.fragment_size()),
            inodes: fs.files(),
            free_inodes: fs.files_available(),
            tmpfs: kind == nix::sys::statfs::TMPFS_MAGIC,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Creates a node with these files and a large shm file system.
    pub(crate) fn node(files: &[(&str, &str)]) -> (tempfile::TempDir, Node) {
        let temp = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = temp.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let gib = 1 << 30;
        let space = Space {
            total: 32 * gib,
            free: 31 * gib,
            inodes: 1 << 20,
            free_inodes: 1 << 20,
            tmpfs: true,
        };
        let node = Node {
            top: temp.path().to_owned(),
            paths: Paths::default(),
            space: Some(space),
            uid: 1001,
            user: "ann".to_owned(),
            most_arrays: 10,
        };
        (temp, node)
    }

    #[test]
    fn configuration_of_a_higher_directory_hides_that_of_a_lower() {
        let (_temp, node) = node(&[
            ("etc/x.d/b.conf", "high"),
            ("usr/lib/x.d/b.conf", "low"),
            ("usr/lib/x.d/a.conf", "a"),
            ("etc/x.d/README", "no"),
        ]);
        let found = node.configuration(&["/etc/x.d", "/run/x.d", "/usr/lib/x.d"]);
        let shown: Vec<_> =
            found.iter().map(|(path, text)| (path.to_str().unwrap(), text.as_str())).collect();
        assert_eq!(shown, [("/usr/lib/x.d/a.conf", "a"), ("/etc/x.d/b.conf", "high")]);
    }
}
