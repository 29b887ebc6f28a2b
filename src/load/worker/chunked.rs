//! How the chunks of a dataset are shared out: so that every write is long, no two overlap, and the file is
//! read in its order.

use hdf5_reader::{ChunkIndex, Stored};

use crate::load::plan::SegmentPlan;
use crate::load::worker::work_item::WorkItem;
use hdf5_reader::hyperslab::{self, Hyperslab};

/// Chunks are put together into an item up to so many decoded bytes.
const ITEM: u64 = 4 << 20;
/// Bytes of stored chunks that are read at once.
pub const READ: u64 = 1 << 20;
/// Bytes between two chunks that are read along, rather than reading twice.
const GAP: u64 = 16 << 10;
/// Absent chunks that are filled in one item.
const FILLED: usize = 64;

/// What decides how chunks are grouped.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Runs of bytes shorter than this are put together first: a write each would cost more.
    pub short: u64,
    /// Bytes of a block that is put together in memory.
    pub block: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { short: 8 << 10, block: 4 << 20 }
    }
}

/// What an item is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grouping {
    /// Chunks, each written run by run.
    Each,
    /// The chunks of a block: whole on its last axes, and put together in memory.
    Blocks {
        /// Extents of a block.
        extent: Vec<u64>,
        /// Chunks of a block.
        chunks: u64,
    },
    /// The chunks of a slab, too large for that: it has a contiguous range of the dataset to itself, which
    /// is mapped.
    Slabs {
        /// Chunks of a slab.
        chunks: u64,
    },
}

/// Chunks, and how they are grouped.
#[derive(Debug)]
pub struct Chunked {
    /// The chunks.
    pub index: ChunkIndex,
    /// What an item is.
    pub grouping: Grouping,
    /// Where each item begins in the stored chunks.
    items: Vec<u32>,
    /// Absent chunks that are in no item.
    alone: Vec<u64>,
}

impl Chunked {
    /// Shares out the chunks; `None` if there are too many of them.
    pub fn new(segments: &[SegmentPlan], mut index: ChunkIndex, limits: Limits) -> Option<Self> {
        let grouping = grouping(segments, &index, limits);
        let group = match grouping {
            Grouping::Each => 0,
            Grouping::Blocks { chunks, .. } | Grouping::Slabs { chunks } => chunks,
        };
        if group > 0 {
            // In the order of the file, as far as each one's chunks lie together.
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

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.items.len() + self.alone.len().div_ceil(FILLED)
    }

    /// One of them.
    pub fn item(&self, number: usize) -> WorkItem<'_> {
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

/// The bytes that all pieces have of an element.
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

/// Where each item begins; `None` if there are too many chunks. `group` chunks stay together.
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

/// Whether it is worth to read both chunks at once.
pub fn adjoins(before: &Stored, next: &Stored) -> bool {
    let end = before.address.saturating_add(before.size);
    next.address >= end && next.address - end <= GAP
}
