//! Waits for the exit of a process that is not a child of this one.
#![allow(unsafe_code)]

use std::os::fd::{AsFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::error::{Error, Kind, Result};
use crate::os::process_stat;

/// A process whose exit is awaited, also if its pid is reused.
#[derive(Debug)]
pub(crate) enum WatchedProcess {
    /// By a descriptor, which becomes readable when the process has exited.
    Descriptor(OwnedFd),
    /// By its pid and start time, where the kernel (before Linux 5.3) or a container lacks pidfd_open(2).
    Number {
        /// The pid.
        pid: Pid,
        /// The start time in clock ticks since boot; `None` if `/proc` does not contain it.
        started: Option<u64>,
    },
}

impl WatchedProcess {
    /// Watches the running process `pid`.
    ///
    /// # Errors
    /// Returns [`Kind::NotFound`] if it does not exist.
    pub(crate) fn open(pid: u32) -> Result<Self> {
        // SAFETY: pidfd_open(2) takes two integers and returns a new descriptor.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        match RawFd::try_from(fd) {
            // SAFETY: no other value owns the new descriptor.
            Ok(fd) if fd >= 0 => Ok(Self::Descriptor(unsafe { OwnedFd::from_raw_fd(fd) })),
            _ => Self::number(pid, Errno::last()),
        }
    }

    fn number(pid: u32, why: Errno) -> Result<Self> {
        let watched = || {
            let pid = i32::try_from(pid).ok().filter(|&pid| pid > 0).map(Pid::from_raw)?;
            let watched = Self::Number {
                pid,
                started: process_stat::start_time(pid.as_raw().cast_unsigned()),
            };
            (!watched.has_ended()).then_some(watched)
        };
        let failed = |errno| {
            Error::io(format!("cannot watch process {pid}"), errno).with_subject(pid.to_string())
        };
        match why {
            Errno::ENOSYS | Errno::EPERM | Errno::EACCES => {
                watched().ok_or_else(|| failed(Errno::ESRCH).with_kind(Kind::NotFound))
            }
            Errno::ESRCH | Errno::EINVAL => Err(failed(why).with_kind(Kind::NotFound)),
            _ => Err(failed(why)),
        }
    }

    /// The descriptor that becomes readable when the process has exited; `None` if [`Self::has_ended`] must be called.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Descriptor(fd) => Some(fd.as_fd()),
            Self::Number { .. } => None,
        }
    }

    /// Whether a process that is watched by its pid has exited. A zombie has.
    pub(crate) fn has_ended(&self) -> bool {
        let Self::Number { pid, started } = self else { return false };
        if started.is_none() {
            return kill(*pid, None) == Err(Errno::ESRCH);
        }
        let number = pid.as_raw().cast_unsigned();
        process_stat::is_zombie(number) || process_stat::start_time(number) != *started
    }
}
