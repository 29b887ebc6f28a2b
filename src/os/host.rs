//! This node and this boot: they distinguish the files of this node from those of another host, container or boot.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use crate::os::directory::{Directory, FileId};

/// The node as the header comments of metadata name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The kernel's id of this boot.
    pub boot: String,
    /// The host name.
    pub name: String,
    /// Time of the boot, in seconds since 1970.
    pub boot_time: i64,
}

impl Host {
    /// Returns this node.
    pub fn this() -> Self {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let name = nix::unistd::gethostname().unwrap_or_default();
        // The header comment is one line of words, so the host name must not contain blanks.
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

/// Whether `directory` is the /dev/shm of process 1. Returns `None` if this process must not inspect process 1.
pub(crate) fn is_shm_of_process_1(directory: &Directory) -> Option<bool> {
    const THEIRS: &str = "/proc/1/root/dev/shm";
    let theirs = fs::symlink_metadata(THEIRS).ok()?;
    // The kernel would resolve a link in the root of this process, not in that of process 1.
    if theirs.is_symlink() {
        return None;
    }
    Some(FileId { dev: theirs.dev(), ino: theirs.ino() } == directory.id())
}

/// Whether the type of the file system of `directory` proves that it is local.
pub(crate) fn is_local(directory: &Directory) -> bool {
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
    fn another_directory_is_not_the_shm_of_process_1() {
        let temp = tempfile::tempdir().unwrap();
        let other = Directory::open(temp.path()).unwrap();
        assert_ne!(is_shm_of_process_1(&other), Some(true));
    }
}
