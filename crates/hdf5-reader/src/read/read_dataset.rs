//! Reads datasets with libhdf5, block by block: plain ones directly into their buffer, others through a bounded
//! buffer from which each field is copied.

use super::blocks::{Block, Blocks};
use crate::dataset::{Dataset, Part};
use crate::error::{ObjectError, ObjectResult, damaged};
use crate::external_files::Files;
use crate::ffi::dataspace::Dataspace;
use crate::ffi::elements::{ElementBuffer, Elements};
use crate::ffi::ids::Id;
use crate::ffi::{dataset, decoders};
use crate::types::element_type::{ElementClass, ElementType};
use crate::types::field_layout::{Content, Field};
use crate::types::fields;

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

/// Reads all arrays of a dataset: see [`crate::Inventory::read`].
pub(crate) fn read(
    files: &Files,
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
    let id = dataset.place.open(files)?;
    let chunk = dataset.storage.chunk.as_deref();
    let reading = Reading::new(&id, &dataset.place.node, &dataset.shape, dataset.part, chunk)?;
    match (&leaves[..], sinks) {
        ([leaf], [sink]) if is_plain(&dataset.place.node) && leaf.content == Content::Value => {
            reading.fill(sink, progress)
        }
        (leaves, sinks) => reading.fill_all(leaves, sinks, progress),
    }
}

/// Passes the blocks of a dataset to `visit` until that returns `false`: see [`crate::Inventory::visit`].
pub(crate) fn visit(
    files: &Files,
    dataset: &Dataset,
    visit: &mut dyn FnMut(&Block, Elements<'_>) -> bool,
) -> ObjectResult<()> {
    if dataset.shape.contains(&0) {
        return Ok(());
    }
    let id = dataset.place.open(files)?;
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
            Some(chunk) => dataset::datatype(dataset)
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
        dataset::space(self.dataset)
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
        let size = self.node.size as u64;
        // A string takes about this many times the bytes of its pointer: in libhdf5, in the heap, and as a handle.
        let bytes = if self.node.has_pointers() { size.saturating_mul(8) } else { size };
        Blocks::new(self.shape, self.chunk, bytes).starting_at(first)
    }

    fn fill(&self, sink: &mut [u8], progress: &mut dyn FnMut(u64)) -> ObjectResult<()> {
        let file = self.space()?;
        let memory = match self.part {
            Some(_) => Dataspace::simple(self.shape)?,
            None => self.space()?,
        };
        let size = self.node.size as u64;
        for block in self.blocks() {
            self.select_in_file(&file, &block)?;
            self.select(&memory, &block)?;
            self.call(|| dataset::read(self.dataset, &self.node.memory, (&memory, &file), sink))?;
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
                let place = (&block.start[..], &block.count[..]);
                fields::scatter(leaf, self.node.size, self.shape, place, elements, sink);
            }
            progress(block.elements().saturating_mul(per_element));
            Ok(())
        })
    }

    /// Reads every block, and passes it to `visit`.
    pub(crate) fn each_block(
        &self,
        mut visit: impl FnMut(&Block, Elements<'_>) -> ObjectResult<()>,
    ) -> ObjectResult<()> {
        self.each_block_if(|_| true, &mut visit)
    }

    /// The same, but only for some of the blocks.
    pub(crate) fn each_block_if(
        &self,
        wanted: impl Fn(&Block) -> bool,
        mut visit: impl FnMut(&Block, Elements<'_>) -> ObjectResult<()>,
    ) -> ObjectResult<()> {
        for block in self.blocks().filter(wanted) {
            self.visit_block(&block, &mut visit)?;
        }
        Ok(())
    }

    /// Reads the first element alone.
    pub(crate) fn first(
        &self,
        mut visit: impl FnMut(&Block, Elements<'_>) -> ObjectResult<()>,
    ) -> ObjectResult<()> {
        let (start, count) = (vec![0; self.shape.len()], vec![1; self.shape.len()]);
        self.visit_block(&Block { start, count }, &mut visit)
    }

    fn visit_block(
        &self,
        block: &Block,
        visit: &mut impl FnMut(&Block, Elements<'_>) -> ObjectResult<()>,
    ) -> ObjectResult<()> {
        let file = self.space()?;
        self.select_in_file(&file, block)?;
        let memory = match block.count[..] {
            [] => Dataspace::scalar()?,
            _ => Dataspace::simple(&block.count)?,
        };
        let kind = &self.node.memory;
        let read: ElementBuffer =
            self.call(|| dataset::read_elements(self.dataset, kind, (&memory, &file)))?;
        visit(block, read.elements())
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
        if self.shape.is_empty() { Ok(()) } else { space.select(&block.start, &block.count) }
    }

    /// Calls libhdf5. The codecs of this program refuse chunks that are larger than those of the dataset.
    fn call<T>(&self, read: impl FnOnce() -> ObjectResult<T>) -> ObjectResult<T> {
        decoders::within(self.chunk_bytes, || match read() {
            Err(ObjectError::Library(_)) if decoders::lacked_memory() => {
                Err(ObjectError::NoMemory("no memory to decode a chunk".to_owned()))
            }
            result => result,
        })
    }
}
