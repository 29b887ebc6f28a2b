//! All checks, in the order in which they are printed.

use super::check::{Check, Level};
use super::node::Node;
use super::{limits, logind, memory, namespaces, pages, space, tmpfiles};

/// Runs all checks, in the order of the report.
pub(crate) fn examine(node: &Node) -> Vec<Check> {
    let mut checks = vec![space::file_system(node), space::inodes(node)];
    checks.extend([memory::cgroup(node), memory::swap(node), memory::numa(node)]);
    checks.extend([pages::huge(node), logind::remove_ipc(node), tmpfiles::ages(node)]);
    checks.extend([limits::descriptors(node), namespaces::private(node)]);
    checks
}

/// Returns the check for dead projects. `reasons` has one entry per project that `gc` would remove.
pub(crate) fn leftovers(reasons: &[String]) -> Check {
    match reasons {
        [] => Check::new("leftovers", Level::Ok, "no dead projects"),
        [one] => leftover(format!("1 dead project: {one}")),
        [first, rest @ ..] => {
            leftover(format!("{} dead projects, such as {first}", rest.len() + 1))
        }
    }
}

fn leftover(message: String) -> Check {
    Check::new("leftovers", Level::Warning, message).with_hint("run 'cute-shm gc'")
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
        assert_eq!((two.level, two.hint.as_deref()), (Level::Warning, Some("run 'cute-shm gc'")));
        assert!(two.message.starts_with("2 dead projects, such as a is stale"));
    }
}
