//! A keeper in the background: a process in a session of its own. It closes the terminal before the command returns,
//! and holds the project until another process exits.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, RawFd};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, chdir, getpid, getppid, pipe2, setsid};

use crate::error::{Error, Kind, Result};
use crate::os::child;
use crate::os::descriptors;
use crate::os::signals::Signals;

/// Takes over the descriptor `fd` that the caller opened for this program: a child gets no copy of it.
///
/// # Errors
/// Returns [`Kind::Usage`] if it is not open for writing.
pub(crate) fn inherit(fd: RawFd) -> Result<File> {
    descriptors::take_over(fd).map_err(|errno| {
        Error::io(format!("cannot write to descriptor {fd} (--ready-fd)"), errno)
            .with_kind(Kind::Usage)
            .with_hint(format!(
                "open it in the shell, as in: cute-shm load-hdf5 ... --ready-fd {fd} {fd}>FILE"
            ))
    })
}

/// The process that returns from [`Background::start`].
#[derive(Debug)]
pub(crate) enum Side {
    /// The command that the user started.
    Front(Background),
    /// The keeper.
    Keeper(Ready),
}

/// The keeper, as the command that started it holds it.
#[derive(Debug)]
pub(crate) struct Background {
    keeper: Pid,
    ready: File,
}

/// The keeper's message that it is ready.
#[derive(Debug)]
pub(crate) struct Ready(File);

impl Background {
    /// Forks the keeper. It has a session of its own, and no descriptors except the standard ones and `kept`.
    ///
    /// # Errors
    /// Returns the error of pipe2(2), fork(2), prctl(2) or setsid(2).
    pub(crate) fn start(kept: &[RawFd]) -> Result<Side> {
        let cannot = |e: Errno| Error::io("cannot start a keeper", e);
        let (read, write) = pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(cannot)?;
        let front = getpid();
        match child::fork("cannot start a keeper")? {
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
                descriptors::close_others(kept, write.as_raw_fd());
                Ok(Side::Keeper(Ready(File::from(write))))
            }
        }
    }

    /// Waits until the keeper is ready or has failed, and returns the exit code. Forwards signals.
    ///
    /// # Errors
    /// Returns [`Kind::Signal`] if a signal killed the keeper.
    pub(crate) fn wait(mut self, signals: &Signals) -> Result<u8> {
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
    pub(crate) fn send(mut self) -> Result<()> {
        let cannot = |e| Error::io("cannot close the terminal", e);
        descriptors::close_standard_streams().map_err(cannot)?;
        let cannot = |e: Errno| cannot(e.into());
        chdir("/").map_err(cannot)?;
        prctl::set_pdeathsig(None).map_err(cannot)?;
        self.0
            .write_all(b"r")
            .map_err(|e| Error::io("the command that started this keeper has exited", e))
    }
}
