//! Array keys: `/group/name`, or Python's `group.name` if it is unambiguous.

use crate::error::{Error, Kind, Result, shell_quote};
use crate::shm::format::tree::{Array, Group, Node, to_path, walk};

/// Returns the array at a path, `None` for a group.
pub(crate) fn array_at<'a>(root: &'a Group, path: &str) -> Option<&'a Array> {
    match lookup(root, path.strip_prefix('/')?, '/')?.1 {
        Node::Array(array) => Some(array),
        Node::Group(_) => None,
    }
}

/// Returns the node at `path`, and its path with a slash before each name. Names may contain the separator: a name
/// that equals the whole path comes first, then the shortest first name that leads to a node.
pub(crate) fn lookup<'g>(
    group: &'g Group,
    path: &str,
    separator: char,
) -> Option<(String, &'g Node)> {
    if let Some((name, node)) = group.get_key_value(path) {
        return Some((format!("/{name}"), node));
    }
    path.match_indices(separator).find_map(|(at, _)| {
        let Node::Group(inner) = group.get(&path[..at])? else { return None };
        let (rest, node) = lookup(inner, &path[at + 1..], separator)?;
        Some((format!("/{}{rest}", &path[..at]), node))
    })
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
    use crate::shm::format::metadata::Metadata;

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

    #[test]
    fn array_at_finds_the_array_of_a_shorter_name_beside_a_longer_one() {
        let array = "{ shm_name = 'cute-shm.p.x', shape = [1], dtype = 'int8' }";
        let text = format!("['a/b'.y]\n[a.b]\nx = {array}\n");
        let root = Metadata::parse(&text).unwrap().root;
        assert!(array_at(&root, "/a/b/x").is_some());
        assert!(array_at(&root, "/a/b").is_none());
        assert!(array_at(&root, "/").is_none());
    }
}
