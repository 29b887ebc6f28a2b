//! Checks that the arrays of a project can be read, with a hint for each state that does not allow it.

use crate::error::shell_quote;
use crate::error::{Error, Kind, Result};
use crate::shm::format::name::ProjectName;
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::state::{self, Project, State};

/// The project of this name, if its state is one to read from.
///
/// # Errors
/// As [`state::find`] and [`ensure_readable`].
pub(crate) fn find(dirs: &NodeDirs, name: &ProjectName) -> Result<Project> {
    let project = state::find(dirs, name)?;
    ensure_readable(&project)?;
    Ok(project)
}

/// Fails if the arrays of the project cannot be read. The error names the state and an action.
///
/// # Errors
/// The state determines the kind of the error.
pub(crate) fn ensure_readable(project: &Project) -> Result<()> {
    let name = project.name().to_text();
    let word = shell_quote(&name);
    let (kind, hint) = match project.state {
        State::Live | State::Detached | State::Broken => return Ok(()),
        State::Loading => (Kind::Busy, format!("'cute-shm wait {word}' returns when it is live")),
        State::Removing => (Kind::Busy, "another process is removing it".to_owned()),
        State::Foreign if project.uid == nix::unistd::Uid::effective().as_raw() => {
            (Kind::Permission, "make its files readable, and try again".to_owned())
        }
        State::Foreign => (Kind::Permission, format!("it belongs to user {}", project.uid)),
        State::Elsewhere => (
            Kind::NotFound,
            "read it on the node or in the container where it was loaded".to_owned(),
        ),
        State::Corrupt => (Kind::Corrupt, format!("'cute-shm unlink {word}' removes it")),
        State::Abandoned | State::Stale => {
            (Kind::NotFound, "'cute-shm gc' removes it; load it again".to_owned())
        }
        State::Orphan => (Kind::NotFound, "no metadata describes its segments".to_owned()),
    };
    let why = project.why.as_deref().map_or_else(String::new, |why| format!(": {why}"));
    let message = format!("project '{name}' is {}{why}", project.state);
    Err(Error::new(kind, message).with_subject(name).with_hint(hint))
}
