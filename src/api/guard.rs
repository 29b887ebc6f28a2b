//! A project that lives as long as a value of this process.

use std::path::PathBuf;
use std::time::Duration;

use super::node::Node;
use super::project::Project;
use crate::error::Result;
use crate::shm::store::held::HeldProject;
use crate::shm::store::node_dirs::NodeDirs;

/// What was shared.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// The metadata file.
    pub metadata: PathBuf,
    /// The five characters that all its segments' names share.
    pub token: String,
    /// Arrays, each once.
    pub arrays: u64,
    /// Bytes of their elements.
    pub bytes: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// What a file holds but shared memory has no form for, what could not be read, and attributes
    /// that TOML does not hold.
    pub skipped: Vec<Skipped>,
}

/// Something that was left out of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// Where in the file: `/group/dataset`, `/group/dataset@attribute`.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// A project that is removed when this is dropped: at the end of its scope, and when a panic unwinds. When the
/// process ends without dropping it (it is killed, also by Ctrl-C where nothing handles that, or calls
/// [`std::process::exit`]), the project is removed by whoever loads that name next, or runs `cute-shm gc`.
///
/// Readers that have attached keep their memory: only the names go.
///
/// A process that is forked meanwhile has the guard too. Dropped there, it leaves the project to the process
/// that made it, as long as that one lives.
///
/// # Examples
/// ```
/// use cute_shm::{Node, Tree};
/// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
/// # let node = Node::new(temp.path().join("root"), temp.path());
/// let mut tree = Tree::new();
/// tree.array("x", &[1_i32, 2, 3])?;
/// let caught = std::panic::catch_unwind(|| {
///     let _guard = node.share("demo").hold(&tree).unwrap();
///     assert!(node.open("demo").is_ok());
///     panic!("something else goes wrong");
/// });
/// assert!(caught.is_err());
/// assert!(node.open("demo").is_err(), "the guard has removed it");
/// # Ok::<(), cute_shm::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "dropping the guard removes the project"]
pub struct Guard {
    node: Node,
    name: String,
    dirs: NodeDirs,
    held: Option<HeldProject>,
    report: Report,
}

impl Guard {
    pub(super) fn new(
        node: Node,
        name: String,
        dirs: NodeDirs,
        held: Option<HeldProject>,
        report: Report,
    ) -> Self {
        Self { node, name, dirs, held, report }
    }

    /// The project's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What was shared.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Attaches the project.
    ///
    /// # Errors
    /// As [`Node::open`].
    ///
    /// # Examples
    /// ```
    /// use cute_shm::{Node, Tree};
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// # let mut tree = Tree::new();
    /// # tree.array("x", &[1_i32, 2, 3])?;
    /// let guard = node.share("demo").hold(&tree)?;
    /// assert_eq!(guard.open()?.array("x")?.to_vec::<i32>()?, [1, 2, 3]);
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn open(&self) -> Result<Project> {
        self.node.open(&self.name)
    }

    /// Removes the project now, and tells what dropping cannot.
    ///
    /// # Errors
    /// As the system says.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::{Node, Tree};
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// # let mut tree = Tree::new();
    /// # tree.array("x", &[1_i32, 2, 3])?;
    /// let guard = node.share("demo").hold(&tree)?;
    /// assert_eq!((guard.name(), guard.report().bytes), ("demo", 12));
    /// guard.remove()?;
    /// assert!(node.projects()?.is_empty());
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn remove(mut self) -> Result<()> {
        self.held.take().map_or(Ok(()), |held| held.release(&self.dirs))
    }

    /// Lets the project stay until it is unlinked, or the node reboots.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::error::Kind::NotFound) if another process removed or replaced the project, and an
    /// I/O error if the ledger cannot be read or written. The guard is then dropped, which removes the project.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::{Node, Tree};
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// # let mut tree = Tree::new();
    /// # tree.array("x", &[1_i32, 2, 3])?;
    /// let guard = node.share("demo").hold(&tree)?;
    /// let report = guard.persist()?;
    /// assert!(report.metadata.ends_with("cute-shm.demo.toml"));
    /// node.unlink("demo")?;
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn persist(mut self) -> Result<Report> {
        if let Some(held) = &self.held {
            held.make_persistent(&self.dirs)?;
        }
        // The project is persistent now, so dropping the liveness lock does not make it stale.
        drop(self.held.take());
        Ok(self.report.clone())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(held) = self.held.take()
            && let Err(error) = held.release(&self.dirs)
        {
            log::warn!(target: "cute_shm", "project '{}' was not removed: {error}", self.name);
        }
    }
}
