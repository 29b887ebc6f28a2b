//! How one dataset is moved: cut into items that any worker can do, in the order of the file.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::geometry;
use super::plan::{Piece, Task};
use super::target::{PIECE, Target, unlocked};
use crate::h5::{ChunkIndex, Dataset, Stored};

/// Bytes of stored chunks that are read at once.
pub const READ: u64 = 1 << 20;
/// Chunks are put together into an item up to so many decoded bytes.
const ITEM: u64 = 4 << 20;
/// Bytes between two chunks that are read along, rather than reading twice.
const GAP: u64 = 16 << 10;
/// Runs shorter than this are copied into a mapping: a write each would cost more.
const SHORT: u64 = 2048;
/// Absent chunks that are filled in one item.
const FILLED: usize = 64;

/// A dataset that workers move together.
#[derive(Debug)]
pub struct Job<'a> {
    /// Which task of the plan.
    pub number: usize,
    /// The task.
    pub task: &'a Task,
    /// The dataset.
    pub dataset: &'a Dataset,
    /// What becomes of it.
    pub pieces: &'a [Piece],
    /// A segment for each.
    pub targets: Vec<Target<'a>>,
    /// Where its bytes are.
    pub source: Source,
    /// The file.
    pub file: Arc<File>,
    next: AtomicUsize,
    given_up: AtomicBool,
    why: Mutex<Option<&'static str>>,
}

/// Where a dataset's bytes are.
#[derive(Debug)]
pub enum Source {
    /// One after the other.
    Contiguous(Contiguous),
    /// In chunks.
    Chunked(Chunked),
}

/// Elements as they lie in the file.
#[derive(Debug)]
pub struct Contiguous {
    /// Where the first one begins.
    pub offset: u64,
    /// How many there are.
    pub elements: u64,
    /// How many an item has.
    pub each: u64,
}

/// Chunks, and how they are grouped.
#[derive(Debug)]
pub struct Chunked {
    /// The chunks.
    pub index: ChunkIndex,
    /// Whether each item is a slab, and has a contiguous range of the dataset to itself.
    pub slabs: bool,
    /// Where each item begins in the stored chunks.
    items: Vec<u32>,
}

/// What one worker does at a time.
#[derive(Debug)]
pub enum Item<'j> {
    /// These elements.
    Elements(Range<u64>),
    /// These chunks, in the order of their addresses or, for a slab, of their numbers.
    Chunks(&'j [Stored]),
    /// These chunks get the fill value.
    Absent(&'j [u64]),
}

impl Source {
    /// The elements of a contiguous dataset.
    pub fn contiguous(dataset: &Dataset, offset: u64) -> Self {
        let elements = dataset.shape.iter().product();
        let each = (PIECE / dataset.element_size.max(1)).max(1);
        Self::Contiguous(Contiguous { offset, elements, each })
    }

    /// The chunks of a chunked one; `None` if there are too many of them.
    pub fn chunked(dataset: &Dataset, pieces: &[Piece], mut index: ChunkIndex) -> Option<Self> {
        let start = vec![0; dataset.shape.len()];
        let (shape, extent) = (&dataset.shape[..], &index.chunk[..]);
        let run = geometry::Part { shape, start: &start, extent }.run();
        let chunks = geometry::chunks_of_slab(&index.grid, extent);
        let widest = pieces.iter().map(Piece::width).max().unwrap_or(0);
        let slabs = run.saturating_mul(widest) < SHORT && chunks > 1;
        let bytes = index.pipeline.chunk_bytes() as u64;
        let slab_of = |stored: &Stored| stored.number / chunks.max(1);
        if slabs {
            // Slabs in the order of the file, as far as each one's chunks lie together.
            index.stored.sort_unstable_by_key(|stored| (slab_of(stored), stored.address));
        }
        let mut items = Vec::new();
        let mut decoded = 0_u64;
        for (at, stored) in index.stored.iter().enumerate() {
            let begins = match at.checked_sub(1).and_then(|before| index.stored.get(before)) {
                None => true,
                Some(before) if slabs => slab_of(before) != slab_of(stored),
                Some(before) => decoded.saturating_add(bytes) > ITEM || !adjoins(before, stored),
            };
            if begins {
                items.push(u32::try_from(at).ok()?);
                decoded = 0;
            }
            decoded = decoded.saturating_add(bytes);
        }
        Some(Self::Chunked(Chunked { index, slabs, items }))
    }

    fn len(&self) -> usize {
        match self {
            Self::Contiguous(all) => {
                usize::try_from(all.elements.div_ceil(all.each)).unwrap_or(usize::MAX)
            }
            Self::Chunked(all) => all.items.len() + all.index.absent.len().div_ceil(FILLED),
        }
    }

    fn item(&self, number: usize) -> Item<'_> {
        match self {
            Self::Contiguous(all) => {
                let first = (number as u64).saturating_mul(all.each);
                Item::Elements(first..first.saturating_add(all.each).min(all.elements))
            }
            Self::Chunked(all) => all.item(number),
        }
    }
}

/// Whether it is worth to read both chunks at once.
pub fn adjoins(before: &Stored, next: &Stored) -> bool {
    let end = before.address.saturating_add(before.size);
    next.address >= end && next.address - end <= GAP
}

impl Chunked {
    fn item(&self, number: usize) -> Item<'_> {
        let Some(&first) = self.items.get(number) else {
            let first = (number - self.items.len()) * FILLED;
            let absent = self.index.absent.get(first..).unwrap_or_default();
            return Item::Absent(&absent[..absent.len().min(FILLED)]);
        };
        let end = self.items.get(number + 1).map_or(self.index.stored.len(), |&next| next as usize);
        Item::Chunks(self.index.stored.get(first as usize..end).unwrap_or_default())
    }
}

impl<'a> Job<'a> {
    /// A job of which nothing is done yet.
    pub fn new(
        (number, task): (usize, &'a Task),
        (dataset, pieces): (&'a Dataset, &'a [Piece]),
        targets: Vec<Target<'a>>,
        (file, source): (Arc<File>, Source),
    ) -> Self {
        let (next, given_up) = (AtomicUsize::new(0), AtomicBool::new(false));
        let why = Mutex::new(None);
        Self { number, task, dataset, pieces, targets, source, file, next, given_up, why }
    }

    /// The next item that nobody does yet.
    pub fn claim(&self) -> Option<Item<'_>> {
        if self.is_given_up() {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.source.len()).then(|| self.source.item(number))
    }

    /// Whether there may be items left.
    pub fn has_more(&self) -> bool {
        !self.is_given_up() && self.next.load(Ordering::Relaxed) < self.source.len()
    }

    /// Leaves the dataset to libhdf5.
    pub fn give_up(&self, why: &'static str) {
        unlocked(&self.why).get_or_insert(why);
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// Whether it is left to libhdf5.
    pub fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Why.
    pub fn why(&self) -> &'static str {
        unlocked(&self.why).unwrap_or("it cannot be decoded")
    }
}
