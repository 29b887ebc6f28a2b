//! The bytes of a dataset in its file: those of one segment, or of several as the fields of its elements.

use std::sync::Arc;

use hdf5_reader::FieldOrder;

use crate::error::Result;
use crate::shm::segment::published::PublishedSegment;

/// Bytes per read and write. A block remains in the cache of the processor in between.
pub(super) const BLOCK_BYTES: usize = 1 << 20;

/// The bytes of a dataset. Several threads can read them at the same time.
#[derive(Debug)]
pub(super) enum Source {
    /// The bytes of one segment.
    Segment(Arc<PublishedSegment>),
    /// One segment per field.
    Fields(FieldOrder, Vec<Arc<PublishedSegment>>),
}

impl Source {
    /// Size of the dataset in bytes.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Segment(segment) => segment.bytes(),
            Self::Fields(field_order, _) => field_order.bytes(),
        }
    }

    /// Offsets and lengths of reads are multiples of this number of bytes.
    pub(super) fn item(&self) -> usize {
        match self {
            Self::Segment(_) => 1,
            Self::Fields(field_order, _) => field_order.size().max(1),
        }
    }

    /// Reads the bytes from `offset` on. `field` is a buffer for the values of one field.
    ///
    /// # Errors
    /// Returns an I/O error if a segment cannot be read.
    pub(super) fn read_at(&self, offset: u64, into: &mut [u8], field: &mut Vec<u8>) -> Result<()> {
        let (field_order, segments) = match self {
            Self::Segment(segment) => return segment.read_at(offset, into),
            Self::Fields(field_order, segments) => (field_order, segments),
        };
        // Bytes between the fields are zero.
        into.fill(0);
        let (first, count) = (offset / self.item() as u64, into.len() / self.item());
        for (number, segment) in segments.iter().enumerate() {
            let width = field_order.width(number);
            field.resize(count * width, 0);
            segment.read_at(first * width as u64, field)?;
            field_order.put(number, field, into);
        }
        Ok(())
    }
}
