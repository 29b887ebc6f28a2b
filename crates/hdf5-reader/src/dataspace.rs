//! HDF5 dataspaces: the extents of datasets and attributes, and the parts of them to read.
#![allow(unsafe_code)]

use std::ffi::c_int;

use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5s::{
    H5S_class_t, H5S_seloper_t, H5Screate_simple, H5Sget_simple_extent_dims,
    H5Sget_simple_extent_ndims, H5Sselect_hyperslab,
};

use super::answers;
use super::blocks::Block;
use super::error::{ObjectResult, check, damaged};
use super::ids::Id;

/// An open dataspace.
#[derive(Debug)]
pub(crate) struct Dataspace(Id);

impl Dataspace {
    /// Takes what an HDF5 call returned.
    pub(crate) fn own(id: hid_t) -> ObjectResult<Self> {
        Id::own(id).map(Self)
    }

    /// A space of these extents, of which there must be at least one.
    pub(crate) fn simple(shape: &[u64]) -> ObjectResult<Self> {
        let rank = c_int::try_from(shape.len()).unwrap_or(c_int::MAX);
        // SAFETY: `shape` has `rank` extents.
        Self::own(unsafe { H5Screate_simple(rank, shape.as_ptr(), std::ptr::null()) })
    }

    /// A space of these extents that can grow to `limits`; `u64::MAX` is no limit.
    pub(crate) fn growing(shape: &[u64], limits: &[u64]) -> ObjectResult<Self> {
        if shape.len() != limits.len() {
            return damaged("limits of other dimensions than the extents");
        }
        let rank = c_int::try_from(shape.len()).unwrap_or(c_int::MAX);
        // SAFETY: both lists have `rank` extents.
        Self::own(unsafe { H5Screate_simple(rank, shape.as_ptr(), limits.as_ptr()) })
    }

    pub(crate) fn raw(&self) -> hid_t {
        self.0.raw()
    }

    /// The extents: none for a scalar; `None` for a null dataspace.
    pub(crate) fn shape(&self) -> ObjectResult<Option<Vec<u64>>> {
        match answers::space_class(self.raw()) {
            H5S_class_t::H5S_NULL => return Ok(None),
            H5S_class_t::H5S_SCALAR => return Ok(Some(Vec::new())),
            H5S_class_t::H5S_SIMPLE => {}
            H5S_class_t::H5S_NO_CLASS => return damaged("a dataspace of no class"),
        }
        let rank = self.rank()?;
        let mut dims = vec![0_u64; rank];
        // SAFETY: `self` is open; there is room for as many extents as the library just counted.
        check(unsafe {
            H5Sget_simple_extent_dims(self.raw(), dims.as_mut_ptr(), std::ptr::null_mut())
        })?;
        Ok(Some(dims))
    }

    /// How many dimensions it has.
    pub(crate) fn rank(&self) -> ObjectResult<usize> {
        // SAFETY: `self` is an open dataspace.
        let rank = check(unsafe { H5Sget_simple_extent_ndims(self.raw()) })?;
        Ok(usize::try_from(rank).unwrap_or(0))
    }

    /// The most that each extent may become.
    pub(crate) fn limits(&self) -> ObjectResult<Vec<u64>> {
        let rank = self.rank()?;
        let mut limits = vec![0_u64; rank];
        let none = std::ptr::null_mut();
        // SAFETY: `self` is open; there is room for as many extents as the library just counted.
        check(unsafe { H5Sget_simple_extent_dims(self.raw(), none, limits.as_mut_ptr()) })?;
        Ok(limits)
    }

    /// Selects `block`, which must have as many dimensions as this space.
    pub(crate) fn select(&self, block: &Block) -> ObjectResult<()> {
        let rank = self.rank()?;
        if block.start.len() != rank || block.count.len() != rank {
            return damaged("a block of other dimensions than its dataset");
        }
        // SAFETY: both lists are as long as the space has dimensions.
        check(unsafe {
            H5Sselect_hyperslab(
                self.raw(),
                H5S_seloper_t::H5S_SELECT_SET,
                block.start.as_ptr(),
                std::ptr::null(),
                block.count.as_ptr(),
                std::ptr::null(),
            )
        })
        .map(|_| ())
    }
}
