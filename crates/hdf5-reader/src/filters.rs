//! The filters of a dataset: which they are, and whether this library can undo them.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use hdf5_sys::h5::{haddr_t, hsize_t};
use hdf5_sys::h5d::H5Dchunk_iter;
use hdf5_sys::h5p::{H5P_DEFAULT, H5Pget_filter2, H5Pget_nfilters};
use hdf5_sys::h5z::H5Z_FLAG_OPTIONAL;

use super::Filter;
use super::error::{ObjectError, ObjectResult, check};
use super::ids::Id;
use super::native::{self, Provided};

/// The registered numbers that are met in practice.
/// Source: <https://github.com/HDFGroup/hdf5_plugins/blob/master/docs/RegisteredFilterPlugins.md>.
const NAMES: [(i32, &str); 37] = [
    (1, "deflate"),
    (2, "shuffle"),
    (3, "fletcher32"),
    (4, "szip"),
    (5, "nbit"),
    (6, "scaleoffset"),
    (305, "lzo"),
    (307, "bzip2"),
    (32000, "lzf"),
    (32001, "blosc"),
    (32002, "mafisc"),
    (32003, "snappy"),
    (32004, "lz4"),
    (32005, "apax"),
    (32006, "cbf"),
    (32007, "jpeg-xr"),
    (32008, "bitshuffle"),
    (32009, "spdp"),
    (32010, "lpc-rice"),
    (32011, "ccsds-123"),
    (32012, "jpeg-ls"),
    (32013, "zfp"),
    (32014, "fpzip"),
    (32015, "zstd"),
    (32016, "b3d"),
    (32017, "sz"),
    (32018, "fcidecomp"),
    (32019, "jpeg"),
    (32020, "vbz"),
    (32021, "faspfloat"),
    (32022, "bitgroom"),
    (32023, "granular-bitround"),
    (32024, "sz3"),
    (32025, "delta-rice"),
    (32026, "blosc2"),
    (32027, "flac"),
    (32028, "sperr"),
];

/// Parameters that all but a few filters have at most.
const USUAL_PARAMS: usize = 64;

/// The filters of a creation property list, in the order of writing.
pub(crate) fn filters(dcpl: &Id) -> ObjectResult<Vec<Filter>> {
    // SAFETY: `dcpl` is an open property list.
    let count = check(unsafe { H5Pget_nfilters(dcpl.raw()) })?;
    (0..count.unsigned_abs()).map(|index| filter(dcpl, index)).collect()
}

fn filter(dcpl: &Id, index: c_uint) -> ObjectResult<Filter> {
    let mut params = vec![0; USUAL_PARAMS];
    loop {
        let (mut flags, mut count) = (0, params.len());
        let mut name = [0 as c_char; 256];
        let none = std::ptr::null_mut();
        // SAFETY: every place outlives the call and is as large as the call is told.
        let id = check(unsafe {
            H5Pget_filter2(
                dcpl.raw(),
                index,
                &raw mut flags,
                &raw mut count,
                params.as_mut_ptr(),
                name.len() - 1,
                name.as_mut_ptr(),
                none,
            )
        })?;
        if count > params.len() {
            // A table that went through nbit.
            params.resize(count, 0);
            continue;
        }
        params.truncate(count);
        // SAFETY: the last byte is 0, whatever the library wrote before it.
        let told = unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy();
        let known = NAMES.iter().find(|(number, _)| *number == id).map(|(_, name)| *name);
        let name = known.map_or_else(|| told.into_owned(), str::to_owned);
        return Ok(Filter { id, name, optional: flags & H5Z_FLAG_OPTIONAL != 0, params });
    }
}

/// Whether libhdf5 needs the codecs here, or a plugin that is missing, for one of the filters.
pub(crate) fn lacks_any(filters: &[Filter]) -> bool {
    filters.iter().any(|filter| native::provide(filter.id) != Provided::ByLibrary)
}

/// Whether libhdf5 can undo every filter that some chunk went through without the codecs here; fails for one
/// that neither has. Chunks that cannot be listed (`bounded`) are taken to have gone through every filter.
pub(crate) fn check_available(
    dataset: &Id,
    filters: &[Filter],
    bounded: bool,
) -> ObjectResult<bool> {
    let mut unused = None;
    for (place, why) in hdf5_filters::corrupt_filters(filters) {
        if *unused.get_or_insert_with(|| unused_by_all(dataset)) >> place & 1 == 0 {
            return Err(ObjectError::Damaged(why.to_owned()));
        }
    }
    let mut without_codecs = true;
    for (place, filter) in filters.iter().enumerate() {
        let provided = native::provide(filter.id);
        let known = provided == Provided::Here && hdf5_filters::is_supported(filter);
        if provided == Provided::ByLibrary
            || *unused.get_or_insert_with(|| if bounded { unused_by_all(dataset) } else { 0 })
                >> place
                & 1
                != 0
        {
            continue;
        }
        if !known {
            return Err(ObjectError::MissingFilter(shown(filter)));
        }
        without_codecs = false;
    }
    Ok(without_codecs)
}

fn shown(Filter { id, name, .. }: &Filter) -> String {
    match name.as_str() {
        "" => format!("filter {id}"),
        _ => format!("{name} (filter {id})"),
    }
}

/// One bit for each place in the pipeline: whether every stored chunk lacks that filter.
fn unused_by_all(dataset: &Id) -> c_uint {
    let mut mask = c_uint::MAX;
    let data = (&raw mut mask).cast::<c_void>();
    // SAFETY: `dataset` is open; `collect` gets the mask it expects.
    let status = unsafe { H5Dchunk_iter(dataset.raw(), H5P_DEFAULT, Some(collect), data) };
    if status < 0 { 0 } else { mask }
}

unsafe extern "C" fn collect(
    _: *const hsize_t,
    unused: c_uint,
    _: haddr_t,
    _: hsize_t,
    data: *mut c_void,
) -> c_int {
    // SAFETY: HDF5 hands on our pointer.
    unsafe { *data.cast::<c_uint>() &= unused };
    0
}
