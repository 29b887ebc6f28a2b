//! Puts a tree of arrays into shared memory.

use std::num::NonZero;
use std::time::Duration;

use super::copy::{self, Job};
use super::guard::{Guard, Report};
use super::node::Node;
use super::tree::Tree;
use crate::error::Result;
use crate::os::memory::Need;
use crate::os::threads;
use crate::shm::format::ledger::{Lifetime, Record, Selection};
use crate::shm::format::metadata::Metadata;
use crate::shm::format::name::{ProjectName, SegmentName};
use crate::shm::store::held::HeldProject;
use crate::shm::store::lock::LOCK_TIMEOUT;
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::transaction::{NewProject, Transaction};

/// What is to be shared as, and how: made by [`Node::share`].
///
/// # Examples
/// ```
/// use std::num::NonZero;
/// use std::time::Duration;
/// use cute_shm::{Node, Tree};
/// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
/// # let node = Node::new(temp.path().join("root"), temp.path());
/// let numbers = [1.0_f64, 2.0];
/// let mut tree = Tree::new();
/// tree.array("group/numbers", &numbers)?.attr("units", "m");
/// let report = node.share("demo").persist(&tree)?;
/// assert_eq!((report.arrays, report.bytes), (1, 16));
/// assert!(node.share("demo").persist(&tree).is_err(), "it exists");
/// // Again, with everything that can be chosen:
/// let share = node.share("demo").overwrite(true).mode(0o640).threads(NonZero::new(2).unwrap());
/// share.wait(Duration::from_secs(30)).grace(Duration::ZERO).persist(&tree)?;
/// node.unlink("demo")?;
/// # Ok::<(), cute_shm::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is shared before `hold` or `persist`"]
pub struct Share {
    node: Node,
    name: String,
    overwrite: bool,
    mode: u32,
    group: Option<u32>,
    threads: usize,
    wait: Duration,
    grace: Duration,
}

impl Node {
    /// Begins to share arrays as the project `name`.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::{Node, Tree};
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// # let mut tree = Tree::new();
    /// # tree.array("x", &[1_i32, 2, 3])?;
    /// let guard = node.share("demo").mode(0o640).hold(&tree)?;
    /// assert_eq!(guard.report().arrays, 1);
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn share(&self, name: &str) -> Share {
        Share::new(self, name)
    }
}

impl Share {
    fn new(node: &Node, name: &str) -> Self {
        Self {
            node: node.clone(),
            name: name.to_owned(),
            overwrite: false,
            mode: 0o600,
            group: None,
            threads: threads::processors(),
            wait: LOCK_TIMEOUT,
            grace: Duration::ZERO,
        }
    }

    /// Replaces a project of that name, which stays readable until the new one is complete.
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Permission bits of segments and metadata, whatever the umask says; `0o600` unless told otherwise.
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Gives segments and metadata to the group of this id.
    pub fn group(mut self, gid: u32) -> Self {
        self.group = Some(gid);
        self
    }

    /// How many threads copy; as many as there are processors unless told otherwise.
    pub fn threads(mut self, threads: NonZero<usize>) -> Self {
        self.threads = threads.get();
        self
    }

    /// How long another process at work on the project is waited for; two seconds unless told.
    pub fn wait(mut self, limit: Duration) -> Self {
        self.wait = limit;
        self
    }

    /// Keeps the segments of a replaced project for so long, for readers that are just attaching.
    pub fn grace(mut self, time: Duration) -> Self {
        self.grace = time;
        self
    }

    /// Shares the arrays until the guard is dropped, or this process ends, however it ends.
    ///
    /// # Errors
    /// [`Kind::Exists`](crate::error::Kind::Exists) when the project exists and is not to be overwritten;
    /// [`Kind::NoMemory`](crate::error::Kind::NoMemory) when it does not fit, before anything is written;
    /// [`Kind::Busy`](crate::error::Kind::Busy) when another process is at work on it;
    /// [`Kind::Usage`](crate::error::Kind::Usage) for a bad name. Nothing of the new project stays then, and an
    /// existing one is as it was.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::{Node, Tree};
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// # let mut tree = Tree::new();
    /// # tree.array("x", &[1_i32, 2, 3])?;
    /// let guard = node.share("demo").hold(&tree)?;
    /// assert!(node.open("demo").is_ok());
    /// drop(guard);
    /// assert!(node.open("demo").is_err());
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn hold(self, tree: &Tree<'_>) -> Result<Guard> {
        let (dirs, held, report) = self.run(tree, Lifetime::Held)?;
        Ok(Guard::new(self.node, self.name, dirs, held, report))
    }

    /// Shares the arrays until somebody unlinks the project, or the node reboots.
    ///
    /// # Errors
    /// As [`Self::hold`].
    ///
    /// # Examples
    /// ```
    /// use cute_shm::{Node, Tree};
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// # let mut tree = Tree::new();
    /// # tree.array("x", &[1_i32, 2, 3])?;
    /// let report = node.share("demo").persist(&tree)?;
    /// assert_eq!((report.arrays, report.bytes), (1, 12));
    /// node.unlink("demo")?;
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn persist(self, tree: &Tree<'_>) -> Result<Report> {
        self.run(tree, Lifetime::Persistent).map(|(_, _, report)| report)
    }

    fn run(
        &self,
        tree: &Tree<'_>,
        lifetime: Lifetime,
    ) -> Result<(NodeDirs, Option<HeldProject>, Report)> {
        let name = ProjectName::new(self.name.as_ref())?;
        let selection = Selection { mode: self.mode, group: self.group, ..Selection::default() };
        let new = NewProject {
            name: &name,
            lifetime,
            selection: &selection,
            files: Vec::new(),
            identity: None,
            job: None,
            grace: self.grace,
        };
        let dirs = NodeDirs::create(self.node.paths())?;
        let transaction = Transaction::begin(&dirs, &new, self.wait, &|_| Ok(self.overwrite))?;
        if let Err(error) = self.fill(tree, &dirs, &new, &transaction) {
            return Err(transaction.roll_back(error));
        }
        let root = tree.metadata(&name, transaction.token());
        let metadata = Metadata { mark: None, root }.to_toml();
        let amend = |record: &mut Record| record.complete = true;
        let published = transaction.publish(&metadata, amend, std::thread::sleep)?;
        let report = Report {
            metadata: dirs.root()?.join(&name.metadata_file()),
            token: published.token.to_string(),
            arrays: tree.array_count() as u64,
            bytes: tree.nbytes(),
            elapsed: published.elapsed,
            skipped: Vec::new(),
        };
        Ok((dirs, published.held, report))
    }

    /// Creates and fills the segments of an announced load.
    fn fill(
        &self,
        tree: &Tree<'_>,
        dirs: &NodeDirs,
        new: &NewProject<'_>,
        transaction: &Transaction<'_>,
    ) -> Result<()> {
        let (sources, token) = (tree.sources(), transaction.token());
        transaction.check_budget(Need::of(sources.iter().map(|source| source.nbytes() as u64)))?;
        let segment = |number| SegmentName::new(new.name, token, number);
        let job = |(number, &source)| Job { segment: segment(number), source };
        let jobs: Vec<_> = (0..).zip(&sources).map(job).collect();
        copy::copy(&dirs.shm, &jobs, &new.selection.access(), self.threads)
    }
}
