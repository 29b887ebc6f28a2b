//! A keeper in the background: a process in a session of its own. It closes the terminal before the command returns,
//! and holds the project until another process exits.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{
    ForkResult, Pid, chdir, dup2_stderr, dup2_stdin, dup2_stdout, fork, getpid, getppid, pipe2,
    setsid,
};

use crate::error::{Error, Kind, Result};
use crate::os::descriptors::close_others;
use crate::os::limits;
use crate::os::process_stat;
use crate::os::signals::Signals;

/// A process whose exit is awaited, also if its pid is reused.
#[derive(Debug)]
pub enum Watched {
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

impl Watched {
    /// Watches the running process `pid`.
    ///
    /// # Errors
    /// Returns [`Kind::NotFound`] if it does not exist.
    pub fn open(pid: u32) -> Result<Self> {
        // SAFETY: pidfd_open(2) takes two integers; what it returns is a new descriptor of ours.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        match RawFd::try_from(fd) {
            // SAFETY: see above: nobody else owns the descriptor.
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
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Descriptor(fd) => Some(fd.as_fd()),
            Self::Number { .. } => None,
        }
    }

    /// Whether a process that is watched by its pid has exited. A zombie has.
    pub fn has_ended(&self) -> bool {
        let Self::Number { pid, started } = self else { return false };
        if started.is_none() {
            return kill(*pid, None) == Err(Errno::ESRCH);
        }
        let number = pid.as_raw().cast_unsigned();
        process_stat::is_zombie(number) || process_stat::start_time(number) != *started
    }
}

/// Takes over the descriptor `fd` that the caller opened for this program: a child gets no copy of it.
///
/// # Errors
/// Returns [`Kind::Usage`] if it is not open for writing.
pub fn inherit(fd: RawFd) -> Result<File> {
    let refused = |errno| {
        Error::io(format!("cannot write to descriptor {fd} (--ready-fd)"), errno)
            .with_kind(Kind::Usage)
            .with_hint(format!(
                "open it in the shell, as in: cute-shm load-hdf5 ... --ready-fd {fd} {fd}>FILE"
            ))
    };
    // SAFETY: fcntl(2) with these commands takes integers; the duplicate is a new descriptor of ours.
    let copy = unsafe {
        let flags = libc::fcntl(fd, libc::F_GETFL);
        if flags < 0 {
            return Err(refused(Errno::last()));
        }
        if flags & libc::O_ACCMODE == libc::O_RDONLY {
            return Err(refused(Errno::EBADF));
        }
        libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3)
    };
    if copy < 0 {
        return Err(refused(Errno::last()));
    }
    if fd > 2 {
        // SAFETY: the caller gave it to this program, which uses the copy from now on.
        unsafe { libc::close(fd) };
    }
    // SAFETY: as above; no other value owns the copy.
    Ok(unsafe { File::from_raw_fd(copy) })
}

/// The process that returns from [`Background::start`].
#[derive(Debug)]
pub enum Side {
    /// The command that the user started.
    Front(Background),
    /// The keeper.
    Keeper(Ready),
}

/// The keeper, as the command that started it holds it.
#[derive(Debug)]
pub struct Background {
    keeper: Pid,
    ready: File,
}

/// The keeper's message that it is ready.
#[derive(Debug)]
pub struct Ready(File);

impl Background {
    /// Forks the keeper. It has a session of its own, and no descriptors except the standard ones and `kept`.
    ///
    /// # Errors
    /// Returns the error of pipe2(2), fork(2), prctl(2) or setsid(2).
    pub fn start(kept: &[RawFd]) -> Result<Side> {
        let cannot = |e: Errno| Error::io("cannot start a keeper", e);
        let (read, write) = pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(cannot)?;
        let front = getpid();
        // SAFETY: the process has one thread, so the child may do whatever it likes.
        match unsafe { fork() }.map_err(|e| limits::process("cannot start a keeper", e))? {
            ForkResult::Parent { child } => {
                Ok(Side::Front(Self { keeper: child, ready: File::from(read) }))
            }
            ForkResult::Child => {
                drop(read);
                // Until the keeper is ready, it ends as a load does if the command is killed.
                prctl::set_pdeathsig(Signal::SIGTERM).map_err(cannot)?;
                if getppid() != front {
                    return Err(cannot(Errno::ESRCH));
                }
                setsid().map_err(cannot)?;
                close_others(kept, write.as_raw_fd());
                Ok(Side::Keeper(Ready(File::from(write))))
            }
        }
    }

    /// Waits until the keeper is ready or has failed, and returns the exit code. Forwards signals.
    ///
    /// # Errors
    /// Returns [`Kind::Signal`] if a signal killed the keeper.
    pub fn wait(mut self, signals: &Signals) -> Result<u8> {
        loop {
            while let Some(caught) = signals.take() {
                caught.forward(self.keeper);
            }
            if signals.wait(Some(self.ready.as_fd()), 1000) {
                break;
            }
        }
        let mut word = [0];
        if matches!(self.ready.read(&mut word), Ok(1)) {
            return Ok(0);
        }
        loop {
            match waitpid(self.keeper, None) {
                Ok(WaitStatus::Exited(_, code)) => return Ok(u8::try_from(code).unwrap_or(1)),
                Ok(WaitStatus::Signaled(_, signal, _)) => {
                    let message = format!("the keeper was killed by {signal}");
                    return Err(Error::new(Kind::Signal(signal as i32), message)
                        .with_hint("run 'cute-shm gc' to remove its segments"));
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::io("cannot wait for the keeper", errno)),
            }
        }
    }
}

impl Ready {
    /// Closes the terminal, leaves the working directory, and lets the command return.
    ///
    /// # Errors
    /// Returns the error of the system call that failed.
    pub fn send(mut self) -> Result<()> {
        let cannot = |e| Error::io("cannot close the terminal", e);
        let null = File::options().read(true).write(true).open("/dev/null");
        let null = null.map_err(|e| Error::io("cannot open '/dev/null'", e))?;
        dup2_stdin(&null)
            .and_then(|()| dup2_stdout(&null))
            .and_then(|()| dup2_stderr(&null))
            .map_err(cannot)?;
        chdir("/").map_err(cannot)?;
        prctl::set_pdeathsig(None).map_err(cannot)?;
        self.0
            .write_all(b"r")
            .map_err(|e| Error::io("the command that started this keeper has exited", e))
    }
}
