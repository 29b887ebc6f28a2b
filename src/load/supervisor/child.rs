//! The loader process: forked before any thread exists, so that it starts at once and inherits the
//! change lock. It dies with its keeper, and its keeper learns how it died.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{Read as _, Write as _};

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid, pipe2};

use crate::error::{Error, Result};
use crate::load::supervisor::protocol::{Receiver, Sender};
use crate::os::descriptors;
use crate::os::limits;
use crate::os::threads;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessEnd {
    /// By itself, with this status.
    Exited(i32),
    /// By this signal.
    Killed(Signal),
}

/// A running loader. Dropping it kills it and waits until it is gone.
#[derive(Debug)]
pub struct LoaderProcess {
    pid: Pid,
    messages: Receiver,
    go: File,
    ended: Option<ProcessEnd>,
}

/// What the loader process has of its keeper.
#[derive(Debug)]
pub struct SupervisorLink {
    /// Where messages go.
    pub sender: Sender,
    go: Option<File>,
}

impl SupervisorLink {
    /// To a keeper in the same process, which answers every message at once.
    pub fn within(sender: Sender) -> Self {
        Self { sender, go: None }
    }

    /// Waits for the keeper's word to go on, and from then on ends this process when the keeper is gone.
    pub fn wait_for_go(&mut self) -> bool {
        let Some(mut go) = self.go.take() else { return true };
        let mut word = [0];
        if !matches!(go.read(&mut word), Ok(1)) {
            return false;
        }
        // Without this thread the loader still ends with its keeper, by its death signal.
        let _ = threads::start(move || {
            // Nothing more is ever said: the read ends when the keeper does. A signal's handler may interrupt it.
            while go.read(&mut [0]).is_err_and(|e| e.kind() == std::io::ErrorKind::Interrupted) {}
            end_now(1);
        });
        true
    }
}

impl LoaderProcess {
    /// Forks a process that runs `work` and ends.
    ///
    /// # Errors
    /// As the system says.
    pub fn start(work: impl FnOnce(SupervisorLink)) -> Result<Self> {
        let cannot = |e| Error::io("cannot start the loader", e);
        let (from_loader, to_keeper) = pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(cannot)?;
        let (from_keeper, to_loader) = pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(cannot)?;
        let keeper = getpid();
        // SAFETY: the process has one thread (threads start later, for signals and progress), so the
        // child may do whatever it likes.
        match unsafe { fork() }.map_err(|e| limits::process("cannot start the loader", e))? {
            ForkResult::Parent { child } => Ok(Self {
                pid: child,
                messages: Receiver::new(from_loader.into()),
                go: to_loader.into(),
                ended: None,
            }),
            ForkResult::Child => {
                drop((from_loader, to_loader));
                settle(keeper);
                let go = Some(from_keeper.into());
                work(SupervisorLink { sender: Sender::new(to_keeper.into()), go });
                end_now(0)
            }
        }
    }

    /// Where its messages come from.
    pub fn messages(&mut self) -> &mut Receiver {
        &mut self.messages
    }

    /// Tells it to go on after its plan.
    ///
    /// # Errors
    /// Returns the error of write(2): EPIPE if the loader has ended.
    pub fn go(&mut self) -> Result<()> {
        self.go.write_all(b"g").map_err(|e| Error::io("cannot write to the loader", e))
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Ends it, if it still runs, and says how it ended.
    pub fn end(&mut self) -> ProcessEnd {
        if let Some(end) = self.ended {
            return end;
        }
        let _ = kill(self.pid, Signal::SIGKILL);
        self.wait()
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> ProcessEnd {
        if let Some(end) = self.ended {
            return end;
        }
        let end = loop {
            match waitpid(self.pid, None) {
                Ok(WaitStatus::Exited(_, status)) => break ProcessEnd::Exited(status),
                Ok(WaitStatus::Signaled(_, signal, _)) => break ProcessEnd::Killed(signal),
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(_) => break ProcessEnd::Exited(-1),
            }
        };
        self.ended = Some(end);
        end
    }
}

impl Drop for LoaderProcess {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a new loader does first. It is the first victim of the OOM killer, leaves no core file of
/// gigabytes, dies with its keeper, and may open as many files as the system lets it: a source may link to
/// thousands.
fn settle(keeper: Pid) {
    descriptors::raise_limit();
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    if getppid() != keeper {
        end_now(1);
    }
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    // The keeper blocks it as a request to end; here it is the limit of processor time.
    let mut limit = SigSet::empty();
    limit.add(Signal::SIGXCPU);
    let _ = sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&limit), None);
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        // An abort would look like a crash of the HDF5 library.
        end_now(PANICKED);
    }));
}

/// The exit status of a loader that panicked.
pub(crate) const PANICKED: i32 = 101;

/// Ends this process without running what the keeper registered to run at its own end.
pub(crate) fn end_now(status: i32) -> ! {
    // SAFETY: _exit only ends the process.
    unsafe { libc::_exit(status) }
}
