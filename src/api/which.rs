//! What names an array of a project where views are asked for.

use super::array::Array;
use super::project::Project;
use crate::error::{Error, Kind, Result};

/// What names an array of a project where a view of it is asked for: its path, as for [`Project::array`], or
/// an [`Array`] of the same attached project. The trait is sealed.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use cute_shm::{FileLock, Node, Tree};
/// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
/// # let node = Node::new(temp.path().join("root"), temp.path());
/// # let lock = FileLock::new(temp.path().join("demo.lock"));
/// let mut tree = Tree::new();
/// tree.array("a", &[1_i32])?;
/// tree.array("b/c", &[2_i32])?;
/// let _guard = node.share("demo").hold(&tree)?;
/// let project = node.open("demo")?;
/// let reading = project.read_locked(&lock, Duration::ZERO)?;
/// assert_eq!(reading.slice::<i32>("b/c")?, [2]);
/// for array in &project.arrays() {
///     assert_eq!(reading.slice::<i32>(array)?.len(), 1);
/// }
/// let other = node.open("demo")?;
/// assert!(reading.slice::<i32>(&other.array("a")?).is_err(), "the lock is not that value's");
/// # Ok::<(), cute_shm::Error>(())
/// ```
pub trait Which: sealed::Find {}

impl Which for &str {}
impl Which for &String {}
impl Which for &Array<'_> {}

pub(super) mod sealed {
    use super::{Array, Project, Result};

    pub trait Find {
        /// The array in this project.
        fn find<'a>(self, project: &'a Project) -> Result<Array<'a>>
        where
            Self: 'a;
    }
}

impl sealed::Find for &str {
    fn find<'a>(self, project: &'a Project) -> Result<Array<'a>>
    where
        Self: 'a,
    {
        project.array(self)
    }
}

impl sealed::Find for &String {
    fn find<'a>(self, project: &'a Project) -> Result<Array<'a>>
    where
        Self: 'a,
    {
        project.array(self)
    }
}

impl sealed::Find for &Array<'_> {
    fn find<'a>(self, project: &'a Project) -> Result<Array<'a>>
    where
        Self: 'a,
    {
        if project.has(self) {
            return Ok(self.clone());
        }
        let message = format!("array '{}' is of another attached project", self.path());
        Err(Error::new(Kind::Usage, message).with_subject(self.path()))
    }
}
