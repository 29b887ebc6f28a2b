//! The descriptors of this process: their limit, and those that a new process does not keep.
#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::{BorrowedFd, FromRawFd as _, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{SysconfVar, dup2_stderr, dup2_stdin, dup2_stdout, sysconf};

/// Raises the soft limit of open files to the hard limit. Returns the new limit, `None` if it is unknown.
pub(crate) fn raise_limit() -> Option<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    Some(setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_or(soft, |()| hard))
}

/// Closes the descriptors above 2 that the caller left open, except `kept` and `pipe`: a keeper must not hold the
/// pipes and locks of a script.
pub(crate) fn close_others(kept: &[RawFd], pipe: RawFd) {
    for fd in open_descriptors() {
        if fd > 2 && fd != pipe && !kept.contains(&fd) {
            close(fd);
        }
    }
}

/// Closes the descriptors above 2 that another program opened for this one: a process that reads a pipe to its end
/// would wait for this process.
pub(crate) fn close_inherited() {
    for fd in open_descriptors() {
        // SAFETY: the descriptor is only asked for its flags; a number that is not open is an error without effect.
        let flags = fcntl(unsafe { BorrowedFd::borrow_raw(fd.max(0)) }, FcntlArg::F_GETFD);
        let flags = flags.map(FdFlag::from_bits_truncate);
        // This program opens every file with O_CLOEXEC.
        if fd > 2 && flags.is_ok_and(|flags| !flags.contains(FdFlag::FD_CLOEXEC)) {
            close(fd);
        }
    }
}

/// Connects the standard streams to `/dev/null`.
///
/// # Errors
/// Returns the error of open(2) or dup2(2).
pub(crate) fn close_standard_streams() -> std::io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)
        .and_then(|()| dup2_stdout(&null))
        .and_then(|()| dup2_stderr(&null))
        .map_err(std::io::Error::from)
}

/// Takes over the descriptor `fd`, which the caller opened for this program to write to: a child gets no copy of it.
///
/// # Errors
/// Returns EBADF if it is not open for writing, and the error of fcntl(2).
pub(crate) fn take_over(fd: RawFd) -> Result<File, Errno> {
    // SAFETY: fcntl(2) with this command takes integers.
    let flags = Errno::result(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    if flags & libc::O_ACCMODE == libc::O_RDONLY {
        return Err(Errno::EBADF);
    }
    // SAFETY: as above.
    let copy = Errno::result(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) })?;
    if fd > 2 {
        close(fd);
    }
    // SAFETY: the duplicate is a new descriptor; no other value owns it.
    Ok(unsafe { File::from_raw_fd(copy) })
}

fn close(fd: RawFd) {
    // SAFETY: no value owns the number: it was inherited, or this process is a fresh fork that keeps nothing of its
    // parent. Closing a number that is not open is an error without effect.
    unsafe { libc::close(fd) };
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
