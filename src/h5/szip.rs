//! Filter 4, szip: decoding by libaec. The bundled HDF5 is built without it and gets this decoder; a
//! system's has its own, or none.
//!
//! Szip is the extended Rice coder with conventions of its own: samples of 32 and 64 bits are stored
//! as planes of bytes, and each scanline is filled up to whole blocks.
//! Source: CCSDS 121.0-B-3, libaec's `README.SZIP`.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_uint};

use libaec_sys::{AEC_DATA_MSB, AEC_DATA_PREPROCESS, AEC_OK, aec_buffer_decode, aec_stream};

/// Bits of the options parameter that concern decoding: most significant byte first, and
/// prediction from the nearest neighbour.
const MSB: c_uint = 16;
const NEAREST_NEIGHBOUR: c_uint = 32;

/// The limits of the format: pixels of a block and of a scanline.
const MOST_IN_BLOCK: usize = 32;
const MOST_IN_SCANLINE: usize = 4096;

/// How a chunk was encoded: HDF5's four parameters, within the limits of the format. libaec checks none
/// of the first two, and writes past its buffers with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Params {
    options: c_uint,
    pixels_per_block: usize,
    bits_per_pixel: usize,
    pixels_per_scanline: usize,
}

impl Params {
    pub(super) fn new(values: &[c_uint]) -> Option<Self> {
        let at = |index: usize| usize::try_from(*values.get(index)?).ok();
        let params = Self {
            options: *values.first()?,
            pixels_per_block: at(1)?,
            bits_per_pixel: at(2)?,
            pixels_per_scanline: at(3)?,
        };
        let block = params.pixels_per_block;
        let is_valid = (2..=MOST_IN_BLOCK).contains(&block)
            && block.is_multiple_of(2)
            && matches!(params.bits_per_pixel, 1..=32 | 64)
            && (1..=MOST_IN_SCANLINE).contains(&params.pixels_per_scanline);
        is_valid.then_some(params)
    }

    /// Decodes a chunk as HDF5 stores it: its decoded size in 4 bytes, then the code. `None` if it is
    /// damaged, or larger than `most`.
    pub(super) fn chunk(self, source: &[u8], most: usize) -> Option<Vec<u8>> {
        let (size, code) = source.split_first_chunk::<4>()?;
        let size = usize::try_from(u32::from_le_bytes(*size)).ok().filter(|&size| size <= most)?;
        self.decode(code, size)
    }

    fn decode(self, code: &[u8], size: usize) -> Option<Vec<u8>> {
        let planes = matches!(self.bits_per_pixel, 32 | 64);
        let bits = if planes { 8 } else { self.bits_per_pixel };
        let pixel = match bits {
            0..=8 => 1,
            9..=16 => 2,
            _ => 4,
        };
        let blocks = self.pixels_per_scanline.div_ceil(self.pixels_per_block);
        let line = self.pixels_per_scanline.checked_mul(pixel)?;
        let padded = blocks.checked_mul(self.pixels_per_block)?.checked_mul(pixel)?;
        let lines = size.div_ceil(line);
        let room = if padded == line { size } else { padded.checked_mul(lines)? };
        // A bit stands for 64 blocks at the most: what claims to be larger is no szip.
        let most = code.len().saturating_mul(8 * 64).saturating_mul(self.pixels_per_block * pixel);
        if room > most {
            return None;
        }
        let mut plain = self.rice(code, room, bits, blocks)?;
        if padded != line {
            plain = plain.chunks(padded).flat_map(|l| &l[..line.min(l.len())]).copied().collect();
        }
        plain.truncate(size);
        if plain.len() < size {
            return None;
        }
        Some(if planes { interleave(&plain, self.bits_per_pixel / 8) } else { plain })
    }

    /// Undoes the extended Rice code: up to `room` bytes.
    fn rice(self, code: &[u8], room: usize, bits: usize, blocks: usize) -> Option<Vec<u8>> {
        let mut plain = Vec::new();
        plain.try_reserve_exact(room).ok()?;
        plain.resize(room, 0_u8);
        let mut flags = 0;
        if self.options & MSB != 0 {
            flags |= AEC_DATA_MSB;
        }
        if self.options & NEAREST_NEIGHBOUR != 0 {
            flags |= AEC_DATA_PREPROCESS;
        }
        let mut stream = aec_stream {
            next_in: code.as_ptr(),
            avail_in: code.len(),
            total_in: 0,
            next_out: plain.as_mut_ptr(),
            avail_out: room,
            total_out: 0,
            bits_per_sample: c_uint::try_from(bits).ok()?,
            block_size: c_uint::try_from(self.pixels_per_block).ok()?,
            rsi: c_uint::try_from(blocks).ok()?,
            flags,
            state: std::ptr::null_mut(),
        };
        // SAFETY: both buffers live through the call, and the stream says how long they are.
        let status = unsafe { aec_buffer_decode(&raw mut stream) };
        if status != AEC_OK.cast_signed() as c_int {
            return None;
        }
        plain.truncate(stream.total_out);
        Some(plain)
    }
}

/// Puts planes of bytes back together to words.
fn interleave(planes: &[u8], word: usize) -> Vec<u8> {
    let count = planes.len() / word;
    let mut words = vec![0; planes.len()];
    for (plane, bytes) in planes.chunks_exact(count.max(1)).take(word).enumerate() {
        for (word, &byte) in words.chunks_exact_mut(word).zip(bytes) {
            word[plane] = byte;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_become_words() {
        assert_eq!(interleave(&[1, 3, 2, 4], 2), [1, 2, 3, 4]);
        assert_eq!(interleave(&[], 4), [0_u8; 0]);
    }

    #[test]
    fn nonsense_is_refused() {
        let params = Params::new(&[141, 32, 8, 256]).unwrap();
        assert!(params.chunk(&[1, 0], 1 << 20).is_none());
        assert!(params.chunk(&[255, 255, 255, 255, 7], usize::MAX).is_none());
        assert!(params.chunk(&[9, 0, 0, 0, 0], 8).is_none());
    }

    #[test]
    fn parameters_beyond_the_limits_of_the_format_are_refused() {
        for (at, values) in [
            (1, &[0, 1, 3, 7, 31, 33, 34, 64, 0x2000_0000, u32::MAX - 1][..]),
            (2, &[0, 33, 63, 65, u32::MAX]),
            (3, &[0, 4097, 0x2000_0001, u32::MAX]),
        ] {
            for &value in values {
                let mut params = [141, 32, 8, 256];
                params[at] = value;
                assert!(Params::new(&params).is_none(), "{params:?}");
            }
        }
        assert!(Params::new(&[141, 32, 8]).is_none());
        assert!(Params::new(&[141, 2, 64, 4096]).is_some());
    }
}
