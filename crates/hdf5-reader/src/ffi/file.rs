//! Opens files to read, without locking them.

use std::ffi::{CString, OsString, c_char};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use hdf5_sys::h5f::{H5F_ACC_RDONLY, H5Fget_access_plist, H5Fget_name, H5Fopen};
use hdf5_sys::h5fd::H5FD_SEC2;
use hdf5_sys::h5p::{
    H5P_CLS_FILE_ACCESS, H5Pcreate, H5Pget_driver, H5Pset_cache, H5Pset_file_locking,
};

use super::error_stack::check;
use super::ids::{Id, lock};
use crate::error::ObjectResult;

/// Opens a file.
pub(crate) fn open(path: &Path) -> ObjectResult<Id> {
    let _lock = lock();
    let access = access()?;
    let name = CString::new(path.as_os_str().as_bytes()).unwrap_or_default();
    // SAFETY: the name ends with NUL.
    Id::own(unsafe { H5Fopen(name.as_ptr(), H5F_ACC_RDONLY, access.raw()) })
}

/// The access list of every file. Files are not locked, because a file that another program has open is still
/// readable, and some file systems have no locks.
fn access() -> ObjectResult<Id> {
    // SAFETY: the property list class belongs to the library.
    let list = Id::own(unsafe { H5Pcreate(*H5P_CLS_FILE_ACCESS) })?;
    // SAFETY: a call without pointers.
    check(unsafe { H5Pset_file_locking(list.raw(), 0, 1) })?;
    // SAFETY: as above. Whole chunks are read, so that a small cache of them is enough.
    check(unsafe { H5Pset_cache(list.raw(), 0, 101, 1 << 20, 0.75) })?;
    Ok(list)
}

/// Returns the path under which the file of an open object was opened.
pub(crate) fn name(object: &Id) -> ObjectResult<PathBuf> {
    let _lock = lock();
    // SAFETY: the library writes at most as many bytes as the call allows.
    let name = text(|buffer, size| unsafe { H5Fget_name(object.raw(), buffer, size) })?;
    Ok(PathBuf::from(OsString::from_vec(name)))
}

/// Returns the path of an open file that the library reads as one plain file.
pub(crate) fn plain_path(file: &Id) -> Option<PathBuf> {
    let _lock = lock();
    // SAFETY: a call without pointers, here and below.
    let access = Id::own(unsafe { H5Fget_access_plist(file.raw()) }).ok()?;
    // SAFETY: as above.
    let driver = unsafe { H5Pget_driver(access.raw()) };
    if driver != *H5FD_SEC2 {
        return None;
    }
    name(file).ok()
}

/// Calls a function that writes a text, once for its length and once for its bytes.
pub(super) fn text(mut call: impl FnMut(*mut c_char, usize) -> isize) -> ObjectResult<Vec<u8>> {
    let length = check(call(std::ptr::null_mut(), 0))?.unsigned_abs();
    let mut buffer = vec![0_u8; length + 1];
    check(call(buffer.as_mut_ptr().cast(), buffer.len()))?;
    buffer.truncate(length);
    Ok(buffer)
}
