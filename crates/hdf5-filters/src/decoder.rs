//! The buffers and decompressors of one thread.

use crate::buffer::check_room;
use crate::error::{Decoded, Error};

const DEFLATE_DAMAGED: Error = Error::Corrupt("deflate: damaged data");
const ZSTD_DAMAGED: Error = Error::Corrupt("zstd: damaged data");

/// The buffers and decompressors of one thread, reused from chunk to chunk. The contexts of the C libraries
/// are created for the first chunk that needs them.
#[derive(Default)]
pub struct Decoder {
    inflate: Option<libdeflater::Decompressor>,
    zstd: Option<zstd_safe::DCtx<'static>>,
    pub(crate) scratch: Vec<u8>,
    pub(crate) planes: Vec<u8>,
    pub(crate) blocks: BlockBuffers,
}

/// The buffers for the blocks of a Blosc2 chunk.
#[derive(Debug, Default)]
pub(crate) struct BlockBuffers {
    /// A block before, and between, its filters.
    pub(crate) coded: Vec<u8>,
    pub(crate) between: Vec<u8>,
    /// A block before it is copied into the array.
    pub(crate) plain: Vec<u8>,
    /// The block that the others are encoded against.
    pub(crate) first: Vec<u8>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

impl Decoder {
    /// Frees the buffers and contexts.
    pub fn release(&mut self) {
        *self = Self::default();
    }

    /// Decompresses zlib data that fills `target` exactly.
    pub(crate) fn inflate(&mut self, source: &[u8], target: &mut [u8]) -> Decoded {
        match self.inflate_some(source, target)? {
            size if size == target.len() => Ok(()),
            _ => Err(DEFLATE_DAMAGED),
        }
    }

    /// Decompresses zlib data that fits into `target`, and returns its size.
    pub(crate) fn inflate_some(
        &mut self,
        source: &[u8],
        target: &mut [u8],
    ) -> Result<usize, Error> {
        let context = match &mut self.inflate {
            Some(context) => context,
            none => {
                check_room()?;
                none.insert(libdeflater::Decompressor::new())
            }
        };
        context.zlib_decompress(source, target).map_err(|_| DEFLATE_DAMAGED)
    }

    /// Decompresses Zstandard frames that fill `target` exactly.
    pub(crate) fn unzstd(&mut self, source: &[u8], target: &mut [u8]) -> Decoded {
        match self.unzstd_some(source, target)? {
            size if size == target.len() => Ok(()),
            _ => Err(ZSTD_DAMAGED),
        }
    }

    /// Decompresses Zstandard frames that fit into `target`, and returns their size.
    pub(crate) fn unzstd_some(&mut self, source: &[u8], target: &mut [u8]) -> Result<usize, Error> {
        let context = match &mut self.zstd {
            Some(context) => context,
            none => none.insert(zstd_safe::DCtx::try_create().ok_or(Error::NoMemory)?),
        };
        context.decompress(target, source).map_err(|_| ZSTD_DAMAGED)
    }
}
