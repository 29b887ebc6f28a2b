//! Check for huge pages in shared memory, which shorten the allocation and so the load.

use super::check::{Check, Level};
use super::node::Node;
use crate::os::mounts::Mount;

const ENABLED: &str = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";

/// Checks whether the shm mount or the kernel enables huge pages.
pub(super) fn huge(node: &Node) -> Check {
    let name = "huge_pages";
    let enabled = node.text(ENABLED);
    let kernel = chosen(&enabled);
    let mounts = node.text("/proc/self/mountinfo");
    let shm = node.paths.shm.to_string_lossy();
    let mount = mount_option(&mounts, &shm).unwrap_or("never");
    let remount = format!("mount -o remount,huge=within_size {shm}");
    match (kernel, mount) {
        (None, _) => {
            Check::new(name, Level::Ok, "the kernel does not support huge pages for shared memory")
        }
        (Some("deny"), _) => {
            Check::new(name, Level::Note, "the kernel disables huge pages for shared memory")
                .with_hint(format!("echo never > {ENABLED}; {remount}"))
        }
        (Some("force"), _) => {
            Check::new(name, Level::Ok, "the kernel enables huge pages for all shared memory")
        }
        (_, "always" | "within_size") => {
            Check::new(name, Level::Ok, format!("'{shm}' has huge={mount}"))
        }
        (_, "advise") => Check::new(
            name,
            Level::Ok,
            format!("'{shm}' has huge=advise: programs can request huge pages"),
        ),
        _ => Check::new(name, Level::Note, format!("'{shm}' has no huge pages: loads take longer"))
            .with_hint(remount),
    }
}

/// Returns the word in brackets.
fn chosen(text: &str) -> Option<&str> {
    Some(text.split_once('[')?.1.split_once(']')?.0)
}

/// Returns the value of `huge=` of the mount. The last mount on a directory hides the others.
fn mount_option<'a>(mounts: &'a str, shm: &str) -> Option<&'a str> {
    Mount::parse_all(mounts).rfind(|mount| mount.path == shm)?.huge()
}

#[cfg(test)]
mod tests {
    use super::super::node::tests::node;
    use super::*;

    fn level(enabled: &str, option: &str) -> Level {
        let mounts =
            format!("25 20 0:22 / /dev/shm rw shared:3 - tmpfs tmpfs rw,size=1g{option}\n");
        let path = ENABLED.trim_start_matches('/');
        huge(&node(&[(path, enabled), ("proc/self/mountinfo", &mounts)]).1).level
    }

    #[test]
    fn kernel_and_mount_decide_together() {
        let never = "always within_size advise [never] deny force\n";
        assert_eq!(level(never, ""), Level::Note);
        assert_eq!(level(never, ",huge=within_size"), Level::Ok);
        assert_eq!(level(never, ",huge=advise"), Level::Ok);
        assert_eq!(level("always never [deny] force", ",huge=always"), Level::Note);
        assert_eq!(level("always never deny [force]", ""), Level::Ok);
        assert_eq!(level("", ""), Level::Ok);
    }
}
