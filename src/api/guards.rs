//! Views of the elements, behind guards: nothing of them outlives the guard, and no guard outlives the
//! attached project.
#![allow(unsafe_code)]

use std::time::Duration;

use super::array::Array;
use super::element::Element;
use super::filelock::{FileLock, Hold};
use super::project::Project;
use super::which::Which;
use crate::error::Result;
use crate::os::flock::LockMode;
use crate::shm::segment::plain;

impl Project {
    /// Views that are read-only, while no program that takes `lock`, and no Rust program that uses this
    /// crate, writes. Several may hold it at a time. Waits for at most `limit`.
    ///
    /// # Errors
    /// [`Kind::Busy`](crate::error::Kind::Busy) if another program writes for all of that time, and the error of
    /// the system call that failed.
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
        Ok(Reading::new(self, Some(Hold::take(lock, self.lockable(), LockMode::Shared, limit)?)))
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
        Ok(Writing::new(self, Some(Hold::take(lock, self.lockable(), LockMode::Exclusive, limit)?)))
    }

    /// Views that are read-only, without a lock: for arrays that are written once and then only read.
    ///
    /// # Safety
    /// The caller must ensure that no code, in this process or another, writes to the project's segments
    /// or shortens them while the guard exists.
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
    /// // SAFETY: the program that shares "demo" does not write to it afterwards.
    /// let reading = unsafe { project.assume_unchanged() };
    /// assert_eq!(reading.slice::<i16>("b/x")?[0], 1);
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub unsafe fn assume_unchanged(&self) -> Reading<'_> {
        Reading::new(self, None)
    }

    /// Views that may be written, without a lock.
    ///
    /// # Safety
    /// The caller must ensure that no other code, in this process or another, reads or writes the project's
    /// segments, except through copies such as [`Array::to_vec`], or shortens them while the guard exists.
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
    /// // SAFETY: no other program knows the name "demo" yet.
    /// let mut writing = unsafe { project.assume_exclusive() };
    /// writing.slice_mut::<i16>("b/x")?.fill(0);
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub unsafe fn assume_exclusive(&self) -> Writing<'_> {
        Writing::new(self, None)
    }
}

/// Read-only views of a project's arrays, as long as this guard lives:
/// made by [`Project::read_locked`] or [`Project::assume_unchanged`].
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use cute_shm::{FileLock, Node, Source, Tree};
/// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
/// # let node = Node::new(temp.path().join("root"), temp.path());
/// # let lock = FileLock::new(temp.path().join("demo.lock"));
/// let mut tree = Tree::new();
/// tree.array("x", Source::slice(&[1.0_f64, 2.0, 3.0, 4.0], &[2, 2])?)?;
/// let _guard = node.share("demo").hold(&tree)?;
/// let project = node.open("demo")?;
/// let reading = project.read_locked(&lock, Duration::ZERO)?;
/// assert_eq!(reading.slice::<f64>("x")?, [1.0, 2.0, 3.0, 4.0]);
/// let error = reading.slice::<u8>("x").unwrap_err();
/// assert_eq!(error.to_string(), "array '/x' is float64 of shape (2, 2), not uint8");
/// # Ok::<(), cute_shm::Error>(())
/// ```
///
/// A view cannot outlive its mapping:
/// ```compile_fail,E0505
/// # fn f(node: &cute_shm::Node) -> Result<(), cute_shm::Error> {
/// let project = node.open("demo")?;
/// let reading = unsafe { project.assume_unchanged() };
/// let numbers = reading.slice::<f64>("x")?;
/// drop(project); // would unmap what `numbers` points to
/// println!("{}", numbers[0]);
/// # Ok(()) }
/// ```
/// nor its lock:
/// ```compile_fail,E0505
/// # fn f(project: &cute_shm::Project, lock: &cute_shm::FileLock) -> Result<(), cute_shm::Error> {
/// let reading = project.read_locked(lock, std::time::Duration::ZERO)?;
/// let numbers = reading.slice::<f64>("x")?;
/// drop(reading);
/// println!("{}", numbers[0]);
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "the lock is free again once the guard is dropped"]
pub struct Reading<'p> {
    project: &'p Project,
    _locks: Option<Hold>,
}

impl<'p> Reading<'p> {
    /// The caller holds the locks that keep writers away, or has its own caller's promise.
    fn new(project: &'p Project, locks: Option<Hold>) -> Self {
        Self { project, _locks: locks }
    }

    /// The elements of an array in row-major order.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::error::Kind::NotFound) when there is no such array,
    /// [`Kind::Usage`](crate::error::Kind::Usage) when it is of another type or big-endian (the error names
    /// both), [`Kind::Corrupt`](crate::error::Kind::Corrupt) for a `bool` that is neither 0 nor 1.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::{FileLock, Node, Source, Tree};
    /// # use std::time::Duration;
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// # let mut tree = Tree::new();
    /// # tree.array("b/x", Source::slice(&[1_i16, 2, 3, 4, 5, 6], &[2, 3])?)?.attr("units", "m");
    /// # let _guard = node.share("demo").hold(&tree)?;
    /// # let project = node.open("demo")?;
    /// # let lock = FileLock::new(temp.path().join("demo.lock"));
    /// let reading = project.read_locked(&lock, Duration::ZERO)?;
    /// assert_eq!(reading.slice::<i16>("b/x")?, [1, 2, 3, 4, 5, 6]);
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn slice<T: Element>(&self, array: impl Which) -> Result<&[T]> {
        let array = array.find(self.project)?;
        array.ensure::<T>()?;
        plain::elements(self.bytes_of(&array)).ok_or_else(|| array.no_values::<T>())
    }

    /// The bytes of an array, whatever its dtype.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::error::Kind::NotFound) when there is no such array.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::{FileLock, Node, Source, Tree};
    /// # use std::time::Duration;
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// # let mut tree = Tree::new();
    /// # tree.array("b/x", Source::slice(&[1_i16, 2, 3, 4, 5, 6], &[2, 3])?)?.attr("units", "m");
    /// # let _guard = node.share("demo").hold(&tree)?;
    /// # let project = node.open("demo")?;
    /// # let lock = FileLock::new(temp.path().join("demo.lock"));
    /// let reading = project.read_locked(&lock, Duration::ZERO)?;
    /// assert_eq!(reading.bytes("b/x")?.len(), 12);
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn bytes(&self, array: impl Which) -> Result<&[u8]> {
        Ok(self.bytes_of(&array.find(self.project)?))
    }

    /// The array as a view, of fixed rank or `IxDyn`.
    ///
    /// # Errors
    /// As [`Self::slice`]; [`Kind::Usage`](crate::error::Kind::Usage) for another rank.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::{FileLock, Node, Source, Tree};
    /// # use std::time::Duration;
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// # let mut tree = Tree::new();
    /// # tree.array("b/x", Source::slice(&[1_i16, 2, 3, 4, 5, 6], &[2, 3])?)?.attr("units", "m");
    /// # let _guard = node.share("demo").hold(&tree)?;
    /// # let project = node.open("demo")?;
    /// # let lock = FileLock::new(temp.path().join("demo.lock"));
    /// let reading = project.read_locked(&lock, Duration::ZERO)?;
    /// let view = reading.view::<i16, ndarray::Ix2>("b/x")?;
    /// assert_eq!(view.sum_axis(ndarray::Axis(0)).to_vec(), [5, 7, 9]);
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    #[cfg(feature = "ndarray")]
    pub fn view<T: Element, D: ndarray::Dimension>(
        &self,
        array: impl Which,
    ) -> Result<ndarray::ArrayView<'_, T, D>> {
        let array = array.find(self.project)?;
        let shape = array.rank::<D>()?;
        ndarray::ArrayView::from_shape(shape, self.slice(&array)?).map_err(|e| array.odd(&e))
    }

    fn bytes_of(&self, array: &Array<'_>) -> &[u8] {
        // SAFETY: no code writes while `self` exists: the locks, or the caller's promise, guarantee it.
        // The project, which `self` borrows, keeps the mapping.
        unsafe { self.project.segment_of(array).bytes() }
    }
}

/// Views of a project's arrays that may be written, as long as this guard lives:
/// made by [`Project::write_locked`] or [`Project::assume_exclusive`].
///
/// One array at a time is borrowed for writing, because two paths may name the same memory.
///
/// # Examples
/// ```
/// # use std::time::Duration;
/// # use cute_shm::{FileLock, Node, Tree};
/// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
/// # let node = Node::new(temp.path().join("root"), temp.path());
/// # let (lock, other) = (FileLock::new(temp.path().join("a")), FileLock::new(temp.path().join("b")));
/// # let mut tree = Tree::new();
/// # tree.array("x", &[1_u32, 2])?;
/// # let _guard = node.share("demo").hold(&tree)?;
/// let project = node.open("demo")?;
/// let mut writing = project.write_locked(&lock, Duration::ZERO)?;
/// writing.slice_mut::<u32>("x")?.fill(9);
/// assert_eq!(writing.slice::<u32>("x")?, [9, 9]);
/// // Whatever lock file another names, it does not get at the arrays.
/// assert!(node.open("demo")?.read_locked(&other, Duration::ZERO).is_err());
/// # Ok::<(), cute_shm::Error>(())
/// ```
///
/// There are no two slices of the same memory of which one may be written:
/// ```compile_fail,E0499
/// # fn f(writing: &mut cute_shm::Writing<'_>) -> Result<(), cute_shm::Error> {
/// let numbers = writing.slice_mut::<f64>("x")?;
/// let again = writing.slice_mut::<f64>("alias-of-x")?;
/// numbers[0] = again[0];
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "the lock is free again once the guard is dropped"]
pub struct Writing<'p> {
    reading: Reading<'p>,
}

impl<'p> Writing<'p> {
    fn new(project: &'p Project, locks: Option<Hold>) -> Self {
        Self { reading: Reading::new(project, locks) }
    }

    /// The elements of an array, to read.
    ///
    /// # Errors
    /// As [`Reading::slice`].
    ///
    /// # Examples
    /// ```
    /// use cute_shm::{FileLock, Node, Source, Tree};
    /// # use std::time::Duration;
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// # let mut tree = Tree::new();
    /// # tree.array("b/x", Source::slice(&[1_i16, 2, 3, 4, 5, 6], &[2, 3])?)?.attr("units", "m");
    /// # let _guard = node.share("demo").hold(&tree)?;
    /// # let project = node.open("demo")?;
    /// # let lock = FileLock::new(temp.path().join("demo.lock"));
    /// let mut writing = project.write_locked(&lock, Duration::ZERO)?;
    /// let last = writing.slice::<i16>("b/x")?[5];
    /// writing.slice_mut::<i16>("b/x")?[0] = last;
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn slice<T: Element>(&self, array: impl Which) -> Result<&[T]> {
        self.reading.slice(array)
    }

    /// The elements of an array in row-major order, to write.
    ///
    /// # Errors
    /// As [`Reading::slice`]; [`Kind::Permission`](crate::error::Kind::Permission) when we may not write, and
    /// [`Kind::NotFound`](crate::error::Kind::NotFound) when the project was removed before its first array
    /// was borrowed for writing.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::{FileLock, Node, Source, Tree};
    /// # use std::time::Duration;
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// # let mut tree = Tree::new();
    /// # tree.array("b/x", Source::slice(&[1_i16, 2, 3, 4, 5, 6], &[2, 3])?)?.attr("units", "m");
    /// # let _guard = node.share("demo").hold(&tree)?;
    /// # let project = node.open("demo")?;
    /// # let lock = FileLock::new(temp.path().join("demo.lock"));
    /// let mut writing = project.write_locked(&lock, Duration::ZERO)?;
    /// writing.slice_mut::<i16>("b/x")?[0] = 9;
    /// assert_eq!(writing.slice::<i16>("b/x")?[0], 9);
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn slice_mut<T: Element>(&mut self, array: impl Which) -> Result<&mut [T]> {
        let array = array.find(self.reading.project)?;
        array.ensure::<T>()?;
        plain::elements_mut(self.bytes_of(&array)?).ok_or_else(|| array.no_values::<T>())
    }

    /// The bytes of an array, whatever its dtype, to write. Of a `bool` array only 0 and 1 are values.
    ///
    /// # Errors
    /// As [`Self::slice_mut`], but for the type.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::{FileLock, Node, Source, Tree};
    /// # use std::time::Duration;
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// # let mut tree = Tree::new();
    /// # tree.array("b/x", Source::slice(&[1_i16, 2, 3, 4, 5, 6], &[2, 3])?)?.attr("units", "m");
    /// # let _guard = node.share("demo").hold(&tree)?;
    /// # let project = node.open("demo")?;
    /// # let lock = FileLock::new(temp.path().join("demo.lock"));
    /// let mut writing = project.write_locked(&lock, Duration::ZERO)?;
    /// writing.bytes_mut("b/x")?.fill(0xff);
    /// assert_eq!(writing.slice::<i16>("b/x")?, [-1; 6]);
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn bytes_mut(&mut self, array: impl Which) -> Result<&mut [u8]> {
        let array = array.find(self.reading.project)?;
        self.bytes_of(&array)
    }

    /// The array as a view, of fixed rank or `IxDyn`, to write.
    ///
    /// # Errors
    /// As [`Self::slice_mut`]; [`Kind::Usage`](crate::error::Kind::Usage) for another rank.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::{FileLock, Node, Source, Tree};
    /// # use std::time::Duration;
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// # let mut tree = Tree::new();
    /// # tree.array("b/x", Source::slice(&[1_i16, 2, 3, 4, 5, 6], &[2, 3])?)?.attr("units", "m");
    /// # let _guard = node.share("demo").hold(&tree)?;
    /// # let project = node.open("demo")?;
    /// # let lock = FileLock::new(temp.path().join("demo.lock"));
    /// let mut writing = project.write_locked(&lock, Duration::ZERO)?;
    /// writing.view_mut::<i16, ndarray::Ix2>("b/x")?.row_mut(1).fill(0);
    /// assert_eq!(writing.slice::<i16>("b/x")?, [1, 2, 3, 0, 0, 0]);
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    #[cfg(feature = "ndarray")]
    pub fn view_mut<T: Element, D: ndarray::Dimension>(
        &mut self,
        array: impl Which,
    ) -> Result<ndarray::ArrayViewMut<'_, T, D>> {
        let array = array.find(self.reading.project)?;
        let shape = array.rank::<D>()?;
        ndarray::ArrayViewMut::from_shape(shape, self.slice_mut(&array)?).map_err(|e| array.odd(&e))
    }

    #[expect(clippy::needless_pass_by_ref_mut, reason = "the slice borrows the whole guard")]
    fn bytes_of(&mut self, array: &Array<'_>) -> Result<&mut [u8]> {
        let project = self.reading.project;
        let segment = project.segment_of(array);
        segment.allow_writing(&project.dirs().shm)?;
        // SAFETY: no other code reads or writes while `self` exists: the locks, or the caller's promise, guarantee it.
        // The slice borrows all of `self`, so that this process has no second one.
        Ok(unsafe { segment.bytes_mut() })
    }
}
