//! One file for each subcommand: its arguments, whose doc comments are its help, and a thin `run`.

pub mod completions;
pub mod doctor;
pub mod export;
pub mod gc;
pub mod help;
pub mod list;
pub mod load_hdf5;
pub mod man;
pub mod show;
pub mod unlink;
pub mod wait;

use std::ffi::OsString;
use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::output::Output;
use crate::output::json::{self, Warning};
use crate::shm::format::name::ProjectName;
use crate::shm::store::attachments::Attachments;
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::state::{Project, State, find};

/// The JSON body of commands that tell nothing but success.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Nothing {}

/// Opens the place and tells what is odd about it.
fn open<B: Serialize>(output: &mut Output<'_, B>) -> Result<NodeDirs> {
    let dirs = NodeDirs::open(&output.context.paths)?;
    warn_of_root(&dirs, output);
    Ok(dirs)
}

fn warn_of_root<B: Serialize>(dirs: &NodeDirs, output: &mut Output<'_, B>) {
    if let Some(warning) = &dirs.warning {
        output.warn(Warning::new("root", warning.clone()));
    }
}

/// A judged project in JSON.
fn describe(
    dirs: &NodeDirs,
    project: &Project,
    full: bool,
    attached: Option<&Attachments>,
) -> json::Project {
    let record = project.record();
    let now = jiff::Timestamp::now().as_second();
    let file = project.name().metadata_file();
    let root = dirs.root.as_ref().map_or(Path::new(""), |root| root.path());
    let metadata = project.metadata.as_ref();
    let since = record.and_then(|record| record.created.parse::<jiff::Timestamp>().ok());
    let written = project.file.as_ref().map(|file| file.mtime);
    let since = since.map(jiff::Timestamp::as_second).or(written);
    json::Project {
        name: project.name().to_text(),
        state: project.state,
        changing: project.changing,
        reason: project.why.clone(),
        lifetime: record.map(|record| record.lifetime),
        keeper: record
            .map(|record| json::Keeper { pid: record.keeper.pid, uid: record.keeper.uid }),
        uid: project.uid,
        metadata: (project.state != State::Orphan)
            .then(|| root.join(file).to_string_lossy().into_owned()),
        created: record.map(|record| record.created.clone()),
        age_seconds: since.map(|since| now - since),
        jobs: record.map(|record| record.jobs.clone()).unwrap_or_default(),
        sources: record.map(|record| record.sources.clone()).unwrap_or_default(),
        array_count: metadata.map_or(0, |metadata| metadata.leaves().len()),
        missing_count: project.missing.len(),
        size_bytes: project.size(),
        resident_bytes: project.resident(),
        attached_pids: attached.and_then(|attached| attached.to_project(project)),
        arrays: full.then(|| {
            let missing: std::collections::HashSet<_> = project
                .missing
                .iter()
                .map(crate::shm::format::name::SegmentName::to_text)
                .collect();
            let gone = |segment: &str| {
                missing.contains(segment) || matches!(project.state, State::Elsewhere)
            };
            let array =
                |(path, array): (Vec<&str>, &crate::shm::format::metadata::Array)| json::Array {
                    key: format!("/{}", path.join("/")),
                    shape: array.shape.clone(),
                    dtype: array.dtype.clone(),
                    size_bytes: array.nbytes(),
                    segment: array.segment.clone(),
                    missing: gone(&array.segment),
                    storage: None,
                    attrs: json::attributes(&array.attrs),
                };
            metadata.iter().flat_map(|metadata| metadata.arrays()).map(array).collect()
        }),
    }
}

/// Project names given on the command line.
fn names(given: &[OsString]) -> Result<Vec<ProjectName>> {
    given.iter().map(|name| ProjectName::existing(name)).collect()
}

/// Several targets, some of which failed: the one error that decides the exit code.
fn partial(failed: usize, total: usize) -> Result<()> {
    match failed {
        0 => Ok(()),
        _ => Err(Error::new(Kind::Partial, format!("{failed} of {total} failed"))),
    }
}
