//! Private namespaces: who has another /dev/shm or root than process 1 shares with nobody outside.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::check::{Check, Level};
use super::node::Node;

/// Whether both directories are those of process 1.
pub(super) fn private(node: &Node) -> Check {
    let name = "namespaces";
    let shm = is_private(node, &node.paths.shm);
    // A root that nobody has made yet is judged by the directory that it will be made in.
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
                .with_hint("load within it: what others load is not seen here")
        }
        (Some(true), _) => Check::new(name, Level::Warning, format!("'{shown_shm}' is private, '{shown_root}' is not: others see metadata without arrays"))
            .with_hint("give this container or job a root of its own: CUTE_SHM_ROOT"),
        (_, Some(true)) => Check::new(name, Level::Warning, format!("'{shown_root}' is private, '{shown_shm}' is not: others see arrays without metadata"))
            .with_hint("use a root that all share: CUTE_SHM_ROOT, such as /var/tmp/cute-shm"),
        _ => Check::new(name, Level::Ok, "process 1 cannot be looked at: nothing to compare with"),
    }
}

/// Whether process 1 sees another directory at `path`; `None` when we may not look.
fn is_private(node: &Node, path: &Path) -> Option<bool> {
    let inside = path.strip_prefix("/").unwrap_or(path);
    let theirs = match fs::metadata(node.at("/proc/1/root").join(inside)) {
        Ok(theirs) => theirs,
        // Process 1 can be looked at, but has no such directory.
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

    fn made(private: &[&str]) -> Check {
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
        private_of(&node)
    }

    fn private_of(node: &Node) -> Check {
        super::private(node)
    }

    #[test]
    fn what_is_shared_with_process_1_is_well() {
        assert_eq!(made(&[]).level, Level::Ok);
    }

    #[test]
    fn a_container_is_told_and_half_a_container_warned_of() {
        assert_eq!(made(&["dev/shm", "tmp/cute-shm"]).level, Level::Note);
        assert_eq!(made(&["dev/shm"]).level, Level::Warning);
        assert_eq!(made(&["tmp/cute-shm"]).level, Level::Warning);
    }

    #[test]
    fn who_may_not_look_learns_so() {
        assert_eq!(private_of(&node(&[]).1).level, Level::Ok);
    }
}
