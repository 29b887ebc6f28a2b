//! Where a dataset's bytes lie in its file, so that several threads can read them without libhdf5.
//! Only what is proved is told; everything else stays with the library.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_uint, c_void};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use hdf5_filters::{Decoder, LARGE_CHUNK_BYTES, Pipeline};
use hdf5_sys::h5::{haddr_t, herr_t, hsize_t};
use hdf5_sys::h5d::{
    H5D_fill_value_t, H5Dchunk_iter, H5Dget_create_plist, H5Dget_offset, H5Dget_space,
    H5Dget_storage_size,
};
use hdf5_sys::h5f::H5Fget_access_plist;
use hdf5_sys::h5fd::H5FD_SEC2;
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5o::H5O_token_t;
use hdf5_sys::h5p::{H5P_DEFAULT, H5Pget_chunk_opts, H5Pget_driver, H5Pget_fill_value};
use hdf5_sys::h5s::H5S_UNLIMITED;

use super::answers;
use super::dataspace::Dataspace;
use super::error::{ObjectError, ObjectResult, check, damaged, unsupported};
use super::external_files::Files;
use super::ids::Id;
use super::object_header::Headers;
use super::{Dataset, file, read};

unsafe extern "C" {
    /// Which structure keeps the chunks; the bindings lack it.
    fn H5Dget_chunk_index_type(dataset: hid_t, kind: *mut c_int) -> herr_t;
}

/// `H5D_CHUNK_IDX_EARRAY`: the index of datasets with one unlimited axis.
const EXTENSIBLE_ARRAY: c_int = 4;

/// `H5D_CHUNK_IDX_FARRAY`: the index of datasets whose axes have limits.
const FIXED_ARRAY: c_int = 3;

/// As many elements of an index are always gone through: that takes milliseconds.
const FEW_ELEMENTS: u64 = 1 << 18;

/// The most chunks that a dataset may be cut into: beyond it, those that were never written cannot be
/// told in bounded memory.
const MOST_CHUNKS: u64 = 1 << 27;

/// A chunk in the file: 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its number in C order.
    pub number: u64,
    /// Where in the file it begins.
    pub address: u64,
    /// Its bytes there.
    pub size: u64,
    /// A bit for each filter that it did not go through.
    pub mask: u32,
}

/// The chunks of a dataset.
#[derive(Debug)]
pub struct ChunkIndex {
    /// Extents of a chunk.
    pub chunk: Vec<u64>,
    /// Extents of what is read, counted from the first element of the first chunk.
    pub shape: Vec<u64>,
    /// Those of the dataset itself, counted likewise: what is beyond them may be missing in a chunk.
    pub edge: Vec<u64>,
    /// How many elements there are before the first wanted one: rows that a chunk has before it.
    pub before: u64,
    /// How many chunks there are along each axis.
    pub grid: Vec<u64>,
    /// Those that are stored, each number once, in the order of their addresses.
    pub stored: Vec<Stored>,
    /// Those that are not, if they have to be filled with something else than zeros.
    pub absent: Vec<u64>,
    /// One element of those.
    pub fill: Vec<u8>,
    /// The filters of the chunks.
    pub pipeline: Pipeline,
}

impl ChunkIndex {
    /// How many elements the chunk at `start` must have: those up to the last one within the dataset.
    pub fn least(&self, start: &[u64]) -> u64 {
        needed(&self.edge, start, &self.chunk)
    }
}

/// How many elements of a chunk at `start` there are up to the last one that is within `edge`.
pub(crate) fn needed(edge: &[u64], start: &[u64], chunk: &[u64]) -> u64 {
    let axes = edge.iter().zip(start).zip(chunk);
    let last = axes.fold(0_u64, |last, ((&n, &start), &extent)| {
        let count = extent.min(n.saturating_sub(start));
        last.saturating_mul(extent).saturating_add(count.saturating_sub(1))
    });
    last.saturating_add(1)
}

/// Where a contiguous dataset begins; `None` if nothing of it is stored.
pub(crate) fn offset(dataset: &Id) -> Option<u64> {
    // SAFETY: `dataset` is open.
    let offset = unsafe { H5Dget_offset(dataset.raw()) };
    // In a file with a user block the library adds its length also to "nowhere", so the offset alone does
    // not tell that nothing is stored. Of chunks it is not asked: all of them are counted then.
    // SAFETY: as above.
    let is_stored = || unsafe { H5Dget_storage_size(dataset.raw()) } > 0;
    (offset != u64::MAX && is_stored()).then_some(offset)
}

/// Whether the library goes through the chunks of a dataset in a time that its extents bound. A fixed or
/// extensible array is gone through element by element, as many as its header claims; a damaged one
/// claims quintillions. Reading single chunks is not affected.
pub(crate) fn is_bounded(
    id: &Id,
    (file, token): (Option<&Id>, H5O_token_t),
    chunk: &[u64],
    extents: &[u64],
) -> ObjectResult<bool> {
    if !matches!(index_type(id)?, FIXED_ARRAY | EXTENSIBLE_ARRAY) {
        return Ok(true);
    }
    let claimed = file.and_then(Headers::of).and_then(|headers| headers.claimed_elements(token));
    let count = chunk
        .iter()
        .zip(extents)
        .fold(1_u64, |all, (&chunk, &extent)| all.saturating_mul(extent.div_ceil(chunk.max(1))));
    Ok(claimed.is_some_and(|claimed| claimed <= count.saturating_mul(4).max(FEW_ELEMENTS)))
}

/// Decoded bytes of the largest chunk that is tried.
const MOST_TRIED: usize = 256 << 20;

/// Tries the first chunk of a dataset whose filters the library lacks: some say only in each chunk what it
/// takes to undo them, and what is not known here is no damage.
pub(crate) fn check_codec(dataset: &Dataset, files: &Files) -> ObjectResult<()> {
    let pipeline =
        pipeline(dataset).filter(|pipeline| dataset.bounded && pipeline.is_told_by_chunks());
    let Some(pipeline) = pipeline else { return Ok(()) };
    let path = files.plain_path(dataset.file());
    let first = first_filtered(&dataset.place.open(files)?, &pipeline);
    let (Some(path), Some(first)) = (path, first) else { return Ok(()) };
    if first.size > pipeline.most_stored() || pipeline.chunk_bytes() > MOST_TRIED {
        return Ok(());
    }
    let mut stored = read::zeroed(first.size, 1)?;
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut stored, first.address));
    if read.is_err() {
        return Ok(());
    }
    let stored = (&stored[..], usize::MAX);
    match pipeline.decode(&mut Decoder::default(), first.mask, stored, &mut Vec::new()) {
        Err(hdf5_filters::Error::Unsupported(why)) => unsupported(format!(
            "compressed in a way that neither this HDF5 nor this program has ({why})"
        )),
        // What is damaged is told when it is read.
        _ => Ok(()),
    }
}

/// What undoes the filters of a dataset in chunks, if it is known here.
fn pipeline(dataset: &Dataset) -> Option<Pipeline> {
    let (chunk, node) = (dataset.storage.chunk.as_deref()?, &dataset.place.node);
    let bytes = chunk.iter().try_fold(node.file_size() as u64, |all, &n| all.checked_mul(n))?;
    Some(Pipeline::new(&dataset.storage.filters, bytes)?.converting(node.convert.clone()))
}

/// Bytes that decoding one chunk of a dataset takes, and how many chunks there are.
pub(crate) fn decoding(dataset: &Dataset, files: &Files) -> (u64, u64) {
    let Some(chunk) = dataset.storage.chunk.as_deref() else { return (0, 0) };
    let grid = chunk.iter().zip(&dataset.shape).map(|(&c, &n)| n.div_ceil(c.max(1)));
    let count = grid.fold(1, u64::saturating_mul);
    let bytes = chunk.iter().fold(dataset.element_size, |all, &n| all.saturating_mul(n));
    // No chunk is larger than its file, which is only looked at where that matters.
    let stored = |most: u64| match most > LARGE_CHUNK_BYTES as u64 {
        true => {
            let file = files.plain_path(dataset.file());
            let size = file.and_then(|path| Some(std::fs::metadata(path).ok()?.len()));
            size.map_or(most, |size| size.min(most))
        }
        false => most,
    };
    let each = match pipeline(dataset).filter(|_| dataset.raw) {
        Some(pipeline) => {
            let mut edge = dataset.shape.clone();
            if let (Some(rows), Some(part)) = (edge.first_mut(), dataset.part) {
                *rows = part.of;
            }
            let first = needed(&edge, &vec![0; edge.len()], chunk);
            let least = first.saturating_mul(dataset.file_element_size());
            pipeline.memory((stored(pipeline.most_stored()), least), 0)
        }
        // The library has a chunk stored, decoded and converted.
        None => bytes.saturating_mul(2).saturating_add(stored(bytes)),
    };
    (each, count)
}

/// A chunk that went through a filter, the first that the library tells of; its number is not told.
fn first_filtered(id: &Id, pipeline: &Pipeline) -> Option<Stored> {
    struct Search<'a>(&'a Pipeline, Option<Stored>);
    unsafe extern "C" fn look(
        _: *const hsize_t,
        mask: c_uint,
        address: haddr_t,
        size: hsize_t,
        data: *mut c_void,
    ) -> c_int {
        // SAFETY: HDF5 hands on our pointer.
        let Search(pipeline, found) = unsafe { &mut *data.cast::<Search<'_>>() };
        if pipeline.is_plain(mask) {
            return 0;
        }
        *found = Some(Stored { number: 0, address, size, mask });
        // That is enough.
        1
    }
    let mut search = Search(pipeline, None);
    let data = (&raw mut search).cast::<c_void>();
    // SAFETY: `id` is an open dataset; `look` gets the search it expects.
    unsafe { H5Dchunk_iter(id.raw(), H5P_DEFAULT, Some(look), data) };
    search.1
}

/// The path of a file that the library reads as one plain file.
pub(crate) fn plain_path(id: &Id) -> Option<PathBuf> {
    // SAFETY: `id` is an open file.
    let access = Id::own(unsafe { H5Fget_access_plist(id.raw()) }).ok()?;
    // SAFETY: `access` is an open file access list.
    let driver = unsafe { H5Pget_driver(access.raw()) };
    if driver != *H5FD_SEC2 {
        return None;
    }
    file::name(id).ok()
}

/// Whether chunks that were never written matter although their elements are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zeros {
    /// Memory is zero before.
    There,
    /// They may replace something else.
    Needed,
}

/// The chunks of an open dataset; `None` if it is not for this module, or if the library shall find out why
/// they cannot be listed. An error is final: the library would ignore it.
pub(crate) fn index(dataset: &Dataset, id: &Id, zeros: Zeros) -> ObjectResult<Option<ChunkIndex>> {
    let Ok(Some((index, furthest))) = list(dataset, id, zeros) else { return Ok(None) };
    check_limits(id, &index.chunk, &furthest)?;
    Ok(Some(index))
}

/// The chunks, and on each axis the furthest one if there is any beyond the extents.
fn list(dataset: &Dataset, id: &Id, zeros: Zeros) -> ObjectResult<Option<(ChunkIndex, Vec<u64>)>> {
    let Some(chunk) = dataset.storage.chunk.as_deref() else { return Ok(None) };
    if !dataset.bounded {
        return Ok(None);
    }
    let node = &dataset.place.node;
    let (mut shape, mut edge) = (dataset.shape.clone(), dataset.shape.clone());
    let mut first = 0;
    if let (Some(part), [shape_rows, ..], [edge_rows, ..], [rows, ..]) =
        (dataset.part, &mut shape[..], &mut edge[..], chunk)
    {
        // The row at which the chunk with the first wanted one begins.
        first = part.first / rows.max(&1) * rows;
        *shape_rows = shape_rows.saturating_add(part.first - first);
        *edge_rows = part.of.saturating_sub(first);
    }
    let grid: Vec<u64> = chunk.iter().zip(&shape).map(|(&c, &n)| n.div_ceil(c.max(1))).collect();
    let count = grid.iter().try_fold(1_u64, |all, &n| all.checked_mul(n));
    let Some(count) = count else { return Ok(None) };
    let wanted = dataset.shape.iter().try_fold(1_u64, |all, &n| all.checked_mul(n));
    let whole = shape.iter().try_fold(1_u64, |all, &n| all.checked_mul(n));
    let (Some(wanted), Some(whole)) = (wanted, whole) else { return Ok(None) };
    let known = node.is_known() && !node.has_pointers() && count <= MOST_CHUNKS;
    if !known || chunk.is_empty() || dataset.shape.contains(&0) {
        return Ok(None);
    }
    let Some(pipeline) = pipeline(dataset) else { return Ok(None) };
    // SAFETY: `id` is an open dataset.
    let dcpl = Id::own(unsafe { H5Dget_create_plist(id.raw()) })?;
    let mut options: c_uint = 0;
    // SAFETY: the list is open and the place outlives the call.
    check(unsafe { H5Pget_chunk_opts(dcpl.raw(), &raw mut options) })?;
    if options != 0 {
        // Partial chunks at the edge are not filtered, and nothing else says so.
        return Ok(None);
    }
    if grid.len() > 1 && index_type(id)? == EXTENSIBLE_ARRAY && grows_elsewhere(id)? {
        // libhdf5 2.0 tells the chunks of these with wrong coordinates: it stores them with the
        // unlimited axis first and forgets to turn that back.
        return Ok(None);
    }
    let (mut stored, furthest) = collect(id, chunk, &grid, first)?;
    // A chunk that is stored twice: the library chooses.
    let Some(absent) = absent(&mut stored, count) else { return Ok(None) };
    stored.sort_unstable_by_key(|chunk| chunk.address);
    let mut index = ChunkIndex {
        chunk: chunk.to_vec(),
        shape,
        edge,
        before: whole - wanted,
        grid,
        stored,
        absent: Vec::new(),
        fill: Vec::new(),
        pipeline,
    };
    if absent > 0 {
        let fill = fill(&dcpl, dataset)?;
        if zeros == Zeros::Needed || fill.iter().any(|&byte| byte != 0) {
            index.fill = fill;
            index.absent = numbers_of_absent(&index.stored, count)?;
        }
    }
    Ok(Some((index, furthest)))
}

fn index_type(id: &Id) -> ObjectResult<c_int> {
    let mut kind = -1;
    // SAFETY: `id` is an open dataset and the place outlives the call.
    check(unsafe { H5Dget_chunk_index_type(id.raw(), &raw mut kind) })?;
    Ok(kind)
}

/// Whether it is not the first axis that is unlimited.
fn grows_elsewhere(id: &Id) -> ObjectResult<bool> {
    // SAFETY: `id` is an open dataset.
    let space = Dataspace::own(unsafe { H5Dget_space(id.raw()) })?;
    Ok(space.limits()?.first() != Some(&H5S_UNLIMITED))
}

/// Refuses chunks beyond the maximum extents. Those between these and the current ones are what shrinking a
/// dataset may leave.
fn check_limits(id: &Id, chunk: &[u64], furthest: &[u64]) -> ObjectResult<()> {
    if furthest.is_empty() {
        return Ok(());
    }
    // SAFETY: `id` is an open dataset.
    let limits = Dataspace::own(unsafe { H5Dget_space(id.raw()) })?.limits()?;
    let is_beyond = |((&at, &extent), &limit): ((&u64, &u64), &u64)| at >= limit.div_ceil(extent);
    match furthest.iter().zip(chunk).zip(&limits).any(is_beyond) {
        true => damaged("a chunk beyond the maximum extents of the dataset"),
        false => Ok(()),
    }
}

struct Collection<'a> {
    /// The row at which the wanted chunks begin.
    first: u64,
    chunk: &'a [u64],
    grid: &'a [u64],
    stored: Vec<Stored>,
    /// The furthest chunk on each axis, if one is beyond the extents.
    furthest: Vec<u64>,
    odd: bool,
}

/// The chunks within the extents, and on each axis the furthest one if there is any beyond.
fn collect(
    id: &Id,
    chunk: &[u64],
    grid: &[u64],
    first: u64,
) -> ObjectResult<(Vec<Stored>, Vec<u64>)> {
    let (stored, furthest) = (Vec::new(), Vec::new());
    let mut all = Collection { first, chunk, grid, stored, furthest, odd: false };
    let data = (&raw mut all).cast::<c_void>();
    // SAFETY: `id` is open; `take` gets the collection it expects.
    check(unsafe { H5Dchunk_iter(id.raw(), H5P_DEFAULT, Some(take), data) })?;
    if all.odd { damaged("a chunk beyond the dataset") } else { Ok((all.stored, all.furthest)) }
}

unsafe extern "C" fn take(
    offset: *const hsize_t,
    mask: c_uint,
    address: haddr_t,
    size: hsize_t,
    data: *mut c_void,
) -> c_int {
    // SAFETY: HDF5 hands on our pointer, and an offset for each dimension of the dataset.
    let (all, offset) = unsafe {
        let all = &mut *data.cast::<Collection<'_>>();
        let offset = std::slice::from_raw_parts(offset, all.chunk.len());
        (all, offset)
    };
    let mut number = 0_u64;
    let first = std::iter::once(all.first).chain(std::iter::repeat(0));
    for (((&at, first), &extent), &count) in offset.iter().zip(first).zip(all.chunk).zip(all.grid) {
        // A chunk before the wanted rows.
        let Some(at) = at.checked_sub(first) else { return 0 };
        if at % extent != 0 {
            all.odd = true;
            return 0;
        }
        if at / extent >= count {
            // Beyond the extents, or only beyond the wanted rows.
            all.furthest.resize(offset.len(), 0);
            for ((furthest, &at), &extent) in all.furthest.iter_mut().zip(offset).zip(all.chunk) {
                *furthest = (*furthest).max(at / extent);
            }
            return 0;
        }
        // Below the number of chunks, which was computed without overflow.
        number = number * count + at / extent;
    }
    // More than there are places for: a damaged tree leads to the same node many times.
    let full = all.stored.len() as u64 >= all.grid.iter().product();
    if full || all.stored.try_reserve(1).is_err() {
        all.odd = true;
        return 1;
    }
    all.stored.push(Stored { number, address, size, mask });
    0
}

/// How many chunks are not stored; `None` if one is stored twice.
fn absent(stored: &mut [Stored], count: u64) -> Option<u64> {
    stored.sort_unstable_by_key(|chunk| chunk.number);
    let once = stored.windows(2).all(|pair| pair[0].number < pair[1].number);
    once.then(|| count.saturating_sub(stored.len() as u64))
}

fn numbers_of_absent(stored: &[Stored], count: u64) -> ObjectResult<Vec<u64>> {
    let mut there = read::zeroed(count.div_ceil(8), 1)?;
    for chunk in stored {
        if let Some(bits) = usize::try_from(chunk.number / 8).ok().and_then(|at| there.get_mut(at))
        {
            *bits |= 1 << (chunk.number % 8);
        }
    }
    let lacks = |number: &u64| {
        let bits = usize::try_from(number / 8).ok().and_then(|at| there.get(at));
        bits.is_some_and(|bits| bits >> (number % 8) & 1 == 0)
    };
    let mut absent = Vec::new();
    let more = usize::try_from(count.saturating_sub(stored.len() as u64)).unwrap_or(usize::MAX);
    if absent.try_reserve_exact(more).is_err() {
        return Err(ObjectError::NoMemory(format!("no memory for the numbers of {more} chunks")));
    }
    absent.extend((0..count).filter(lacks));
    Ok(absent)
}

/// The element that an open dataset is full of which was never written.
pub(crate) fn fill_of(dataset: &Dataset, id: &Id) -> ObjectResult<Vec<u8>> {
    // SAFETY: `id` is an open dataset.
    fill(&Id::own(unsafe { H5Dget_create_plist(id.raw()) })?, dataset)
}

/// The element that chunks which were never written are full of.
fn fill(dcpl: &Id, dataset: &Dataset) -> ObjectResult<Vec<u8>> {
    use hdf5_sys::h5d::H5D_fill_time_t::{H5D_FILL_TIME_ALLOC, H5D_FILL_TIME_IFSET};
    let node = &dataset.place.node;
    let mut fill = read::zeroed(1, node.size)?;
    // At any other time, also one that HDF5 does not define, they are zero for h5py.
    let is_filled = matches!(answers::fill_time(dcpl)?, H5D_FILL_TIME_ALLOC | H5D_FILL_TIME_IFSET);
    if is_filled && answers::fill_value(dcpl)? == H5D_fill_value_t::H5D_FILL_VALUE_USER_DEFINED {
        let place = fill.as_mut_ptr().cast();
        // SAFETY: the list is open, and the buffer has the size of one element of the memory type.
        check(unsafe { H5Pget_fill_value(dcpl.raw(), node.memory.raw(), place) })?;
    }
    Ok(fill)
}

/// Takes chunks at arbitrary places into an index of arbitrary extents, for a fuzz target.
#[cfg(any(test, fuzzing, feature = "fuzzing"))]
pub(crate) fn fuzz(mut bytes: crate::fuzzing::Bytes<'_>) {
    let rank = bytes.below(4) + 1;
    // Every chunk that is absent costs time.
    let mut extents = || (0..rank).map(|_| u64::from(bytes.byte() % 16) + 1).collect::<Vec<_>>();
    let (shape, chunk) = (extents(), extents());
    let grid: Vec<u64> = shape.iter().zip(&chunk).map(|(&n, &c)| n.div_ceil(c)).collect();
    let first = u64::from(bytes.byte()) / chunk[0] * chunk[0];
    let (stored, furthest) = (Vec::new(), Vec::new());
    let mut all = Collection { first, chunk: &chunk, grid: &grid, stored, furthest, odd: false };
    while !bytes.rest().is_empty() {
        let offset: Vec<u64> = (0..rank)
            .map(|axis| match bytes.byte() {
                byte @ ..=0xf0 => u64::from(byte) * chunk[axis],
                _ => bytes.u64(),
            })
            .collect();
        let data = (&raw mut all).cast::<c_void>();
        // SAFETY: `take` gets the collection and as many offsets as it expects.
        unsafe { take(offset.as_ptr(), 0, bytes.u64(), u64::from(bytes.byte()), data) };
    }
    let count = grid.iter().product();
    assert!(all.stored.iter().all(|chunk| chunk.number < count));
    if let Some(absent) = absent(&mut all.stored, count) {
        let numbers = numbers_of_absent(&all.stored, count).unwrap_or_default();
        assert_eq!(numbers.len() as u64, absent);
    }
}

#[cfg(test)]
mod tests {
    use super::needed;

    #[test]
    fn a_chunk_needs_what_is_before_its_last_element_inside() {
        assert_eq!(needed(&[10], &[8], &[4]), 2);
        assert_eq!(needed(&[10, 10], &[8, 0], &[4, 10]), 20);
        assert_eq!(needed(&[10, 9], &[0, 0], &[4, 10]), 39);
        assert_eq!(needed(&[], &[], &[]), 1);
    }
}
