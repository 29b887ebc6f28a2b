//! A keeper in the background: a process of its own session that lets go of the terminal before the
//! command returns, and then answers for the project until another process ends.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{
    ForkResult, Pid, chdir, dup2_stderr, dup2_stdin, dup2_stdout, fork, pipe2, setsid,
};

use super::Signals;
use crate::{Error, Kind, Result};

/// A process whose end is waited for, whatever becomes of its number.
#[derive(Debug)]
pub struct Watched(OwnedFd);

impl Watched {
    /// The running process `pid`.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is none.
    pub fn open(pid: u32) -> Result<Self> {
        // SAFETY: pidfd_open(2) takes two integers; what it returns is a new descriptor of ours.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        match RawFd::try_from(fd) {
            // SAFETY: see above: nobody else owns the descriptor.
            Ok(fd) if fd >= 0 => Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) })),
            _ => {
                let error = std::io::Error::last_os_error();
                let missing = matches!(error.raw_os_error(), Some(libc::ESRCH | libc::EINVAL));
                let failed =
                    Error::io(format!("cannot watch process {pid}"), error).about(pid.to_string());
                Err(if missing { failed.with_kind(Kind::NotFound) } else { failed })
            }
        }
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Which of the two processes this is after [`Background::start`].
#[derive(Debug)]
pub enum Side {
    /// The command that the user started.
    Front(Background),
    /// The keeper.
    Keeper(Ready),
}

/// The keeper, seen from the command that started it.
#[derive(Debug)]
pub struct Background {
    keeper: Pid,
    ready: File,
}

/// The keeper's word that it is ready.
#[derive(Debug)]
pub struct Ready(File);

impl Background {
    /// Forks the keeper. It has a session of its own, and no descriptors but standard ones and `kept`.
    ///
    /// # Errors
    /// As the system says.
    pub fn start(kept: &[RawFd]) -> Result<Side> {
        let cannot = |e: Errno| Error::io("cannot start a keeper", e);
        let (read, write) = pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(cannot)?;
        // SAFETY: the process has one thread, so the child may do whatever it likes.
        match unsafe { fork() }.map_err(cannot)? {
            ForkResult::Parent { child } => {
                Ok(Side::Front(Self { keeper: child, ready: File::from(read) }))
            }
            ForkResult::Child => {
                drop(read);
                setsid().map_err(cannot)?;
                close_others(kept, write.as_raw_fd());
                Ok(Side::Keeper(Ready(File::from(write))))
            }
        }
    }

    /// Waits until the keeper is ready or has failed, and gives the exit code. Signals are passed on.
    ///
    /// # Errors
    /// As the system says.
    pub fn wait(mut self, signals: &Signals) -> Result<u8> {
        loop {
            if let Some(signal) = signals.take() {
                // A keeper that is gone needs no signal.
                let _ = kill(self.keeper, signal);
            }
            if signals.wait(Some(self.ready.as_fd()), 1000)? {
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
                    return Err(Error::new(Kind::Io, format!("the keeper died of {signal}"))
                        .with_hint("'cute-shm gc' removes what it left"));
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::io("cannot wait for the keeper", errno)),
            }
        }
    }
}

impl Ready {
    /// Lets go of the terminal and the folder, and lets the command return.
    ///
    /// # Errors
    /// As the system says.
    pub fn tell(mut self) -> Result<()> {
        let cannot = |e| Error::io("cannot let go of the terminal", e);
        let null = File::options().read(true).write(true).open("/dev/null");
        let null = null.map_err(|e| Error::io("cannot open '/dev/null'", e))?;
        dup2_stdin(&null)
            .and_then(|()| dup2_stdout(&null))
            .and_then(|()| dup2_stderr(&null))
            .map_err(cannot)?;
        chdir("/").map_err(cannot)?;
        self.0
            .write_all(b"r")
            .map_err(|e| Error::io("the command that started this keeper is gone", e))
    }
}

/// Closes whatever the caller left open: a keeper must not hold a script's pipes and locks.
pub(super) fn close_others(kept: &[RawFd], pipe: RawFd) {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<RawFd> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for fd in open {
        if fd > 2 && fd != pipe && !kept.contains(&fd) {
            // SAFETY: closing a number that nobody in this fresh process refers to; the directory's own
            // is closed already, which is an error without effect.
            unsafe { libc::close(fd) };
        }
    }
}
