//! HDF5 dataspaces: the extents of datasets and attributes, and selections in them.

use std::ffi::c_int;

use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5s::{
    H5S_UNLIMITED, H5S_class_t, H5S_sel_type, H5S_seloper_t, H5Screate, H5Screate_simple,
    H5Sget_regular_hyperslab, H5Sget_select_hyper_blocklist, H5Sget_select_hyper_nblocks,
    H5Sget_simple_extent_dims, H5Sget_simple_extent_ndims, H5Sis_regular_hyperslab,
    H5Sselect_hyperslab, H5Sselect_valid,
};

use super::error_stack::check;
use super::ids::{Id, lock};
use crate::error::{ObjectResult, damaged};

unsafe extern "C" {
    // The bindings declare enums. A number that an enum lacks is undefined behavior, and a damaged file can
    // contain one.
    fn H5Sget_simple_extent_type(space: hid_t) -> c_int;
    fn H5Sget_select_type(space: hid_t) -> c_int;
}

/// The extent of a dimension without a limit.
pub(crate) const UNLIMITED: u64 = H5S_UNLIMITED;

/// The elements that are selected in a dataspace.
#[derive(Debug)]
pub(crate) enum Selected {
    None,
    All,
    /// Start, stride, count and block on each axis.
    Regular(Vec<[u64; 4]>),
    /// The first and last element of each block.
    Blocks(Vec<(Vec<u64>, Vec<u64>)>),
    /// Single points.
    Points,
}

/// An open dataspace.
#[derive(Debug)]
pub(crate) struct Dataspace(Id);

impl Dataspace {
    /// Another owner of the same open object.
    pub(super) fn share(&self) -> ObjectResult<Self> {
        self.0.share().map(Self)
    }

    /// Takes the result of a call of libhdf5.
    pub(super) fn own(id: hid_t) -> ObjectResult<Self> {
        Id::own(id).map(Self)
    }

    /// A dataspace without elements.
    pub(crate) fn null() -> ObjectResult<Self> {
        let _lock = lock();
        // SAFETY: a call without pointers.
        Self::own(unsafe { H5Screate(H5S_class_t::H5S_NULL) })
    }

    /// A dataspace of one element without dimensions.
    pub(crate) fn scalar() -> ObjectResult<Self> {
        let _lock = lock();
        // SAFETY: a call without pointers.
        Self::own(unsafe { H5Screate(H5S_class_t::H5S_SCALAR) })
    }

    /// A space of these extents, of which there must be at least one.
    pub(crate) fn simple(shape: &[u64]) -> ObjectResult<Self> {
        let _lock = lock();
        let rank = c_int::try_from(shape.len()).unwrap_or(c_int::MAX);
        // SAFETY: `shape` has `rank` extents.
        Self::own(unsafe { H5Screate_simple(rank, shape.as_ptr(), std::ptr::null()) })
    }

    /// A space of these extents that can grow to `limits`; `u64::MAX` means no limit.
    pub(crate) fn growing(shape: &[u64], limits: &[u64]) -> ObjectResult<Self> {
        if shape.len() != limits.len() {
            return damaged("limits of other dimensions than the extents");
        }
        let _lock = lock();
        let rank = c_int::try_from(shape.len()).unwrap_or(c_int::MAX);
        // SAFETY: both lists have `rank` extents.
        Self::own(unsafe { H5Screate_simple(rank, shape.as_ptr(), limits.as_ptr()) })
    }

    pub(super) fn raw(&self) -> hid_t {
        self.0.raw()
    }

    /// The extents: none for a scalar; `None` for a null dataspace.
    pub(crate) fn shape(&self) -> ObjectResult<Option<Vec<u64>>> {
        let _lock = lock();
        // SAFETY: a call without pointers.
        match unsafe { H5Sget_simple_extent_type(self.raw()) } {
            class if class == H5S_class_t::H5S_NULL as c_int => return Ok(None),
            class if class == H5S_class_t::H5S_SCALAR as c_int => return Ok(Some(Vec::new())),
            class if class == H5S_class_t::H5S_SIMPLE as c_int => {}
            _ => return damaged("a dataspace of no class"),
        }
        let mut dims = vec![0_u64; self.rank()?];
        // SAFETY: there is room for as many extents as the library just counted.
        check(unsafe {
            H5Sget_simple_extent_dims(self.raw(), dims.as_mut_ptr(), std::ptr::null_mut())
        })?;
        Ok(Some(dims))
    }

    /// The number of elements; `None` if it is larger than a number can be.
    pub(crate) fn elements(&self) -> ObjectResult<Option<u64>> {
        let shape = self.shape()?;
        Ok(shape
            .map_or(Some(0), |shape| shape.iter().try_fold(1_u64, |all, &n| all.checked_mul(n))))
    }

    /// The number of dimensions.
    pub(crate) fn rank(&self) -> ObjectResult<usize> {
        let _lock = lock();
        // SAFETY: a call without pointers.
        let rank = check(unsafe { H5Sget_simple_extent_ndims(self.raw()) })?;
        Ok(usize::try_from(rank).unwrap_or(0))
    }

    /// The largest size of each dimension.
    pub(crate) fn limits(&self) -> ObjectResult<Vec<u64>> {
        let _lock = lock();
        let mut limits = vec![0_u64; self.rank()?];
        let none = std::ptr::null_mut();
        // SAFETY: there is room for as many extents as the library just counted.
        check(unsafe { H5Sget_simple_extent_dims(self.raw(), none, limits.as_mut_ptr()) })?;
        Ok(limits)
    }

    /// Selects the block of `count` elements from `start` on.
    ///
    /// # Errors
    /// Returns an error if the block has another number of dimensions, or reaches beyond the extents.
    pub(crate) fn select(&self, start: &[u64], count: &[u64]) -> ObjectResult<()> {
        let _lock = lock();
        let rank = self.rank()?;
        if start.len() != rank || count.len() != rank {
            return damaged("a block of other dimensions than its dataset");
        }
        // SAFETY: both lists are as long as the space has dimensions.
        check(unsafe {
            H5Sselect_hyperslab(
                self.raw(),
                H5S_seloper_t::H5S_SELECT_SET,
                start.as_ptr(),
                std::ptr::null(),
                count.as_ptr(),
                std::ptr::null(),
            )
        })?;
        self.check_selection()
    }

    /// Fails if elements beyond the extents are selected.
    pub(super) fn check_selection(&self) -> ObjectResult<()> {
        // SAFETY: a call without pointers.
        match check(unsafe { H5Sselect_valid(self.raw()) })? {
            0 => damaged("a block beyond the extents of its dataset"),
            _ => Ok(()),
        }
    }

    /// The selected elements.
    ///
    /// # Errors
    /// Returns an error if they are more than `max_blocks` irregular blocks.
    pub(crate) fn selected(&self, max_blocks: u64) -> ObjectResult<Selected> {
        let _lock = lock();
        let id = self.raw();
        // SAFETY: calls without pointers, here and below.
        match unsafe { H5Sget_select_type(id) } {
            kind if kind == H5S_sel_type::H5S_SEL_NONE as c_int => return Ok(Selected::None),
            kind if kind == H5S_sel_type::H5S_SEL_ALL as c_int => return Ok(Selected::All),
            kind if kind == H5S_sel_type::H5S_SEL_HYPERSLABS as c_int => {}
            _ => return Ok(Selected::Points),
        }
        let rank = self.rank()?;
        // SAFETY: as above.
        if check(unsafe { H5Sis_regular_hyperslab(id) })? > 0 {
            let mut slabs = [vec![0; rank], vec![0; rank], vec![0; rank], vec![0; rank]];
            let [start, stride, count, block] = slabs.each_mut().map(Vec::as_mut_ptr);
            // SAFETY: each list has room for as many numbers as the space has dimensions.
            check(unsafe { H5Sget_regular_hyperslab(id, start, stride, count, block) })?;
            let axis = |axis: usize| slabs.each_ref().map(|list| list[axis]);
            return Ok(Selected::Regular((0..rank).map(axis).collect()));
        }
        // SAFETY: as above.
        let blocks = check(unsafe { H5Sget_select_hyper_nblocks(id) })?.unsigned_abs();
        if blocks > max_blocks {
            return damaged(format!("a mapping of {blocks} pieces"));
        }
        let mut corners = vec![0_u64; usize::try_from(blocks).unwrap_or(0) * 2 * rank];
        // SAFETY: there is room for two corners of each block.
        check(unsafe { H5Sget_select_hyper_blocklist(id, 0, blocks, corners.as_mut_ptr()) })?;
        let corners = corners.chunks_exact((2 * rank).max(1));
        let pair = |both: &[u64]| (both[..rank].to_vec(), both[rank..].to_vec());
        Ok(Selected::Blocks(corners.map(pair).collect()))
    }
}
