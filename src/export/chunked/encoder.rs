//! Encodes the chunks of a dataset: gathers the elements, and applies shuffle and deflate.

use libdeflater::{CompressionLvl, Compressor};

use super::grid::ChunkGrid;
use super::shuffle::shuffle;
use crate::error::{Error, Kind, Result};
use crate::export::source::Source;

/// The bit of deflate, the second filter, in the mask of filters that were not applied to a chunk.
const NOT_DEFLATED: u32 = 1 << 1;

/// A chunk as the file stores it.
pub(super) struct EncodedChunk {
    /// Index of its first element.
    pub(super) start: Vec<u64>,
    /// The mask of filters that were not applied.
    pub(super) filter_mask: u32,
    pub(super) bytes: Vec<u8>,
}

/// The buffers of one thread.
pub(super) struct ChunkEncoder<'a> {
    source: &'a Source,
    grid: &'a ChunkGrid,
    /// `None` without compression.
    compressor: Option<Compressor>,
    plain: Vec<u8>,
    field: Vec<u8>,
    shuffled: Vec<u8>,
}

impl<'a> ChunkEncoder<'a> {
    /// Allocates the buffers. Without a `level`, chunks are neither shuffled nor compressed.
    pub(super) fn new(source: &'a Source, grid: &'a ChunkGrid, level: Option<u8>) -> Self {
        let level = level.map(|level| CompressionLvl::new(i32::from(level)).unwrap_or_default());
        let bytes = grid.chunk_bytes();
        let shuffled = vec![0; if level.is_some() { bytes } else { 0 }];
        let (plain, field) = (vec![0; bytes], Vec::new());
        Self { source, grid, compressor: level.map(Compressor::new), plain, field, shuffled }
    }

    /// Encodes chunk `number`.
    ///
    /// # Errors
    /// Returns an I/O error if a segment cannot be read or the chunk cannot be compressed.
    pub(super) fn encode(&mut self, number: u64) -> Result<EncodedChunk> {
        let start = self.grid.start(number);
        let Self { source, grid, plain, field, .. } = self;
        plain.fill(0);
        grid.gather(&start, |offset, range| {
            let Some(part) = plain.get_mut(range) else {
                return Err(Error::new(Kind::Io, "a chunk is larger than the address space"));
            };
            source.read_at(offset, part, field)
        })?;
        let Some(compressor) = &mut self.compressor else {
            let bytes = self.plain.clone();
            return Ok(EncodedChunk { start, filter_mask: 0, bytes });
        };
        shuffle(&self.plain, self.grid.item, &mut self.shuffled);
        let mut bytes = vec![0; compressor.zlib_compress_bound(self.shuffled.len())];
        let length = compressor
            .zlib_compress(&self.shuffled, &mut bytes)
            .map_err(|e| Error::new(Kind::Io, format!("cannot compress a chunk: {e}")))?;
        if length >= self.shuffled.len() {
            let bytes = self.shuffled.clone();
            return Ok(EncodedChunk { start, filter_mask: NOT_DEFLATED, bytes });
        }
        bytes.truncate(length);
        Ok(EncodedChunk { start, filter_mask: 0, bytes })
    }
}
