//! `load-hdf5`: loads HDF5 files into shared memory.

mod args;
mod body;
mod lifetime;
mod plugins;
mod report;
mod request;

use std::os::fd::AsRawFd;

pub(crate) use self::args::Args;
pub(crate) use self::body::Body;
use self::lifetime::{Lived, Waiting};
use self::report::{report_outcome, report_plan};
use self::request::request;
use super::common::warn_of_root;
use crate::error::{Error, Kind, Result};
use crate::load::{self, Background, Request, Side, check_readable};
use crate::os::signals::Signals;
use crate::os::watched_process::WatchedProcess;
use crate::output::Output;
use crate::output::progress::Progress;
use crate::shm::store::node_dirs::NodeDirs;

/// Runs `load-hdf5`.
///
/// # Errors
/// Returns the error of the load. With `-- CMD`, an error before CMD starts is [`Kind::Status`] 125.
pub(crate) fn run(args: &Args, output: &mut Output<'_, Body>) -> Result<()> {
    if args.command.is_empty() {
        return start(args, output);
    }
    output.reserve_stdout(args.json_to.clone())?;
    // As timeout(1) does: the caller must be able to distinguish our failures from the command's. A status and a
    // signal are passed on as they are.
    start(args, output).map_err(|error| match error.kind() {
        Kind::Status(_) | Kind::Signal(_) => error,
        kind => {
            let (code, word) = (kind.exit_code(), kind.code());
            let hint = error.hint().unwrap_or("the command was not started").to_owned();
            Error::new(Kind::Status(125), format!("{error} (code {code}, {word})")).with_hint(hint)
        }
    })
}

fn start(args: &Args, output: &mut Output<'_, Body>) -> Result<()> {
    output.body.host = crate::os::host::Host::this().name;
    if let Some(user) = &args.as_user {
        crate::os::credentials::become_user(user, &args.ready_fd.into_iter().collect::<Vec<_>>())?;
    }
    let request = request(args, output)?;
    output.body.rows = request.selection.rows;
    output.body.project = Some(request.project.to_text());
    output.body.dry_run = args.dry_run;
    for input in &request.inputs {
        check_readable(&input.path)?;
    }
    let ready_fd = args.ready_fd.map(load::inherit).transpose()?;
    // Before the fork: a signal must find both processes prepared.
    let mut signals = Signals::block()?;
    let Some(pid) = args.until_exit else {
        return load(args, &request, Waiting { ready_fd, until: None }, signals, output);
    };
    let watched = WatchedProcess::open(pid)?;
    let kept =
        [ready_fd.as_ref().map(AsRawFd::as_raw_fd), watched.descriptor().map(|fd| fd.as_raw_fd())];
    let kept: Vec<_> = kept.into_iter().flatten().chain(signals.descriptors()).collect();
    match Background::start(&kept)? {
        Side::Keeper(ready) => {
            signals.separate()?;
            let waiting = Waiting { ready_fd, until: Some((watched, ready)) };
            load(args, &request, waiting, signals, output)
        }
        Side::Front(background) => {
            output.delegate_result();
            signals.take_interrupts()?;
            match background.wait(&signals)? {
                0 => Ok(()),
                code => Err(Error::new(Kind::Status(code), "")),
            }
        }
    }
}

fn load(
    args: &Args,
    request: &Request,
    waiting: Waiting,
    mut signals: Signals,
    output: &mut Output<'_, Body>,
) -> Result<()> {
    let mut progress = Progress::new(output.context, args.no_progress);
    if args.dry_run {
        let dirs = NodeDirs::rehearse(&output.context.paths)?;
        warn_of_root(&dirs, output);
        let planned = load::dry_run(&dirs, request, &mut signals, &mut progress)?;
        report_plan(&dirs, request, &planned, progress, output);
        return Ok(());
    }
    let dirs = NodeDirs::create(&output.context.paths)?;
    warn_of_root(&dirs, output);
    let mut outcome = load::load_in_child(&dirs, request, &mut signals, &mut progress)?;
    // From here on every path must release the held project: only `live` may fail.
    let held = outcome.held.take();
    report_outcome(&dirs, request, &outcome, progress, output);
    let failed = outcome.failed.len() + outcome.planned.damaged.len();
    // The plan does not contain damaged objects.
    let total = outcome.planned.paths + outcome.planned.damaged.len() as u64;
    let partial = (failed > 0)
        .then(|| Error::new(Kind::Partial, format!("{failed} of {total} could not be read")));
    if let Some(partial) = &partial {
        // Report before the hold, so that a process that waits for the project can read it.
        output.fail(partial);
    }
    let lived = lifetime::live(args, &dirs, &mut signals, held, waiting, output)?;
    match (partial, lived) {
        // The exit status of CMD takes precedence.
        (None, _) | (_, Lived::Command) => Ok(()),
        (Some(_), Lived::Alone) => Err(Error::new(Kind::Partial, "")),
    }
}
