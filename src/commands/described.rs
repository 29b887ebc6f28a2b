//! A project as JSON and text, for the commands that report projects.

use std::path::Path;

use anstyle::Style;

use crate::output::{GREEN, RED, Text, YELLOW, json};
use crate::shm::format::ledger::Lifetime;
use crate::shm::store::attachments::Attachments;
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::state::{Project, State};

/// Describes a project in JSON.
pub(super) fn describe(
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
                |(path, array): (Vec<&str>, &crate::shm::format::tree::Array)| json::Array {
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

/// Returns the state and its color.
pub(super) fn state(project: &json::Project) -> (&'static str, Style) {
    let style = match project.state {
        State::Live => GREEN,
        State::Loading | State::Removing | State::Foreign | State::Elsewhere => YELLOW,
        _ => RED,
    };
    (if project.changing { "live (changing)" } else { project.state.word() }, style)
}

/// Formats the state.
pub(super) fn state_text(project: &json::Project) -> Text {
    let (word, style) = state(project);
    Text::styled(word, style)
}

/// Formats lifetime and keeper.
pub(super) fn lifetime_text(project: &json::Project) -> String {
    match (project.lifetime, &project.keeper) {
        (Some(Lifetime::Held), Some(keeper)) => format!("held by {}", keeper.pid),
        (Some(Lifetime::Held), None) => "held".to_owned(),
        (Some(Lifetime::Persistent), _) => "persistent".to_owned(),
        (None, _) => "-".to_owned(),
    }
}
