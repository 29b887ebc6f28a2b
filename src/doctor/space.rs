//! Checks of the shm file system: its type, size, use and inodes.

use super::check::{Check, Level};
use super::node::{Node, Space};
use crate::text::size;

/// Size of /dev/shm in a container without `--shm-size`.
const CONTAINER_DEFAULT: u64 = 64 << 20;

/// Checks type, size and use.
pub(super) fn file_system(node: &Node) -> Check {
    let name = "shm_size";
    let shm = node.paths.shm.display();
    let Some(space) = node.space else {
        return Check::new(name, Level::Warning, format!("cannot read the file system of '{shm}'"))
            .with_hint(format!("mount -t tmpfs -o mode=1777 shm {shm}"));
    };
    let message = format!("'{shm}': {} of {} free", size(space.free), size(space.total));
    let bigger = |more: &str| format!("mount -o remount,size=50% {shm}{more}");
    if !space.tmpfs {
        let why = format!("'{shm}' is not a tmpfs: its arrays are on a disk");
        return Check::new(name, Level::Problem, why)
            .with_hint(format!("mount -t tmpfs -o mode=1777 shm {shm}"));
    }
    match space {
        Space { total: 0, .. } => Check::new(name, Level::Ok, format!("'{shm}' has no limit")),
        Space { total: CONTAINER_DEFAULT, .. } => {
            Check::new(name, Level::Problem, format!("{message}: the default size in a container"))
                .with_hint("start the container with --shm-size=16g or --ipc=host; in Kubernetes, mount an emptyDir with medium: Memory there")
        }
        Space { total, free, .. } if free < total / 10 => {
            Check::new(name, Level::Warning, format!("{message}: nearly full"))
                .with_hint("run 'cute-shm gc' to remove dead projects, or 'cute-shm list -s' to list all projects")
        }
        Space { total, .. } if total > memory(node) => {
            Check::new(name, Level::Warning, format!("{message}, but the node has {} of memory", size(memory(node))))
                .with_hint(bigger("; if shared memory exceeds the memory, the OOM killer runs"))
        }
        Space { total, .. } if total < memory(node) / 4 && memory(node) < u64::MAX => {
            Check::new(name, Level::Note, format!("{message}: less than a quarter of the node's memory"))
                .with_hint(bigger(""))
        }
        _ => Check::new(name, Level::Ok, message),
    }
}

/// Returns the memory of the node; the maximum value if it is unknown.
fn memory(node: &Node) -> u64 {
    crate::os::memory::meminfo(&node.text("/proc/meminfo"), "MemTotal").unwrap_or(u64::MAX)
}

/// Checks the free inodes. Each segment, ledger and lock file needs one.
pub(super) fn inodes(node: &Node) -> Check {
    let name = "shm_inodes";
    match node.space {
        Some(Space { inodes: 1.., free_inodes, .. })
            if free_inodes < 2 * node.most_arrays.max(512) =>
        {
            let message = format!("{free_inodes} inodes free: each array needs one");
            Check::new(name, Level::Warning, message)
                .with_hint(format!("mount -o remount,nr_inodes=1m {}", node.paths.shm.display()))
        }
        Some(Space { inodes: 1.., free_inodes, .. }) => {
            Check::new(name, Level::Ok, format!("{free_inodes} inodes free"))
        }
        Some(_) => Check::new(name, Level::Ok, "no limit on inodes"),
        None => Check::new(name, Level::Note, "the number of inodes is unknown"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::node::tests::node;
    use super::*;

    fn level(memory_gib: u64, change: impl Fn(&mut Space)) -> Level {
        let text = format!("MemTotal: {} kB\n", memory_gib << 20);
        let (_temp, mut node) = node(&[("proc/meminfo", &text)]);
        node.space.as_mut().map(change);
        file_system(&node).level
    }

    #[test]
    fn sizes_are_judged_against_the_node() {
        assert_eq!(level(64, |_| {}), Level::Ok);
        assert_eq!(level(16, |_| {}), Level::Warning, "larger than the memory");
        assert_eq!(level(512, |_| {}), Level::Note, "much smaller than the memory");
        assert_eq!(level(64, |space| space.free = 1 << 30), Level::Warning, "nearly full");
        assert_eq!(level(64, |space| space.total = 0), Level::Ok, "no limit");
    }

    #[test]
    fn container_default_and_disk_are_problems() {
        assert_eq!(level(64, |space| space.total = 64 << 20), Level::Problem);
        assert_eq!(level(64, |space| space.tmpfs = false), Level::Problem);
    }

    #[test]
    fn few_inodes_are_a_warning() {
        let (_temp, mut node) = node(&[]);
        assert_eq!(inodes(&node).level, Level::Ok);
        node.space.as_mut().unwrap().free_inodes = 100;
        assert_eq!(inodes(&node).level, Level::Warning);
    }
}
