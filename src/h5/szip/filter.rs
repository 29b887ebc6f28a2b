//! The decoder as a filter of HDF5's own: for datasets that have to be read through the library.

use std::ffi::{c_uint, c_void};

use hdf5_sys::h5::{H5allocate_memory, H5free_memory, herr_t};
use hdf5_sys::h5z::{H5Z_FLAG_REVERSE, H5Z_class2_t};

use super::Params;

unsafe extern "C" {
    /// The library's own way to add a filter; `H5Zregister` refuses numbers below 256. Only in the
    /// bundled library is it sure to be there.
    fn H5Z_register(class: *const H5Z_class2_t) -> herr_t;
}

/// Adds the filter to the library, which must be initialised.
pub(in crate::h5) fn register() {
    let class = H5Z_class2_t {
        version: 1,
        id: 4,
        encoder_present: 0,
        decoder_present: 1,
        name: c"szip".as_ptr(),
        can_apply: None,
        set_local: None,
        filter: Some(filter),
    };
    // SAFETY: the library copies the class; its name and function live as long as the program.
    // A failure leaves the filter unavailable, which each dataset that needs it will report.
    unsafe { H5Z_register(&raw const class) };
}

/// HDF5 calls this for each chunk; 0 means failure.
unsafe extern "C" fn filter(
    flags: c_uint,
    count: usize,
    values: *const c_uint,
    nbytes: usize,
    buf_size: *mut usize,
    buf: *mut *mut c_void,
) -> usize {
    if flags & H5Z_FLAG_REVERSE == 0 || count < 4 || values.is_null() || nbytes < 4 {
        return 0;
    }
    // SAFETY: HDF5 passes `count` parameters and a buffer with `nbytes` of data.
    let (values, source) = unsafe {
        (std::slice::from_raw_parts(values, 4), std::slice::from_raw_parts((*buf).cast(), nbytes))
    };
    let Some(decoded) = Params::new(values).and_then(|params| params.chunk(source)) else {
        return 0;
    };
    // SAFETY: the old buffer is HDF5's to free and the new one HDF5's to allocate; the copy is
    // within both.
    unsafe {
        let fresh = H5allocate_memory(decoded.len(), 0);
        if fresh.is_null() {
            return 0;
        }
        std::ptr::copy_nonoverlapping(decoded.as_ptr(), fresh.cast(), decoded.len());
        H5free_memory(*buf);
        *buf = fresh;
        *buf_size = decoded.len();
    }
    decoded.len()
}
