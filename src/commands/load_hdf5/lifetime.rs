//! What `load-hdf5` does with a project once it is there: returns, holds it, or runs a command.

use std::ffi::OsString;

use super::{Args, Body};
use crate::load::{self, Ending, Held, Ready, Signals, Watched};
use crate::output::json::Warning;
use crate::output::{Output, ready};
use crate::shm::place::Place;
use crate::{Error, Kind, Result};

/// Tells that the project is ready, and keeps it as long as it was asked for.
///
/// # Errors
/// [`Kind::Signal`] when a signal ended it, [`Kind::Status`] with a command's status.
pub(super) fn live(
    args: &Args,
    place: &Place,
    signals: &Signals,
    held: Option<Held>,
    until: Option<(Watched, Ready)>,
    output: &mut Output<'_, Body>,
) -> Result<()> {
    if held.is_some() && until.is_none() && args.command.is_empty() {
        output.status("holding it; Ctrl-C removes it");
    }
    output.emit();
    announce(args, output)?;
    if !args.command.is_empty() {
        return run_command(args, place, signals, held, output);
    }
    let Some(held) = held else {
        return until.map_or(Ok(()), |(_, ready)| ready.tell());
    };
    let watched = match until {
        None => None,
        Some((watched, ready)) => {
            ready.tell()?;
            Some(watched)
        }
    };
    let project = args.project.to_string_lossy();
    let ending = held.wait(place, signals, watched.as_ref())?;
    held.release(place)?;
    let what = match ending {
        Ending::Signal(_) | Ending::Exited => "removed",
        Ending::Removed => "another process removed",
        Ending::Replaced => "another process replaced",
        Ending::MadePersistent => "another process made persistent",
    };
    output.status(format!("{what} project '{project}'"));
    match ending {
        Ending::Signal(signal) => Err(Error::new(Kind::Signal(signal as i32), "")),
        _ => Ok(()),
    }
}

/// Those who wait for readiness cannot make a loaded project fail: a deaf one is only warned of.
fn announce(args: &Args, output: &mut Output<'_, Body>) -> Result<()> {
    if let Err(error) = ready::notify() {
        output.warn(Warning::new("notify", error.to_string()));
    }
    args.ready_fd.map_or(Ok(()), ready::tell)
}

fn run_command(
    args: &Args,
    place: &Place,
    signals: &Signals,
    held: Option<Held>,
    output: &mut Output<'_, Body>,
) -> Result<()> {
    let paths = &output.context.paths;
    let variables: [(&str, OsString); 3] = [
        ("CUTE_SHM_PROJECT", args.project.clone()),
        ("CUTE_SHM_ROOT", paths.root.clone().into()),
        ("CUTE_SHM_DIR", paths.shm.clone().into()),
    ];
    let status = load::run_command(&args.command, &variables, signals);
    if let Some(held) = held {
        held.release(place)?;
    }
    match status? {
        0 => Ok(()),
        status => Err(Error::new(Kind::Status(status), "")),
    }
}
