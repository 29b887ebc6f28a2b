//! The path that an array key means in a project. The error names the reason if the load left the array out.

use crate::error::{Error, Kind, Result};
use crate::shm::format::array_key;
use crate::shm::store::state::Project;

/// The path that `key` means in a project.
///
/// # Errors
/// [`Kind::NotFound`] when there is no such array or group, with the reason if it was left out of the load;
/// [`Kind::Usage`] when there are several.
pub(crate) fn resolve(project: &Project, key: &str) -> Result<String> {
    let error = match array_key::resolve(&project.name().to_text(), project.tree(), key) {
        Err(error) if error.kind() == Kind::NotFound => error,
        resolved => return resolved,
    };
    let slashed = format!("/{}", key.trim_matches('/'));
    let mut notes = project.record().map(|record| &record.left_out[..]).unwrap_or_default().iter();
    Err(match notes.find(|note| note.path == slashed) {
        Some(note) => {
            let message = format!("'{slashed}' was left out of the load: {}", note.reason);
            Error::new(Kind::NotFound, message).with_subject(key)
        }
        None => error,
    })
}
