//! The search path of libhdf5 for plugins.

use std::ffi::{CString, c_uint};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use hdf5_sys::h5::herr_t;
use hdf5_sys::h5pl::{H5PL_FILTER_PLUGIN, H5PLappend, H5PLremove, H5PLsize};

unsafe extern "C" {
    /// The bindings declare a pointer.
    fn H5PLset_loading_state(mask: c_uint) -> herr_t;
}

/// Replaces the search path. The library must be initialized and locked.
pub(super) fn set(directories: Vec<PathBuf>) {
    let mut count: c_uint = 0;
    // SAFETY: the count and the texts outlive the calls, and the texts end with NUL. After a failure plugins
    // are unavailable, and each dataset that needs one reports that.
    unsafe {
        H5PLsize(&raw mut count);
        for _ in 0..count {
            H5PLremove(0);
        }
        for directory in directories {
            if let Ok(name) = CString::new(directory.as_os_str().as_bytes()) {
                H5PLappend(name.as_ptr());
            }
        }
        // Neither drivers nor connectors.
        H5PLset_loading_state(H5PL_FILTER_PLUGIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::ids;

    #[test]
    fn the_library_has_no_plugin_directory_of_its_own() {
        let _lock = ids::lock();
        let mut count: c_uint = 9;
        // SAFETY: the count outlives the call.
        assert!(unsafe { H5PLsize(&raw mut count) } >= 0);
        assert_eq!(count, 0, "with HDF5_PLUGIN_PATH unset");
    }
}
