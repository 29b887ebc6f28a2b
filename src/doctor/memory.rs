//! Checks of memory limits besides the shm file system: cgroups, swap and NUMA nodes.

use super::check::{Check, Level};
use super::node::Node;
use crate::os::memory::{self, meminfo};
use crate::text::size;

/// Less free memory than this in a cgroup is a warning.
const MIN_FREE_BYTES: u64 = 256 << 20;

/// Checks the lowest limit of the cgroups of this process, of both versions.
pub(super) fn cgroup(node: &Node) -> Check {
    let name = "cgroup";
    let lowest = memory::cgroups(&node.top).into_iter().min_by_key(|bound| bound.free_bytes);
    let Some(bound) = lowest else {
        return Check::new(name, Level::Ok, "no cgroup limits this process's memory");
    };
    let message = format!("{} free ({})", size(bound.free_bytes), bound.what);
    let hint = "segments count as memory of the job that writes them: request more (--mem), or load before the job";
    let shm = node.space.map_or(u64::MAX, |space| space.free);
    match bound.free_bytes {
        free if free < MIN_FREE_BYTES => Check::new(name, Level::Warning, message).with_hint(hint),
        free if free < shm => {
            Check::new(name, Level::Note, format!("{message}: less than is free in shared memory"))
                .with_hint(hint)
        }
        _ => Check::new(name, Level::Ok, message),
    }
}

/// Checks the use of swap. Shared memory that is not locked can be swapped out.
pub(super) fn swap(node: &Node) -> Check {
    let text = node.text("/proc/meminfo");
    let read = |field| meminfo(&text, field).unwrap_or(0);
    let (total, free) = (read("SwapTotal"), read("SwapFree"));
    let used = total.saturating_sub(free);
    if total == 0 {
        return Check::new("swap", Level::Ok, "no swap");
    }
    let message = format!("{} of {} swap used", size(used), size(total));
    match used > total / 2 {
        false => {
            Check::new("swap", Level::Note, format!("{message}: idle arrays may be swapped out"))
        }
        true => Check::new("swap", Level::Warning, format!("{message}: arrays may be on disk"))
            .with_hint(
                "free memory, then run 'swapoff -a && swapon -a'; disable swap on compute nodes",
            ),
    }
}

/// Reports the free memory of each NUMA node. An array is on the node where the loader ran.
pub(super) fn numa(node: &Node) -> Check {
    let mut nodes = Vec::new();
    for number in 0..1024 {
        let text = node.text(format!("/sys/devices/system/node/node{number}/meminfo"));
        if let (Some(total), Some(free)) = (meminfo(&text, "MemTotal"), meminfo(&text, "MemFree")) {
            nodes.push((number, total, free));
        }
    }
    let each = |&(number, total, free): &(u32, u64, u64)| {
        format!("node {number} {} of {}", size(free), size(total))
    };
    let message = format!("free on {}", nodes.iter().map(each).collect::<Vec<_>>().join(", "));
    match nodes.len() {
        0 => Check::new("numa", Level::Ok, "the kernel reports no NUMA nodes"),
        1 => Check::new("numa", Level::Ok, message),
        _ => Check::new("numa", Level::Note, message)
            .with_hint("pages are on the node of the loader: 'cute-shm load-hdf5 --numa interleave ...' distributes them"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::node::tests::node;
    use super::*;

    const MOUNT: &str = "30 23 0:26 / /cg rw shared:4 - cgroup2 cgroup2 rw\n";

    fn limited(max: &str, used: &str) -> Level {
        let (_temp, node) = node(&[
            ("proc/self/cgroup", "0::/job\n"),
            ("proc/self/mountinfo", MOUNT),
            ("cg/job/memory.max", max),
            ("cg/job/memory.current", used),
        ]);
        cgroup(&node).level
    }

    #[test]
    fn lowest_cgroup_limit_is_checked() {
        assert_eq!(limited("max", "5"), Level::Ok);
        assert_eq!(limited("1099511627776", "0"), Level::Ok);
        assert_eq!(limited("8589934592", "0"), Level::Note, "less than is free in shared memory");
        assert_eq!(limited("8589934592", "8589000000"), Level::Warning);
    }

    #[test]
    fn swap_is_a_note_and_a_warning_if_mostly_used() {
        let level = |text| swap(&node(&[("proc/meminfo", text)]).1).level;
        assert_eq!(level("SwapTotal: 0 kB\nSwapFree: 0 kB\n"), Level::Ok);
        assert_eq!(level("SwapTotal: 1000 kB\nSwapFree: 900 kB\n"), Level::Note);
        assert_eq!(level("SwapTotal: 1000 kB\nSwapFree: 100 kB\n"), Level::Warning);
    }

    #[test]
    fn every_numa_node_is_named() {
        let text = "Node 0 MemTotal: 2048 kB\nNode 0 MemFree: 1024 kB\n";
        let (_temp, one) = node(&[("sys/devices/system/node/node0/meminfo", text)]);
        assert_eq!(numa(&one).level, Level::Ok);
        let (_temp, two) = node(&[
            ("sys/devices/system/node/node0/meminfo", text),
            ("sys/devices/system/node/node1/meminfo", text),
        ]);
        let check = numa(&two);
        assert_eq!(check.level, Level::Note);
        assert_eq!(check.message, "free on node 0 1 MiB of 2 MiB, node 1 1 MiB of 2 MiB");
    }
}
