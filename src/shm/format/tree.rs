//! The tree of a project's groups and arrays, as the metadata describes it.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use toml::Table;

use numpy_dtype::Dtype;

/// The key that makes a table of the metadata an array.
pub(crate) const ARRAY_KEY: &str = "shm_name";
/// The groups and arrays of one group by name, in file order.
pub(crate) type Group = IndexMap<String, Node>;

/// An entry of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Node {
    /// A nested group, or the fields of a compound dataset.
    Group(Group),
    /// An array in a segment.
    Array(Array),
}

/// An array: its segment, shape, dtype and attributes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Array {
    /// The file name of the segment in the shm directory. It is not checked.
    pub segment: String,
    /// Elements along each axis; empty for a scalar.
    pub shape: Vec<u64>,
    /// The dtype as `str(numpy.dtype)` prints it.
    pub dtype: String,
    /// The attributes that TOML can represent.
    pub attrs: Table,
}

impl Array {
    /// Size of the elements in bytes. Returns `None` if the dtype is unknown or the size exceeds 64 bits.
    pub fn nbytes(&self) -> Option<u64> {
        Dtype::parse(&self.dtype)?.nbytes(&self.shape)
    }
}

/// Calls `visit` with each entry below `group` and the names that lead to it, in file order, groups before their
/// entries.
pub(crate) fn walk<'a>(group: &'a Group, visit: &mut dyn FnMut(&[&'a str], &'a Node)) {
    fn walk_below<'a>(
        group: &'a Group,
        path: &mut Vec<&'a str>,
        visit: &mut dyn FnMut(&[&'a str], &'a Node),
    ) {
        for (name, node) in group {
            path.push(name);
            visit(path, node);
            if let Node::Group(inner) = node {
                walk_below(inner, path, visit);
            }
            path.pop();
        }
    }
    walk_below(group, &mut Vec::new(), visit);
}

/// Every array below `group` with its path (`/group/name`), in file order.
pub(crate) fn arrays(group: &Group) -> Vec<(String, &Array)> {
    let mut found = Vec::new();
    walk(group, &mut |path, node| {
        if let Node::Array(array) = node {
            found.push((to_path(path), array));
        }
    });
    found
}

/// The path `/group/name`.
pub(crate) fn to_path(names: &[&str]) -> String {
    names.iter().flat_map(|name| ["/", name]).collect()
}

/// Whether `path` is `prefix` or below it. Every path is below `/`.
pub(crate) fn is_below(path: &str, prefix: &str) -> bool {
    let rest = path.strip_prefix(prefix);
    prefix == "/" || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns the arrays below `prefix` that `takes` selects, in their groups. Groups that become empty are left out;
/// selected groups that were empty before remain.
pub(crate) fn select(group: &Group, prefix: &str, takes: &dyn Fn(&str) -> bool) -> Group {
    fn select_below(
        group: &Group,
        path: &str,
        prefix: &str,
        takes: &dyn Fn(&str) -> bool,
    ) -> Group {
        let mut selected = Group::new();
        for (name, node) in group {
            let path = format!("{path}/{name}");
            let is_selected = || is_below(&path, prefix) && takes(&path);
            let node = match node {
                Node::Array(_) if is_selected() => node.clone(),
                Node::Group(inner) if inner.is_empty() && is_selected() => node.clone(),
                Node::Array(_) => continue,
                Node::Group(inner) => match select_below(inner, &path, prefix, takes) {
                    below if below.is_empty() => continue,
                    below => Node::Group(below),
                },
            };
            selected.insert(name.clone(), node);
        }
        selected
    }
    select_below(group, "", prefix, takes)
}

/// Removes the arrays below `group` for which `keep` returns false; its first argument is the path (`/group/name`).
/// Groups that become empty remain.
pub(crate) fn retain_arrays(group: &mut Group, keep: &mut dyn FnMut(&str, &Array) -> bool) {
    fn retain_below(group: &mut Group, path: &str, keep: &mut dyn FnMut(&str, &Array) -> bool) {
        group.retain(|name, node| {
            let path = format!("{path}/{name}");
            match node {
                Node::Array(array) => keep(&path, array),
                Node::Group(inner) => {
                    retain_below(inner, &path, keep);
                    true
                }
            }
        });
    }
    retain_below(group, "", keep);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array() -> Node {
        let (segment, dtype) = ("s".to_owned(), "int8".to_owned());
        Node::Array(Array { segment, shape: vec![1], dtype, attrs: Table::new() })
    }

    fn group<const N: usize>(entries: [(&str, Node); N]) -> Group {
        entries.map(|(name, node)| (name.to_owned(), node)).into_iter().collect()
    }

    fn sample() -> Group {
        let inner = group([("x", array()), ("y", array())]);
        group([
            ("a", array()),
            ("g", Node::Group(inner)),
            ("gg", array()),
            ("empty", Node::Group(Group::new())),
        ])
    }

    fn paths(group: &Group) -> Vec<String> {
        let mut found = Vec::new();
        walk(group, &mut |names, _| found.push(to_path(names)));
        found
    }

    #[test]
    fn select_keeps_the_prefix_and_no_group_that_becomes_empty() {
        let tree = sample();
        assert_eq!(select(&tree, "/", &|_| true), tree);
        assert_eq!(paths(&select(&tree, "/g", &|_| true)), ["/g", "/g/x", "/g/y"]);
        let is_selected = |path: &str| path == "/a" || path == "/empty";
        assert_eq!(paths(&select(&tree, "/", &is_selected)), ["/a", "/empty"]);
    }

    #[test]
    fn retain_arrays_keeps_groups() {
        let mut tree = sample();
        retain_arrays(&mut tree, &mut |path, _| path == "/gg");
        assert_eq!(paths(&tree), ["/g", "/gg", "/empty"]);
    }
}
