//! HDF5 identifiers that close themselves, and the library's lock and start.
#![allow(unsafe_code)]

use std::sync::Once;

use hdf5_sys::h5i::{H5Idec_ref, hid_t};

use super::error::{ObjectError, ObjectResult};

/// An open HDF5 object of any sort; dropping it lets go of it.
#[derive(Debug)]
pub(crate) struct Id(hid_t);

impl Id {
    /// Takes what an HDF5 call returned; negative is the call's failure.
    pub(crate) fn own(id: hid_t) -> ObjectResult<Self> {
        if id < 0 { Err(ObjectError::last()) } else { Ok(Self(id)) }
    }

    /// The number, for a call; it stays valid as long as `self`.
    pub(crate) fn raw(&self) -> hid_t {
        self.0
    }
}

impl Drop for Id {
    fn drop(&mut self) {
        let _lock = lock();
        // SAFETY: the identifier is ours alone, and is not used again.
        unsafe { H5Idec_ref(self.0) };
    }
}

/// Starts the library once, silent and with our filters, and keeps other threads out of it.
pub(crate) fn lock() -> impl Sized {
    static START: Once = Once::new();
    let guard = hdf5_sys::LOCK.lock();
    START.call_once(|| {
        hdf5::library_version();
        hdf5::silence_errors(true);
        super::plugins::set_directories();
        #[cfg(feature = "bundled-hdf5")]
        super::native::replace_decoders();
    });
    guard
}
