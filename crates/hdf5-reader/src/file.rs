//! Opens HDF5 files to read, never locking them, and says why where that fails.
#![allow(unsafe_code)]

use std::ffi::{CString, OsString, c_char};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use hdf5_sys::h5f::{H5F_ACC_RDONLY, H5Fget_name, H5Fopen};
use hdf5_sys::h5p::{H5P_CLS_FILE_ACCESS, H5Pcreate, H5Pset_cache, H5Pset_file_locking};
use nix::errno::Errno;

use super::error::{Cause, ObjectError, ObjectResult, Result, cannot_open, check};
use super::ids::Id;
use super::{lookup, other_formats};

/// Opens the file at `path` for reading.
pub(crate) fn open(path: &Path) -> Result<Id> {
    lookup::open_regular(path).map_err(|error| {
        let trouble = match error.raw_os_error().map(Errno::from_raw) {
            Some(errno) => ObjectError::System(errno.desc().to_owned(), errno),
            None => ObjectError::Damaged(error.to_string()),
        };
        cannot_open(path, trouble)
    })?;
    open_hdf5(path).map_err(|trouble| match trouble.cause() {
        Cause::NotHdf5 => other_formats::not_hdf5(path),
        _ => cannot_open(path, trouble),
    })
}

/// Opens a regular file with libhdf5.
pub(crate) fn open_hdf5(path: &Path) -> ObjectResult<Id> {
    let access = access()?;
    let name = CString::new(path.as_os_str().as_bytes()).unwrap_or_default();
    // SAFETY: the name ends with NUL and the property list is open.
    Id::own(unsafe { H5Fopen(name.as_ptr(), H5F_ACC_RDONLY, access.raw()) })
}

/// How this and every file that it links to is opened: without a lock, because a file that another
/// program has open is still readable, and some file systems have no locks.
fn access() -> ObjectResult<Id> {
    // SAFETY: the property list class is one of the library's own.
    let list = Id::own(unsafe { H5Pcreate(*H5P_CLS_FILE_ACCESS) })?;
    // SAFETY: `list` is an open file access list, here and below.
    check(unsafe { H5Pset_file_locking(list.raw(), 0, 1) })?;
    // SAFETY: as above. Whole chunks are read, so that a small cache of them is enough.
    check(unsafe { H5Pset_cache(list.raw(), 0, 101, 1 << 20, 0.75) })?;
    Ok(list)
}

/// The name by which the file of an open object was opened.
pub(crate) fn name(object: &Id) -> ObjectResult<PathBuf> {
    // SAFETY: the library writes at most as many bytes as the call allows.
    let name = text(|buffer, size| unsafe { H5Fget_name(object.raw(), buffer, size) })?;
    Ok(PathBuf::from(OsString::from_vec(name)))
}

/// Calls a function that writes a string, once for its length and once for its bytes.
pub(crate) fn text(mut call: impl FnMut(*mut c_char, usize) -> isize) -> ObjectResult<Vec<u8>> {
    let length = check(call(std::ptr::null_mut(), 0))?.unsigned_abs();
    let mut buffer = vec![0_u8; length + 1];
    check(call(buffer.as_mut_ptr().cast(), buffer.len()))?;
    buffer.truncate(length);
    Ok(buffer)
}
