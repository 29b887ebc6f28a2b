//! The descriptors of this process: their limit, and those that a new process does not keep.
#![allow(unsafe_code)]

use std::os::fd::RawFd;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{SysconfVar, sysconf};

/// Raises the soft limit of open files to the hard limit. Returns the new limit, `None` if it is unknown.
pub fn raise_limit() -> Option<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    Some(setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_or(soft, |()| hard))
}

/// Closes the descriptors above 2 that the caller left open, except `kept` and `pipe`: a keeper must not hold the
/// pipes and locks of a script.
pub(crate) fn close_others(kept: &[RawFd], pipe: RawFd) {
    for fd in open_descriptors() {
        if fd > 2 && fd != pipe && !kept.contains(&fd) {
            // SAFETY: no value in this fresh process owns the number. The descriptor of the directory that
            // was read is closed already, and closing it again is an error without effect.
            unsafe { libc::close(fd) };
        }
    }
}

/// Returns the open descriptors, or all numbers that may be open where `/proc` cannot be read.
fn open_descriptors() -> Vec<RawFd> {
    /// No script has more open files.
    const MAX_DESCRIPTORS: i64 = 1 << 16;
    if let Ok(entries) = std::fs::read_dir("/proc/self/fd") {
        let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse().ok();
        return entries.flatten().filter_map(number).collect();
    }
    let limit = sysconf(SysconfVar::OPEN_MAX).ok().flatten();
    let limit = limit.unwrap_or(MAX_DESCRIPTORS).min(MAX_DESCRIPTORS);
    (0..RawFd::try_from(limit).unwrap_or(0)).collect()
}
