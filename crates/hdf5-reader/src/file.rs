//! Opens the file that a caller names. The error of a file of another format names that format.

use std::path::Path;

use nix::errno::Errno;

use crate::error::{Cause, ObjectError, Result, cannot_open};
use crate::ffi;
use crate::ffi::ids::Id;
use crate::{lookup, other_formats};

/// Opens the file at `path` for reading.
pub(crate) fn open(path: &Path) -> Result<Id> {
    lookup::open_regular(path).map_err(|error| {
        let trouble = match error.raw_os_error().map(Errno::from_raw) {
            Some(errno) => ObjectError::System(errno.desc().to_owned(), errno),
            None => ObjectError::Damaged(error.to_string()),
        };
        cannot_open(path, trouble)
    })?;
    ffi::file::open(path).map_err(|trouble| match trouble.cause() {
        Cause::NotHdf5 => other_formats::not_hdf5(path),
        _ => cannot_open(path, trouble),
    })
}
