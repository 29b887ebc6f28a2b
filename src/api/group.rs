//! The tree of an attached project: groups, and what stands at a path.

use super::array::Array;
use super::project::Project;
use crate::shm::format::array_key::lookup;
use crate::shm::format::tree::{self, Group};

/// What a name in a group stands for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Entry<'p> {
    /// A nested group.
    Group(GroupRef<'p>),
    /// An array.
    Array(Array<'p>),
}

/// A group of an attached project: made by [`Project::root`], or found by [`Project::get`].
///
/// # Examples
/// ```
/// use cute_shm::{Entry, GroupRef, Node, Tree};
/// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
/// # let node = Node::new(temp.path().join("root"), temp.path());
/// fn walk(group: &GroupRef<'_>, found: &mut Vec<String>) {
///     for (_name, entry) in group.entries() {
///         match entry {
///             Entry::Group(inner) => walk(&inner, found),
///             Entry::Array(array) => found.push(array.path().to_owned()),
///             _ => {}
///         }
///     }
/// }
/// let mut tree = Tree::new();
/// tree.array("a", &[1_u8])?;
/// tree.array("b/c/d", &[2_u8])?;
/// let _guard = node.share("demo").hold(&tree)?;
/// let project = node.open("demo")?;
/// let mut found = Vec::new();
/// walk(&project.root(), &mut found);
/// assert_eq!(found, ["/a", "/b/c/d"]);
/// # Ok::<(), cute_shm::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct GroupRef<'p> {
    project: &'p Project,
    group: &'p Group,
    /// Empty for the root, else names with a slash before each.
    path: String,
}

impl<'p> GroupRef<'p> {
    pub(super) fn new(project: &'p Project, group: &'p Group, path: String) -> Self {
        Self { project, group, path }
    }

    /// Where it is in the project: names with `/` before each; `/` for the root.
    pub fn path(&self) -> &str {
        if self.path.is_empty() { "/" } else { &self.path }
    }

    /// Names in it.
    pub fn len(&self) -> usize {
        self.group.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.group.is_empty()
    }

    /// The names in it with what they stand for, in the order of the metadata.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&'p str, Entry<'p>)> {
        let entry = move |(name, node): (&'p String, &'p tree::Node)| {
            (name.as_str(), self.project.entry(format!("{}/{name}", self.path), node))
        };
        self.group.iter().map(entry)
    }

    /// The group or array at a path that begins here, as for [`Project::array`].
    pub fn get(&self, path: &str) -> Option<Entry<'p>> {
        let inner = path.strip_prefix('/').unwrap_or(path);
        let (found, node) =
            ['/', '.'].into_iter().find_map(|sep| lookup(self.group, inner, sep))?;
        Some(self.project.entry(format!("{}{found}", self.path), node))
    }

    pub(super) fn collect(&self, found: &mut Vec<Array<'p>>) {
        for (_, entry) in self.entries() {
            match entry {
                Entry::Array(array) => found.push(array),
                Entry::Group(group) => group.collect(found),
            }
        }
    }
}
