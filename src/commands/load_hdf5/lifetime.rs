//! Returns, holds the project, or runs CMD after a load. Every path releases a held project.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;

use super::args::Args;
use super::body::Body;
use crate::error::{Error, Kind, Result};
use crate::load::{self, Ending, Ready};
use crate::os::signals::Signals;
use crate::os::watched_process::WatchedProcess;
use crate::output::json::Warning;
use crate::output::{Output, ready};
use crate::shm::store::held::{HeldProject, Loss};
use crate::shm::store::node_dirs::NodeDirs;

/// The processes that wait for a project, and the process that it is held for.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// The descriptor of `--ready-fd`.
    pub(crate) ready_fd: Option<File>,
    /// With `--until-exit`: the process, and the command that waits for this keeper.
    pub(crate) until: Option<(WatchedProcess, Ready)>,
}

/// The origin of the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lived {
    /// CMD, which succeeded.
    Command,
    /// This program.
    Alone,
}

/// The end of a load's lifetime in this process.
enum End {
    Returned,
    Held(Ending),
    Command(u8),
}

/// Reports that the project is ready, and keeps it for as long as was asked for.
///
/// # Errors
/// Returns [`Kind::Signal`] if a signal ended it, [`Kind::Status`] with a command's status, and the error of a
/// result, or of a notice to a waiting process, that could not be written.
pub(super) fn live(
    args: &Args,
    dirs: &NodeDirs,
    signals: &mut Signals,
    held: Option<HeldProject>,
    waiting: Waiting,
    output: &mut Output<'_, Body>,
) -> Result<Lived> {
    let end = keep(args, dirs, signals, held.as_ref(), waiting, output);
    let released = held.map_or(Ok(()), |held| held.release(dirs));
    let project = args.project.to_string_lossy();
    if let Err(error) = &released {
        let message = format!(
            "project '{project}' could not be removed: {error}; run 'cute-shm gc' to remove it"
        );
        output.warn(Warning::new("release", message));
    }
    match end? {
        End::Returned => Ok(Lived::Alone),
        End::Command(0) => Ok(Lived::Command),
        End::Command(status) => Err(Error::new(Kind::Status(status), "")),
        End::Held(ending) => {
            if released.is_ok() {
                output.status(format!("{} project '{project}'", verb(ending)));
            }
            match (ending, released) {
                (Ending::Signal(caught), _) => Err(Error::new(Kind::Signal(caught.number()), "")),
                (_, Err(error)) => Err(Error::new(error.kind(), "")),
                (_, Ok(())) => Ok(Lived::Alone),
            }
        }
    }
}

fn verb(ending: Ending) -> &'static str {
    match ending {
        Ending::Signal(_) | Ending::Exited => "removed",
        Ending::Lost(Loss::Removed) => "another process removed",
        Ending::Lost(Loss::Replaced) => "another process replaced",
        Ending::Lost(Loss::MadePersistent) => "another process made persistent",
    }
}

fn keep(
    args: &Args,
    dirs: &NodeDirs,
    signals: &mut Signals,
    held: Option<&HeldProject>,
    waiting: Waiting,
    output: &mut Output<'_, Body>,
) -> Result<End> {
    if held.is_some() && waiting.until.is_none() && args.command.is_empty() {
        output.status("holding the project; press Ctrl-C to remove it");
    }
    output.deliver()?;
    let notified = waiting.ready_fd.map_or(Ok(()), ready::write_line);
    if let (Err(error), None) = (&notified, held) {
        // A persistent project remains loaded, even if the reader has exited.
        output.warn(Warning::new("ready_fd", error.to_string()));
    }
    if let Err(error) = ready::notify() {
        output.warn(Warning::new("notify", error.to_string()));
    }
    if held.is_some() {
        // The process that waited for the line has exited: nothing would end this one.
        notified?;
    }
    if !args.command.is_empty() {
        return run_command(args, signals, output).map(End::Command);
    }
    let watched = match waiting.until {
        None => None,
        Some((watched, ready)) => {
            ready.send()?;
            Some(watched)
        }
    };
    Ok(match held {
        Some(held) => End::Held(load::wait(held, dirs, signals, watched.as_ref())),
        None => End::Returned,
    })
}

fn run_command(args: &Args, signals: &mut Signals, output: &Output<'_, Body>) -> Result<u8> {
    let paths = &output.context.paths;
    // CMD may change its directory.
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let variables: [(&str, OsString); 3] = [
        ("CUTE_SHM_PROJECT", args.project.clone()),
        ("CUTE_SHM_ROOT", absolute(&paths.root).into()),
        ("CUTE_SHM_DIR", absolute(&paths.shm).into()),
    ];
    load::run_command(&args.command, &variables, signals)
}
