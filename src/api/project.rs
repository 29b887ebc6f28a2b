//! An attached project: its tree, and its arrays by path.

use std::collections::HashMap;
use std::fs::File;
use std::time::Duration;

use super::array::Array;
use super::attach::{Attached, attach, read, why_not};
use super::filelock::{FileLock, Hold};
use super::group::{Entry, GroupRef};
use super::guards::{Reading, Writing};
use super::node::Node;
use crate::error::{Error, Kind, Result};
use crate::os::flock::LockMode;
use crate::shm::format::name::ProjectName;
use crate::shm::format::tree::{self, Group};
use crate::shm::segment::attached::Segment;
use crate::shm::store::node_dirs::NodeDirs;

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
/// Opening fails with [`Kind::NotFound`] when there is no such project, or segments of it are gone;
/// [`Kind::Corrupt`] for metadata that is no TOML of the format, names segments of another project, or
/// segments of another user; [`Kind::Permission`] when we may not read them.
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

impl Project {
    pub(super) fn open(node: &Node, name: &ProjectName) -> Result<Self> {
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

    /// The top-level groups and arrays.
    pub fn root(&self) -> GroupRef<'_> {
        GroupRef::new(self, &self.root, String::new())
    }

    /// Every array with its path, in the order of the metadata.
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
    /// let paths: Vec<_> = project.arrays().iter().map(|array| array.path().to_owned()).collect();
    /// assert_eq!(paths, ["/b/x"]);
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn arrays(&self) -> Vec<Array<'_>> {
        let mut found = Vec::with_capacity(self.segments.len());
        self.root().collect(&mut found);
        found
    }

    /// The array at `path`: names with `/` between them and, if there is none, with dots.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is none; a group is none.
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
    /// assert_eq!(project.array("/b/x")?.path(), project.array("b.x")?.path());
    /// assert_eq!(project.array("y").unwrap_err().to_string(), "'y' is not there in project 'demo'");
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn array(&self, path: &str) -> Result<Array<'_>> {
        match self.get(path) {
            Some(Entry::Array(array)) => Ok(array),
            found => {
                let name = self.name();
                let what =
                    if found.is_some() { "is a group, not an array," } else { "is not there" };
                Err(Error::new(Kind::NotFound, format!("'{path}' {what} in project '{name}'"))
                    .with_subject(path))
            }
        }
    }

    /// The group or array at `path`, as for [`Self::array`].
    ///
    /// # Examples
    /// ```
    /// use cute_shm::{Entry, Node, Source, Tree};
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// # let mut tree = Tree::new();
    /// # tree.array("b/x", Source::slice(&[1_i16, 2, 3, 4, 5, 6], &[2, 3])?)?.attr("units", "m");
    /// # let _guard = node.share("demo").hold(&tree)?;
    /// # let project = node.open("demo")?;
    /// assert!(matches!(project.get("b"), Some(Entry::Group(group)) if group.len() == 1));
    /// assert!(matches!(project.get("b/x"), Some(Entry::Array(_))));
    /// assert!(project.get("b/y").is_none());
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn get(&self, path: &str) -> Option<Entry<'_>> {
        self.root().get(path)
    }

    pub(super) fn entry<'p>(&'p self, path: String, node: &'p tree::Node) -> Entry<'p> {
        match node {
            tree::Node::Group(group) => Entry::Group(GroupRef::new(self, group, path)),
            tree::Node::Array(meta) => Entry::Array(Array::new(path, meta, self.segment(meta))),
        }
    }

    fn segment(&self, meta: &tree::Array) -> &Segment {
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

    /// Views that are read-only, while no program that takes `lock`, and no Rust program that uses this
    /// crate, writes. Several may hold it at a time. Waits for at most `limit`.
    ///
    /// # Errors
    /// [`Kind::Busy`] when somebody writes for that long; as the system says.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::{FileLock, Node, Source, Tree};
    /// use std::time::Duration;
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// # let mut tree = Tree::new();
    /// # tree.array("b/x", Source::slice(&[1_i16, 2, 3, 4, 5, 6], &[2, 3])?)?.attr("units", "m");
    /// # let _guard = node.share("demo").hold(&tree)?;
    /// # let project = node.open("demo")?;
    /// let lock = FileLock::new(temp.path().join("demo.lock"));
    /// let reading = project.read_locked(&lock, Duration::from_secs(1))?;
    /// assert_eq!(reading.slice::<i16>("b/x")?.iter().sum::<i16>(), 21);
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn read_locked(&self, lock: &FileLock, limit: Duration) -> Result<Reading<'_>> {
        Ok(Reading::new(self, Some(Hold::take(lock, &self.lockable, LockMode::Shared, limit)?)))
    }

    /// Views that may be written, while no program that takes `lock`, and no Rust program that uses this
    /// crate, reads or writes under its lock. Waits for at most `limit`.
    ///
    /// # Errors
    /// As [`Self::read_locked`].
    ///
    /// # Examples
    /// ```
    /// use cute_shm::{FileLock, Node, Source, Tree};
    /// use std::time::Duration;
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// # let mut tree = Tree::new();
    /// # tree.array("b/x", Source::slice(&[1_i16, 2, 3, 4, 5, 6], &[2, 3])?)?.attr("units", "m");
    /// # let _guard = node.share("demo").hold(&tree)?;
    /// # let project = node.open("demo")?;
    /// let lock = FileLock::new(temp.path().join("demo.lock"));
    /// let mut writing = project.write_locked(&lock, Duration::from_secs(1))?;
    /// writing.slice_mut::<i16>("b/x")?.sort_by(|a, b| b.cmp(a));
    /// drop(writing);
    /// assert_eq!(project.array("b/x")?.to_vec::<i16>()?, [6, 5, 4, 3, 2, 1]);
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn write_locked(&self, lock: &FileLock, limit: Duration) -> Result<Writing<'_>> {
        Ok(Writing::new(self, Some(Hold::take(lock, &self.lockable, LockMode::Exclusive, limit)?)))
    }

    /// Views that are read-only, without a lock: for arrays that are written once and then only read.
    ///
    /// # Safety
    /// You promise that as long as the guard lives nobody, in this process or another, writes to the
    /// project's segments or shortens them.
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
    /// // SAFETY: whoever shares "demo" never writes to it again.
    /// let reading = unsafe { project.assume_unchanged() };
    /// assert_eq!(reading.slice::<i16>("b/x")?[0], 1);
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    #[allow(unsafe_code)]
    pub unsafe fn assume_unchanged(&self) -> Reading<'_> {
        Reading::new(self, None)
    }

    /// Views that may be written, without a lock.
    ///
    /// # Safety
    /// You promise that as long as the guard lives nobody else, in this process or another, reads or
    /// writes the project's segments through anything but [`Array::to_vec`] and the like, or shortens them.
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
    /// // SAFETY: nobody else has been told of "demo" yet.
    /// let mut writing = unsafe { project.assume_exclusive() };
    /// writing.slice_mut::<i16>("b/x")?.fill(0);
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    #[allow(unsafe_code)]
    pub unsafe fn assume_exclusive(&self) -> Writing<'_> {
        Writing::new(self, None)
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
