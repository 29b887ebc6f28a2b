//! Check for private namespaces: whether /dev/shm and the root are the directories that process 1 sees.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::check::{Check, Level};
use super::node::Node;

/// Checks whether both directories are those of process 1.
pub(super) fn private(node: &Node) -> Check {
    let name = "namespaces";
    let shm = is_private(node, &node.paths.shm);
    // For a root that does not exist yet, the nearest existing parent directory decides.
    let root = node.paths.root.ancestors().find(|path| node.exists(path));
    let root = root.and_then(|root| is_private(node, root));
    let (shown_shm, shown_root) = (node.paths.shm.display(), node.paths.root.display());
    match (shm, root) {
        (Some(false), Some(false)) => {
            Check::new(name, Level::Ok, "shared memory and root are those of process 1")
        }
        (Some(true), Some(true)) => {
            let why = "shared memory and root are private to this container or job";
            Check::new(name, Level::Note, why)
                .with_hint("load inside it: projects that are loaded outside are not visible here")
        }
        (Some(true), _) => Check::new(name, Level::Warning, format!("'{shown_shm}' is private, '{shown_root}' is not: processes outside see metadata without arrays"))
            .with_hint("set CUTE_SHM_ROOT to a root that only this container or job uses"),
        (_, Some(true)) => Check::new(name, Level::Warning, format!("'{shown_root}' is private, '{shown_shm}' is not: processes outside see arrays without metadata"))
            .with_hint("set CUTE_SHM_ROOT to a root that all processes share, such as /var/tmp/cute-shm"),
        _ => Check::new(name, Level::Ok, "process 1 cannot be inspected"),
    }
}

/// Whether process 1 sees another directory at `path`; `None` without permission to read it.
fn is_private(node: &Node, path: &Path) -> Option<bool> {
    let inside = path.strip_prefix("/").unwrap_or(path);
    let theirs = match fs::metadata(node.at("/proc/1/root").join(inside)) {
        Ok(theirs) => theirs,
        // The root of process 1 is readable, but has no such directory.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return fs::metadata(node.at("/proc/1/root")).ok().map(|_| true);
        }
        Err(_) => return None,
    };
    let ours = fs::metadata(node.at(path)).ok()?;
    Some((ours.dev(), ours.ino()) != (theirs.dev(), theirs.ino()))
}

#[cfg(test)]
mod tests {
    use super::super::node::tests::node;
    use super::*;
    use std::os::unix::fs::symlink;

    fn check(private: &[&str]) -> Check {
        let (temp, node) = node(&[("proc/1/x", ""), ("dev/shm/x", ""), ("tmp/cute-shm/x", "")]);
        let process_1 = temp.path().join("proc/1/root");
        for path in ["dev/shm", "tmp/cute-shm"] {
            let theirs = process_1.join(path);
            fs::create_dir_all(theirs.parent().unwrap()).unwrap();
            match private.contains(&path) {
                true => fs::create_dir(&theirs).unwrap(),
                false => symlink(temp.path().join(path), &theirs).unwrap(),
            }
        }
        super::private(&node)
    }

    #[test]
    fn directories_of_process_1_are_ok() {
        assert_eq!(check(&[]).level, Level::Ok);
    }

    #[test]
    fn private_directories_are_a_note_and_one_private_directory_is_a_warning() {
        assert_eq!(check(&["dev/shm", "tmp/cute-shm"]).level, Level::Note);
        assert_eq!(check(&["dev/shm"]).level, Level::Warning);
        assert_eq!(check(&["tmp/cute-shm"]).level, Level::Warning);
    }

    #[test]
    fn node_without_access_to_process_1_is_ok() {
        assert_eq!(super::private(&node(&[]).1).level, Level::Ok);
    }
}
