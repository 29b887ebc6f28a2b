//! The raw files in which a dataset of the layout "external" keeps its elements.

use std::path::{Path, PathBuf};

use crate::error::{ObjectError, ObjectResult, damaged};
use crate::external_files::Files;
use crate::ffi::creation::Creation;
use crate::lookup::{self, Presence};

/// Whether a dataset has raw files, and whether they are in the directory of the HDF5 file, which the library
/// searches only on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RawFiles {
    None,
    AsNamed,
    Beside,
}

/// Finds the raw files as the library does: under `HDF5_EXTFILE_PREFIX`, or from the working
/// directory. Without that variable they may also be in the directory of the HDF5 file.
pub(crate) fn raw_files(creation: &Creation, file: &Path, files: &Files) -> ObjectResult<RawFiles> {
    let names = creation.external_files()?;
    if names.is_empty() {
        return Ok(RawFiles::None);
    }
    let prefix = lookup::raw_prefix(file);
    let as_library = |name: &PathBuf| match &prefix {
        Some(prefix) => prefix.join(name),
        None => std::path::absolute(name).unwrap_or_else(|_| name.clone()),
    };
    if find(names.iter().map(as_library), files)?.is_none() {
        return Ok(RawFiles::AsNamed);
    }
    let folder = if prefix.is_some() { None } else { Some(lookup::folder(file)) };
    let beside =
        |name: &PathBuf| folder.as_ref().map_or_else(|| as_library(name), |at| at.join(name));
    match find(names.iter().map(beside), files)? {
        None => Ok(RawFiles::Beside),
        Some(path) => damaged(format!("external raw file '{}' is missing", path.display())),
    }
}

/// Checks all of these files; returns the first that is absent.
fn find(paths: impl Iterator<Item = PathBuf>, files: &Files) -> ObjectResult<Option<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        match files.look(&path) {
            Presence::Regular(metadata) => found.push((path, metadata)),
            Presence::Absent => return Ok(Some(path)),
            Presence::Unusable { reason, errno, .. } => {
                let what = format!("cannot open external raw file '{}'", path.display());
                return Err(ObjectError::of_system(reason, errno).within(&what));
            }
        }
    }
    for (path, metadata) in found {
        files.admit(&path, &metadata)?;
    }
    Ok(None)
}
