//! The creation property list of a dataset: how the file stores it.

use std::ffi::{CStr, OsStr, c_char, c_int, c_uint};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use hdf5_filters::Filter;
use hdf5_sys::h5::herr_t;
use hdf5_sys::h5d::{H5D_fill_time_t, H5D_fill_value_t, H5D_layout_t, H5Dget_create_plist};
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5p::{
    H5Pget_chunk, H5Pget_chunk_opts, H5Pget_external, H5Pget_external_count, H5Pget_fill_value,
    H5Pget_filter2, H5Pget_nfilters, H5Pget_virtual_count, H5Pget_virtual_dsetname,
    H5Pget_virtual_filename, H5Pget_virtual_srcspace, H5Pget_virtual_vspace,
};
use hdf5_sys::h5z::H5Z_FLAG_OPTIONAL;

use super::dataspace::Dataspace;
use super::datatype::Datatype;
use super::elements::{ElementBuffer, take_over};
use super::error_stack::check;
use super::file::text;
use super::ids::{Id, lock};
use crate::buffer::zeroed;
use crate::error::{ObjectResult, damaged};

unsafe extern "C" {
    // The bindings declare enums. A number that an enum lacks is undefined behavior, and a damaged file can
    // contain one.
    fn H5Pget_layout(list: hid_t) -> c_int;
    fn H5Pget_fill_time(list: hid_t, time: *mut c_int) -> herr_t;
    fn H5Pfill_value_defined(list: hid_t, status: *mut c_int) -> herr_t;
}

/// HDF5's limit for dimensions.
const MAX_RANK: usize = 32;

/// The number of parameters that all but a few filters have at most.
const USUAL_PARAMS: usize = 64;

/// How the elements of a dataset are arranged in its file, as the creation list has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    Compact,
    /// In one piece, or in external raw files.
    Contiguous,
    Chunked,
    Virtual,
    Unknown,
}

/// When elements that were never written get the fill value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FillTime {
    Allocation,
    Never,
    IfSet,
    /// A number that HDF5 does not define. The library stores it and never compares with it.
    Unknown,
}

/// Whether a dataset has a fill value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FillStatus {
    Undefined,
    Default,
    UserDefined,
    Unknown,
}

/// An open dataset creation list.
pub(crate) struct Creation(Id);

impl Creation {
    /// The creation list of an open dataset. The library copies it, which takes long.
    pub(crate) fn of(dataset: &Id) -> ObjectResult<Self> {
        let _lock = lock();
        // SAFETY: a call without pointers.
        Id::own(unsafe { H5Dget_create_plist(dataset.raw()) }).map(Self)
    }

    /// The layout.
    pub(crate) fn layout(&self) -> Layout {
        let _lock = lock();
        // SAFETY: a call without pointers.
        match unsafe { H5Pget_layout(self.0.raw()) } {
            layout if layout == H5D_layout_t::H5D_COMPACT as c_int => Layout::Compact,
            layout if layout == H5D_layout_t::H5D_CONTIGUOUS as c_int => Layout::Contiguous,
            layout if layout == H5D_layout_t::H5D_CHUNKED as c_int => Layout::Chunked,
            layout if layout == H5D_layout_t::H5D_VIRTUAL as c_int => Layout::Virtual,
            _ => Layout::Unknown,
        }
    }

    /// When the fill value is written.
    pub(crate) fn fill_time(&self) -> ObjectResult<FillTime> {
        let _lock = lock();
        let mut number = -1;
        // SAFETY: the number outlives the call.
        check(unsafe { H5Pget_fill_time(self.0.raw(), &raw mut number) })?;
        Ok(match number {
            time if time == H5D_fill_time_t::H5D_FILL_TIME_ALLOC as c_int => FillTime::Allocation,
            time if time == H5D_fill_time_t::H5D_FILL_TIME_NEVER as c_int => FillTime::Never,
            time if time == H5D_fill_time_t::H5D_FILL_TIME_IFSET as c_int => FillTime::IfSet,
            _ => FillTime::Unknown,
        })
    }

    /// Whether there is a fill value.
    pub(crate) fn fill_status(&self) -> ObjectResult<FillStatus> {
        use H5D_fill_value_t as V;
        let _lock = lock();
        let mut number = -1;
        // SAFETY: the number outlives the call.
        check(unsafe { H5Pfill_value_defined(self.0.raw(), &raw mut number) })?;
        Ok(match number {
            status if status == V::H5D_FILL_VALUE_UNDEFINED as c_int => FillStatus::Undefined,
            status if status == V::H5D_FILL_VALUE_DEFAULT as c_int => FillStatus::Default,
            status if status == V::H5D_FILL_VALUE_USER_DEFINED as c_int => FillStatus::UserDefined,
            _ => FillStatus::Unknown,
        })
    }

    /// The fill value, converted to this type.
    pub(crate) fn fill_value(&self, memory: &Datatype) -> ObjectResult<ElementBuffer> {
        let _lock = lock();
        let mut element = zeroed(1, memory.size()?)?;
        let place = element.as_mut_ptr().cast();
        // SAFETY: the buffer has room for one element of the type.
        check(unsafe { H5Pget_fill_value(self.0.raw(), memory.raw(), place) })?;
        let space = Dataspace::simple(&[1])?;
        // SAFETY: HDF5 has just filled the one element through this type.
        unsafe { take_over(memory, &space, element) }
    }

    /// The extents of a chunk.
    ///
    /// # Errors
    /// Returns an error if the layout is not chunked, or if an extent is zero.
    pub(crate) fn chunk(&self) -> ObjectResult<Vec<u64>> {
        let _lock = lock();
        let mut chunk = vec![0_u64; MAX_RANK];
        let room = c_int::try_from(MAX_RANK).unwrap_or(0);
        // SAFETY: there is room for as many extents as the call allows.
        let rank = check(unsafe { H5Pget_chunk(self.0.raw(), room, chunk.as_mut_ptr()) })?;
        chunk.truncate(usize::try_from(rank).unwrap_or(0));
        if rank > room || chunk.contains(&0) {
            return damaged("its chunks do not fit its shape");
        }
        Ok(chunk)
    }

    /// The options of chunks: not zero if chunks that reach beyond the extents are not filtered.
    pub(crate) fn chunk_options(&self) -> ObjectResult<c_uint> {
        let _lock = lock();
        let mut options: c_uint = 0;
        // SAFETY: the options outlive the call.
        check(unsafe { H5Pget_chunk_opts(self.0.raw(), &raw mut options) })?;
        Ok(options)
    }

    /// The filters in the order of writing, with the names that the file gives them.
    pub(crate) fn filters(&self) -> ObjectResult<Vec<Filter>> {
        let _lock = lock();
        // SAFETY: a call without pointers.
        let count = check(unsafe { H5Pget_nfilters(self.0.raw()) })?;
        (0..count.unsigned_abs()).map(|index| self.filter(index)).collect()
    }

    fn filter(&self, index: c_uint) -> ObjectResult<Filter> {
        let mut params = vec![0; USUAL_PARAMS];
        loop {
            let (mut flags, mut count) = (0, params.len());
            let mut name = [0 as c_char; 256];
            let none = std::ptr::null_mut();
            // SAFETY: every place outlives the call and is as large as the call allows.
            let id = check(unsafe {
                H5Pget_filter2(
                    self.0.raw(),
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
            let name = unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned();
            return Ok(Filter { id, name, optional: flags & H5Z_FLAG_OPTIONAL != 0, params });
        }
    }

    /// The names of the external raw files.
    pub(crate) fn external_files(&self) -> ObjectResult<Vec<PathBuf>> {
        let _lock = lock();
        // SAFETY: a call without pointers.
        let count = check(unsafe { H5Pget_external_count(self.0.raw()) })?;
        (0..count.unsigned_abs()).map(|index| self.external_file(index)).collect()
    }

    fn external_file(&self, index: c_uint) -> ObjectResult<PathBuf> {
        let mut name = [0 as c_char; 8192];
        let (mut offset, mut size) = (0, 0);
        let (place, room) = (name.as_mut_ptr(), name.len() - 1);
        // SAFETY: every place outlives the call and is as large as the call allows.
        check(unsafe {
            H5Pget_external(self.0.raw(), index, room, place, &raw mut offset, &raw mut size)
        })?;
        // SAFETY: the last byte is 0, whatever the library wrote before it.
        let name = unsafe { CStr::from_ptr(name.as_ptr()) };
        Ok(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
    }

    /// The number of mappings of a virtual dataset.
    pub(crate) fn mapping_count(&self) -> ObjectResult<usize> {
        let _lock = lock();
        let mut count = 0;
        // SAFETY: the count outlives the call.
        check(unsafe { H5Pget_virtual_count(self.0.raw(), &raw mut count) })?;
        Ok(count)
    }

    /// The selections of a mapping in the virtual dataset and in its source.
    pub(crate) fn mapping_spaces(&self, index: usize) -> ObjectResult<(Dataspace, Dataspace)> {
        let _lock = lock();
        let list = self.0.raw();
        // SAFETY: calls without pointers; the library checks the index.
        let to = Dataspace::own(unsafe { H5Pget_virtual_vspace(list, index) })?;
        // SAFETY: as above.
        let from = Dataspace::own(unsafe { H5Pget_virtual_srcspace(list, index) })?;
        Ok((to, from))
    }

    /// The names of the source file and the source dataset of a mapping.
    pub(crate) fn mapping_names(&self, index: usize) -> ObjectResult<(Vec<u8>, Vec<u8>)> {
        let _lock = lock();
        let list = self.0.raw();
        // SAFETY: the library writes at most as many bytes as the call allows, here and below.
        let file = text(|name, size| unsafe { H5Pget_virtual_filename(list, index, name, size) })?;
        let dataset =
            // SAFETY: as above.
            text(|name, size| unsafe { H5Pget_virtual_dsetname(list, index, name, size) })?;
        Ok((file, dataset))
    }
}
