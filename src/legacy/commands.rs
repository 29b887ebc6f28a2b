//! `cute-shm-hdf5` and `cute-shm-unlink`, with the output of the Python package.

use std::collections::HashSet;
use std::time::Duration;

use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::legacy::arguments::Arguments;
use crate::legacy::human;
use crate::load::{self, Existing, Input, Outcome, Request, check_readable};
use crate::os::signals::Signals;
use crate::output::progress::Progress;
use crate::output::say;
use crate::shm::format::ledger::{Lifetime, Selection};
use crate::shm::format::metadata::METADATA_LIMIT;
use crate::shm::format::metadata::Metadata;
use crate::shm::format::name::ProjectName;
use crate::shm::store::lock::LOCK_TIMEOUT;
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::removal::Owners;
use crate::shm::store::unlink::unlink as remove;
use crate::text;

/// Runs `cute-shm-hdf5`: loads a file as a persistent project.
pub(crate) fn hdf5(context: &Context, arguments: &Arguments) -> Result<String> {
    let request = request(context, arguments)?;
    check_readable(&request.inputs[0].path)?;
    let mut signals = Signals::block()?;
    let mut progress = Progress::new(context, arguments.has("no_progress"));
    let dirs = NodeDirs::create(&context.paths)?;
    warn_of(&dirs, context);
    let outcome = load::load_in_child(&dirs, &request, &mut signals, &mut progress)?;
    drop(progress);
    summary(&dirs, &request.project, &outcome)
}

fn request(context: &Context, arguments: &Arguments) -> Result<Request> {
    let overwrite = arguments.has("overwrite");
    Ok(Request {
        project: ProjectName::new(&arguments.positionals[0])?,
        inputs: vec![Input { path: arguments.positionals[1].clone().into(), group: None }],
        selection: Selection { mode: 0o600, ..Selection::default() },
        lifetime: Lifetime::Persistent,
        existing: if overwrite { Existing::Replace } else { Existing::Refuse },
        strict: false,
        keep_going: false,
        wait: Some(LOCK_TIMEOUT),
        grace: Duration::ZERO,
        job: context.job.clone(),
        threads: None,
        numa: None,
        verify: false,
        external: load::default_external(),
    })
}

/// Formats the three lines after a load. As in the Python package, "datasets" are the names at the top of the
/// file, and scalars do not count.
fn summary(dirs: &NodeDirs, project: &ProjectName, outcome: &Outcome) -> Result<String> {
    let (root, file) = (dirs.root()?, project.metadata_file());
    let text =
        root.read_text(&file, METADATA_LIMIT).known()?.map(|(text, _)| text).unwrap_or_default();
    let metadata = Metadata::parse(&text).map_err(|why| Error::new(Kind::Corrupt, why))?;
    let planned = &outcome.planned;
    let mut names: HashSet<&str> = metadata.root.keys().map(String::as_str).collect();
    let notes = planned.skips.iter().chain(&planned.damaged).chain(&outcome.failed);
    names.extend(notes.filter_map(|note| note.path.trim_start_matches('/').split('/').next()));
    let arrays = metadata.arrays();
    let sizes = arrays.iter().filter(|(_, array)| !array.shape.is_empty());
    let total = sizes.map(|(_, array)| human::array(array)).sum();
    Ok(format!(
        "TOML metadata file: {}\nDatasets transferred: {}\nTotal memory size: {}\n",
        root.join(&file).display(),
        names.len(),
        human::bytes(total),
    ))
}

/// Runs `cute-shm-unlink`: removes a project.
pub(crate) fn unlink(context: &Context, arguments: &Arguments) -> Result<String> {
    let name = ProjectName::existing(&arguments.positionals[0])?;
    let dirs = NodeDirs::open(&context.paths)?;
    warn_of(&dirs, context);
    for segment in remove(&dirs, &name, Owners::Own)? {
        if context.verbose > 1 {
            say(format!("removed {}", segment.name), context);
        }
    }
    let name = text::shown(&name.to_text(), context.width.is_some());
    Ok(format!("Shared memory for project '{name}' has been cleaned up.\n"))
}

pub(crate) fn warn_of(dirs: &NodeDirs, context: &Context) {
    if let Some(warning) = &dirs.warning {
        say(format!("warning: {warning}"), context);
    }
}
