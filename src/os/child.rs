//! A child process for work on a file system that may never answer. The kernel may not end a process that waits for
//! such a file system, not even with SIGKILL, so the parent abandons the child and never waits for the file system.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, pipe2};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::os::descriptors;
use crate::os::limits;
use crate::os::process_stat::processor_time;

/// A child that uses no processor time for this long is blocked.
const IDLE_LIMIT: Duration = Duration::from_secs(2);
/// A child that sends nothing for this long is blocked, unless it works: see [`SHARE`].
const SLOW_LIMIT: Duration = Duration::from_secs(10);
/// The processor time of a child extends [`SLOW_LIMIT`] by this factor: other processes may use the processors too.
const SHARE: u32 = 5;
/// Interval between two measurements of the processor time.
const POLL_MILLISECONDS: u16 = 50;
/// How long to wait for the end of a killed child. It then belongs to another process.
const END_LIMIT: Duration = Duration::from_millis(200);

/// The next event of a child.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<M> {
    /// A message.
    Message(M),
    /// The child ended; there are no more messages.
    Ended,
    /// The child waits for a file system that does not answer.
    Blocked,
}

/// A running child. Dropping it kills the child, and abandons a child that the kernel does not end.
#[derive(Debug)]
pub(crate) struct Child {
    pid: Pid,
    pipe: File,
    /// Bytes of the messages that were received, and the number of them without a line end.
    received: Vec<u8>,
    searched: usize,
    activity: Activity,
}

impl Child {
    /// Forks a process that runs `work`, which receives a function that sends a message to the parent. The child has
    /// a copy of this process's memory, and no descriptors that another program could wait for.
    ///
    /// # Errors
    /// Returns the error of pipe(2) or fork(2).
    pub(crate) fn start<M: Serialize>(work: impl FnOnce(&mut dyn FnMut(M))) -> Result<Self> {
        const WHAT: &str = "cannot start a process";
        let (read, write) = pipe2(OFlag::O_CLOEXEC).map_err(|e| Error::io(WHAT, e))?;
        match fork(WHAT)? {
            ForkResult::Parent { child } => Ok(Self {
                pid: child,
                pipe: read.into(),
                received: Vec::new(),
                searched: 0,
                activity: Activity::new(Instant::now()),
            }),
            ForkResult::Child => {
                drop(read);
                // A program that reads these to their end would wait for an abandoned child.
                let _ = descriptors::close_standard_streams();
                descriptors::close_inherited();
                let mut pipe = File::from(write);
                let mut send = |message: M| {
                    let sent = serde_json::to_vec(&message).map_err(std::io::Error::from);
                    let sent = sent.and_then(|mut line| {
                        line.push(b'\n');
                        pipe.write_all(&line)
                    });
                    if sent.is_err() {
                        // The parent has ended: no process reads the results.
                        end_now(1);
                    }
                };
                let worked = catch_unwind(AssertUnwindSafe(|| work(&mut send)));
                end_now(i32::from(worked.is_err()))
            }
        }
    }

    /// Waits for the next message.
    pub(crate) fn next<M: DeserializeOwned>(&mut self) -> Next<M> {
        loop {
            if let Some(line) = self.take_line() {
                self.activity.restart(Instant::now());
                // An invalid line is the end: the child is a copy of this program and sends none.
                return serde_json::from_slice(&line).map_or(Next::Ended, Next::Message);
            }
            let mut polled = [PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)];
            let is_ready = poll(&mut polled, PollTimeout::from(POLL_MILLISECONDS));
            if !matches!(is_ready, Ok(1..)) {
                if self.activity.is_blocked(Instant::now(), processor_time(self.pid)) {
                    return Next::Blocked;
                }
                continue;
            }
            let mut bytes = [0; 1 << 14];
            match self.pipe.read(&mut bytes) {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Ok(count @ 1..) => {
                    self.received.extend_from_slice(&bytes[..count]);
                    self.activity.note(Instant::now());
                }
                Ok(0) | Err(_) => return Next::Ended,
            }
        }
    }

    fn take_line(&mut self) -> Option<Vec<u8>> {
        let end = self.received[self.searched..].iter().position(|byte| *byte == b'\n');
        let Some(end) = end.map(|end| self.searched + end) else {
            self.searched = self.received.len();
            return None;
        };
        self.searched = 0;
        let rest = self.received.split_off(end + 1);
        Some(std::mem::replace(&mut self.received, rest))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let begun = Instant::now();
        let _ = kill(self.pid, Signal::SIGKILL);
        while let Ok(WaitStatus::StillAlive) = waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
            if begun.elapsed() > END_LIMIT {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Runs `look` in a child, only to learn whether it returns. Without a child it is not run, and the answer is true.
pub(crate) fn answers(look: impl FnOnce()) -> bool {
    match Child::start(|_: &mut dyn FnMut(())| look()) {
        Ok(mut child) => child.next::<()>() != Next::Blocked,
        Err(_) => true,
    }
}

/// Measures whether a child works.
#[derive(Debug)]
struct Activity {
    /// Time and processor time at the last message.
    begun: (Instant, Duration),
    /// Time and processor time at the last sign of activity.
    last: (Instant, Duration),
}

impl Activity {
    fn new(now: Instant) -> Self {
        Self { begun: (now, Duration::ZERO), last: (now, Duration::ZERO) }
    }

    /// A message was received.
    fn restart(&mut self, now: Instant) {
        self.last.0 = now;
        self.begun = self.last;
    }

    /// A part of a message was received.
    fn note(&mut self, now: Instant) {
        self.last.0 = now;
    }

    /// Whether the child is blocked, given the processor time that it has used.
    fn is_blocked(&mut self, now: Instant, used: Duration) -> bool {
        if used > self.last.1 {
            self.last = (now, used);
        }
        let worked = used.saturating_sub(self.begun.1);
        let limit = SLOW_LIMIT.saturating_add(worked.saturating_mul(SHARE));
        now.duration_since(self.last.0) >= IDLE_LIMIT || now.duration_since(self.begun.0) >= limit
    }
}

/// Forks this process. `failed` is the message of an error.
///
/// # Errors
/// Returns the error of fork(2).
pub(crate) fn fork(failed: &str) -> Result<ForkResult> {
    // SAFETY: the command has one thread here; its threads start later, for signals, progress and work. If a program
    // with more threads uses the library, the C library makes its allocator usable in the child; a child that another
    // lock blocks is abandoned.
    unsafe { nix::unistd::fork() }.map_err(|e| limits::process(failed, e))
}

/// A change of the state of a child process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StateChange {
    /// It ended, with the exit status that a shell reports: its own, or 128 + the signal that ended it.
    Ended(u8),
    /// This signal stopped it.
    Stopped(i32),
}

/// Takes the next change of the state of any child. Returns `None` if there is none.
///
/// # Errors
/// Returns the error of waitpid(2): ECHILD if there are no children.
pub(crate) fn next_state_change() -> std::result::Result<Option<(Pid, StateChange)>, Errno> {
    let mut status = 0;
    // SAFETY: waitpid(2) writes to the integer. nix's version fails for real-time signals.
    let child = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::WUNTRACED) };
    let code = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
    let change = match Errno::result(child)? {
        0 => return Ok(None),
        _ if libc::WIFSTOPPED(status) => StateChange::Stopped(libc::WSTOPSIG(status)),
        _ if libc::WIFSIGNALED(status) => StateChange::Ended(code(128 + libc::WTERMSIG(status))),
        _ => StateChange::Ended(code(libc::WEXITSTATUS(status))),
    };
    Ok(Some((Pid::from_raw(child), change)))
}

/// Exits without running the exit handlers of the parent.
pub(crate) fn end_now(status: i32) -> ! {
    // SAFETY: _exit only ends the process.
    unsafe { libc::_exit(status) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(child: &mut Child) -> (Vec<String>, Next<String>) {
        let mut messages = Vec::new();
        loop {
            match child.next() {
                Next::Message(message) => messages.push(message),
                end => return (messages, end),
            }
        }
    }

    #[test]
    fn messages_of_a_child_arrive_whole_and_in_order() {
        let long = "\n".repeat(300_000);
        let mut child = Child::start(|send| {
            send("a".to_owned());
            send(long.clone());
            send("b".to_owned());
        })
        .unwrap();
        let expected = vec!["a".to_owned(), long.clone(), "b".to_owned()];
        assert_eq!(messages(&mut child), (expected, Next::Ended));
    }

    #[test]
    fn child_that_panics_or_is_killed_has_ended() {
        for signal in [None, Some(Signal::SIGKILL)] {
            let mut child = Child::start(|send: &mut dyn FnMut(String)| {
                send("a".to_owned());
                signal.map_or_else(
                    || std::panic::resume_unwind(Box::new("in a child")),
                    |signal| nix::sys::signal::raise(signal).unwrap(),
                );
            })
            .unwrap();
            assert_eq!(messages(&mut child), (vec!["a".to_owned()], Next::Ended));
        }
    }

    #[test]
    fn child_that_waits_forever_is_blocked_and_is_ended() {
        let mut child = Child::start(|send: &mut dyn FnMut(String)| {
            send("a".to_owned());
            loop {
                nix::unistd::pause();
            }
        })
        .unwrap();
        assert_eq!(messages(&mut child), (vec!["a".to_owned()], Next::Blocked));
        let pid = child.pid;
        drop(child);
        assert_eq!(kill(pid, None), Err(nix::errno::Errno::ESRCH));
    }

    #[test]
    fn child_that_works_is_not_blocked_and_one_that_drips_is() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut busy = Activity::new(begun);
        let blocked = (1..1000).find(|s| busy.is_blocked(at(*s), Duration::from_millis(s * 500)));
        assert_eq!(blocked, None);
        let mut idle = Activity::new(begun);
        assert!(!idle.is_blocked(at(1), Duration::ZERO));
        assert!(idle.is_blocked(at(2), Duration::ZERO));
        // A file system that answers each request slowly.
        let mut dripping = Activity::new(begun);
        let blocked = (1..1000).find(|s| dripping.is_blocked(at(*s), Duration::from_millis(*s)));
        assert_eq!(blocked, Some(11));
        let mut talking = Activity::new(begun);
        for second in 1..1000 {
            assert!(!talking.is_blocked(at(second), Duration::from_millis(second)));
            talking.restart(at(second));
        }
    }
}
