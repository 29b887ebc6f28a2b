//! Array keys: `/group/name`, or Python's `group.name` if it is unambiguous.

use crate::error::{Error, Kind, Result, shell_quote};
use crate::shm::format::tree::{Array, Group, Node, to_path, walk};

/// Returns the array at a path, `None` for a group.
pub fn array_at<'a>(root: &'a Group, path: &str) -> Option<&'a Array> {
    let mut group = root;
    let mut found = None;
    let mut rest = path.strip_prefix('/')?;
    // Names may contain slashes: each step takes the longest name that fits.
    while !rest.is_empty() {
        let fits = |name: &&String| {
            rest.strip_prefix(name.as_str()).is_some_and(|r| r.is_empty() || r.starts_with('/'))
        };
        let name = group.keys().filter(fits).max_by_key(|name| name.len())?;
        rest = rest[name.len()..].strip_prefix('/').unwrap_or("");
        match group.get(name)? {
            Node::Group(inner) => (group, found) = (inner, None),
            Node::Array(array) => found = Some(array),
        }
    }
    found
}

/// Returns the path that `key` means in this tree.
///
/// # Errors
/// Returns [`Kind::NotFound`] if there is no such array or group, and [`Kind::Usage`] if there are several.
pub(crate) fn resolve(project: &str, root: &Group, key: &str) -> Result<String> {
    let mut paths = Vec::new();
    walk(root, &mut |path, _| paths.push(to_path(path)));
    let slashed = format!("/{}", key.trim_matches('/'));
    if slashed == "/" || paths.contains(&slashed) {
        return Ok(slashed);
    }
    let mut found: Vec<String> =
        paths.iter().filter(|path| path[1..].replace('/', ".") == key).cloned().collect();
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (None, _) => {
            let message = format!("project '{project}' has no array '{key}'");
            Err(Error::new(Kind::NotFound, message).with_subject(key).with_hint(
                match paths.iter().find(|path| path.ends_with(&slashed)) {
                    Some(path) => format!("use '{path}'"),
                    None => format!("'cute-shm show {}' lists its arrays", shell_quote(project)),
                },
            ))
        }
        (Some(last), false) => {
            found.push(last);
            Err(Error::new(Kind::Usage, format!("'{key}' is ambiguous: {}", found.join(", ")))
                .with_subject(key)
                .with_hint("write it as /group/name"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Group {
        let inner: Group = [("b".to_owned(), Node::Group(Group::new()))].into_iter().collect();
        [("a".to_owned(), Node::Group(inner.clone())), ("c.d".to_owned(), Node::Group(inner))]
            .into_iter()
            .chain([("a.b".to_owned(), Node::Group(Group::new()))])
            .collect()
    }

    #[test]
    fn paths_come_first_then_python_s_dots() {
        let resolve = |key| super::resolve("p", &tree(), key).map_err(|error| error.kind());
        assert_eq!(resolve("/a/b"), Ok("/a/b".to_owned()));
        assert_eq!(resolve("a/b/"), Ok("/a/b".to_owned()));
        assert_eq!(resolve("a.b"), Ok("/a.b".to_owned()));
        assert_eq!(resolve("c.d.b"), Ok("/c.d/b".to_owned()));
        assert_eq!(resolve("/"), Ok("/".to_owned()));
        assert_eq!(resolve("x"), Err(Kind::NotFound));
    }

    #[test]
    fn two_meanings_are_too_many() {
        let mut tree = tree();
        tree.shift_remove("a.b");
        tree.insert(
            "e.f".to_owned(),
            Node::Group([("g".to_owned(), Node::Group(Group::new()))].into()),
        );
        let inner: Group = [("f.g".to_owned(), Node::Group(Group::new()))].into();
        tree.insert("e".to_owned(), Node::Group(inner));
        assert_eq!(super::resolve("p", &tree, "e.f.g").unwrap_err().kind(), Kind::Usage);
    }
}
