//! The error stack of libhdf5: the reason why a call failed.

use std::ffi::{CStr, c_uint, c_void};

use hdf5_sys::h5::herr_t;
use hdf5_sys::h5e::{
    H5E_CANTALLOC, H5E_DEFAULT, H5E_NLINKS, H5E_NOSPACE, H5E_NOTFOUND, H5E_NOTHDF5, H5E_RESOURCE,
    H5E_direction_t, H5E_error2_t, H5Ewalk2,
};
use hdf5_sys::h5i::hid_t;

use crate::error::{Cause, LibraryFailure, ObjectError, ObjectResult};
use crate::messages::{self, Meaning};

/// Passes the status or count of a call on. A negative one is a failure.
pub(crate) fn check<T: Copy + PartialOrd + Default>(status: T) -> ObjectResult<T> {
    if status < T::default() { Err(last()) } else { Ok(status) }
}

/// The entries of the error stack.
#[derive(Default)]
struct Stack {
    /// The innermost description, which is the cause.
    description: Option<String>,
    /// The innermost error, by the library's minor number.
    innermost: hid_t,
    lacks_memory: bool,
}

/// The failure that the last call of libhdf5 reported.
pub(crate) fn last() -> ObjectError {
    let _lock = hdf5_sys::LOCK.lock();
    let mut stack = Stack::default();
    let data = (&raw mut stack).cast::<c_void>();
    // SAFETY: `collect` matches the callback's signature and gets the stack it expects.
    unsafe { H5Ewalk2(H5E_DEFAULT, H5E_direction_t::H5E_WALK_DOWNWARD, Some(collect), data) };
    let original = stack.description.unwrap_or_else(|| "no reason given".to_owned());
    let meaning = messages::interpret(&original);
    let cause = match meaning.errno {
        Some(errno) => Cause::System(errno),
        None if stack.lacks_memory => Cause::NoMemory,
        None if stack.innermost == *H5E_NOTHDF5 => Cause::NotHdf5,
        None if stack.innermost == *H5E_NOTFOUND => Cause::NotFound,
        None if stack.innermost == *H5E_NLINKS => Cause::LinkLoop,
        None => Cause::Damage,
    };
    let Meaning { reason, advice, .. } = meaning;
    ObjectError::Library(LibraryFailure { reason, original, cause, advice })
}

/// Called by libhdf5 for every entry of the error stack; the last call is the innermost.
unsafe extern "C" fn collect(_: c_uint, entry: *const H5E_error2_t, data: *mut c_void) -> herr_t {
    // SAFETY: HDF5 passes an entry that is valid during the call, and the pointer that `last` gave it.
    unsafe {
        let stack = &mut *data.cast::<Stack>();
        let (major, minor) = ((*entry).maj_num, (*entry).min_num);
        stack.innermost = minor;
        stack.lacks_memory |=
            major == *H5E_RESOURCE && (minor == *H5E_NOSPACE || minor == *H5E_CANTALLOC);
        if !(*entry).desc.is_null() {
            let text = CStr::from_ptr((*entry).desc).to_string_lossy();
            if !text.trim().is_empty() {
                stack.description = Some(text.into_owned());
            }
        }
    }
    0
}
