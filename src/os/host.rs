//! This node and this boot: what tells our files from those of another host, container or boot.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::os::directory::{Directory, FileId};

/// The node as metadata marks name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The kernel's id of this boot.
    pub boot: String,
    /// The node's name.
    pub name: String,
    /// When this boot began, in seconds since 1970.
    pub boot_time: i64,
}

impl Host {
    /// This node, now.
    pub fn this() -> Self {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let name = nix::unistd::gethostname().unwrap_or_default();
        // A mark is one line of words: a host name with a blank must not break it.
        let name =
            name.to_string_lossy().replace(|c: char| c.is_whitespace() || c.is_control(), "-");
        Self { boot: boot.trim().to_owned(), name, boot_time: boot_time() }
    }
}

fn boot_time() -> i64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "));
    line.and_then(|seconds| seconds.trim().parse().ok()).unwrap_or(i64::MIN)
}

/// Whether `directory` is what process 1 sees as /dev/shm; `None` when we may not look.
pub fn is_shm_of_process_1(directory: &Directory) -> Option<bool> {
    const THEIRS: &str = "/proc/1/root/dev/shm";
    let theirs = fs::symlink_metadata(THEIRS).ok()?;
    // The kernel would resolve a link in the root of this process, not in that of process 1.
    if theirs.is_symlink() {
        return None;
    }
    Some(FileId { dev: theirs.dev(), ino: theirs.ino() } == directory.id())
}

/// Whether `directory` lies on a file system of this machine, as far as its type can prove it.
pub fn is_local(directory: &Directory) -> bool {
    // Magic numbers: statfs(2).
    const LOCAL: [i64; 9] = [
        0xEF53,      // ext2, ext3, ext4
        0x5846_5342, // xfs
        0x9123_683E, // btrfs
        0x0102_1994, // tmpfs
        0x8584_58F6, // ramfs
        0x794C_7630, // overlayfs
        0x2FC1_2FC1, // zfs
        0xF2F5_2010, // f2fs
        0xCA45_1A4E, // bcachefs
    ];
    nix::sys::statfs::fstatfs(directory).is_ok_and(|fs| LOCAL.contains(&fs.filesystem_type().0))
}

/// When the process `pid` started, in clock ticks since boot; for people and for telling a reused
/// pid from the old one, never for a decision.
pub fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    // The command name in parentheses may hold blanks: count the fields after it (proc(5), field 22).
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

/// Whether the process `pid` has ended but its parent has not taken its status.
pub fn is_zombie(pid: u32) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    // proc(5): the state is the field after the name in parentheses.
    stat.is_ok_and(|stat| {
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_has_a_boot_id_and_a_name() {
        let host = Host::this();
        assert_eq!(host.boot.len(), 36);
        assert!(!host.name.contains(' '));
        assert!(host.boot_time > 0);
    }

    #[test]
    fn this_process_has_a_start_time() {
        assert!(start_time(std::process::id()).is_some());
        assert_eq!(start_time(u32::MAX), None);
    }

    #[test]
    fn the_system_s_shm_is_told_from_another_directory() {
        let temp = tempfile::tempdir().unwrap();
        let other = Directory::open(temp.path()).unwrap();
        assert_ne!(is_shm_of_process_1(&other), Some(true));
    }
}
