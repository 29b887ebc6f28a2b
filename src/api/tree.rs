//! The nested tree of arrays that becomes a project.

use indexmap::IndexMap;
use indexmap::map::Entry;
use toml::{Table, Value};

use super::source::Source;
use crate::error::{Error, Kind, Result};
use crate::shm::format::name::{ProjectName, SegmentName, Token};
use crate::shm::format::tree::{self, ARRAY_KEY, Array, Group};

/// A nested tree of arrays, in the order in which they are added: what Python has as a dictionary of
/// dictionaries.
///
/// # Examples
/// ```
/// use cute_shm::{Source, Tree};
/// let (weights, bias) = ([1.0_f32; 6], [0.5_f32; 2]);
/// let mut tree = Tree::new();
/// tree.array("layer/weights", Source::slice(&weights, &[2, 3])?)?.attr("units", "1");
/// tree.array("layer/bias", &bias)?;
/// tree.group("empty")?;
/// assert_eq!((tree.array_count(), tree.nbytes()), (2, 32));
/// # Ok::<(), cute_shm::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Tree<'a> {
    items: IndexMap<String, Item<'a>>,
}

#[derive(Debug)]
enum Item<'a> {
    Group(Tree<'a>),
    Array(Added<'a>),
}

/// An array of a [`Tree`], which may be given attributes.
#[derive(Debug)]
pub struct Added<'a> {
    source: Source<'a>,
    attrs: Table,
}

impl Added<'_> {
    /// Gives the array an attribute: text, a number, a truth value, a date, or an array of those.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::Tree;
    /// let mut tree = Tree::new();
    /// tree.array("x", &[1_u8])?.attr("units", "m").attr("scale", 0.5).attr("range", vec![0, 255]);
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn attr(&mut self, name: impl Into<String>, value: impl Into<Value>) -> &mut Self {
        self.attrs.insert(name.into(), value.into());
        self
    }
}

impl<'a> Tree<'a> {
    /// A tree without arrays.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an array at `path`: names with `/` between them; groups are made as needed.
    ///
    /// # Errors
    /// [`Kind::Exists`] when the path is taken or leads through an array; [`Kind::Usage`] for a path
    /// with an empty name, and for `shm_name` below a group, which misleads every reader of the format.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::{Kind, Source, Tree};
    /// let (pixels, mask) = ([1_u8; 6], [true, false]);
    /// let mut tree = Tree::new();
    /// tree.array("images/first", Source::slice(&pixels, &[2, 3])?)?;
    /// tree.array("mask", &mask)?;
    /// assert_eq!(tree.array("mask", &mask).unwrap_err().kind(), Kind::Exists);
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn array(&mut self, path: &str, source: impl Into<Source<'a>>) -> Result<&mut Added<'a>> {
        let (groups, name) = split(path)?;
        let group = self.descend(groups, path)?;
        match group.items.entry(name.to_owned()) {
            Entry::Occupied(_) => Err(taken(path)),
            Entry::Vacant(free) => {
                let added = Added { source: source.into(), attrs: Table::new() };
                match free.insert(Item::Array(added)) {
                    Item::Array(added) => Ok(added),
                    Item::Group(_) => Err(taken(path)),
                }
            }
        }
    }

    /// The group at `path`, which is made if it is not there.
    ///
    /// # Errors
    /// As [`Self::array`].
    ///
    /// # Examples
    /// ```
    /// use cute_shm::Tree;
    /// let numbers = [1.0_f32];
    /// let mut tree = Tree::new();
    /// let group = tree.group("a/b")?;
    /// group.array("x", &numbers)?;
    /// group.array("y", &numbers)?;
    /// assert_eq!((tree.array_count(), tree.nbytes()), (2, 8));
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn group(&mut self, path: &str) -> Result<&mut Tree<'a>> {
        let (groups, name) = split(path)?;
        self.descend(groups, path)?.child(name, path)
    }

    fn descend(&mut self, groups: &str, path: &str) -> Result<&mut Self> {
        let names = groups.split('/').filter(|name| !name.is_empty());
        names.into_iter().try_fold(self, |group, name| group.child(name, path))
    }

    fn child(&mut self, name: &str, path: &str) -> Result<&mut Self> {
        let item = self.items.entry(name.to_owned());
        match item.or_insert_with(|| Item::Group(Tree::new())) {
            Item::Group(group) => Ok(group),
            Item::Array(_) => Err(taken(path)),
        }
    }

    /// Arrays in it, at any depth.
    pub fn array_count(&self) -> usize {
        self.sources().len()
    }

    /// Bytes of all elements.
    pub fn nbytes(&self) -> u64 {
        self.sources().iter().fold(0, |sum, source| sum.saturating_add(source.nbytes() as u64))
    }

    /// Every array, in the order of [`Self::metadata`].
    pub(super) fn sources(&self) -> Vec<&Source<'a>> {
        let mut found = Vec::new();
        self.collect(&mut found);
        found
    }

    fn collect<'t>(&'t self, found: &mut Vec<&'t Source<'a>>) {
        for item in self.items.values() {
            match item {
                Item::Group(inner) => inner.collect(found),
                Item::Array(added) => found.push(&added.source),
            }
        }
    }

    /// The metadata of a load of this tree; the n-th array has the n-th segment.
    pub(super) fn metadata(&self, project: &ProjectName, token: &Token) -> Group {
        self.nodes(&mut (0..), project, token)
    }

    fn nodes(
        &self,
        numbers: &mut dyn Iterator<Item = u64>,
        project: &ProjectName,
        token: &Token,
    ) -> Group {
        let mut nodes = Group::with_capacity(self.items.len());
        for (name, item) in &self.items {
            let node = match item {
                Item::Group(inner) => tree::Node::Group(inner.nodes(numbers, project, token)),
                Item::Array(Added { source, attrs }) => tree::Node::Array(Array {
                    segment: SegmentName::new(project, token, numbers.next().unwrap_or(0))
                        .to_text(),
                    shape: source.shape().iter().map(|&n| n as u64).collect(),
                    dtype: source.dtype().to_owned(),
                    attrs: attrs.clone(),
                }),
            };
            nodes.insert(name.clone(), node);
        }
        nodes
    }
}

/// The groups and the name of a path.
fn split(path: &str) -> Result<(&str, &str)> {
    let inner = path.strip_prefix('/').unwrap_or(path);
    let bad = |why: &str| {
        Error::new(Kind::Usage, format!("bad path '{}': {why}", path.escape_debug()))
            .with_subject(path)
    };
    if inner.split('/').any(str::is_empty) {
        return Err(bad("a name in it is empty"));
    }
    // A table with this key is an array to every reader; only the top level is never asked.
    if inner.split('/').skip(1).any(|name| name == ARRAY_KEY) {
        return Err(bad("a name 'shm_name' misleads every reader of the metadata"));
    }
    Ok(inner.rsplit_once('/').unwrap_or(("", inner)))
}

fn taken(path: &str) -> Error {
    Error::new(Kind::Exists, format!("'{path}' is there already, or below an array"))
        .with_subject(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_used_once_and_never_leads_through_an_array() {
        let mut tree = Tree::new();
        tree.array("/a/b", &[1_u8]).unwrap();
        for path in ["a/b", "a", "a/b/c"] {
            assert_eq!(tree.array(path, &[1_u8]).unwrap_err().kind(), Kind::Exists, "{path}");
        }
        for path in ["", "/", "a//b", "a/", "x/shm_name"] {
            assert_eq!(tree.array(path, &[1_u8]).unwrap_err().kind(), Kind::Usage, "{path}");
        }
        tree.group("a").unwrap().array("c", &[2_u8]).unwrap();
        assert_eq!(tree.array_count(), 2);
    }
}
