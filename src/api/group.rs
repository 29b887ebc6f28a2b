//! The tree of an attached project: groups, and what stands at a path.

use super::array::Array;
use super::project::Project;
use crate::error::{Error, Kind, Result};
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
    fn new(project: &'p Project, group: &'p Group, path: String) -> Self {
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
            (name.as_str(), entry(self.project, format!("{}/{name}", self.path), node))
        };
        self.group.iter().map(entry)
    }

    /// The group or array at a path that begins here, as for [`Project::array`].
    pub fn get(&self, path: &str) -> Option<Entry<'p>> {
        let inner = path.strip_prefix('/').unwrap_or(path);
        let (found, node) =
            ['/', '.'].into_iter().find_map(|sep| lookup(self.group, inner, sep))?;
        Some(entry(self.project, format!("{}{found}", self.path), node))
    }

    fn collect(&self, found: &mut Vec<Array<'p>>) {
        for (_, entry) in self.entries() {
            match entry {
                Entry::Array(array) => found.push(array),
                Entry::Group(group) => group.collect(found),
            }
        }
    }
}

impl Project {
    /// The top-level groups and arrays.
    pub fn root(&self) -> GroupRef<'_> {
        GroupRef::new(self, self.tree(), String::new())
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
        let mut found = Vec::new();
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
}

fn entry<'p>(project: &'p Project, path: String, node: &'p tree::Node) -> Entry<'p> {
    match node {
        tree::Node::Group(group) => Entry::Group(GroupRef::new(project, group, path)),
        tree::Node::Array(meta) => Entry::Array(Array::new(path, meta, project.segment(meta))),
    }
}
