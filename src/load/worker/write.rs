//! Writes elements to their destination: selects the fields, converts the values, and writes them to the segment of
//! each field, or compares them with it.

use hdf5_reader::Elements;

use crate::error::{Error, Kind, Result};
use crate::load::plan::SegmentPlan;
use crate::shm::segment::segment_writer::{CACHED_BYTES, SegmentWriter, Window};

/// The destination of the values of each segment.
pub(crate) enum Destination<'s, 'a> {
    /// Written to the segments.
    Segments(&'s [SegmentWriter<'a>]),
    /// Copied into a part of each segment.
    Windows(Vec<Window<'s>>),
    /// Kept in memory, to be written with one call.
    Memory(Vec<Vec<u8>>),
    /// Written to the segments through mappings: for many short runs.
    Scattered(&'s [SegmentWriter<'a>]),
    /// Passed to a function unchanged, with the number of the first element.
    Routed(&'s mut dyn FnMut(u64, Elements<'_>) -> Result<()>),
    /// Compared with the segments.
    Compare(&'s [SegmentWriter<'a>]),
}

/// The buffers for selected and converted values.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    picked: Vec<u8>,
    converted: Vec<u8>,
}

impl Destination<'_, '_> {
    /// Writes `elements` of `size` bytes each: those of the dataset from `first` on.
    ///
    /// # Errors
    /// Returns [`Kind::NoMemory`] if the shared memory is full, and [`Kind::Io`] if compared values differ.
    pub(crate) fn put(
        &mut self,
        segments: &[SegmentPlan],
        scratch: &mut Scratch,
        size: usize,
        first: u64,
        elements: Elements<'_>,
    ) -> Result<()> {
        if let Self::Routed(route) = self {
            return route(first, elements);
        }
        let at_once = (CACHED_BYTES / size.max(1)).max(1) * size;
        for (number, segment) in segments.iter().enumerate() {
            let width = segment.width();
            if segment.is_plain(size as u64) {
                let bytes = elements.bytes();
                self.write(number, segment, first * width, bytes, &mut scratch.converted)?;
                continue;
            }
            for (part, elements) in elements.chunks(at_once).enumerate() {
                hdf5_reader::pick(&segment.leaf, size, elements, &mut scratch.picked);
                let first = first + (part * (at_once / size)) as u64;
                let Scratch { picked, converted } = scratch;
                let mut spare = Vec::new();
                let (bytes, spare) = match &segment.conversion {
                    None => (&*picked, &mut *converted),
                    Some(conversion) => {
                        conversion.apply(picked, converted);
                        (&*converted, &mut spare)
                    }
                };
                self.write(number, segment, first * width, bytes, spare)?;
            }
        }
        Ok(())
    }

    fn write(
        &mut self,
        number: usize,
        segment: &SegmentPlan,
        offset: u64,
        bytes: &[u8],
        spare: &mut Vec<u8>,
    ) -> Result<()> {
        let beyond = || Error::new(Kind::Io, "values beyond the end of an array");
        match self {
            Self::Segments(writers) => writers.get(number).ok_or_else(beyond)?.write(offset, bytes),
            Self::Scattered(writers) => {
                writers.get(number).ok_or_else(beyond)?.write_mapped(offset, bytes)
            }
            Self::Routed(_) => Err(beyond()),
            Self::Windows(windows) => {
                windows.get_mut(number).ok_or_else(beyond)?.write(offset, bytes)
            }
            Self::Memory(buffers) => {
                let start = usize::try_from(offset).map_err(|_| beyond())?;
                let buffer = buffers.get_mut(number).and_then(|buffer| buffer.get_mut(start..));
                let place = buffer.and_then(|rest| rest.get_mut(..bytes.len()));
                place.ok_or_else(beyond)?.copy_from_slice(bytes);
                Ok(())
            }
            Self::Compare(writers) => {
                match writers.get(number).ok_or_else(beyond)?.holds(offset, bytes, spare)? {
                    true => Ok(()),
                    false => Err(differs(segment)),
                }
            }
        }
    }
}

fn differs(segment: &SegmentPlan) -> Error {
    let message =
        format!("'{}' in memory differs from the data that HDF5 reads (--verify)", segment.path);
    Error::new(Kind::Io, message).with_subject(segment.path.clone()).with_hint(
        "all segments of this load were removed; report it with the output of 'h5dump -pH FILE'",
    )
}
