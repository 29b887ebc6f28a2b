//! The unit of work of a worker.

use std::ops::Range;

use hdf5_reader::Stored;

/// The unit of work of a worker.
#[derive(Debug)]
pub(crate) enum WorkItem<'j> {
    /// These elements.
    Elements(Range<u64>),
    /// These chunks, in the order of their addresses.
    Chunks(&'j [Stored]),
    /// These chunks and those that get the fill value, which together are one block.
    Block(&'j [Stored], &'j [u64]),
    /// These chunks get the fill value.
    Absent(&'j [u64]),
}
