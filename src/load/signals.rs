//! The signals that end a load or a held project. They are blocked before the loader is forked and
//! read like a file, so that nothing is ever interrupted halfway.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::{Error, Result};

/// The signals that ask to end.
const ENDING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// The signals that ask this process to end, from now on read and no longer acted on.
#[derive(Debug)]
pub struct Signals {
    original: SigSet,
    caught: SignalFd,
    interrupt: Arc<EventFd>,
    wants_interrupt: bool,
    /// One that has come, but not been acted on.
    pending: Cell<Option<Signal>>,
}

impl Signals {
    /// Blocks the ending signals. One that is ignored already, as under nohup, stays ignored.
    ///
    /// # Errors
    /// As the system says.
    pub fn block() -> Result<Self> {
        let cannot = |e: Errno| Error::io("cannot block signals", e);
        let mut blocked = SigSet::empty();
        for signal in ENDING {
            if !is_ignored(signal) {
                blocked.add(signal);
            }
        }
        let mut original = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&blocked), Some(&mut original)).map_err(cannot)?;
        // Once there may be threads, Ctrl-C comes through a handler; until then it is read like the others.
        let wants_interrupt = blocked.contains(Signal::SIGINT);
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let caught = SignalFd::with_flags(&blocked, flags).map_err(cannot)?;
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let interrupt = Arc::new(EventFd::from_flags(flags).map_err(cannot)?);
        Ok(Self { original, caught, interrupt, wants_interrupt, pending: Cell::new(None) })
    }

    /// Takes Ctrl-C too. It starts a thread: to be called after the last fork.
    ///
    /// # Errors
    /// As the system says.
    pub fn take_interrupts(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.wants_interrupt) {
            return Ok(());
        }
        let interrupt = Arc::clone(&self.interrupt);
        ctrlc::try_set_handler(move || {
            let _ = interrupt.write(1);
        })
        .map_err(|e| Error::new(crate::Kind::Io, format!("cannot take Ctrl-C: {e}")))?;
        let mut int = SigSet::empty();
        int.add(Signal::SIGINT);
        sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&int), None)
            .map_err(|e| Error::io("cannot unblock Ctrl-C", e))
    }

    /// The mask before: what a command that we run gets.
    pub fn original(&self) -> &SigSet {
        &self.original
    }

    /// The signal that asked to end, if one has come.
    pub fn take(&self) -> Option<Signal> {
        if let Some(signal) = self.pending.take() {
            return Some(signal);
        }
        if self.interrupt.read().is_ok() {
            return Some(Signal::SIGINT);
        }
        let number = self.caught.read_signal().ok()??.ssi_signo;
        Signal::try_from(i32::try_from(number).ok()?).ok()
    }

    /// Takes what [`Self::block`] blocked back: for a process that goes on without us.
    ///
    /// # Errors
    /// As the system says.
    pub fn restore(&self) -> Result<()> {
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.original), None)
            .map_err(|e| Error::io("cannot restore the signal mask", e))
    }

    /// Waits for this long, or until a signal comes, which is left to be taken.
    pub fn sleep(&self, duration: Duration) {
        let end = Instant::now() + duration;
        while let Some(left) =
            end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
        {
            let step = u16::try_from(left.as_millis()).unwrap_or(u16::MAX).max(1);
            // A failure to wait ends it early: nothing but comfort depends on it.
            if self.wait(None, step).is_err() {
                return;
            }
            if let Some(signal) = self.take() {
                self.pending.set(Some(signal));
                return;
            }
        }
    }

    /// Waits until `other` can be read, a signal has come, or `milliseconds` are over. True when
    /// `other` can be read.
    ///
    /// # Errors
    /// As the system says.
    pub fn wait(&self, other: Option<BorrowedFd<'_>>, milliseconds: u16) -> Result<bool> {
        let mut fds = vec![
            PollFd::new(self.caught.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.interrupt.as_fd(), PollFlags::POLLIN),
        ];
        fds.extend(other.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        match poll(&mut fds, PollTimeout::from(milliseconds)) {
            Ok(_) | Err(Errno::EINTR) => {
                Ok(fds.get(2).and_then(PollFd::revents).is_some_and(|found| !found.is_empty()))
            }
            Err(errno) => Err(Error::io("cannot wait", errno)),
        }
    }
}

fn is_ignored(signal: Signal) -> bool {
    // SAFETY: sigaction with no new action only writes the old one into the zeroed structure.
    unsafe {
        let mut old: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal as libc::c_int, std::ptr::null(), &raw mut old) == 0
            && old.sa_sigaction == libc::SIG_IGN
    }
}
