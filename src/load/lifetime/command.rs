//! `-- CMD`: runs a command while its project is held, forwards signals, and returns its status.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::signal::{Signal, raise};
use nix::unistd::{Pid, getpgid, getpgrp};

use crate::error::{Error, Kind, Result};
use crate::os::child::{StateChange, next_state_change};
use crate::os::limits;
use crate::os::signals::{Caught, Signals};

/// How long a lost notice of the command's end goes unnoticed, in milliseconds.
const POLL_INTERVAL: u16 = 1000;

/// Runs `command` with `variables` added to its environment, and returns the exit status that a shell
/// would report: its own, or 128 + the signal that ended it.
///
/// Every signal that can be caught is forwarded. When job control stops the command, this process stops
/// with it. As process 1, or as a subreaper, it reaps orphans.
///
/// # Errors
/// Returns [`Kind::Status`] 127 if the command is not found, 126 if it cannot be executed, and
/// [`Kind::Signal`] if a signal arrived before it was started.
pub(crate) fn run(
    command: &[OsString],
    variables: &[(&str, OsString)],
    signals: &mut Signals,
) -> Result<u8> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Error::new(Kind::Usage, "no command"));
    };
    if let Some(caught) = signals.take() {
        return Err(interrupted(caught));
    }
    signals.take_all()?;
    let mut prepared = Command::new(program);
    prepared.args(arguments).envs(variables.iter().map(|(name, value)| (name, value)));
    signals.restore_in(&mut prepared);
    let child = prepared.spawn().map_err(|e| {
        let status = if e.kind() == ErrorKind::NotFound { 127 } else { 126 };
        let shown = program.to_string_lossy();
        limits::process(format!("cannot run '{shown}'"), e)
            .with_kind(Kind::Status(status))
            .with_subject(shown)
    })?;
    Ok(wait(Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX)), signals))
}

/// Waits for the end of `pid`. It cannot fail: the project has to be held for as long as the command runs.
fn wait(pid: Pid, signals: &Signals) -> u8 {
    loop {
        while let Some(caught) = signals.take() {
            caught.forward(pid);
        }
        if let Some(status) = reap(Some(pid)) {
            return status;
        }
        // SIGCHLD is among the signals.
        signals.wait(None, POLL_INTERVAL);
    }
}

/// Takes the status of every child that has ended. Returns that of `pid`, as a shell reports it.
pub(crate) fn reap(pid: Option<Pid>) -> Option<u8> {
    loop {
        match next_state_change() {
            // There is no child: something else took the status of the command.
            Err(Errno::ECHILD) => return pid.map(|_| u8::MAX),
            Err(_) | Ok(None) => return None,
            Ok(Some((child, change))) if pid == Some(child) => match change {
                StateChange::Ended(status) => return Some(status),
                StateChange::Stopped(signal) => stop_too(child, signal),
            },
            Ok(Some(_)) => {}
        }
    }
}

/// The shell that started the job waits for its leader, this process, to stop. `fg` continues the whole
/// group; SIGCONT to this process alone is forwarded.
fn stop_too(pid: Pid, signal: i32) {
    let by_job_control = matches!(signal, libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU);
    if by_job_control && getpgid(Some(pid)) == Ok(getpgrp()) {
        let _ = raise(Signal::SIGSTOP);
    }
}

/// Returns the error of a load that a signal ended.
pub(crate) fn interrupted(caught: Caught) -> Error {
    let message = format!("interrupted by {caught}; all segments of this load were removed");
    Error::new(Kind::Signal(caught.number()), message)
}
