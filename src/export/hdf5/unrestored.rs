//! Objects that the load left out and the export cannot restore.

use crate::export::content::Content;
use crate::shm::format::ledger::Note;

/// Returns the objects that the load left out, except the attributes that the ledger records.
pub(super) fn unrestored(content: &Content) -> Vec<Note> {
    let origin = content.origin.as_ref();
    let is_recorded = |note: &Note| {
        origin.is_some_and(|origin| {
            note.path.match_indices('@').any(|(at, _)| {
                let (object, name) = (&note.path[..at], &note.path[at + 1..]);
                let stored = origin.dataset(object).map(|stored| &stored.attrs[..]);
                let attributes = stored.unwrap_or_else(|| origin.group(object));
                attributes.iter().any(|attribute| attribute.name == name)
            })
        })
    };
    content.left_out.iter().filter(|note| !is_recorded(note)).cloned().collect()
}
