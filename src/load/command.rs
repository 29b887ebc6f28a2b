//! `-- CMD`: runs a command while its project is held, passes signals on, and gives its status.
#![allow(unsafe_code)]

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command};

use nix::sys::signal::{SigmaskHow, Signal, kill, sigprocmask};
use nix::unistd::{Pid, getpgrp, tcgetpgrp};

use super::{Signals, Watched};
use crate::{Error, Kind, Result};

/// Runs `command` with `variables` added to its environment, and gives the exit status that a shell
/// would see: its own, or 128 + the signal that ended it.
///
/// # Errors
/// [`Kind::Status`] 127 when it is not found, 126 when it cannot be executed.
pub fn run(command: &[OsString], variables: &[(&str, OsString)], signals: &Signals) -> Result<u8> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Error::new(Kind::Usage, "no command"));
    };
    let mask = *signals.original();
    let mut prepared = Command::new(program);
    prepared.args(arguments).envs(variables.iter().map(|(name, value)| (name, value)));
    // SAFETY: between fork and exec only sigprocmask is called, which is async-signal-safe.
    unsafe {
        prepared.pre_exec(move || {
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), None).map_err(std::io::Error::from)
        });
    }
    let child = prepared.spawn().map_err(|e| {
        let status = if e.kind() == ErrorKind::NotFound { 127 } else { 126 };
        let shown = program.to_string_lossy();
        Error::io(format!("cannot run '{shown}'"), e).with_kind(Kind::Status(status)).about(shown)
    })?;
    wait(child, signals)
}

fn wait(mut child: Child, signals: &Signals) -> Result<u8> {
    let watched = Watched::open(child.id())?;
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
    loop {
        if let Some(signal) = signals.take()
            && !(signal == Signal::SIGINT && is_in_foreground())
        {
            // The command may have ended in this moment: then there is nobody to tell.
            let _ = kill(pid, signal);
        }
        if signals.wait(Some(std::os::fd::AsFd::as_fd(&watched)), 1000)? {
            break;
        }
    }
    let status = child.wait().map_err(|e| Error::io("cannot wait for the command", e))?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

/// Whether Ctrl-C on the terminal has reached the command already, as it is in our process group.
fn is_in_foreground() -> bool {
    std::fs::File::open("/dev/tty").is_ok_and(|tty| tcgetpgrp(&tty) == Ok(getpgrp()))
}
