//! LZF (filter 32000) and LZ4 in HDF5's framing (filter 32004).
//! Source: <https://github.com/HDFGroup/hdf5_plugins/blob/master/docs/RegisteredFilterPlugins.md>.
#![allow(unsafe_code)]

use std::ffi::c_uint;

use super::Refused;

/// LZF data that fills `target` exactly.
pub(super) fn lzf(source: &[u8], target: &mut [u8]) -> Result<(), Refused> {
    let damaged = Refused("lzf: damaged data");
    let from = c_uint::try_from(source.len()).map_err(|_| damaged)?;
    let room = c_uint::try_from(target.len()).map_err(|_| damaged)?;
    // SAFETY: liblzf reads at most `from` bytes and writes at most `room`: it checks each step. The
    // binding's pointers are mutable, but the source is not written to.
    let done = unsafe {
        lzf_sys::lzf_decompress(source.as_ptr().cast(), from, target.as_mut_ptr().cast(), room)
    };
    if done == room { Ok(()) } else { Err(damaged) }
}

/// The whole size in 8 bytes, a block's in 4, then blocks with 4 bytes of size each; a block that did
/// not shrink is stored as it is. All numbers have their most significant byte first.
pub(super) fn lz4_framed(source: &[u8], target: &mut [u8]) -> Result<(), Refused> {
    let damaged = Refused("lz4: damaged data");
    let (whole, rest) = source.split_first_chunk::<8>().ok_or(damaged)?;
    let (block, mut rest) = rest.split_first_chunk::<4>().ok_or(damaged)?;
    let block = u32::from_be_bytes(*block) as usize;
    if u64::from_be_bytes(*whole) != target.len() as u64 || block == 0 {
        return Err(damaged);
    }
    for part in target.chunks_mut(block) {
        let (size, after) = rest.split_first_chunk::<4>().ok_or(damaged)?;
        let size = u32::from_be_bytes(*size) as usize;
        let (code, after) = after.split_at_checked(size).ok_or(damaged)?;
        rest = after;
        if size == part.len() {
            part.copy_from_slice(code);
        } else {
            lz4(code, part)?;
        }
    }
    Ok(())
}

/// One LZ4 block that fills `target` exactly.
pub(super) fn lz4(source: &[u8], target: &mut [u8]) -> Result<(), Refused> {
    match lz4_flex::block::decompress_into(source, target) {
        Ok(size) if size == target.len() => Ok(()),
        _ => Err(Refused("lz4: damaged data")),
    }
}
