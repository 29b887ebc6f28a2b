//! The inner loops of a load, for `benches/kernels.rs`; nothing that users may rely on.

use super::codec::{Decoder, Pipeline, Refused, kernels};
use super::{Filter, Leaf};
use crate::error::{Error, Kind, Result};

/// Puts elements of `size` bytes back together from their first bytes, second bytes, and so on.
pub fn unshuffle(size: usize, source: &[u8], target: &mut [u8]) {
    kernels::unshuffle(size, source, target);
}

/// The same for bits; both slices hold the same whole groups of eight elements, `planes` is room.
///
/// # Errors
/// [`Kind::NoMemory`] if there is no memory for `planes`.
pub fn unbitshuffle(
    size: usize,
    source: &[u8],
    planes: &mut Vec<u8>,
    target: &mut [u8],
) -> Result<()> {
    kernels::untranspose(size, source, planes, target).map_err(error)
}

/// Picks a field out of `elements` of `size` bytes each.
pub fn pick(leaf: &Leaf, size: usize, elements: &[u8], target: &mut Vec<u8>) {
    super::pick(leaf, size, elements, target);
}

/// Undoes one filter after the other, with memory of its own.
#[derive(Debug)]
pub struct Chunks(Pipeline, Decoder, Vec<u8>);

impl Chunks {
    /// For chunks of so many decoded bytes.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for a filter that only libhdf5 can undo.
    pub fn new(filters: &[Filter], bytes: u64) -> Result<Self> {
        let pipeline = Pipeline::new(filters, bytes)
            .ok_or_else(|| Error::new(Kind::Unsupported, "a filter that is not known here"))?;
        Ok(Self(pipeline, Decoder::default(), Vec::new()))
    }

    /// The decoded bytes of a stored chunk.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] for damaged data.
    pub fn decode(&mut self, stored: &[u8]) -> Result<&[u8]> {
        let Self(pipeline, decoder, target) = self;
        let done = pipeline.decode(decoder, 0, (stored, usize::MAX), target);
        done.map_err(error)?;
        Ok(target)
    }
}

fn error(refused: Refused) -> Error {
    match refused {
        Refused::Unknown(why) => Error::new(Kind::Unsupported, why),
        Refused::Damaged(why) => Error::new(Kind::Corrupt, why),
        Refused::NoMemory => Error::new(Kind::NoMemory, "not enough memory for a chunk"),
    }
}
