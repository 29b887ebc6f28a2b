//! The loader process. It is forked before any thread exists, so that it starts at once and inherits the change
//! lock. It ends with its keeper.

use std::fs::File;
use std::io::Write as _;

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, getpid, getppid, pipe2};

use crate::error::{Error, Result};
use crate::load::protocol::{Receiver, SupervisorLink};
use crate::os::child::{end_now, fork};
use crate::os::descriptors;

/// The end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProcessEnd {
    /// It exited with this status.
    Exited(i32),
    /// This signal killed it.
    Killed(Signal),
}

/// A loader process. Dropping it kills the process and waits for its exit.
#[derive(Debug)]
pub(crate) struct LoaderProcess {
    pid: Pid,
    messages: Receiver,
    start: File,
    ended: Option<ProcessEnd>,
}

impl LoaderProcess {
    /// Forks a process that runs `work` and exits.
    ///
    /// # Errors
    /// Returns the error of pipe2(2) or fork(2).
    pub(crate) fn start(work: impl FnOnce(SupervisorLink)) -> Result<Self> {
        let cannot = |e| Error::io("cannot start the loader", e);
        let (from_loader, to_keeper) = pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(cannot)?;
        let (from_keeper, to_loader) = pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(cannot)?;
        let keeper = getpid();
        match fork("cannot start the loader")? {
            ForkResult::Parent { child } => Ok(Self {
                pid: child,
                messages: Receiver::new(from_loader.into()),
                start: to_loader.into(),
                ended: None,
            }),
            ForkResult::Child => {
                drop((from_loader, to_loader));
                prepare(keeper);
                work(SupervisorLink::to_parent(to_keeper.into(), from_keeper.into()));
                end_now(0)
            }
        }
    }

    /// The messages of the loader.
    pub(crate) fn messages(&mut self) -> &mut Receiver {
        &mut self.messages
    }

    /// Lets the loader transfer the planned data.
    ///
    /// # Errors
    /// Returns the error of write(2): EPIPE if the loader has exited.
    pub(crate) fn start_transfer(&mut self) -> Result<()> {
        self.start.write_all(b"s").map_err(|e| Error::io("cannot write to the loader", e))
    }

    /// The process id.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Kills the loader if it still runs, and waits for its exit.
    pub(crate) fn kill(&mut self) {
        if self.ended.is_none() {
            let _ = kill(self.pid, Signal::SIGKILL);
            self.wait();
        }
    }

    /// Waits for the exit of the loader.
    pub(crate) fn wait(&mut self) -> ProcessEnd {
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
        self.kill();
    }
}

/// Prepares a new loader: it is the first victim of the OOM killer, writes no core file of gigabytes, ends with its
/// keeper, and may open as many files as the limit allows, because a source may link to thousands.
fn prepare(keeper: Pid) {
    descriptors::raise_limit();
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    if getppid() != keeper {
        end_now(1);
    }
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    // The keeper blocks this signal as a request to exit. In the loader it enforces the limit of CPU time.
    let mut limit = SigSet::empty();
    limit.add(Signal::SIGXCPU);
    let _ = sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&limit), None);
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        // An abort would be reported as a crash of libhdf5.
        end_now(PANICKED);
    }));
}

/// The exit status of a loader that panicked.
pub(crate) const PANICKED: i32 = 101;
