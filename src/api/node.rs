//! The node's shared memory: two directories, as a value.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::shm::format::name::ProjectName;
use crate::shm::store::node_dirs::{DEFAULT_SHM_DIR, NodeDirs, Paths};
use crate::shm::store::removal::Owners;
use crate::shm::store::scan::Scan;
use crate::shm::store::state::{self, State};
use crate::shm::store::unlink;

/// Where projects are: the root with their metadata, and the shm directory with their segments.
/// Several of them can be used side by side; nothing is opened or made before it is asked for.
///
/// The default is what the Python package uses: `/tmp/cute-shm` and `/dev/shm`.
///
/// # Examples
/// ```
/// use cute_shm::{Node, Tree};
/// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
/// # let (root, shm) = (temp.path().join("root"), temp.path());
/// let node = Node::new(root, shm);
/// let mut tree = Tree::new();
/// tree.array("x", &[1_i32, 2, 3])?;
/// node.share("demo").persist(&tree)?;
/// let listed = node.projects()?;
/// assert_eq!((listed[0].name.as_str(), listed[0].arrays), ("demo", 1));
/// assert_eq!(node.unlink("demo")?.segments, 1);
/// assert!(node.projects()?.is_empty());
/// # Ok::<(), cute_shm::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    paths: Paths,
}

/// A project of the node.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Listed {
    /// Its name; what is no UTF-8 in it is replaced.
    pub name: String,
    /// Its name as it is, which [`Node::open`] and [`Node::unlink`] take: Python can make any.
    pub os_name: OsString,
    /// The metadata file; `None` when it is gone.
    pub metadata: Option<PathBuf>,
    /// What is to be thought of it.
    pub state: State,
    /// Arrays, aliases counted.
    pub arrays: u64,
    /// Bytes of its segments.
    pub bytes: u64,
    /// The user id of its owner.
    pub owner: u32,
}

/// What an unlink took away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unlinked {
    /// Segments.
    pub segments: u64,
    /// Bytes of memory that they took; those that a process has attached are free when it lets go.
    pub bytes: u64,
}

impl Node {
    /// The projects whose metadata lies in `root` and whose segments lie in `shm_dir`. Python's reader
    /// looks for segments in `/dev/shm` only.
    pub fn new(root: impl Into<PathBuf>, shm_dir: impl Into<PathBuf>) -> Self {
        Self { paths: Paths { root: root.into(), shm: shm_dir.into() } }
    }

    /// The projects whose metadata lies in `root`, with segments in `/dev/shm`: what Python's
    /// `Project2Toml.root` sets for a whole process.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::Node;
    /// let (mine, team) = (Node::with_root("/tmp/mine"), Node::with_root("/tmp/team"));
    /// assert_ne!(mine, team);
    /// assert_eq!(team.shm_dir().to_str(), Some("/dev/shm"));
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn with_root(root: impl Into<PathBuf>) -> Self {
        Self::new(root, DEFAULT_SHM_DIR)
    }

    /// The directories that the environment names for the command: `CUTE_SHM_ROOT`, `CUTE_SHM_DIR`; the
    /// default ones where it says nothing.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::Node;
    /// let node = Node::from_env();
    /// println!("{} {}", node.root().display(), node.shm_dir().display());
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn from_env() -> Self {
        let directory = |name, default| match std::env::var_os(name) {
            Some(value) if !value.is_empty() => PathBuf::from(value),
            _ => default,
        };
        let Paths { root, shm } = Paths::default();
        Self::new(directory("CUTE_SHM_ROOT", root), directory("CUTE_SHM_DIR", shm))
    }

    /// The directory of the metadata files.
    pub fn root(&self) -> &Path {
        &self.paths.root
    }

    /// The directory of the segments.
    pub fn shm_dir(&self) -> &Path {
        &self.paths.shm
    }

    pub(super) fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Every project of the root, sorted by name; not only what can be opened ([`Listed::state`]).
    ///
    /// # Errors
    /// [`Kind::Permission`](crate::error::Kind::Permission) if the root cannot be trusted, and an I/O error if a
    /// directory cannot be read.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::{Node, State, Tree};
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// # let mut tree = Tree::new();
    /// # tree.array("x", &[1_i32, 2, 3])?;
    /// let _guard = node.share("demo").hold(&tree)?;
    /// for project in node.projects()? {
    ///     assert_eq!((project.name.as_str(), project.state), ("demo", State::Live));
    ///     assert_eq!((project.arrays, project.bytes), (1, 12));
    /// }
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn projects(&self) -> Result<Vec<Listed>> {
        let dirs = NodeDirs::open(&self.paths)?;
        let scan = Scan::new(&dirs);
        let listed = |project: state::Project| Listed {
            name: project.name().to_text(),
            os_name: project.name().as_os_str().to_owned(),
            metadata: project
                .file
                .as_ref()
                .and_then(|_| Some(dirs.root.as_ref()?.join(&project.name().metadata_file()))),
            state: project.state,
            arrays: project.metadata.as_ref().map_or(0, |found| found.leaves().len() as u64),
            bytes: project.size(),
            owner: project.uid,
        };
        Ok(state::judge_all(&dirs, &scan, |_| true)?.into_iter().map(listed).collect())
    }

    /// Removes a project, whoever made it: metadata, segments, ledger.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::error::Kind::NotFound) when there is none,
    /// [`Kind::Permission`](crate::error::Kind::Permission) for another user's,
    /// [`Kind::Busy`](crate::error::Kind::Busy) when it is being changed for longer than two seconds.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::{Node, Tree};
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// # let mut tree = Tree::new();
    /// # tree.array("x", &[1_i32, 2, 3])?;
    /// node.share("demo").persist(&tree)?;
    /// assert_eq!(node.unlink("demo")?.segments, 1);
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn unlink(&self, name: impl AsRef<OsStr>) -> Result<Unlinked> {
        let dirs = NodeDirs::open(&self.paths)?;
        let removed = unlink::unlink(&dirs, &ProjectName::existing(name.as_ref())?, Owners::Own)?;
        let bytes = removed.iter().map(|segment| segment.bytes).sum();
        Ok(Unlinked { segments: removed.len() as u64, bytes })
    }
}
