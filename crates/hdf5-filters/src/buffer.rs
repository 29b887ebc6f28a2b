//! Sizes of the buffers that decoders fill.

use crate::error::{Decoded, Error};

/// Sets the length of `buffer` to `size`. The content of the buffer is unspecified afterwards.
///
/// # Errors
/// Returns [`Error::NoMemory`] if the buffer cannot grow.
pub fn resize_buffer(buffer: &mut Vec<u8>, size: usize) -> Result<(), Error> {
    let more = size.saturating_sub(buffer.len());
    buffer.try_reserve_exact(more).map_err(|_| Error::NoMemory)?;
    buffer.resize(size, 0);
    Ok(())
}

/// Fails unless both slices have the same length.
pub(crate) fn same_size(source: &[u8], target: &[u8]) -> Decoded {
    if source.len() == target.len() {
        Ok(())
    } else {
        Err(Error::Corrupt("data of an unexpected size"))
    }
}

/// Fails unless there is memory for the context of a C library whose crate panics when its allocation fails.
/// The contexts of libdeflate and bzip2 are smaller than this.
pub(crate) fn check_room() -> Decoded {
    const CONTEXT_BYTES: usize = 256 << 10;
    Vec::<u8>::new().try_reserve_exact(CONTEXT_BYTES).map_err(|_| Error::NoMemory)
}
