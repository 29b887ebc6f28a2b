//! The codecs of this program as filters of libhdf5, for datasets that only the library can read: with strings of
//! variable length, or with types that only the library converts. They are added where the library has none.

use std::sync::atomic::{AtomicU32, Ordering};

use hdf5_sys::h5z::{H5Z_func_t, H5Zfilter_avail, H5Zregister};

use super::decoders::{class, undo};
use super::ids::lock;

/// The filters, with the function that HDF5 calls for each. HDF5 does not pass the number of the filter.
const FILTERS: [(i32, H5Z_func_t); 8] = [
    (307, Some(undo::<307>)),
    (32001, Some(undo::<32001>)),
    (32004, Some(undo::<32004>)),
    (32008, Some(undo::<32008>)),
    (32013, Some(undo::<32013>)),
    (32015, Some(undo::<32015>)),
    (32020, Some(undo::<32020>)),
    (32026, Some(undo::<32026>)),
];

/// A bit for each of [`FILTERS`] that this program has registered.
static REGISTERED: AtomicU32 = AtomicU32::new(0);

/// Makes a filter available to the library: its own, that of a plugin, or the codec of this program.
pub(crate) fn provide(id: i32) -> Provided {
    let _lock = lock();
    let Some(place) = FILTERS.iter().position(|(known, _)| *known == id) else {
        return if is_available(id) { Provided::ByLibrary } else { Provided::Never };
    };
    let bit = 1_u32 << place;
    if REGISTERED.load(Ordering::Relaxed) & bit != 0 {
        return Provided::Here;
    }
    if is_available(id) {
        return Provided::ByLibrary;
    }
    if !register(id, FILTERS[place].1) {
        return Provided::Never;
    }
    REGISTERED.fetch_or(bit, Ordering::Relaxed);
    Provided::Here
}

/// The origin of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provided {
    /// HDF5 itself, or a plugin.
    ByLibrary,
    /// This program.
    Here,
    /// Nowhere.
    Never,
}

fn is_available(id: i32) -> bool {
    let _lock = lock();
    // SAFETY: a call without pointers.
    unsafe { H5Zfilter_avail(id) > 0 }
}

fn register(id: i32, filter: H5Z_func_t) -> bool {
    let class = class(id, filter);
    let _lock = lock();
    // SAFETY: the library copies the class; its name and function live as long as the program.
    unsafe { H5Zregister((&raw const class).cast()) >= 0 }
}
