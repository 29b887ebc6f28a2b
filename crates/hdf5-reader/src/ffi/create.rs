//! New files and the objects in them.

use std::ffi::{CStr, CString, c_uint};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use hdf5_sys::h5a::{H5Acreate2, H5Awrite};
use hdf5_sys::h5d::{H5D_alloc_time_t, H5D_fill_time_t, H5Dcreate2};
use hdf5_sys::h5f::{H5F_ACC_TRUNC, H5F_scope_t, H5Fcreate, H5Fflush};
use hdf5_sys::h5g::H5Gcreate2;
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5o::H5Olink;
#[allow(clippy::wildcard_imports)] // the setters of property lists
use hdf5_sys::h5p::*;
use hdf5_sys::h5r::{H5R_type_t, H5Rcreate};
use hdf5_sys::h5t::{H5T_cset_t, H5Tcommit_anon, H5Tcommit2, H5Tequal};

use super::creation::FillTime;
use super::dataspace::Dataspace;
use super::datatype::Datatype;
use super::elements::{Elements, with_pointers};
use super::error_stack::check;
use super::ids::{Id, lock};
use crate::error::{ObjectResult, damaged};

/// A new file, and how its links and groups are created.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: Id,
    links: Id,
    groups: Id,
}

impl NewFile {
    /// Creates the file, or replaces its content. Contiguous datasets of at least `threshold` bytes begin at a
    /// multiple of `alignment`.
    pub(crate) fn create(path: &Path, (threshold, alignment): (u64, u64)) -> ObjectResult<Self> {
        let _lock = lock();
        let (access, creation) = (list(*H5P_CLS_FILE_ACCESS)?, list(*H5P_CLS_FILE_CREATE)?);
        let order = H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED;
        let (links, groups) = (list(*H5P_CLS_LINK_CREATE)?, list(*H5P_CLS_GROUP_CREATE)?);
        let name = CString::new(path.as_os_str().as_bytes()).unwrap_or_default();
        // SAFETY: the library checks the lists; the name ends with NUL.
        let file = unsafe {
            check(H5Pset_file_locking(access.raw(), 0, 1))?;
            check(H5Pset_alignment(access.raw(), threshold, alignment))?;
            // Keeps the order of the project; files that had another were loaded by name.
            check(H5Pset_link_creation_order(creation.raw(), order))?;
            check(H5Pset_link_creation_order(groups.raw(), order))?;
            check(H5Pset_char_encoding(links.raw(), H5T_cset_t::H5T_CSET_UTF8))?;
            check(H5Pset_create_intermediate_group(links.raw(), 1))?;
            Id::own(H5Fcreate(name.as_ptr(), H5F_ACC_TRUNC, creation.raw(), access.raw()))?
        };
        Ok(Self { file, links, groups })
    }

    /// The open file.
    pub(crate) fn id(&self) -> &Id {
        &self.file
    }

    /// Creates a group.
    pub(crate) fn group(&self, at: &Id, name: &CStr) -> ObjectResult<Id> {
        let _lock = lock();
        let (links, groups) = (self.links.raw(), self.groups.raw());
        // SAFETY: the name ends with NUL.
        Id::own(unsafe { H5Gcreate2(at.raw(), name.as_ptr(), links, groups, H5P_DEFAULT) })
    }

    /// Commits a datatype; without a place no path leads to it.
    pub(crate) fn commit(&self, place: Option<(&Id, &CStr)>, kind: &Datatype) -> ObjectResult<()> {
        let _lock = lock();
        let (file, links) = (self.file.raw(), self.links.raw());
        let status = match place {
            // SAFETY: the name ends with NUL.
            Some((at, name)) => unsafe {
                let (at, name) = (at.raw(), name.as_ptr());
                H5Tcommit2(at, name, kind.raw(), links, H5P_DEFAULT, H5P_DEFAULT)
            },
            // SAFETY: a call without pointers.
            None => unsafe { H5Tcommit_anon(file, kind.raw(), H5P_DEFAULT, H5P_DEFAULT) },
        };
        check(status).map(|_| ())
    }

    /// Creates a hard link to an object.
    pub(crate) fn link(&self, object: &Id, at: &Id, name: &CStr) -> ObjectResult<()> {
        let _lock = lock();
        let (object, at, links) = (object.raw(), at.raw(), self.links.raw());
        // SAFETY: the name ends with NUL.
        check(unsafe { H5Olink(object, at, name.as_ptr(), links, H5P_DEFAULT) }).map(|_| ())
    }

    /// Creates a dataset.
    pub(crate) fn dataset(
        &self,
        (at, name): (&Id, &CStr),
        kind: &Id,
        space: &Dataspace,
        creation: &NewCreation,
    ) -> ObjectResult<Id> {
        let _lock = lock();
        let (at, name, kind, links) = (at.raw(), name.as_ptr(), kind.raw(), self.links.raw());
        // SAFETY: the name ends with NUL.
        Id::own(unsafe {
            H5Dcreate2(at, name, kind, space.raw(), links, creation.0.raw(), H5P_DEFAULT)
        })
    }

    /// Writes everything that libhdf5 has not written yet.
    pub(crate) fn flush(&self) -> ObjectResult<()> {
        let _lock = lock();
        // SAFETY: a call without pointers.
        check(unsafe { H5Fflush(self.file.raw(), H5F_scope_t::H5F_SCOPE_LOCAL) }).map(|_| ())
    }
}

/// The creation list of a new dataset.
pub(crate) struct NewCreation(Id);

impl NewCreation {
    /// A list for a dataset without times.
    pub(crate) fn new() -> ObjectResult<Self> {
        let _lock = lock();
        let list = list(*H5P_CLS_DATASET_CREATE)?;
        // SAFETY: a call without pointers.
        check(unsafe { H5Pset_obj_track_times(list.raw(), 0) })?;
        Ok(Self(list))
    }

    /// Allocates the dataset when it is created.
    pub(crate) fn allocate_early(&self) -> ObjectResult<()> {
        let _lock = lock();
        // SAFETY: a call without pointers.
        check(unsafe { H5Pset_alloc_time(self.0.raw(), H5D_alloc_time_t::H5D_ALLOC_TIME_EARLY) })
            .map(|_| ())
    }

    /// Stores the dataset in chunks of these extents.
    pub(crate) fn set_chunk(&self, chunk: &[u64]) -> ObjectResult<()> {
        let _lock = lock();
        let rank = i32::try_from(chunk.len()).unwrap_or(0);
        // SAFETY: the chunk has `rank` extents.
        check(unsafe { H5Pset_chunk(self.0.raw(), rank, chunk.as_ptr()) }).map(|_| ())
    }

    /// Filters chunks with shuffle and deflate.
    pub(crate) fn set_deflate(&self, level: u8) -> ObjectResult<()> {
        let _lock = lock();
        // SAFETY: calls without pointers.
        unsafe {
            check(H5Pset_shuffle(self.0.raw()))?;
            check(H5Pset_deflate(self.0.raw(), c_uint::from(level)))?;
        }
        Ok(())
    }

    /// Sets that there is no fill value.
    pub(crate) fn set_no_fill_value(&self, kind: &Datatype) -> ObjectResult<()> {
        let _lock = lock();
        // SAFETY: without a value the type does not matter.
        check(unsafe { H5Pset_fill_value(self.0.raw(), kind.raw(), std::ptr::null()) }).map(|_| ())
    }

    /// Sets the fill value to the one element of this type.
    pub(crate) fn set_fill_value(&self, kind: &Datatype, value: Elements<'_>) -> ObjectResult<()> {
        let _lock = lock();
        if value.len() != kind.size()? {
            return damaged("a fill value of another size than its type");
        }
        with_pointers(kind, value, |data| {
            // SAFETY: the buffer has one element of the type, and its pointers are valid during the call.
            check(unsafe { H5Pset_fill_value(self.0.raw(), kind.raw(), data) }).map(|_| ())
        })
    }

    /// Sets when the fill value is written.
    pub(crate) fn set_fill_time(&self, time: FillTime) -> ObjectResult<()> {
        let _lock = lock();
        let time = match time {
            FillTime::Allocation => H5D_fill_time_t::H5D_FILL_TIME_ALLOC,
            FillTime::Never => H5D_fill_time_t::H5D_FILL_TIME_NEVER,
            FillTime::IfSet | FillTime::Unknown => H5D_fill_time_t::H5D_FILL_TIME_IFSET,
        };
        // SAFETY: a call without pointers.
        check(unsafe { H5Pset_fill_time(self.0.raw(), time) }).map(|_| ())
    }
}

/// Creates an attribute with the elements of the type `kind`. Its type in the file is `file_type`.
///
/// # Errors
/// Returns an error if the dataspace has another number of elements.
pub(crate) fn attribute(
    (object, name): (&Id, &CStr),
    file_type: &Id,
    kind: &Datatype,
    space: &Dataspace,
    elements: Elements<'_>,
) -> ObjectResult<()> {
    let _lock = lock();
    let (count, size) = (space.elements()?, kind.size()? as u64);
    if count.and_then(|count| count.checked_mul(size)) != Some(elements.len() as u64) {
        return damaged("an attribute of another size than its elements");
    }
    let creation = list(*H5P_CLS_ATTRIBUTE_CREATE)?;
    let (object, name, file_type) = (object.raw(), name.as_ptr(), file_type.raw());
    // SAFETY: the name ends with NUL.
    let attribute = Id::own(unsafe {
        check(H5Pset_char_encoding(creation.raw(), H5T_cset_t::H5T_CSET_UTF8))?;
        H5Acreate2(object, name, file_type, space.raw(), creation.raw(), H5P_DEFAULT)
    })?;
    if elements.is_empty() {
        return Ok(());
    }
    with_pointers(kind, elements, |data| {
        // SAFETY: the buffer has every element, and its pointers are valid during the call.
        check(unsafe { H5Awrite(attribute.raw(), kind.raw(), data) }).map(|_| ())
    })
}

/// Whether two open datatypes describe the same bytes; `false` also if one is not a datatype.
pub(crate) fn are_equal_types(one: &Id, other: &Id) -> bool {
    let _lock = lock();
    // SAFETY: a call without pointers.
    unsafe { H5Tequal(one.raw(), other.raw()) > 0 }
}

/// Bytes of the largest reference.
const MAX_REFERENCE: usize = 64;

/// Creates a reference to the object at a path of an open file; `None` if there is no such object.
pub(crate) fn reference(file: &Id, path: &CStr) -> Option<[u8; MAX_REFERENCE]> {
    let _lock = lock();
    let mut room = [0_u64; MAX_REFERENCE / 8];
    let (place, kind) = (room.as_mut_ptr().cast(), H5R_type_t::H5R_OBJECT1);
    // SAFETY: the path ends with NUL, the room is larger than any reference.
    let status = unsafe { H5Rcreate(place, file.raw(), path.as_ptr(), kind, -1) };
    (status >= 0).then_some(())?;
    let mut bytes = [0; MAX_REFERENCE];
    bytes.copy_from_slice(room.map(u64::to_ne_bytes).as_flattened());
    Some(bytes)
}

fn list(class: hid_t) -> ObjectResult<Id> {
    // SAFETY: a call without pointers; the library checks the class.
    Id::own(unsafe { H5Pcreate(class) })
}
