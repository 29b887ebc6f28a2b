//! The attributes of an open object.

use std::ffi::{CStr, CString, c_char, c_void};

use hdf5_sys::h5::{H5_index_t, H5_iter_order_t, herr_t};
use hdf5_sys::h5a::{H5A_info_t, H5Aget_space, H5Aget_type, H5Aiterate2, H5Aopen, H5Aread};
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5p::H5P_DEFAULT;

use super::dataspace::Dataspace;
use super::datatype::Datatype;
use super::elements::{ElementBuffer, take_over};
use super::error_stack::check;
use super::ids::{Id, lock};
use crate::buffer::zeroed;
use crate::error::{ObjectResult, damaged};

/// Returns the names of all attributes.
pub(crate) fn names(object: &Id) -> ObjectResult<Vec<CString>> {
    let _lock = lock();
    let mut names: Vec<CString> = Vec::new();
    let data = (&raw mut names).cast::<c_void>();
    let (index, order) = (H5_index_t::H5_INDEX_NAME, H5_iter_order_t::H5_ITER_INC);
    let start = std::ptr::null_mut();
    // SAFETY: `collect` gets the vector that it expects.
    check(unsafe { H5Aiterate2(object.raw(), index, order, start, Some(collect), data) })?;
    Ok(names)
}

unsafe extern "C" fn collect(
    _: hid_t,
    name: *const c_char,
    _: *const H5A_info_t,
    data: *mut c_void,
) -> herr_t {
    // SAFETY: HDF5 passes a name that ends with NUL, and the pointer that `names` gave it.
    unsafe { (*data.cast::<Vec<CString>>()).push(CStr::from_ptr(name).to_owned()) };
    0
}

/// An open attribute.
pub(crate) struct Attribute(Id);

impl Attribute {
    /// Opens an attribute of an open object.
    pub(crate) fn open(object: &Id, name: &CStr) -> ObjectResult<Self> {
        let _lock = lock();
        // SAFETY: the name ends with NUL.
        Id::own(unsafe { H5Aopen(object.raw(), name.as_ptr(), H5P_DEFAULT) }).map(Self)
    }

    /// The dataspace.
    pub(crate) fn space(&self) -> ObjectResult<Dataspace> {
        let _lock = lock();
        // SAFETY: a call without pointers.
        Dataspace::own(unsafe { H5Aget_space(self.0.raw()) })
    }

    /// The datatype.
    pub(crate) fn datatype(&self) -> ObjectResult<Datatype> {
        let _lock = lock();
        // SAFETY: a call without pointers.
        Datatype::own(unsafe { H5Aget_type(self.0.raw()) })
    }

    /// Reads all elements, converted to the type `memory`.
    pub(crate) fn read(&self, memory: &Datatype) -> ObjectResult<ElementBuffer> {
        let _lock = lock();
        let space = self.space()?;
        let Some(elements) = space.elements()? else {
            return damaged("more elements than can be counted");
        };
        let mut buffer = zeroed(elements, memory.size()?)?;
        if elements > 0 {
            let place = buffer.as_mut_ptr().cast();
            // SAFETY: the buffer has room for every element of the memory type.
            check(unsafe { H5Aread(self.0.raw(), memory.raw(), place) })?;
        }
        // SAFETY: HDF5 has just filled the buffer through this type and space.
        unsafe { take_over(memory, &space, buffer) }
    }
}
