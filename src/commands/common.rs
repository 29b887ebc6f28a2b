//! Steps that several commands share.

use std::ffi::OsString;

use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::output::Output;
use crate::output::json::Warning;
use crate::shm::format::name::ProjectName;
use crate::shm::store::node_dirs::NodeDirs;

/// The JSON body of commands without fields of their own.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Nothing {}

/// Opens root and shm directory, and prints a warning about an unsafe root.
pub(super) fn open<B: Serialize>(output: &mut Output<'_, B>) -> Result<NodeDirs> {
    let dirs = NodeDirs::open(&output.context.paths)?;
    warn_of_root(&dirs, output);
    Ok(dirs)
}

pub(super) fn warn_of_root<B: Serialize>(dirs: &NodeDirs, output: &mut Output<'_, B>) {
    if let Some(warning) = &dirs.warning {
        output.warn(Warning::new("root", warning.clone()));
    }
}

/// Parses the project names of the command line.
pub(super) fn names(given: &[OsString]) -> Result<Vec<ProjectName>> {
    given.iter().map(|name| ProjectName::existing(name)).collect()
}

/// Returns the error that determines the exit code if some of several targets failed.
pub(super) fn partial(failed: usize, total: usize) -> Result<()> {
    match failed {
        0 => Ok(()),
        _ => Err(Error::new(Kind::Partial, format!("{failed} of {total} failed"))),
    }
}
