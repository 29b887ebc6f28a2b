//! The transfer of one dataset, divided into work items that any worker can take, in the order of the file.

use std::fs::File;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hdf5_reader::Dataset;

use crate::load::plan::{SegmentPlan, Task};
use crate::load::worker::chunked::Chunked;
use crate::load::worker::read_error::ReadError;
use crate::load::worker::virtual_dataset::VirtualTransfer;
use crate::load::worker::work_item::WorkItem;
use crate::os::threads::lock_ignoring_poison;
use crate::shm::segment::segment_writer::{BLOCK_BYTES, SegmentWriter};

/// A dataset that several workers transfer.
#[derive(Debug)]
pub struct Transfer<'a> {
    /// The number of the task in the plan.
    pub number: usize,
    /// The task.
    pub task: &'a Task,
    /// The dataset.
    pub dataset: &'a Dataset,
    /// Its planned segments.
    pub segments: &'a [SegmentPlan],
    /// A writer for each segment.
    pub writers: Vec<SegmentWriter<'a>>,
    /// The location of its bytes.
    pub source: DataSource,
    /// The file.
    pub file: Arc<File>,
    next: AtomicUsize,
    /// The sources of a virtual dataset, which has no work items of its own.
    pub sources: Option<VirtualTransfer<'a>>,
    given_up: AtomicBool,
    error: Mutex<Option<ReadError>>,
}

/// The location of a dataset's bytes.
#[derive(Debug)]
pub enum DataSource {
    /// A contiguous range of the file.
    Contiguous(Contiguous),
    /// Chunks.
    Chunked(Box<Chunked>),
    /// None: every element is the fill value.
    Unwritten(Unwritten),
}

/// Elements that were never written.
#[derive(Debug)]
pub struct Unwritten {
    /// The bytes of one element.
    pub fill: Vec<u8>,
    /// The number of elements to write: 0 if they are zero, as new memory is.
    elements: u64,
    each: u64,
}

/// Elements in a contiguous range of the file.
#[derive(Debug)]
pub struct Contiguous {
    /// The address of the first one.
    pub offset: u64,
    /// Their number.
    pub elements: u64,
    /// The number of elements of a work item.
    pub each: u64,
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
        let (error, sources) = (Mutex::new(None), None);
        Self {
            number,
            task,
            dataset,
            segments,
            writers,
            source,
            file,
            next,
            sources,
            given_up,
            error,
        }
    }

    /// A transfer for a virtual dataset, which has no items of its own.
    pub fn virtual_dataset(
        task: (usize, &'a Task),
        dataset: (&'a Dataset, &'a [SegmentPlan]),
        writers: Vec<SegmentWriter<'a>>,
        (file, sources): (Arc<File>, VirtualTransfer<'a>),
    ) -> Self {
        let source = DataSource::Contiguous(Contiguous { offset: 0, elements: 0, each: 1 });
        let sources = Some(sources);
        Self { sources, ..Self::new(task, dataset, writers, (file, source)) }
    }

    /// Takes the next work item.
    pub fn claim(&self) -> Option<WorkItem<'_>> {
        if self.is_given_up() {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.source.len()).then(|| self.source.item(number))
    }

    /// Whether there are work items that no worker has taken.
    pub fn has_more(&self) -> bool {
        if let Some(sources) = &self.sources {
            return sources.has_more();
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
