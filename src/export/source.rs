//! The bytes of a dataset as its file has them: those of one segment, or of several side by side as
//! the fields of its elements.

use std::sync::Arc;

use hdf5_reader::FieldOrder;

use crate::error::Result;
use crate::shm::segment::published::PublishedSegment;

/// Where a dataset's bytes come from; any thread can read any part.
#[derive(Debug)]
pub(super) enum Source {
    /// One segment, byte for byte.
    Segment(Arc<PublishedSegment>),
    /// One segment for each field.
    Fields(FieldOrder, Vec<Arc<PublishedSegment>>),
}

impl Source {
    /// Bytes of the dataset.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Segment(segment) => segment.bytes(),
            Self::Fields(layout, _) => layout.bytes(),
        }
    }

    /// Bytes that only come together.
    pub(super) fn item(&self) -> usize {
        match self {
            Self::Segment(_) => 1,
            Self::Fields(layout, _) => layout.size().max(1),
        }
    }

    /// Reads from `offset` on, whole items; `field` is room for one field's values.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn read_at(&self, offset: u64, into: &mut [u8], field: &mut Vec<u8>) -> Result<()> {
        let (layout, segments) = match self {
            Self::Segment(segment) => return segment.read_at(offset, into),
            Self::Fields(layout, segments) => (layout, segments),
        };
        // What no field covers is zero in the file.
        into.fill(0);
        let (first, count) = (offset / self.item() as u64, into.len() / self.item());
        for (number, segment) in segments.iter().enumerate() {
            let width = layout.width(number);
            field.resize(count * width, 0);
            segment.read_at(first * width as u64, field)?;
            layout.put(number, field, into);
        }
        Ok(())
    }
}
