//! The two ends of a transfer: the bytes of a dataset in its file, and its segments.

use std::fs::File;
use std::sync::Arc;

use hdf5_reader::Dataset;

use crate::load::plan::SegmentPlan;
use crate::load::worker::chunked::Chunked;
use crate::load::worker::work_item::WorkItem;
use crate::shm::segment::segment_writer::{BLOCK_BYTES, SegmentWriter};

/// The source and the destination of a transfer.
#[derive(Debug)]
pub(crate) struct Endpoints<'a> {
    /// The dataset.
    pub dataset: &'a Dataset,
    /// Its planned segments.
    pub segments: &'a [SegmentPlan],
    /// A writer for each segment; none if the elements go elsewhere.
    pub writers: Vec<SegmentWriter<'a>>,
    /// The file.
    pub file: Arc<File>,
    /// The location of the bytes in the file.
    pub source: DataSource,
}

/// The location of a dataset's bytes.
#[derive(Debug)]
pub(crate) enum DataSource {
    /// A contiguous range of the file.
    Contiguous(Contiguous),
    /// Chunks.
    Chunked(Box<Chunked>),
    /// None: every element is the fill value.
    Unwritten(Unwritten),
}

/// Elements that were never written.
#[derive(Debug)]
pub(crate) struct Unwritten {
    /// The bytes of one element.
    pub fill: Vec<u8>,
    /// The number of elements to write: 0 if they are zero, as new memory is.
    elements: u64,
    each: u64,
}

/// Elements in a contiguous range of the file.
#[derive(Debug)]
pub(crate) struct Contiguous {
    /// The address of the first one.
    pub offset: u64,
    /// Their number.
    pub elements: u64,
    /// The number of elements of a work item.
    pub each: u64,
}

impl DataSource {
    /// The elements of a contiguous dataset.
    pub(crate) fn contiguous(dataset: &Dataset, offset: u64) -> Self {
        let elements = dataset.shape.iter().product();
        let each = (BLOCK_BYTES / dataset.element_size.max(1)).max(1);
        Self::Contiguous(Contiguous { offset, elements, each })
    }

    /// Elements that were never written, each of them `fill`.
    pub(crate) fn unwritten(dataset: &Dataset, fill: Vec<u8>) -> Self {
        let is_zero = fill.iter().all(|&byte| byte == 0);
        let elements = if is_zero { 0 } else { dataset.shape.iter().product() };
        let each = (BLOCK_BYTES / dataset.element_size.max(1)).max(1);
        Self::Unwritten(Unwritten { fill, elements, each })
    }

    /// The number of work items.
    pub(crate) fn len(&self) -> usize {
        let count = |elements: u64, each| usize::try_from(elements.div_ceil(each));
        match self {
            Self::Unwritten(all) => count(all.elements, all.each).unwrap_or(usize::MAX),
            Self::Contiguous(all) => count(all.elements, all.each).unwrap_or(usize::MAX),
            Self::Chunked(all) => all.len(),
        }
    }

    /// The work item with this number.
    pub(crate) fn item(&self, number: usize) -> WorkItem<'_> {
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
