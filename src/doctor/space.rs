//! The shm file system: its kind, size, use and inodes.

use super::check::{Check, Level};
use super::node::{Node, Space};
use crate::text::size;

/// What container runtimes give when they are not told otherwise.
const CONTAINER_DEFAULT: u64 = 64 << 20;

/// Kind, size and use.
pub(super) fn file_system(node: &Node) -> Check {
    let name = "shm_size";
    let shm = node.paths.shm.display();
    let Some(space) = node.space else {
        return Check::new(name, Level::Warning, format!("'{shm}' cannot be looked at"))
            .with_hint(format!("mount -t tmpfs -o mode=1777 shm {shm}"));
    };
    let said = format!("'{shm}': {} of {} free", size(space.free), size(space.total));
    let bigger = |more: &str| format!("mount -o remount,size=50% {shm}{more}");
    if !space.tmpfs {
        let why = format!("'{shm}' is no tmpfs: arrays there are on a disk");
        return Check::new(name, Level::Problem, why)
            .with_hint(format!("mount -t tmpfs -o mode=1777 shm {shm}"));
    }
    match space {
        Space { total: 0, .. } => Check::new(name, Level::Ok, format!("'{shm}' has no limit")),
        Space { total: CONTAINER_DEFAULT, .. } => {
            Check::new(name, Level::Problem, format!("{said}: what containers get by default"))
                .with_hint("start the container with --shm-size=16g, or --ipc=host; in Kubernetes mount an emptyDir with medium: Memory there")
        }
        Space { total, free, .. } if free < total / 10 => {
            Check::new(name, Level::Warning, format!("{said}: nearly full"))
                .with_hint("'cute-shm list -s' shows who has it; 'cute-shm gc' frees what is dead")
        }
        Space { total, .. } if total > memory(node) => {
            Check::new(name, Level::Warning, format!("{said}, but the node has {}", size(memory(node))))
                .with_hint(bigger(": a full one ends in the OOM killer"))
        }
        Space { total, .. } if total < memory(node) / 4 && memory(node) < u64::MAX => {
            Check::new(name, Level::Note, format!("{said}: less than a quarter of the node's memory"))
                .with_hint(bigger(""))
        }
        _ => Check::new(name, Level::Ok, said),
    }
}

/// The node's memory; as much as can be when that is not told.
fn memory(node: &Node) -> u64 {
    crate::os::memory::meminfo(&node.text("/proc/meminfo"), "MemTotal").unwrap_or(u64::MAX)
}

/// A segment takes an inode, and so do ledger and lock.
pub(super) fn inodes(node: &Node) -> Check {
    let name = "shm_inodes";
    match node.space {
        Some(Space { inodes: 1.., free_inodes, .. })
            if free_inodes < 2 * node.most_arrays.max(512) =>
        {
            let message = format!("{free_inodes} inodes left: one for every array");
            Check::new(name, Level::Warning, message)
                .with_hint(format!("mount -o remount,nr_inodes=1m {}", node.paths.shm.display()))
        }
        Some(Space { inodes: 1.., free_inodes, .. }) => {
            Check::new(name, Level::Ok, format!("{free_inodes} inodes left"))
        }
        Some(_) => Check::new(name, Level::Ok, "inodes without limit"),
        None => Check::new(name, Level::Note, "inodes cannot be counted"),
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
    fn a_container_s_default_and_a_disk_are_problems() {
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
