//! What makes shared memory fail on a node: each check is a pure function of a [`Node`], whose files may
//! lie below any directory, and says what to do.

mod limits;
mod logind;
mod memory;
mod namespaces;
mod pages;
mod space;
mod tmpfiles;

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use space::Space;

use crate::shm::store::node_dirs::Paths;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// It will fail for some, or some day.
    Warning,
    /// It fails.
    Problem,
}

impl Level {
    /// The word for it, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Check {
    /// What was looked at: stable, for scripts.
    pub name: &'static str,
    /// How bad it is.
    pub level: Level,
    /// A sentence without capital and full stop.
    pub message: String,
    /// What to do about it; null where there is nothing to do.
    pub hint: Option<String>,
}

impl Check {
    /// A finding without advice.
    pub fn new(name: &'static str, level: Level, message: impl Into<String>) -> Self {
        Self { name, level, message: message.into(), hint: None }
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

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
    fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.top.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A file's text; empty when it is not there or not for us.
    fn text(&self, path: impl AsRef<Path>) -> String {
        fs::read_to_string(self.at(path)).unwrap_or_default()
    }

    fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.at(path).exists()
    }

    /// Whether systemd runs the node: as sd_booted(3) finds out.
    fn has_systemd(&self) -> bool {
        self.exists("/run/systemd/system")
    }

    /// Files `*.conf` of several directories by name, the first directory winning: how systemd reads
    /// configuration. A file that is a link to /dev/null is empty, and so hides those of its name.
    fn configuration(&self, directories: &[&str]) -> Vec<(PathBuf, String)> {
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

/// Every check, in the order in which a reader wants them.
pub fn examine(node: &Node) -> Vec<Check> {
    let mut checks = vec![space::file_system(node), space::inodes(node)];
    checks.extend([memory::cgroup(node), memory::swap(node), memory::numa(node)]);
    checks.extend([pages::huge(node), logind::remove_ipc(node), tmpfiles::ages(node)]);
    checks.extend([limits::descriptors(node), namespaces::private(node)]);
    checks
}

/// What `gc` would reap, as a check: `reasons` has one for each project.
pub fn leftovers(reasons: &[String]) -> Check {
    match reasons {
        [] => Check::new("leftovers", Level::Ok, "nothing to reap"),
        [one] => leftover(format!("one project to reap: {one}")),
        [first, rest @ ..] => {
            leftover(format!("{} projects to reap: {first}, and others", rest.len() + 1))
        }
    }
}

fn leftover(message: String) -> Check {
    Check::new("leftovers", Level::Warning, message).with_hint("cute-shm gc")
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
    fn every_check_copes_with_an_empty_node() {
        let (_temp, mut node) = node(&[]);
        node.space = None;
        let checks = examine(&node);
        assert!(checks.iter().all(|check| check.level < Level::Problem), "{checks:?}");
        let mut names: Vec<_> = checks.iter().map(|check| check.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), checks.len());
    }

    #[test]
    fn leftovers_are_counted() {
        assert_eq!(leftovers(&[]).level, Level::Ok);
        let two = leftovers(&["a is stale".to_owned(), "b".to_owned()]);
        assert_eq!((two.level, two.hint.as_deref()), (Level::Warning, Some("cute-shm gc")));
        assert!(two.message.starts_with("2 projects to reap: a is stale"));
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
