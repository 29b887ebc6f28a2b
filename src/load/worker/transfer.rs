//! How one dataset is moved: cut into items that any worker can do, in the order of the file.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hdf5_reader::{Dataset, Stored};

use crate::load::plan::{SegmentPlan, Task};
use crate::load::worker::chunked::Chunked;
use crate::load::worker::read::ReadError;
use crate::load::worker::virtual_dataset::VirtualTransfer;
use crate::os::threads::lock_ignoring_poison;
use crate::shm::segment::segment_writer::{BLOCK_BYTES, SegmentWriter};

/// A dataset that workers move together.
#[derive(Debug)]
pub struct Transfer<'a> {
    /// Which task of the plan.
    pub number: usize,
    /// The task.
    pub task: &'a Task,
    /// The dataset.
    pub dataset: &'a Dataset,
    /// What becomes of it.
    pub segments: &'a [SegmentPlan],
    /// A segment for each.
    pub writers: Vec<SegmentWriter<'a>>,
    /// Where its bytes are.
    pub source: DataSource,
    /// The file.
    pub file: Arc<File>,
    next: AtomicUsize,
    /// For a virtual dataset, which has no items of its own.
    pub virtual_transfer: Option<VirtualTransfer<'a>>,
    given_up: AtomicBool,
    error: Mutex<Option<ReadError>>,
}

/// Where a dataset's bytes are.
#[derive(Debug)]
pub enum DataSource {
    /// One after the other.
    Contiguous(Contiguous),
    /// In chunks.
    Chunked(Box<Chunked>),
    /// Nowhere: every element is the fill value.
    Unwritten(Unwritten),
}

/// Elements that were never written.
#[derive(Debug)]
pub struct Unwritten {
    /// One of them.
    pub fill: Vec<u8>,
    /// How many have to be written: none if they are zero, as new memory is.
    elements: u64,
    each: u64,
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

/// What one worker does at a time.
#[derive(Debug)]
pub enum WorkItem<'j> {
    /// These elements.
    Elements(Range<u64>),
    /// These chunks, in the order of their addresses.
    Chunks(&'j [Stored]),
    /// These chunks and those that get the fill value, which together are one block.
    Block(&'j [Stored], &'j [u64]),
    /// These chunks get the fill value.
    Absent(&'j [u64]),
}

impl DataSource {
    /// The elements of a contiguous dataset.
    pub fn contiguous(dataset: &Dataset, offset: u64) -> Self {
        let elements = dataset.shape.iter().product();
        let each = (BLOCK_BYTES / dataset.element_size.max(1)).max(1);
        Self::Contiguous(Contiguous { offset, elements, each })
    }

    /// Elements that were never written, each of them `fill`.
    pub fn unwritten(dataset: &Dataset, fill: Vec<u8>) -> Self {
        let is_zero = fill.iter().all(|&byte| byte == 0);
        let elements = if is_zero { 0 } else { dataset.shape.iter().product() };
        let each = (BLOCK_BYTES / dataset.element_size.max(1)).max(1);
        Self::Unwritten(Unwritten { fill, elements, each })
    }

    fn len(&self) -> usize {
        let count = |elements: u64, each| usize::try_from(elements.div_ceil(each));
        match self {
            Self::Unwritten(all) => count(all.elements, all.each).unwrap_or(usize::MAX),
            Self::Contiguous(all) => count(all.elements, all.each).unwrap_or(usize::MAX),
            Self::Chunked(all) => all.len(),
        }
    }

    fn item(&self, number: usize) -> WorkItem<'_> {
        let elements = |elements: u64, each: u64| {
            let first = (number as u64).saturating_mul(each);
            WorkItem::Elements(first..first.saturating_add(each).min(elements))
        };
        match self {
            Self::Contiguous(all) => elements(all.elements, all.each),
            Self::Unwritten(all) => elements(all.elements, all.each),
            Self::Chunked(all) => all.item(number),
        }
    }
}

impl<'a> Transfer<'a> {
    /// A transfer of which nothing is done yet.
    pub fn new(
        (number, task): (usize, &'a Task),
        (dataset, segments): (&'a Dataset, &'a [SegmentPlan]),
        writers: Vec<SegmentWriter<'a>>,
        (file, source): (Arc<File>, DataSource),
    ) -> Self {
        let (next, given_up) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (error, virtual_transfer) = (Mutex::new(None), None);
        Self {
            number,
            task,
            dataset,
            segments,
            writers,
            source,
            file,
            next,
            virtual_transfer,
            given_up,
            error,
        }
    }

    /// A transfer for a virtual dataset, which has no items of its own.
    pub fn virtual_dataset(
        task: (usize, &'a Task),
        dataset: (&'a Dataset, &'a [SegmentPlan]),
        writers: Vec<SegmentWriter<'a>>,
        (file, virtual_transfer): (Arc<File>, VirtualTransfer<'a>),
    ) -> Self {
        let source = DataSource::Contiguous(Contiguous { offset: 0, elements: 0, each: 1 });
        let virtual_transfer = Some(virtual_transfer);
        Self { virtual_transfer, ..Self::new(task, dataset, writers, (file, source)) }
    }

    /// The next item that nobody does yet.
    pub fn claim(&self) -> Option<WorkItem<'_>> {
        if self.is_given_up() {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.source.len()).then(|| self.source.item(number))
    }

    /// Whether there may be items left.
    pub fn has_more(&self) -> bool {
        if let Some(virtual_transfer) = &self.virtual_transfer {
            return virtual_transfer.has_more();
        }
        !self.is_given_up() && self.next.load(Ordering::Relaxed) < self.source.len()
    }

    /// Ends the transfer without a result. Damage overrides every other reason.
    pub fn give_up(&self, reason: ReadError) {
        let mut error = lock_ignoring_poison(&self.error);
        if error.is_none() || matches!(reason, ReadError::Damaged(_)) {
            *error = Some(reason);
        }
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// Whether it ended without a result.
    pub fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Takes the reason why it has no result.
    pub fn error(&self) -> Option<ReadError> {
        lock_ignoring_poison(&self.error).take()
    }
}
