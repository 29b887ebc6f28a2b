//! Copies datasets, block by block: plain ones straight into their buffer, others by way of a
//! bounded buffer from which each field is picked.
#![allow(unsafe_code)]

use std::ffi::c_void;

use hdf5_sys::h5d::{H5Dget_space, H5Dget_type, H5Dread};
use hdf5_sys::h5p::H5P_DEFAULT;
use hdf5_sys::h5s::H5S_ALL;
use hdf5_sys::h5t::H5Treclaim;

use super::blocks::{Block, Blocks};
use super::dataspace::Dataspace;
use super::datatype::Datatype;
use super::error::{ObjectError, ObjectResult, check, damaged};
use super::ids::Id;
use super::types::{ElementClass, ElementType};
use super::{Content, Dataset, Field, Inventory, Part, native, scatter};

/// A dataset that is open for reading.
pub(crate) struct Reading<'a> {
    dataset: &'a Id,
    node: &'a ElementType,
    shape: &'a [u64],
    part: Option<Part>,
    chunk: Option<&'a [u64]>,
    /// Bytes of a chunk in the file.
    chunk_bytes: u64,
}

/// [`Inventory::read`] in this module's terms.
pub(crate) fn read(
    inventory: &Inventory,
    dataset: &Dataset,
    sinks: &mut [&mut [u8]],
    progress: &mut dyn FnMut(u64),
) -> ObjectResult<()> {
    let leaves = dataset.fields();
    let fits = |(leaf, sink): (&&Field, &&mut [u8])| leaf.nbytes() == sink.len() as u64;
    if leaves.len() != sinks.len() || !leaves.iter().zip(sinks.iter()).all(fits) {
        return damaged("the buffers do not fit the dataset's arrays");
    }
    if dataset.shape.contains(&0) {
        return Ok(());
    }
    let id = dataset.place.open(&inventory.files)?;
    let chunk = dataset.storage.chunk.as_deref();
    let reading = Reading::new(&id, &dataset.place.node, &dataset.shape, dataset.part, chunk)?;
    match (&leaves[..], sinks) {
        ([leaf], [sink]) if is_plain(&dataset.place.node) && leaf.content == Content::Value => {
            reading.fill(sink, progress)
        }
        (leaves, sinks) => reading.fill_all(leaves, sinks, progress),
    }
}

/// [`Inventory::visit`] in this module's terms; ends early when `visit` says no.
pub(crate) fn visit(
    inventory: &Inventory,
    dataset: &Dataset,
    visit: &mut dyn FnMut(&Block, &[u8]) -> bool,
) -> ObjectResult<()> {
    if dataset.shape.contains(&0) {
        return Ok(());
    }
    let id = dataset.place.open(&inventory.files)?;
    let chunk = dataset.storage.chunk.as_deref();
    let node = &dataset.place.node;
    Reading::new(&id, node, &dataset.shape, dataset.part, chunk)?.each_block(|block, elements| {
        if visit(block, elements) { Ok(()) } else { damaged("given up") }
    })
}

/// Whether elements are nothing but the values of one leaf.
fn is_plain(node: &ElementType) -> bool {
    match &node.kind {
        ElementClass::Scalar(..) => true,
        ElementClass::Array(_, of) => is_plain(of),
        _ => false,
    }
}

impl<'a> Reading<'a> {
    /// Reads a dataset, or the `part` of it that has this `shape`, once it is sure that the open
    /// dataset still has the planned extents.
    pub(crate) fn new(
        dataset: &'a Id,
        node: &'a ElementType,
        shape: &'a [u64],
        part: Option<Part>,
        chunk: Option<&'a [u64]>,
    ) -> ObjectResult<Self> {
        let chunk_bytes = match chunk {
            // SAFETY: `dataset` is an open dataset.
            Some(chunk) => Datatype::own(unsafe { H5Dget_type(dataset.raw()) })
                .and_then(|file_type| file_type.size())
                .map(|size| chunk.iter().fold(size as u64, |all, &n| all.saturating_mul(n)))?,
            None => u64::MAX,
        };
        let reading = Self { dataset, node, shape, part, chunk, chunk_bytes };
        if reading.space()?.shape()? != Some(reading.extents()) {
            return damaged("the dataset has another shape than a moment ago");
        }
        Ok(reading)
    }

    fn space(&self) -> ObjectResult<Dataspace> {
        // SAFETY: `dataset` is an open dataset.
        Dataspace::own(unsafe { H5Dget_space(self.dataset.raw()) })
    }

    /// The shape that the file has.
    fn extents(&self) -> Vec<u64> {
        let mut extents = self.shape.to_vec();
        if let (Some(rows), Some(part)) = (extents.first_mut(), self.part) {
            *rows = part.of;
        }
        extents
    }

    /// Blocks of the part that is read, counted from its own first row.
    fn blocks(&self) -> Blocks {
        let first = self.part.map_or(0, |part| part.first);
        Blocks::new(self.shape, self.chunk, self.node.size as u64).starting_at(first)
    }

    fn fill(&self, sink: &mut [u8], progress: &mut dyn FnMut(u64)) -> ObjectResult<()> {
        let file = self.space()?;
        let memory = match self.part {
            Some(_) => Dataspace::simple(self.shape)?,
            None => self.space()?,
        };
        let size = self.node.size as u64;
        let whole = Block { start: vec![0; self.shape.len()], count: self.shape.to_vec() };
        if whole.elements().checked_mul(size) != Some(sink.len() as u64) {
            return damaged("the buffer does not fit the dataset");
        }
        for block in self.blocks() {
            self.select_in_file(&file, &block)?;
            self.select(&memory, &block)?;
            let target = sink.as_mut_ptr().cast();
            // SAFETY: the memory space has the shape that is read, and the sink has room for as many
            // elements of the memory type; the selections are within it.
            unsafe { self.call(&memory, &file, target)? };
            progress(block.elements().saturating_mul(size));
        }
        Ok(())
    }

    fn fill_all(
        &self,
        leaves: &[&Field],
        sinks: &mut [&mut [u8]],
        progress: &mut dyn FnMut(u64),
    ) -> ObjectResult<()> {
        let per_element: u64 = leaves
            .iter()
            .map(|leaf| leaf.per_element().saturating_mul(leaf.dtype.itemsize()))
            .sum();
        self.each_block(|block, elements| {
            for (leaf, sink) in leaves.iter().zip(sinks.iter_mut()) {
                scatter::scatter(leaf, self.node.size, self.shape, block, elements, sink);
            }
            progress(block.elements().saturating_mul(per_element));
            Ok(())
        })
    }

    /// Reads every block into a buffer, and shows it to `visit`. Pointers in it are valid just then.
    pub(crate) fn each_block(
        &self,
        mut visit: impl FnMut(&Block, &[u8]) -> ObjectResult<()>,
    ) -> ObjectResult<()> {
        self.each_block_if(|_| true, &mut visit)
    }

    /// The same, but only for some of the blocks.
    pub(crate) fn each_block_if(
        &self,
        wanted: impl Fn(&Block) -> bool,
        mut visit: impl FnMut(&Block, &[u8]) -> ObjectResult<()>,
    ) -> ObjectResult<()> {
        for block in self.blocks().filter(wanted) {
            self.visit_block(&block, &mut visit)?;
        }
        Ok(())
    }

    /// Reads the first element only.
    pub(crate) fn first(
        &self,
        mut visit: impl FnMut(&Block, &[u8]) -> ObjectResult<()>,
    ) -> ObjectResult<()> {
        let (start, count) = (vec![0; self.shape.len()], vec![1; self.shape.len()]);
        self.visit_block(&Block { start, count }, &mut visit)
    }

    fn visit_block(
        &self,
        block: &Block,
        visit: &mut impl FnMut(&Block, &[u8]) -> ObjectResult<()>,
    ) -> ObjectResult<()> {
        let mut buffer = zeroed(block.elements(), self.node.size)?;
        let file = self.space()?;
        self.select_in_file(&file, block)?;
        let memory = match block.count[..] {
            [] => self.space()?,
            _ => Dataspace::simple(&block.count)?,
        };
        // SAFETY: the buffer has room for as many elements of the memory type as are selected.
        unsafe { self.call(&memory, &file, buffer.as_mut_ptr().cast())? };
        let result = visit(block, &buffer);
        if self.node.has_pointers() {
            let (kind, place) = (self.node.memory.raw(), buffer.as_mut_ptr().cast());
            // SAFETY: HDF5 filled the buffer through this type and space; nothing points there now.
            check(unsafe { H5Treclaim(kind, memory.raw(), H5P_DEFAULT, place) })?;
        }
        result
    }

    /// Where a block lies in the file: the part's first row is not the file's.
    fn select_in_file(&self, space: &Dataspace, block: &Block) -> ObjectResult<()> {
        let mut block = block.clone();
        if let (Some(start), Some(part)) = (block.start.first_mut(), self.part) {
            *start = start.saturating_add(part.first);
        }
        self.select(space, &block)
    }

    fn select(&self, space: &Dataspace, block: &Block) -> ObjectResult<()> {
        if self.shape.is_empty() { Ok(()) } else { space.select(block) }
    }

    /// # Safety
    /// `target` must hold the selected elements of `memory`, as elements of the memory type.
    unsafe fn call(
        &self,
        memory: &Dataspace,
        file: &Dataspace,
        target: *mut c_void,
    ) -> ObjectResult<()> {
        let (mut in_memory, mut in_file) = (memory.raw(), file.raw());
        if self.shape.is_empty() {
            (in_memory, in_file) = (H5S_ALL, H5S_ALL);
        }
        let (dataset, kind) = (self.dataset.raw(), self.node.memory.raw());
        native::within(self.chunk_bytes, || {
            // SAFETY: the caller's promise; all ids are open.
            match unsafe { H5Dread(dataset, kind, in_memory, in_file, H5P_DEFAULT, target) } {
                0.. => Ok(()),
                _ if native::lacked_memory() => {
                    Err(ObjectError::NoMemory("no memory to decode a chunk".to_owned()))
                }
                _ => Err(ObjectError::last()),
            }
        })?;
        Ok(())
    }
}

/// A buffer of zeros, or a reason instead of an abort.
#[allow(clippy::slow_vector_initialization)] // the other ways abort when memory runs out
pub(crate) fn zeroed(elements: u64, size: usize) -> ObjectResult<Vec<u8>> {
    let bytes = usize::try_from(elements).ok().and_then(|n| n.checked_mul(size));
    let mut buffer = Vec::new();
    match bytes {
        Some(bytes) if buffer.try_reserve_exact(bytes).is_ok() => {
            buffer.resize(bytes, 0);
            Ok(buffer)
        }
        _ => {
            let reason = format!("no memory for {elements} elements of {size} bytes at once");
            Err(ObjectError::NoMemory(reason))
        }
    }
}
