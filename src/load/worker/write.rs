//! Where elements go once they are read: picked apart into fields, converted, and written to each
//! field's segment, or compared with what is there.

use crate::error::{Error, Kind, Result};
use crate::h5;
use crate::load::plan::Piece;
use crate::shm::segment::segment_writer::{SegmentWriter, Window};

/// Bytes of elements that are picked and converted at a time: they stay in the cache.
const CACHED: usize = 256 << 10;

/// Where the values of each piece go.
pub enum Sink<'s, 'a> {
    /// Written to the segments.
    Targets(&'s [SegmentWriter<'a>]),
    /// Copied into a part of each segment.
    Windows(Vec<Window<'s>>),
    /// Kept, to be written at once.
    Memory(Vec<Vec<u8>>),
    /// Written to the segments through mappings: for many short runs.
    Scattered(&'s [SegmentWriter<'a>]),
    /// Handed on as they are, by the number of the first one.
    Routed(&'s mut dyn FnMut(u64, &[u8]) -> Result<()>),
    /// Compared with the segments.
    Compare(&'s [SegmentWriter<'a>]),
}

/// What picking and converting needs of memory.
#[derive(Debug, Default)]
pub struct Bench {
    picked: Vec<u8>,
    converted: Vec<u8>,
}

impl Sink<'_, '_> {
    /// Takes `elements` of `size` bytes each, which are those of the dataset from `first` on.
    ///
    /// # Errors
    /// [`Kind::NoMemory`] when the shared memory is full.
    pub fn put(
        &mut self,
        pieces: &[Piece],
        bench: &mut Bench,
        size: usize,
        first: u64,
        elements: &[u8],
    ) -> Result<()> {
        if let Self::Routed(route) = self {
            return route(first, elements);
        }
        let at_once = (CACHED / size.max(1)).max(1) * size;
        for (number, piece) in pieces.iter().enumerate() {
            let width = piece.width();
            if piece.is_plain(size as u64) {
                self.write(number, piece, first * width, elements, &mut bench.converted)?;
                continue;
            }
            for (part, elements) in elements.chunks(at_once).enumerate() {
                h5::pick(&piece.leaf, size, elements, &mut bench.picked);
                let first = first + (part * (at_once / size)) as u64;
                let Bench { picked, converted } = bench;
                let mut spare = Vec::new();
                let (bytes, spare) = match &piece.conversion {
                    None => (&*picked, &mut *converted),
                    Some(conversion) => {
                        conversion.apply(picked, converted);
                        (&*converted, &mut spare)
                    }
                };
                self.write(number, piece, first * width, bytes, spare)?;
            }
        }
        Ok(())
    }

    fn write(
        &mut self,
        number: usize,
        piece: &Piece,
        offset: u64,
        bytes: &[u8],
        spare: &mut Vec<u8>,
    ) -> Result<()> {
        let beyond = || Error::new(Kind::Io, "values beyond the end of an array");
        match self {
            Self::Targets(targets) => targets.get(number).ok_or_else(beyond)?.write(offset, bytes),
            Self::Scattered(targets) => {
                targets.get(number).ok_or_else(beyond)?.write_mapped(offset, bytes)
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
            Self::Compare(targets) => {
                match targets.get(number).ok_or_else(beyond)?.holds(offset, bytes, spare)? {
                    true => Ok(()),
                    false => Err(differs(piece)),
                }
            }
        }
    }
}

fn differs(piece: &Piece) -> Error {
    let message = format!("'{}' in memory differs from what HDF5 reads (--verify)", piece.path);
    Error::new(Kind::Io, message)
        .with_subject(piece.path.clone())
        .with_hint("nothing stays of this load; please report it with the file's h5dump -pH")
}
