//! The size of a page of memory. It is 4 KiB on x86-64, and up to 64 KiB on other processors.

use std::sync::OnceLock;

use nix::unistd::{SysconfVar, sysconf};

/// Returns the size of a page in bytes, a power of two.
pub(crate) fn page_size() -> u64 {
    static SIZE: OnceLock<u64> = OnceLock::new();
    *SIZE.get_or_init(|| {
        let size = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
        let size = size.and_then(|size| u64::try_from(size).ok());
        // sysconf(3) cannot fail for this variable on Linux.
        size.filter(|size| size.is_power_of_two()).unwrap_or(4096)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_size_equals_that_of_the_kernel() {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let line = maps.lines().find_map(|line| line.strip_prefix("KernelPageSize:")).unwrap();
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        assert_eq!(page_size(), kibibytes * 1024);
    }
}
