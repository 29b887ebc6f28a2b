//! Open datasets: their properties, chunks and elements.

use std::ffi::{CStr, c_int, c_uint, c_void};
use std::ops::ControlFlow;

use hdf5_sys::h5::{haddr_t, herr_t, hsize_t};
use hdf5_sys::h5d::{
    H5Dchunk_iter, H5Dget_offset, H5Dget_space, H5Dget_storage_size, H5Dget_type, H5Dopen2,
    H5Dread, H5Dwrite, H5Dwrite_chunk,
};
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5p::{H5P_CLS_DATASET_ACCESS, H5P_DEFAULT, H5Pcreate, H5Pset_efile_prefix};

use super::creation::Creation;
use super::dataspace::Dataspace;
use super::datatype::Datatype;
use super::elements::{ElementBuffer, Elements, has_pointers, take_over, with_pointers};
use super::error_stack::check;
use super::ids::{Id, lock};
use crate::buffer::zeroed;
use crate::error::{ObjectResult, damaged};

unsafe extern "C" {
    /// The bindings lack it.
    fn H5Dget_chunk_index_type(dataset: hid_t, kind: *mut c_int) -> herr_t;
}

/// The structure that keeps the places of the chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IndexType {
    /// `H5D_CHUNK_IDX_FARRAY`: of datasets whose axes have limits.
    FixedArray,
    /// `H5D_CHUNK_IDX_EARRAY`: of datasets with one unlimited axis.
    ExtensibleArray,
    Other,
}

/// A chunk as the file stores it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawChunk<'a> {
    /// The index of its first element on each axis.
    pub(crate) offset: &'a [u64],
    /// A bit for each filter that it did not go through.
    pub(crate) mask: u32,
    pub(crate) address: u64,
    /// Bytes in the file.
    pub(crate) size: u64,
}

/// Opens a dataset. Its external raw files are expected in the directory of the HDF5 file.
pub(crate) fn open_beside(group: &Id, name: &CStr) -> ObjectResult<Id> {
    let _lock = lock();
    // SAFETY: the property list class belongs to the library.
    let access = Id::own(unsafe { H5Pcreate(*H5P_CLS_DATASET_ACCESS) })?;
    // SAFETY: the text ends with NUL.
    check(unsafe { H5Pset_efile_prefix(access.raw(), c"${ORIGIN}".as_ptr()) })?;
    // SAFETY: the name ends with NUL.
    Id::own(unsafe { H5Dopen2(group.raw(), name.as_ptr(), access.raw()) })
}

/// The dataspace. Of a virtual dataset with mappings, the library opens the sources.
pub(crate) fn space(dataset: &Id) -> ObjectResult<Dataspace> {
    let _lock = lock();
    // SAFETY: a call without pointers.
    Dataspace::own(unsafe { H5Dget_space(dataset.raw()) })
}

/// The datatype.
pub(crate) fn datatype(dataset: &Id) -> ObjectResult<Datatype> {
    let _lock = lock();
    // SAFETY: a call without pointers.
    Datatype::own(unsafe { H5Dget_type(dataset.raw()) })
}

/// The place of the elements of a contiguous dataset in its file; `None` if there is none.
pub(crate) fn offset(dataset: &Id) -> Option<u64> {
    let _lock = lock();
    // SAFETY: a call without pointers.
    let offset = unsafe { H5Dget_offset(dataset.raw()) };
    (offset != u64::MAX).then_some(offset)
}

/// The number of bytes that are stored; 0 also after a failure. Of a chunked dataset, the library counts all
/// chunks.
pub(crate) fn storage_size(dataset: &Id) -> u64 {
    let _lock = lock();
    // SAFETY: a call without pointers.
    unsafe { H5Dget_storage_size(dataset.raw()) }
}

/// The type of the index of the chunks.
pub(crate) fn index_type(dataset: &Id) -> ObjectResult<IndexType> {
    let _lock = lock();
    let mut kind = -1;
    // SAFETY: the number outlives the call.
    check(unsafe { H5Dget_chunk_index_type(dataset.raw(), &raw mut kind) })?;
    Ok(match kind {
        3 => IndexType::FixedArray,
        4 => IndexType::ExtensibleArray,
        _ => IndexType::Other,
    })
}

/// The visitor of the chunks, and the number of dimensions.
struct Visitor<'a> {
    rank: usize,
    visit: &'a mut dyn FnMut(RawChunk<'_>) -> ControlFlow<()>,
}

/// Calls `visit` with each chunk that is stored.
///
/// # Errors
/// Returns an error if the dataset is not chunked, or if the library cannot read the index.
pub(crate) fn visit_chunks(
    dataset: &Id,
    visit: &mut dyn FnMut(RawChunk<'_>) -> ControlFlow<()>,
) -> ObjectResult<()> {
    let _lock = lock();
    let mut visitor = Visitor { rank: Creation::of(dataset)?.chunk()?.len(), visit };
    let data = (&raw mut visitor).cast::<c_void>();
    // SAFETY: `pass_on` gets the visitor that it expects.
    check(unsafe { H5Dchunk_iter(dataset.raw(), H5P_DEFAULT, Some(pass_on), data) }).map(|_| ())
}

unsafe extern "C" fn pass_on(
    offset: *const hsize_t,
    mask: c_uint,
    address: haddr_t,
    size: hsize_t,
    data: *mut c_void,
) -> c_int {
    // SAFETY: HDF5 passes the pointer that `visit_chunks` gave it, and an index for each dimension of a chunk.
    let (visitor, offset) = unsafe {
        let visitor = &mut *data.cast::<Visitor<'_>>();
        let rank = visitor.rank;
        (visitor, std::slice::from_raw_parts(offset, rank))
    };
    match (visitor.visit)(RawChunk { offset, mask, address, size }) {
        ControlFlow::Continue(()) => 0,
        ControlFlow::Break(()) => 1,
    }
}

/// Reads the elements that are selected in `file` to the places that are selected in `memory`, converted to the
/// type `kind`. `target` has the elements of the whole dataspace `memory`.
///
/// # Errors
/// Returns an error if the buffer has another size, or if the type contains pointers.
pub(crate) fn read(
    dataset: &Id,
    kind: &Datatype,
    (memory, file): (&Dataspace, &Dataspace),
    target: &mut [u8],
) -> ObjectResult<()> {
    let _lock = lock();
    check_buffer(kind, memory, target.len())?;
    if has_pointers(kind)? {
        return damaged("a type with pointers for a plain buffer");
    }
    // SAFETY: the buffer has the size of the dataspace, and the type contains no pointers.
    unsafe { read_raw(dataset, kind, (memory, file), target) }
}

/// Reads the elements that are selected in `file`, as many as `memory` has, converted to the type `kind`.
pub(crate) fn read_elements(
    dataset: &Id,
    kind: &Datatype,
    (memory, file): (&Dataspace, &Dataspace),
) -> ObjectResult<ElementBuffer> {
    let _lock = lock();
    let mut buffer = zeroed(memory.elements()?.unwrap_or(u64::MAX), kind.size()?)?;
    check_buffer(kind, memory, buffer.len())?;
    // SAFETY: the buffer has the size of the dataspace.
    unsafe { read_raw(dataset, kind, (memory, file), &mut buffer)? };
    // SAFETY: HDF5 has just filled the buffer through this type and space.
    unsafe { take_over(kind, memory, buffer) }
}

/// Fails if a buffer of this many bytes does not hold the elements of a dataspace exactly.
fn check_buffer(kind: &Datatype, memory: &Dataspace, bytes: usize) -> ObjectResult<()> {
    let size = kind.size()? as u64;
    if memory.elements()?.and_then(|n| n.checked_mul(size)) != Some(bytes as u64) {
        return damaged("the buffer does not fit the dataset");
    }
    memory.check_selection()
}

/// # Safety
/// `target` must have the size of `memory`, and the caller must treat pointers in it as pointers.
unsafe fn read_raw(
    dataset: &Id,
    kind: &Datatype,
    (memory, file): (&Dataspace, &Dataspace),
    target: &mut [u8],
) -> ObjectResult<()> {
    let (memory, file, place) = (memory.raw(), file.raw(), target.as_mut_ptr().cast());
    // SAFETY: the caller's promise; the selection is within `memory`.
    check(unsafe { H5Dread(dataset.raw(), kind.raw(), memory, file, H5P_DEFAULT, place) })
        .map(|_| ())
}

/// Writes elements of the type `kind` to the places that are selected in `file`.
///
/// # Errors
/// Returns an error if `memory` has another number of elements than `elements`.
pub(crate) fn write(
    dataset: &Id,
    kind: &Datatype,
    (memory, file): (&Dataspace, &Dataspace),
    elements: Elements<'_>,
) -> ObjectResult<()> {
    let _lock = lock();
    check_buffer(kind, memory, elements.len())?;
    with_pointers(kind, elements, |data| {
        let (memory, file) = (memory.raw(), file.raw());
        // SAFETY: the buffer has the size of the dataspace, and its pointers are valid during the call.
        check(unsafe { H5Dwrite(dataset.raw(), kind.raw(), memory, file, H5P_DEFAULT, data) })
            .map(|_| ())
    })
}

/// Writes a chunk that has been through its filters; `skipped` has a bit for each filter that it has not.
pub(crate) fn write_chunk(
    dataset: &Id,
    start: &[u64],
    skipped: u32,
    bytes: &[u8],
) -> ObjectResult<()> {
    let _lock = lock();
    if space(dataset)?.rank()? != start.len() {
        return damaged("a chunk of other dimensions than its dataset");
    }
    let (data, at) = (bytes.as_ptr().cast(), start.as_ptr());
    // SAFETY: `start` has the rank of the dataset, and the length of the bytes is passed.
    check(unsafe { H5Dwrite_chunk(dataset.raw(), H5P_DEFAULT, skipped, at, bytes.len(), data) })
        .map(|_| ())
}
