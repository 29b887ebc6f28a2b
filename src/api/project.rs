//! An attached project: its tree, and its arrays by path.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::time::Duration;

use super::array::Array;
use super::attach::{Attached, attach, read, why_not};
use super::node::Node;
use crate::error::Result;
use crate::shm::format::name::ProjectName;
use crate::shm::format::tree::{self, Group};
use crate::shm::segment::attached::Segment;
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::wait::until_live;

/// An attached project, made by [`Node::open`]: the tree of its arrays, and their memory. The memory
/// stays as long as this value does, also when somebody unlinks or replaces the project meanwhile.
///
/// # Reading what others may write
/// Any process of the same user can write to a segment at any time, and a Rust slice must not change
/// under its reader. So there are three ways to the elements, each with what makes it sound:
///
/// | way | what makes it sound |
/// |---|---|
/// | [`Array::to_vec`], [`Array::to_array`] | nothing is needed: every word is read once, volatile, into memory of your own; a writer at work leaves a mixture of old and new elements |
/// | [`Self::read_locked`], [`Self::write_locked`] | two locks: the lock file that you name, which Python's `filelock` takes too, and one on the project itself, so that all Rust programs, and all threads of this one, keep out of each other's way whatever lock file they name |
/// | [`Self::assume_unchanged`], [`Self::assume_exclusive`] | your promise, in an `unsafe` block |
///
/// Locks are advisory: a program in another language that writes without taking the lock file is
/// beyond what any library can refuse, as is one that writes to `/proc/PID/mem`.
/// A process that shortens a segment makes readers die of SIGBUS; neither this crate nor the Python
/// package ever does that.
///
/// # Errors
/// Opening fails with [`Kind::NotFound`](crate::error::Kind::NotFound) when there is no such project, or segments of it are gone;
/// [`Kind::Corrupt`](crate::error::Kind::Corrupt) for metadata that is no TOML of the format, names segments of another project, or
/// segments of another user; [`Kind::Permission`](crate::error::Kind::Permission) when we may not read them.
///
/// # Examples
/// ```
/// use cute_shm::{Node, Tree};
/// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
/// # let node = Node::new(temp.path().join("root"), temp.path());
/// let mut tree = Tree::new();
/// tree.array("b/b1", &[1.0_f32, 2.0])?.attr("units", "m");
/// let guard = node.share("demo").hold(&tree)?;
///
/// let project = node.open("demo")?;
/// for array in project.arrays() {
///     println!("{} {:?} {}", array.path(), array.shape(), array.dtype());
/// }
/// let b1 = project.array("/b/b1")?;
/// assert_eq!(b1.attrs()["units"].as_str(), Some("m"));
/// assert_eq!(b1.to_vec::<f32>()?, [1.0, 2.0]);
/// assert!(project.array("b.b1").is_ok(), "dots do as well");
/// assert!(b1.to_vec::<f64>().is_err());
/// # Ok::<(), cute_shm::Error>(())
/// ```
#[derive(Debug)]
pub struct Project {
    name: ProjectName,
    dirs: NodeDirs,
    lockable: File,
    text: String,
    root: Group,
    segments: HashMap<String, Segment>,
}

impl Node {
    /// Attaches a project of this program, of another Rust program, or of the Python package.
    ///
    /// # Errors
    /// As [`Project`] says.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::{Kind, Node, Tree};
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// # let mut tree = Tree::new();
    /// # tree.array("x", &[1_i32, 2, 3])?;
    /// let _guard = node.share("demo").hold(&tree)?;
    /// assert_eq!(node.open("demo")?.arrays().len(), 1);
    /// assert_eq!(node.open("other").unwrap_err().kind(), Kind::NotFound);
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn open(&self, name: impl AsRef<OsStr>) -> Result<Project> {
        Project::open(self, &ProjectName::existing(name.as_ref())?)
    }

    /// Attaches a project once it is live: for consumers that start before the one that shares it.
    ///
    /// # Errors
    /// [`Kind::Busy`](crate::error::Kind::Busy) when it is not live after `limit`; else as [`Self::open`].
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use cute_shm::{Kind, Node, Tree};
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// std::thread::scope(|scope| {
    ///     let waiting = scope.spawn(|| node.wait("demo", Duration::from_secs(60)));
    ///     let mut tree = Tree::new();
    ///     tree.array("x", &[1_i32, 2, 3])?;
    ///     let _guard = node.share("demo").hold(&tree)?;
    ///     let project = waiting.join().unwrap()?;
    ///     assert_eq!(project.array("x")?.to_vec::<i32>()?, [1, 2, 3]);
    ///     Ok::<(), cute_shm::Error>(())
    /// })?;
    /// let error = node.wait("other", Duration::ZERO).unwrap_err();
    /// assert_eq!(error.kind(), Kind::Busy);
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn wait(&self, name: impl AsRef<OsStr>, limit: Duration) -> Result<Project> {
        let name = ProjectName::existing(name.as_ref())?;
        until_live(self.paths(), &name, Some(limit))?;
        Project::open(self, &name)
    }
}

impl Project {
    fn open(node: &Node, name: &ProjectName) -> Result<Self> {
        // A project that is replaced while we attach it has other metadata by now: that is then the one.
        let mut before = None;
        loop {
            let dirs = NodeDirs::open(node.paths())?;
            let Some((file, text, uid)) = read(&dirs, name)? else {
                return Err(why_not(&dirs, name, "it has no metadata"));
            };
            match attach(&dirs, name, &text, uid)? {
                Ok(Attached { root, segments, first }) => {
                    log::debug!(target: "cute_shm", "attached project '{name}': {} segments", segments.len());
                    let (name, lockable) = (name.clone(), first.unwrap_or(file));
                    return Ok(Self { name, dirs, lockable, text, root, segments });
                }
                Err(gone) if before.as_ref() == Some(&text) => {
                    return Err(why_not(&dirs, name, &format!("its segment '{gone}' is gone")));
                }
                Err(_) => before = Some(text),
            }
        }
    }

    /// The project's name; what is no UTF-8 in it is replaced.
    pub fn name(&self) -> String {
        self.name.to_text()
    }

    /// The tree of the metadata.
    pub(super) fn tree(&self) -> &Group {
        &self.root
    }

    /// The file whose lock protects the memory of the project.
    pub(super) fn lockable(&self) -> &File {
        &self.lockable
    }

    /// The memory of an array of the tree.
    pub(super) fn segment(&self, meta: &tree::Array) -> &Segment {
        &self.segments[&meta.segment]
    }

    /// The memory of an array of this project.
    pub(super) fn segment_of(&self, array: &Array<'_>) -> &Segment {
        &self.segments[array.segment()]
    }

    /// Whether this is an array of this attached project, not of another one.
    pub(super) fn has(&self, array: &Array<'_>) -> bool {
        let own = self.segments.get(array.segment());
        own.is_some_and(|own| std::ptr::eq(own, array.memory()))
    }

    pub(super) fn dirs(&self) -> &NodeDirs {
        &self.dirs
    }

    /// Whether the project of that name is still the one that was attached: false once it was replaced
    /// or removed.
    ///
    /// # Errors
    /// As the system says.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::{Node, Source, Tree};
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// # let mut tree = Tree::new();
    /// # tree.array("b/x", Source::slice(&[1_i16, 2, 3, 4, 5, 6], &[2, 3])?)?.attr("units", "m");
    /// # let _guard = node.share("demo").hold(&tree)?;
    /// # let project = node.open("demo")?;
    /// assert!(project.is_current()?);
    /// node.unlink("demo")?;
    /// assert!(!project.is_current()?);
    /// assert_eq!(project.array("b/x")?.len(), 6, "its memory stays attached");
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn is_current(&self) -> Result<bool> {
        Ok(read(&self.dirs, &self.name)?.is_some_and(|(_, text, _)| text == self.text))
    }
}
