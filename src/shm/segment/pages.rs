//! The page size of shared memory. Huge pages are used where the node allows them.
//! Source: <https://docs.kernel.org/admin-guide/mm/transhuge.html>, "Hugepages in tmpfs/shmem".

use std::path::Path;

use crate::os::mounts::Mount;

/// The pages of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pages {
    /// One by one, as the file system does by itself.
    Small,
    /// Huge ones for every file that is long enough (`huge=always`, `huge=within_size`).
    Huge,
    /// Huge ones only in mappings that ask for them (`huge=advise`).
    Advised,
}

impl Pages {
    /// The pages of the file system of the shm directory.
    pub(crate) fn of(directory: &Path, dev: u64) -> Self {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let forced = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/shmem_enabled")
            .is_ok_and(|text| text.contains("[deny]"));
        if forced || !directory.is_absolute() { Self::Small } else { Self::parse(&mounts, dev) }
    }

    fn parse(mounts: &str, dev: u64) -> Self {
        let device = format!("{}:{}", libc::major(dev), libc::minor(dev));
        match Mount::parse_all(mounts).rfind(|mount| mount.device == device).and_then(|m| m.huge())
        {
            Some("advise") => Self::Advised,
            Some("always" | "within_size") => Self::Huge,
            _ => Self::Small,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_option_decides() {
        let mounts = "22 1 0:5 / /dev/shm rw - tmpfs tmpfs rw,size=1k,huge=advise\n\
                      23 1 0:6 / /x rw shared:1 - tmpfs tmpfs rw,huge=always\n";
        assert_eq!(Pages::parse(mounts, libc::makedev(0, 5)), Pages::Advised);
        assert_eq!(Pages::parse(mounts, libc::makedev(0, 6)), Pages::Huge);
        assert_eq!(Pages::parse("", 0), Pages::Small);
    }
}
