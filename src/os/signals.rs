//! The signals of a load, a held project or a command. They are blocked before the loader is forked and
//! read from a descriptor, so that no step is interrupted halfway.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getpgid, getpgrp};

use crate::error::{Error, Result};

/// Signals whose default action does not end a process, and SIGPIPE and SIGXFSZ, which this program ignores.
const HARMLESS: [i32; 9] = [
    libc::SIGCHLD,
    libc::SIGCONT,
    libc::SIGPIPE,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGURG,
    libc::SIGWINCH,
    libc::SIGXFSZ,
];

/// Signals of a process's own faults. Blocking them would hide the cause of a crash.
const FAULTS: [i32; 7] = [
    libc::SIGABRT,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGSEGV,
    libc::SIGSYS,
    libc::SIGTRAP,
];

/// Signals that the terminal sends to each process of the foreground process group.
const TERMINAL: [i32; 6] =
    [libc::SIGINT, libc::SIGQUIT, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU, libc::SIGWINCH];

/// Whether SIGXFSZ was ignored before this program ignored it.
static FILE_SIZE_SIGNAL_WAS_IGNORED: AtomicBool = AtomicBool::new(false);

/// A signal that was read instead of acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caught {
    number: i32,
    /// The sender, as in `si_code` (sigaction(2)).
    code: i32,
    sender: u32,
    value: usize,
}

impl Caught {
    fn interrupt() -> Self {
        Self { number: libc::SIGINT, code: libc::SI_USER, sender: 0, value: 0 }
    }

    /// The signal's number.
    pub(crate) fn number(self) -> i32 {
        self.number
    }

    /// Sends the signal to the child `pid`, unless the child has received it already.
    pub(crate) fn forward(self, pid: Pid) {
        let in_our_group = getpgid(Some(pid)) == Ok(getpgrp());
        if !self.is_meant_for_child(in_our_group) {
            return;
        }
        // An error means that the child has ended: then there is nothing to signal.
        // SAFETY: kill(2) and sigqueue(3) take integers only.
        unsafe {
            if self.code == libc::SI_QUEUE {
                let value = libc::sigval { sival_ptr: self.value as *mut libc::c_void };
                libc::sigqueue(pid.as_raw(), self.number, value);
            } else {
                libc::kill(pid.as_raw(), self.number);
            }
        }
    }

    fn is_meant_for_child(self, in_our_group: bool) -> bool {
        if self.code == libc::SI_KERNEL {
            return !(TERMINAL.contains(&self.number) && in_our_group);
        }
        // A positive code is a report on a child of ours; our own SIGPIPE or SIGXFSZ concerns our own files.
        self.code <= 0 && self.sender != std::process::id()
    }
}

impl fmt::Display for Caught {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Signal::try_from(self.number) {
            Ok(signal) => f.write_str(signal.as_str()),
            Err(_) => write!(f, "SIGRTMIN+{}", self.number - libc::SIGRTMIN()),
        }
    }
}

/// Blocked signals that are read from a descriptor.
#[derive(Debug)]
pub(crate) struct Signals {
    original: SigSet,
    /// Signals that were ignored, or had a handler, before this program started to block: they stay so.
    untouched: Vec<i32>,
    caught: SignalFd,
    interrupt: Arc<EventFd>,
    wants_interrupt: bool,
    /// A signal that arrived during [`Self::sleep`].
    pending: Cell<Option<Caught>>,
}

impl Signals {
    /// Blocks every signal whose default action ends a process, except those of faults. A signal that is
    /// ignored already, as under nohup, stays ignored.
    ///
    /// # Errors
    /// Returns an error if the kernel refuses a descriptor or the signal mask.
    pub(crate) fn block() -> Result<Self> {
        let cannot = |e: Errno| Error::io("cannot block signals", e);
        reap_children_again();
        let untouched: Vec<i32> = every().filter(|&number| is_untouched(number)).collect();
        let blocked = set_of(|number| {
            !HARMLESS.contains(&number) && !FAULTS.contains(&number) && !untouched.contains(&number)
        });
        let mut original = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&blocked), Some(&mut original)).map_err(cannot)?;
        // Once there may be threads, Ctrl-C comes through a handler; until then it is read like the others.
        let wants_interrupt = blocked.contains(Signal::SIGINT);
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let caught = SignalFd::with_flags(&blocked, flags).map_err(cannot)?;
        let interrupt = event()?;
        let pending = Cell::new(None);
        Ok(Self { original, untouched, caught, interrupt, wants_interrupt, pending })
    }

    /// Takes Ctrl-C too. It starts a thread: to be called after the last fork.
    ///
    /// # Errors
    /// Returns an error if the signal mask cannot be changed.
    pub(crate) fn take_interrupts(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.wants_interrupt) {
            return Ok(());
        }
        let cannot = |e: Errno| Error::io("cannot block signals", e);
        let mut mask = SigSet::empty();
        // The handler's thread inherits the mask: no signal may be delivered to it, whatever this thread blocks later.
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut mask))
            .map_err(cannot)?;
        let interrupt = Arc::clone(&self.interrupt);
        let handled = ctrlc::try_set_handler(move || {
            let _ = interrupt.write(1);
        });
        // Without a thread for the handler SIGINT stays blocked, and is read like the others.
        if handled.is_ok() {
            mask.remove(Signal::SIGINT);
        }
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), None).map_err(cannot)
    }

    /// Blocks and reads every signal that can be caught, for a command that gets them all.
    ///
    /// # Errors
    /// Returns an error if the kernel refuses the signal mask.
    pub(crate) fn take_all(&mut self) -> Result<()> {
        let cannot = |e: Errno| Error::io("cannot block signals", e);
        // Real faults of this process still end it: the kernel does not let a process block these.
        let ignored = FILE_SIZE_SIGNAL_WAS_IGNORED.load(Ordering::Relaxed);
        let all = set_of(|number| {
            let is_ignored = ignored && number == libc::SIGXFSZ;
            !is_ignored && !self.untouched.contains(&number)
        });
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&all), None).map_err(cannot)?;
        self.caught.set_mask(&all).map_err(cannot)
    }

    /// The descriptors behind it, which a forked process has to keep.
    pub(crate) fn descriptors(&self) -> [RawFd; 2] {
        [self.caught.as_fd().as_raw_fd(), self.interrupt.as_fd().as_raw_fd()]
    }

    /// Separates a forked process from its parent, which has a handler for Ctrl-C of its own.
    ///
    /// # Errors
    /// Returns an error if the kernel refuses a descriptor.
    pub(crate) fn separate(&mut self) -> Result<()> {
        self.interrupt = event()?;
        Ok(())
    }

    /// The next signal that has arrived, if there is one.
    pub(crate) fn take(&self) -> Option<Caught> {
        if let Some(caught) = self.pending.take() {
            return Some(caught);
        }
        if self.interrupt.read().is_ok() {
            return Some(Caught::interrupt());
        }
        let info = self.caught.read_signal().ok()??;
        Some(Caught {
            number: i32::try_from(info.ssi_signo).ok()?,
            code: info.ssi_code,
            sender: info.ssi_pid,
            value: usize::try_from(info.ssi_ptr).unwrap_or(0),
        })
    }

    /// Has `command` start with the signal mask and the actions that this program was started with.
    pub(crate) fn restore_in(&self, command: &mut Command) {
        let mask = self.original;
        let restore = move || {
            if !FILE_SIZE_SIGNAL_WAS_IGNORED.load(Ordering::Relaxed) {
                // SAFETY: the default action installs no handler.
                unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_DFL) };
            }
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), None).map_err(std::io::Error::from)
        };
        // SAFETY: the closure makes two system calls, which are async-signal-safe.
        unsafe { command.pre_exec(restore) };
    }

    /// Waits for this long, or until a signal comes, which is left to be taken.
    pub(crate) fn sleep(&self, duration: Duration) {
        let end = Instant::now() + duration;
        while let Some(left) =
            end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
        {
            let step = u16::try_from(left.as_millis()).unwrap_or(u16::MAX).max(1);
            self.wait(None, step);
            if let Some(caught) = self.take() {
                self.pending.set(Some(caught));
                return;
            }
        }
    }

    /// Waits until `other` can be read, a signal has come, or `milliseconds` are over. Returns whether
    /// `other` can be read.
    pub(crate) fn wait(&self, other: Option<BorrowedFd<'_>>, milliseconds: u16) -> bool {
        let mut fds = vec![
            PollFd::new(self.caught.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.interrupt.as_fd(), PollFlags::POLLIN),
        ];
        fds.extend(other.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        match poll(&mut fds, PollTimeout::from(milliseconds)) {
            Ok(_) => fds.get(2).and_then(PollFd::revents).is_some_and(|found| !found.is_empty()),
            Err(Errno::EINTR) => false,
            // poll(2) fails only for lack of kernel memory: the caller polls again soon.
            Err(_) => {
                std::thread::sleep(Duration::from_millis(u64::from(milliseconds.min(20))));
                false
            }
        }
    }
}

/// Turns the signal of a file that exceeds its size limit into the error EFBIG.
pub(crate) fn ignore_file_size_signal() {
    let ignored = disposition(libc::SIGXFSZ) == libc::SIG_IGN;
    FILE_SIZE_SIGNAL_WAS_IGNORED.store(ignored, Ordering::Relaxed);
    // SAFETY: ignoring a signal installs no handler.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// A parent that ignores SIGCHLD passes that on, and then no status of a child can be read.
fn reap_children_again() {
    if disposition(libc::SIGCHLD) == libc::SIG_IGN {
        // SAFETY: the default action installs no handler.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    }
}

fn event() -> Result<Arc<EventFd>> {
    EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
        .map(Arc::new)
        .map_err(|e| Error::io("cannot block signals", e))
}

fn every() -> impl Iterator<Item = i32> {
    1..=libc::SIGRTMAX()
}

/// The real-time signals are no [`Signal`]; the two that the C library uses itself are left out by it.
fn set_of(wanted: impl Fn(i32) -> bool) -> SigSet {
    // SAFETY: both calls write only to the set, which sigemptyset(3) initializes.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for number in every().filter(|&number| wanted(number)) {
            libc::sigaddset(&raw mut set, number);
        }
        SigSet::from_sigset_t_unchecked(set)
    }
}

/// Whether a signal was ignored by the parent process, or is handled by a preloaded library such as a profiler.
fn is_untouched(number: i32) -> bool {
    // The Rust runtime ignores SIGPIPE, and handles these two to detect stack overflows.
    let ours = [libc::SIGPIPE, libc::SIGXFSZ, libc::SIGSEGV, libc::SIGBUS];
    disposition(number) != libc::SIG_DFL && !ours.contains(&number)
}

fn disposition(number: i32) -> libc::sighandler_t {
    // SAFETY: sigaction with no new action only writes the old one into the zeroed structure.
    unsafe {
        let mut old: libc::sigaction = std::mem::zeroed();
        match libc::sigaction(number, std::ptr::null(), &raw mut old) {
            0 => old.sa_sigaction,
            // Neither SIGKILL nor the C library's own signals can be handled.
            _ => libc::SIG_DFL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_forwarded_unless_the_terminal_sent_it_to_the_child_too() {
        let caught = |number, code, sender| Caught { number, code, sender, value: 0 };
        for (caught, in_our_group, expected) in [
            (caught(libc::SIGINT, libc::SI_KERNEL, 0), true, false),
            (caught(libc::SIGINT, libc::SI_KERNEL, 0), false, true),
            (caught(libc::SIGINT, libc::SI_USER, 7), true, true),
            // A hangup reaches only the leader of the session.
            (caught(libc::SIGHUP, libc::SI_KERNEL, 0), true, true),
            (caught(libc::SIGALRM, libc::SI_KERNEL, 0), true, true),
            (caught(libc::SIGRTMIN(), libc::SI_QUEUE, 7), true, true),
            (caught(libc::SIGCHLD, libc::CLD_EXITED, 7), true, false),
            (caught(libc::SIGCHLD, libc::SI_USER, 7), true, true),
            (caught(libc::SIGPIPE, libc::SI_USER, std::process::id()), true, false),
        ] {
            assert_eq!(caught.is_meant_for_child(in_our_group), expected, "{caught:?}");
        }
    }

    #[test]
    fn every_signal_has_a_name() {
        let name = |number| Caught { number, ..Caught::interrupt() }.to_string();
        assert_eq!(name(libc::SIGUSR1), "SIGUSR1");
        assert_eq!(name(libc::SIGRTMIN()), "SIGRTMIN+0");
        assert_eq!(name(libc::SIGRTMIN() + 5), "SIGRTMIN+5");
    }

    #[test]
    fn a_set_holds_real_time_signals() {
        let set = set_of(|number| number >= libc::SIGRTMIN());
        // SAFETY: the call reads the set.
        let has = |number| unsafe { libc::sigismember(set.as_ref(), number) } == 1;
        assert!(has(libc::SIGRTMIN()) && has(libc::SIGRTMAX()) && !has(libc::SIGUSR1));
    }
}
