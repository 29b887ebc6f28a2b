//! Divides the chunks of a dataset into work items, so that every write is long, no two writes overlap, and the
//! file is read in its order.

use hdf5_reader::{ChunkIndex, Stored};

use crate::load::plan::SegmentPlan;
use crate::load::worker::work_item::WorkItem;
use hdf5_reader::hyperslab::{self, Hyperslab};

/// The most decoded bytes of the chunks of one item.
const ITEM: u64 = 4 << 20;
/// The most bytes of stored chunks in one read.
pub(crate) const READ: u64 = 1 << 20;
/// Chunks with at most this many bytes between them are read with one read.
const GAP: u64 = 16 << 10;
/// The number of absent chunks in one item.
const FILLED: usize = 64;

/// The limits that decide how chunks are grouped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Runs of fewer bytes are assembled in memory first, because one write for each would cost more.
    pub short: u64,
    /// The most bytes of a block that is assembled in memory.
    pub block: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { short: 8 << 10, block: 4 << 20 }
    }
}

/// The content of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Grouping {
    /// Chunks, each written run by run.
    Each,
    /// The chunks of a block, which is complete on its last axes and is assembled in memory.
    Blocks {
        /// Extents of a block.
        extent: Vec<u64>,
        /// Chunks of a block.
        chunks: u64,
    },
    /// The chunks of a slab that is too large for a block. They fill a contiguous range of the dataset, which is
    /// mapped.
    Slabs {
        /// Chunks of a slab.
        chunks: u64,
    },
}

/// Chunks, and how they are grouped.
#[derive(Debug)]
pub(crate) struct Chunked {
    /// The chunks.
    pub index: ChunkIndex,
    /// The content of each item.
    pub grouping: Grouping,
    /// Where each item begins in the stored chunks.
    items: Vec<u32>,
    /// Absent chunks that are in no item.
    alone: Vec<u64>,
}

impl Chunked {
    /// Divides the chunks into items. Returns `None` if there are too many chunks.
    pub(crate) fn new(
        segments: &[SegmentPlan],
        mut index: ChunkIndex,
        limits: Limits,
    ) -> Option<Self> {
        let grouping = grouping(segments, &index, limits);
        let group = match grouping {
            Grouping::Each => 0,
            Grouping::Blocks { chunks, .. } | Grouping::Slabs { chunks } => chunks,
        };
        if group > 0 {
            // In the order of the file, if the chunks of each item are adjacent.
            index.stored.sort_unstable_by_key(|stored| (stored.number / group, stored.address));
        }
        let items = items(&index, group)?;
        let absent = std::mem::take(&mut index.absent);
        let (within, alone) = match grouping {
            Grouping::Blocks { chunks, .. } => absent.into_iter().partition(|number| {
                let block = number / chunks;
                let with =
                    index.stored.binary_search_by_key(&block, |stored| stored.number / chunks);
                with.is_ok()
            }),
            _ => (Vec::new(), absent),
        };
        index.absent = within;
        Some(Self { index, grouping, items, alone })
    }

    /// Returns the number of items.
    pub(crate) fn len(&self) -> usize {
        self.items.len() + self.alone.len().div_ceil(FILLED)
    }

    /// Returns an item by its number.
    pub(crate) fn item(&self, number: usize) -> WorkItem<'_> {
        let Some(&first) = self.items.get(number) else {
            let first = (number - self.items.len()) * FILLED;
            let absent = self.alone.get(first..).unwrap_or_default();
            return WorkItem::Absent(&absent[..absent.len().min(FILLED)]);
        };
        let end = self.items.get(number + 1).map_or(self.index.stored.len(), |&next| next as usize);
        let stored = self.index.stored.get(first as usize..end).unwrap_or_default();
        match (&self.grouping, stored.first()) {
            (Grouping::Blocks { chunks, .. }, Some(one)) => {
                let (block, absent) = (one.number / chunks, &self.index.absent);
                let from = absent.partition_point(|number| number / chunks < block);
                let to = absent.partition_point(|number| number / chunks <= block);
                WorkItem::Block(stored, &absent[from..to])
            }
            _ => WorkItem::Chunks(stored),
        }
    }
}

/// Returns the bytes of one element in all segments.
fn width(segments: &[SegmentPlan]) -> u64 {
    segments.iter().map(SegmentPlan::width).fold(0, u64::saturating_add)
}

fn grouping(segments: &[SegmentPlan], index: &ChunkIndex, limits: Limits) -> Grouping {
    let (shape, chunk) = (&index.shape[..], &index.chunk[..]);
    let widest = segments.iter().map(SegmentPlan::width).max().unwrap_or(0);
    let start = vec![0; shape.len()];
    let run =
        |extent: &[u64]| Hyperslab { shape, start: &start, extent }.run().saturating_mul(widest);
    if run(chunk) >= limits.short {
        return Grouping::Each;
    }
    let mut extent = chunk.to_vec();
    for axis in (0..shape.len()).rev() {
        extent[axis] = shape[axis];
        let elements = extent.iter().copied().fold(1, u64::saturating_mul);
        if elements.saturating_mul(width(segments)) > limits.block {
            break;
        }
        if axis == 0 || run(&extent) >= limits.short {
            let chunks = index.grid[axis..].iter().product();
            return if chunks > 1 { Grouping::Blocks { extent, chunks } } else { Grouping::Each };
        }
    }
    match hyperslab::chunks_of_slab(&index.grid, chunk) {
        chunks if chunks > 1 => Grouping::Slabs { chunks },
        _ => Grouping::Each,
    }
}

/// Returns the start of each item, or `None` if there are too many chunks. Each `group` chunks are in one item.
fn items(index: &ChunkIndex, group: u64) -> Option<Vec<u32>> {
    let bytes = index.pipeline.chunk_bytes() as u64;
    let (mut items, mut decoded) = (Vec::new(), 0_u64);
    for (at, stored) in index.stored.iter().enumerate() {
        let begins = match at.checked_sub(1).and_then(|before| index.stored.get(before)) {
            None => true,
            Some(before) if group > 0 => before.number / group != stored.number / group,
            Some(before) => decoded.saturating_add(bytes) > ITEM || !adjoins(before, stored),
        };
        if begins {
            items.push(u32::try_from(at).ok()?);
            decoded = 0;
        }
        decoded = decoded.saturating_add(bytes);
    }
    Some(items)
}

/// Whether one read of both chunks costs less than two.
pub(crate) fn adjoins(before: &Stored, next: &Stored) -> bool {
    let end = before.address.saturating_add(before.size);
    next.address >= end && next.address - end <= GAP
}
