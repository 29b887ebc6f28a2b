//! The tree of an attached project: groups, and what stands at a path.

use super::array::Array;
use super::project::Project;
use crate::shm::metadata::{self, Group};

/// What a name in a group stands for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Entry<'p> {
    /// A nested group.
    Group(GroupRef<'p>),
    /// An array.
    Array(Array<'p>),
}

/// A group of an attached project.
#[derive(Debug, Clone, Copy)]
pub struct GroupRef<'p> {
    pub(super) project: &'p Project,
    pub(super) group: &'p Group,
}

impl<'p> GroupRef<'p> {
    /// The names in it with what they stand for, in the order of the metadata. Paths of arrays begin at
    /// this group.
    pub fn entries(self) -> impl ExactSizeIterator<Item = (&'p str, Entry<'p>)> {
        let entry = move |(name, node): (&'p String, &'p metadata::Node)| {
            (name.as_str(), self.project.entry(format!("/{name}"), node))
        };
        self.group.iter().map(entry)
    }

    pub(super) fn collect(self, path: &str, found: &mut Vec<Array<'p>>) {
        for (name, node) in self.group {
            let path = format!("{path}/{name}");
            match self.project.entry(path.clone(), node) {
                Entry::Array(array) => found.push(array),
                Entry::Group(group) => group.collect(&path, found),
            }
        }
    }
}

/// The node at `path` with its path in slashes. A name may hold the separator: the shortest comes first.
pub(super) fn lookup<'g>(
    group: &'g Group,
    path: &str,
    separator: char,
) -> Option<(String, &'g metadata::Node)> {
    if let Some((name, node)) = group.get_key_value(path) {
        return Some((format!("/{name}"), node));
    }
    path.match_indices(separator).find_map(|(at, _)| {
        let metadata::Node::Group(inner) = group.get(&path[..at])? else { return None };
        let (rest, node) = lookup(inner, &path[at + 1..], separator)?;
        Some((format!("/{}{rest}", &path[..at]), node))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shm::metadata::Metadata;

    #[test]
    fn names_with_separators_are_found() {
        let text = "[a.b]\n[a.'c/d'.x]\n['a.b'.y]\n";
        let root = Metadata::parse(text).unwrap().root;
        let find = |path, sep| lookup(&root, path, sep).map(|found| found.0);
        assert_eq!(find("a/b", '/').as_deref(), Some("/a/b"));
        assert_eq!(find("a/c/d/x", '/').as_deref(), Some("/a/c/d/x"));
        assert_eq!(find("a.b.y", '.').as_deref(), Some("/a.b/y"));
        assert_eq!(find("a.b", '.').as_deref(), Some("/a.b"));
        assert_eq!(find("a/x", '/'), None);
        assert_eq!(find("", '/'), None);
    }
}
