//! Identifiers of libhdf5 that close themselves, and the lock and the start of the library.

use std::sync::Once;

use hdf5_sys::h5i::{H5Idec_ref, H5Iinc_ref, hid_t};

use super::error_stack;
use crate::error::ObjectResult;
use crate::plugin_directories;

/// An open HDF5 object of any type. Dropping it closes the object.
#[derive(Debug)]
pub(crate) struct Id(hid_t);

impl Id {
    /// Takes the result of a call that opens an object. A negative number is a failure.
    pub(crate) fn own(id: hid_t) -> ObjectResult<Self> {
        if id < 0 { Err(error_stack::last()) } else { Ok(Self(id)) }
    }

    /// Another owner of the same open object.
    pub(super) fn share(&self) -> ObjectResult<Self> {
        let _lock = lock();
        // SAFETY: a call without pointers. Each owner gives its reference back.
        error_stack::check(unsafe { H5Iinc_ref(self.0) })?;
        Ok(Self(self.0))
    }

    /// The number, for a call. It is valid while `self` lives.
    pub(crate) fn raw(&self) -> hid_t {
        self.0
    }
}

impl Drop for Id {
    fn drop(&mut self) {
        let _lock = lock();
        // SAFETY: this value alone owns the identifier, and nothing uses it afterwards.
        unsafe { H5Idec_ref(self.0) };
    }
}

/// Locks the library for this thread, which may already have locked it. The first call starts the library:
/// without messages on stderr, and with the codecs of this program.
pub(crate) fn lock() -> impl Sized {
    static START: Once = Once::new();
    let guard = hdf5_sys::LOCK.lock();
    START.call_once(|| {
        hdf5::library_version();
        hdf5::silence_errors(true);
        super::plugin_path::set(plugin_directories::used());
        #[cfg(feature = "bundled-hdf5")]
        super::decoders::replace_decoders();
    });
    guard
}
