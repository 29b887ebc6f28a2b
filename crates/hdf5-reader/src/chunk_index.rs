//! The places of a dataset's bytes in its file, so that several threads can read them without libhdf5. Datasets whose
//! places are not certain are left to the library.

use std::fs::File;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;

use hdf5_filters::{Decoder, LARGE_CHUNK_BYTES, Pipeline};

use crate::buffer::zeroed;
use crate::dataset::Dataset;
use crate::error::{ObjectError, ObjectResult, damaged, unsupported};
use crate::external_files::Files;
use crate::ffi::creation::{Creation, FillStatus, FillTime};
use crate::ffi::dataset::{self, IndexType, RawChunk};
use crate::ffi::dataspace::UNLIMITED;
use crate::ffi::ids::Id;
use crate::ffi::object::Token;
use crate::object_header::Headers;

/// The library always goes through this many elements of an index, which takes milliseconds.
const FEW_ELEMENTS: u64 = 1 << 18;

/// The most chunks of a dataset: the numbers of those that were never written take memory.
const MOST_CHUNKS: u64 = 1 << 27;

/// A chunk in the file: 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its number in C order.
    pub number: u64,
    /// Its offset in the file.
    pub address: u64,
    /// Its bytes in the file.
    pub size: u64,
    /// A bit for each filter that it did not go through.
    pub mask: u32,
}

/// The chunks of a dataset.
#[derive(Debug)]
pub struct ChunkIndex {
    /// Extents of a chunk.
    pub chunk: Vec<u64>,
    /// Extents of the part that is read, counted from the first element of the first chunk.
    pub shape: Vec<u64>,
    /// Those of the dataset itself, counted likewise: elements beyond them may be missing in a chunk.
    pub edge: Vec<u64>,
    /// The number of elements before the first wanted one: rows that a chunk has before it.
    pub before: u64,
    /// The number of chunks along each axis.
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
    /// The number of elements that the chunk at `start` must have: those up to the last one within the dataset.
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

/// The offset of a contiguous dataset in its file; `None` if nothing of it is stored.
pub(crate) fn offset(dataset: &Id) -> Option<u64> {
    let offset = dataset::offset(dataset)?;
    // In a file with a user block the library adds its length also to an undefined address, so the offset alone
    // does not show whether anything is stored. Chunked datasets have no offset. Their size is not queried,
    // because the library would count all chunks.
    (dataset::storage_size(dataset) > 0).then_some(offset)
}

/// Whether the extents of a dataset limit the time in which the library lists its chunks. The library visits
/// every element of a fixed or extensible array that its header declares, and a damaged header can declare
/// quintillions. Reading single chunks is not affected.
pub(crate) fn is_bounded(
    id: &Id,
    (file, token): (Option<&Id>, Token),
    chunk: &[u64],
    extents: &[u64],
) -> ObjectResult<bool> {
    if dataset::index_type(id)? == IndexType::Other {
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

/// Tries the first chunk of a dataset whose filters the library lacks: the parameters of some are in each chunk, and
/// an unknown parameter is not damage.
pub(crate) fn check_codec(dataset: &Dataset, files: &Files) -> ObjectResult<()> {
    let pipeline =
        pipeline(dataset).filter(|pipeline| dataset.bounded && pipeline.has_parameters_in_chunks());
    let Some(pipeline) = pipeline else { return Ok(()) };
    let path = files.plain_path(dataset.file());
    let first = first_filtered(&dataset.place.open(files)?, &pipeline);
    let (Some(path), Some(first)) = (path, first) else { return Ok(()) };
    if first.size > pipeline.most_stored() || pipeline.chunk_bytes() > MOST_TRIED {
        return Ok(());
    }
    let mut stored = zeroed(first.size, 1)?;
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut stored, first.address));
    if read.is_err() {
        return Ok(());
    }
    let stored = (&stored[..], usize::MAX);
    match pipeline.decode(&mut Decoder::default(), first.mask, stored, &mut Vec::new()) {
        Err(hdf5_filters::Error::Unsupported(why)) => unsupported(format!(
            "compressed in a way that neither this HDF5 nor this program has ({why})"
        )),
        // Damage is reported when the chunk is read.
        _ => Ok(()),
    }
}

/// The pipeline that undoes the filters of a chunked dataset, if all of them are known.
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

/// The first chunk that the library lists which went through a filter; its number is not known.
fn first_filtered(id: &Id, pipeline: &Pipeline) -> Option<Stored> {
    let mut found = None;
    // Damage is reported when the chunks are read.
    let _ = dataset::visit_chunks(id, &mut |RawChunk { mask, address, size, .. }| {
        if pipeline.is_plain(mask) {
            return ControlFlow::Continue(());
        }
        found = Some(Stored { number: 0, address, size, mask });
        ControlFlow::Break(())
    });
    found
}

/// Whether chunks that were never written matter although their elements are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zeros {
    /// Memory is zero before.
    There,
    /// They may replace something else.
    Needed,
}

/// The chunks of an open dataset; `None` if only the library can read it, or if the library must report why they
/// cannot be listed. An error is final: the library would ignore it.
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
    let creation = Creation::of(id)?;
    if creation.chunk_options()? != 0 {
        // Partial chunks at the edge are not filtered, and their masks do not show it.
        return Ok(None);
    }
    if grid.len() > 1
        && dataset::index_type(id)? == IndexType::ExtensibleArray
        && grows_elsewhere(id)?
    {
        // libhdf5 2.0 lists the chunks of these with wrong coordinates: it stores them with the unlimited
        // axis first and does not reverse that.
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
        let fill = fill(&creation, dataset)?;
        if zeros == Zeros::Needed || fill.iter().any(|&byte| byte != 0) {
            index.fill = fill;
            index.absent = numbers_of_absent(&index.stored, count)?;
        }
    }
    Ok(Some((index, furthest)))
}

/// Whether it is not the first axis that is unlimited.
fn grows_elsewhere(id: &Id) -> ObjectResult<bool> {
    Ok(dataset::space(id)?.limits()?.first() != Some(&UNLIMITED))
}

/// Refuses chunks beyond the maximum extents. Shrinking a dataset may leave
/// chunks between these and the current extents.
fn check_limits(id: &Id, chunk: &[u64], furthest: &[u64]) -> ObjectResult<()> {
    if furthest.is_empty() {
        return Ok(());
    }
    let limits = dataset::space(id)?.limits()?;
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
    dataset::visit_chunks(id, &mut |chunk| all.take(chunk))?;
    if all.odd { damaged("a chunk beyond the dataset") } else { Ok((all.stored, all.furthest)) }
}

impl Collection<'_> {
    fn take(&mut self, chunk: RawChunk<'_>) -> ControlFlow<()> {
        let RawChunk { offset, mask, address, size } = chunk;
        let mut number = 0_u64;
        let first = std::iter::once(self.first).chain(std::iter::repeat(0));
        let axes = offset.iter().zip(first).zip(self.chunk).zip(self.grid);
        for (((&at, first), &extent), &count) in axes {
            // A chunk before the wanted rows.
            let Some(at) = at.checked_sub(first) else { return ControlFlow::Continue(()) };
            if at % extent != 0 {
                self.odd = true;
                return ControlFlow::Continue(());
            }
            if at / extent >= count {
                // Beyond the extents, or only beyond the wanted rows.
                self.furthest.resize(offset.len(), 0);
                let axes = self.furthest.iter_mut().zip(offset).zip(self.chunk);
                for ((furthest, &at), &extent) in axes {
                    *furthest = (*furthest).max(at / extent);
                }
                return ControlFlow::Continue(());
            }
            // Below the number of chunks, which was computed without overflow.
            number = number * count + at / extent;
        }
        // More than there are places for: a damaged tree leads to the same node many times.
        let full = self.stored.len() as u64 >= self.grid.iter().product();
        if full || self.stored.try_reserve(1).is_err() {
            self.odd = true;
            return ControlFlow::Break(());
        }
        self.stored.push(Stored { number, address, size, mask });
        ControlFlow::Continue(())
    }
}

/// How many chunks are not stored; `None` if one is stored twice.
fn absent(stored: &mut [Stored], count: u64) -> Option<u64> {
    stored.sort_unstable_by_key(|chunk| chunk.number);
    let once = stored.windows(2).all(|pair| pair[0].number < pair[1].number);
    once.then(|| count.saturating_sub(stored.len() as u64))
}

fn numbers_of_absent(stored: &[Stored], count: u64) -> ObjectResult<Vec<u64>> {
    let mut there = zeroed(count.div_ceil(8), 1)?;
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

/// The element of an open dataset that was never written.
pub(crate) fn fill_of(dataset: &Dataset, id: &Id) -> ObjectResult<Vec<u8>> {
    fill(&Creation::of(id)?, dataset)
}

/// The element of chunks that were never written, of a type without pointers.
fn fill(creation: &Creation, dataset: &Dataset) -> ObjectResult<Vec<u8>> {
    let node = &dataset.place.node;
    // At any other time, also one that HDF5 does not define, they are zero for h5py.
    let is_filled = matches!(creation.fill_time()?, FillTime::Allocation | FillTime::IfSet);
    match is_filled && creation.fill_status()? == FillStatus::UserDefined {
        true => Ok(creation.fill_value(&node.memory)?.into_bytes()),
        false => zeroed(1, node.size),
    }
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
        let (address, size) = (bytes.u64(), u64::from(bytes.byte()));
        let _ = all.take(RawChunk { offset: &offset, mask: 0, address, size });
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
    fn needed_counts_elements_up_to_the_last_one_inside_the_dataset() {
        assert_eq!(needed(&[10], &[8], &[4]), 2);
        assert_eq!(needed(&[10, 10], &[8, 0], &[4, 10]), 20);
        assert_eq!(needed(&[10, 9], &[0, 0], &[4, 10]), 39);
        assert_eq!(needed(&[], &[], &[]), 1);
    }
}
