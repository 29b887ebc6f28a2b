//! Writes the content of an export to a target in one of the formats.

use super::content::Content;
use super::format::Format;
use super::interrupt::CheckInterrupt;
use super::target::Target;
use super::{hdf5, npy, npz, safetensors};
use crate::error::{Error, Kind, Result};
use crate::shm::format::ledger::Note;
use crate::shm::format::tree;

/// Writes `content` to `target` in this format. Removes the arrays that the format cannot represent from
/// `content`. Returns a note for each of them, and for everything else that the file does not restore.
///
/// # Errors
/// Returns [`Kind::Unsupported`] if anything is left out and `strict` is set, or if the only array cannot be
/// written as npy; [`Kind::Io`] and others if a system call fails. The target is then unchanged, unless it is
/// a stream.
pub(crate) fn write(
    content: &mut Content,
    format: Format,
    strict: bool,
    target: &mut Target,
    check_interrupt: CheckInterrupt,
) -> Result<Vec<Note>> {
    let ensure_allowed = |notes: &[Note]| match notes {
        [first, ..] if strict => Err(strict_error(first, notes.len())),
        _ => Ok(()),
    };
    let notes = match format {
        Format::Hdf5 => {
            let (notes, skipped) = target.with_file(|path, position| {
                let written = hdf5::write(content, path, position, check_interrupt)?;
                ensure_allowed(&written.0).map(|()| written)
            })?;
            tree::retain_arrays(&mut content.root, &mut |path, _| !skipped.contains(path));
            notes
        }
        Format::Npy => {
            npy::write(content, target.writer(), check_interrupt)?;
            Vec::new()
        }
        Format::Npz => {
            let notes = content.leave_out(npz::unsupported_reason);
            ensure_allowed(&notes)?;
            npz::write(content, target.writer(), check_interrupt)?;
            notes
        }
        Format::Safetensors => {
            let notes = content.leave_out(safetensors::unsupported_reason);
            ensure_allowed(&notes)?;
            safetensors::write(content, target.writer(), check_interrupt)?;
            notes
        }
    };
    Ok(notes)
}

/// The error of a strict export that leaves out `count` objects.
fn strict_error(first: &Note, count: usize) -> Error {
    let more = match count - 1 {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let message = format!("'{}' cannot be exported: {}{more}", first.path, first.reason);
    Error::new(Kind::Unsupported, message)
        .with_subject(&first.path)
        .with_hint("skip it with --exclude, or omit --strict")
}
