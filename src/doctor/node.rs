//! The node that the checks examine. Its files may be below any directory.

use std::fs;
use std::path::{Path, PathBuf};

use super::space::Space;
use crate::shm::store::node_dirs::Paths;

/// The node as the checks see it.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where its files are: `/`, or a made-up tree.
    pub top: PathBuf,
    /// Root and shm directory, as absolute paths on the node.
    pub paths: Paths,
    /// The size and use of the shm file system; `None` when it cannot be asked.
    pub space: Option<Space>,
    /// The user whose projects are meant.
    pub uid: u32,
    /// That user's name.
    pub user: String,
    /// Arrays of the largest project.
    pub most_arrays: u64,
}

impl Node {
    /// This node, for `user`, or else for who runs this.
    pub fn this(paths: &Paths, user: Option<u32>, most_arrays: u64) -> Self {
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

    /// Where a file of the node is.
    pub(super) fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.top.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A file's text; empty when it is not there or not for us.
    pub(super) fn text(&self, path: impl AsRef<Path>) -> String {
        fs::read_to_string(self.at(path)).unwrap_or_default()
    }

    pub(super) fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.at(path).exists()
    }

    /// Whether systemd runs the node: as sd_booted(3) finds out.
    pub(super) fn has_systemd(&self) -> bool {
        self.exists("/run/systemd/system")
    }

    /// Files `*.conf` of several directories by name, the first directory winning: how systemd reads
    /// configuration. A file that is a link to /dev/null is empty, and so hides those of its name.
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A made-up node of these files. Its shm file system is of a good size.
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
