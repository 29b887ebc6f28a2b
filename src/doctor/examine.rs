//! All checks, in the order in which they are printed.

use super::check::{Check, Level};
use super::node::Node;
use super::{limits, logind, memory, namespaces, pages, space, tmpfiles};

/// Every check, in the order in which a reader wants them.
pub fn examine(node: &Node) -> Vec<Check> {
    let mut checks = vec![space::file_system(node), space::inodes(node)];
    checks.extend([memory::cgroup(node), memory::swap(node), memory::numa(node)]);
    checks.extend([pages::huge(node), logind::remove_ipc(node), tmpfiles::ages(node)]);
    checks.extend([limits::descriptors(node), namespaces::private(node)]);
    checks
}

/// What `gc` would reap, as a check: `reasons` has one for each project.
pub fn leftovers(reasons: &[String]) -> Check {
    match reasons {
        [] => Check::new("leftovers", Level::Ok, "nothing to reap"),
        [one] => leftover(format!("one project to reap: {one}")),
        [first, rest @ ..] => {
            leftover(format!("{} projects to reap: {first}, and others", rest.len() + 1))
        }
    }
}

fn leftover(message: String) -> Check {
    Check::new("leftovers", Level::Warning, message).with_hint("cute-shm gc")
}

#[cfg(test)]
mod tests {
    use super::super::node::tests::node;
    use super::*;

    #[test]
    fn every_check_copes_with_an_empty_node() {
        let (_temp, mut node) = node(&[]);
        node.space = None;
        let checks = examine(&node);
        assert!(checks.iter().all(|check| check.level < Level::Problem), "{checks:?}");
        let mut names: Vec<_> = checks.iter().map(|check| check.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), checks.len());
    }

    #[test]
    fn leftovers_are_counted() {
        assert_eq!(leftovers(&[]).level, Level::Ok);
        let two = leftovers(&["a is stale".to_owned(), "b".to_owned()]);
        assert_eq!((two.level, two.hint.as_deref()), (Level::Warning, Some("cute-shm gc")));
        assert!(two.message.starts_with("2 projects to reap: a is stale"));
    }
}
